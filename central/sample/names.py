"""Words that the sample company is made of: German, Russian and English names, streets, trades, and what people say.

Telephone numbers come from the ranges that Bundesnetzagentur and Ofcom keep free for films; Russia has none, so 555 is
used there. Domains end in `.example` (RFC 2606). Any likeness to living firms is chance.
"""

# ruff: noqa: E501 (tables: a row is a line)

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class City:
    """A town with its area code as it is written and the digits that follow (`#` is drawn)."""

    name: str
    region: str
    zips: tuple[str, ...]
    phone: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Land:
    """All words of one language area."""

    language: str
    country: str
    currency: str
    vat_rate: int
    first_f: tuple[str, ...]
    first_m: tuple[str, ...]
    last: tuple[str, ...]  # Russian ones in the male form
    streets: tuple[str, ...]
    cities: tuple[City, ...]
    mobile: str  # empty: people have an extension of their firm's number instead
    forms: tuple[str, ...]
    salutations: tuple[str, str]  # to a woman, to a man
    roles: tuple[str, ...]


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


GERMAN = Land(
    language="de", country="DE", currency="EUR", vat_rate=19,
    first_f=_words("Anna Sabine Petra Katrin Claudia Monika Ute Heike Julia Lena Marie Sophie Birgit Renate Silke Nina Franziska Johanna Martina Andrea"),
    first_m=_words("Thomas Michael Andreas Stefan Jürgen Klaus Matthias Uwe Holger Jan Lukas Felix Tobias Markus Florian Rainer Dirk Sven Jörg Günther"),
    last=_words("Müller Schmidt Schneider Fischer Weber Meyer Wagner Becker Schulz Hoffmann Schäfer Koch Bauer Richter Klein Wolf Schröder Neumann Schwarz Zimmermann Braun Krüger Hofmann Hartmann Lange Werner Krause Lehmann Köhler Maier Jansen Petersen Lorenz Böttcher Voß Thiele Ahrens Großmann Brandt Kühn"),
    streets=("Hauptstraße", "Bahnhofstraße", "Gartenstraße", "Lindenallee", "Am Markt", "Mühlenweg", "Schillerstraße", "Goethestraße", "Kirchplatz", "Ringstraße", "Hafenstraße", "Parkallee", "Bergstraße", "Rosenweg", "Marktplatz"),
    cities=(
        City(name="Hamburg", region="Hamburg", zips=("20095", "20457", "22765"), phone="040 66969 ###"),
        City(name="Berlin", region="Berlin", zips=("10115", "10827", "12047"), phone="030 23125 ###"),
        City(name="München", region="Bayern", zips=("80331", "81667", "80796"), phone="089 99998 ###"),
        City(name="Köln", region="Nordrhein-Westfalen", zips=("50667", "50825"), phone="0221 4710 ###"),
        City(name="Frankfurt am Main", region="Hessen", zips=("60311", "60486"), phone="069 90009 ###"),
        City(name="Lübeck", region="Schleswig-Holstein", zips=("23552",), phone="040 66969 ###"),
        City(name="Potsdam", region="Brandenburg", zips=("14467",), phone="030 23125 ###"),
    ),
    mobile="", forms=("GmbH", "GmbH & Co. KG", "OHG", "e.K.", "KG", "AG"), salutations=("Frau", "Herr"),
    roles=("Geschäftsführung", "Einkauf", "Leitung Einkauf", "Buchhaltung", "Büroleitung", "Küchenleitung", "Technik"),
)  # fmt: skip
RUSSIAN = Land(
    language="ru", country="RU", currency="RUB", vat_rate=20,
    first_f=_words("Анна Елена Ольга Наталья Мария Татьяна Ирина Светлана Екатерина Юлия Дарья Полина Вера Надежда Ксения"),
    first_m=_words("Александр Дмитрий Сергей Андрей Алексей Иван Михаил Николай Павел Владимир Артём Илья Максим Кирилл Олег"),
    last=_words("Иванов Смирнов Кузнецов Попов Васильев Петров Соколов Михайлов Новиков Фёдоров Морозов Волков Алексеев Лебедев Семёнов Егоров Павлов Козлов Степанов Николаев Орлов Андреев Макаров Никитин Захаров Зайцев Соловьёв Борисов Яковлев Григорьев Воробьёв Щербаков Журавлёв Королёв"),
    streets=("ул. Ленина", "Невский пр.", "ул. Садовая", "ул. Гагарина", "Литейный пр.", "ул. Мира", "ул. Маяковского", "ул. Пушкина", "наб. реки Фонтанки", "ул. Рубинштейна", "Лиговский пр.", "ул. Восстания", "ул. Чехова"),
    cities=(
        City(name="Санкт-Петербург", region="Санкт-Петербург", zips=("191023", "190000", "197101"), phone="+7 812 555-##-##"),
        City(name="Москва", region="Москва", zips=("101000", "119019", "125009"), phone="+7 495 555-##-##"),
        City(name="Выборг", region="Ленинградская область", zips=("188800",), phone="+7 81378 55-#-##"),
        City(name="Великий Новгород", region="Новгородская область", zips=("173001",), phone="+7 8162 55-##-##"),
        City(name="Псков", region="Псковская область", zips=("180000",), phone="+7 8112 55-##-##"),
    ),
    mobile="+7 911 555-##-##", forms=("ООО", "АО", "ООО", "ООО", "ЗАО"), salutations=("г-жа", "г-н"),
    roles=("директор", "менеджер по закупкам", "главный бухгалтер", "администратор", "шеф-повар", "управляющий"),
)  # fmt: skip
ENGLISH = Land(
    language="en", country="GB", currency="GBP", vat_rate=20,
    first_f=_words("Emily Charlotte Sarah Olivia Grace Hannah Lucy Amelia Rachel Victoria Megan Alice Eleanor Fiona Heather"),
    first_m=_words("James Oliver William Thomas George Harry Jack Daniel Edward Simon Alistair Peter Graham Nigel Callum"),
    last=_words("Smith Jones Taylor Brown Williams Wilson Johnson Davies Patel Robinson Wright Thompson Evans Walker White Roberts Green Hall Wood Harris Clarke Jackson Turner Hill Cooper Ward Morris Moore Hughes Edwards Baker Carter Morgan Bennett"),
    streets=("High Street", "Station Road", "Church Lane", "Victoria Road", "King Street", "Mill Lane", "Market Place", "Park Avenue", "Queen Street", "The Green", "Bridge Street", "Albert Road"),
    cities=(
        City(name="London", region="Greater London", zips=("EC1A 1BB", "SE1 9GF", "N1 9GU", "W1F 8WP"), phone="020 7946 0###"),
        City(name="Manchester", region="Greater Manchester", zips=("M1 4BT", "M4 1HN"), phone="0161 496 0###"),
        City(name="Bristol", region="Bristol", zips=("BS1 5TY",), phone="0117 496 0###"),
        City(name="Leeds", region="West Yorkshire", zips=("LS1 4AP",), phone="0113 496 0###"),
        City(name="Edinburgh", region="Scotland", zips=("EH1 1RE",), phone="0131 496 0###"),
    ),
    mobile="07700 900###", forms=("Ltd", "Ltd", "LLP", "plc"), salutations=("Ms", "Mr"),
    roles=("Managing director", "Purchasing", "Head of purchasing", "Accounts", "Office manager", "Head barista"),
)  # fmt: skip

LANDS = {"de": GERMAN, "ru": RUSSIAN, "en": ENGLISH}

# industry → what such a house is called; {} is a name of the owner or one of PROPER
TRADES: dict[str, dict[str, tuple[str, ...]]] = {
    "Café": {"de": ("Café {}", "Kaffeehaus {}", "Rösterei {}"), "ru": ("Кофейня «{}»", "Кафе «{}»"),
             "en": ("{} Coffee House", "The {} Café", "{} Roasters")},
    "Hotel": {"de": ("Hotel {}", "Hotelgesellschaft {}", "Pension {}"), "ru": ("Отель «{}»", "Гостиница «{}»"),
              "en": ("The {} Hotel", "{} Hotels")},
    "Restaurant": {"de": ("Restaurant {}", "Gasthaus {}", "Wirtshaus {}"), "ru": ("Ресторан «{}»", "Трактир «{}»"),
                   "en": ("{} Kitchen", "The {} Arms", "{} Dining")},
    "Retail": {"de": ("Feinkost {}", "Kaufhaus {}", "Handelskontor {}"), "ru": ("Торговый дом «{}»", "Магазин «{}»"),
               "en": ("{} Fine Foods", "{} Stores", "{} & Co. Provisions")},
    "Office": {"de": ("{} Ingenieure", "{} Steuerberatung", "{} Software", "Kanzlei {}"),
               "ru": ("{} Инжиниринг", "Юридическое бюро «{}»", "{} Софт"),
               "en": ("{} Consulting", "{} Software", "{} Architects", "{} Legal")},
    "Bakery": {"de": ("Bäckerei {}", "Konditorei {}"), "ru": ("Пекарня «{}»", "Кондитерская «{}»"),
               "en": ("{} Bakery", "{} Patisserie")},
    "Health": {"de": ("Klinikum {}", "Seniorenresidenz {}"), "ru": ("Клиника «{}»", "Санаторий «{}»"),
               "en": ("{} Care Homes", "{} Clinic")},
}  # fmt: skip
PROPER = {
    "de": ("Morgenrot", "Alte Post", "Seeblick", "Zur Linde", "Nordlicht", "Hafenkrone", "Alster", "Goldener Anker", "Lichtblick", "Am Dom", "Speicher", "Elbperle", "Kranich", "Sonnenhof", "Leuchtturm", "Havel", "Kastanie", "Drei Könige", "Waldfrieden", "Marktblick"),
    "ru": ("Северное сияние", "Якорь", "Белые ночи", "Аврора", "Утро", "Маяк", "Ладога", "Чайка", "Феникс", "Онегин", "Старый город", "Гранд", "Балтика", "Нева", "Самовар", "Три сестры", "Родник", "Янтарь", "Арка", "Вишня"),
    "en": ("Harbour", "Copper Kettle", "Old Mill", "Lighthouse", "Kingfisher", "Primrose", "Blackbird", "Anchor", "Riverside", "Fox and Hare", "Oakwood", "Silver Birch", "Wharf", "Foundry", "Meadow", "Compass", "Robin", "Juniper", "Canal Street", "Clocktower"),
}  # fmt: skip

# (code, name, group, unit, price EUR, buys at, kind)
PRODUCTS: tuple[tuple[str, str, str, str, str, str, str], ...] = (
    ("KM-110", "Siebträger Alba 1-gruppig", "Machines", "pcs", "2480.00", "1690.00", "goods"),
    ("KM-120", "Siebträger Alba 2-gruppig", "Machines", "pcs", "4390.00", "3020.00", "goods"),
    ("KM-210", "Vollautomat Office S", "Machines", "pcs", "1290.00", "840.00", "goods"),
    ("KM-220", "Vollautomat Office L", "Machines", "pcs", "2190.00", "1480.00", "goods"),
    ("KM-300", "Filter brewer Duo", "Machines", "pcs", "389.00", "232.00", "goods"),
    ("KM-310", "Filter brewer Maxi 20 l", "Machines", "pcs", "879.00", "560.00", "goods"),
    ("KM-400", "Самовар электрический 10 л", "Machines", "pcs", "312.00", "190.00", "goods"),
    ("GR-100", "Grinder Mira 54", "Grinders", "pcs", "419.00", "262.00", "goods"),
    ("GR-110", "Grinder Mira 64", "Grinders", "pcs", "639.00", "410.00", "goods"),
    ("GR-200", "Shop grinder Atlas", "Grinders", "pcs", "1190.00", "790.00", "goods"),
    ("GR-300", "Handmühle Kompass", "Grinders", "pcs", "89.00", "46.00", "goods"),
    ("CO-101", "Coffee Santos, 1 kg", "Coffee", "kg", "16.90", "9.80", "goods"),
    ("CO-102", "Coffee Sidamo, 1 kg", "Coffee", "kg", "22.40", "13.60", "goods"),
    ("CO-103", "Coffee Huehuetenango, 1 kg", "Coffee", "kg", "21.80", "13.10", "goods"),
    ("CO-104", "Espresso Kontor, 1 kg", "Coffee", "kg", "18.60", "10.40", "goods"),
    ("CO-105", "Espresso Nordwind, 1 kg", "Coffee", "kg", "19.80", "11.20", "goods"),
    ("CO-106", "Decaf Sumatra, 1 kg", "Coffee", "kg", "20.90", "12.50", "goods"),
    ("CO-107", "Filter blend Speicher, 1 kg", "Coffee", "kg", "15.80", "9.10", "goods"),
    ("CO-201", "Cold brew, bottle 0.25 l (24)", "Coffee", "box", "43.20", "25.00", "goods"),
    ("TE-101", "Assam Mokalbari, 1 kg", "Tea", "kg", "28.50", "16.20", "goods"),
    ("TE-102", "Darjeeling First Flush, 500 g", "Tea", "pcs", "34.00", "20.40", "goods"),
    ("TE-103", "Ostfriesenmischung, 1 kg", "Tea", "kg", "24.90", "14.00", "goods"),
    ("TE-104", "Русский караван, 500 г", "Tea", "pcs", "19.50", "10.80", "goods"),
    ("TE-105", "Sencha, 500 g", "Tea", "pcs", "23.60", "13.20", "goods"),
    ("TE-106", "Earl Grey, 100 bags", "Tea", "box", "12.90", "6.80", "goods"),
    ("TE-107", "Peppermint, 100 bags", "Tea", "box", "10.40", "5.20", "goods"),
    ("TE-108", "Иван-чай, 500 г", "Tea", "pcs", "14.20", "7.60", "goods"),
    ("CU-101", "Cup Hanse 0.2 l (6)", "Cups", "box", "32.40", "18.00", "goods"),
    ("CU-102", "Espresso cup Hanse (6)", "Cups", "box", "26.90", "14.60", "goods"),
    ("CU-103", "Tea glass with holder", "Cups", "pcs", "11.80", "5.90", "goods"),
    ("CU-104", "Подстаканник «Экспресс»", "Cups", "pcs", "18.60", "10.20", "goods"),
    ("CU-201", "Paper cup 0.3 l (1000)", "Cups", "box", "79.00", "48.00", "goods"),
    ("CU-202", "Lid 90 mm (1000)", "Cups", "box", "38.00", "21.50", "goods"),
    ("AC-101", "Milk jug 0.6 l", "Accessories", "pcs", "24.50", "12.00", "goods"),
    ("AC-102", "Tamper 58 mm", "Accessories", "pcs", "39.00", "19.50", "goods"),
    ("AC-103", "Knock box", "Accessories", "pcs", "44.00", "23.00", "goods"),
    ("AC-104", "Teekanne Glas 1 l", "Accessories", "pcs", "29.80", "14.90", "goods"),
    ("AC-105", "Scale with timer", "Accessories", "pcs", "59.00", "33.00", "goods"),
    ("AC-106", "Filter papers (1000)", "Accessories", "box", "21.90", "11.00", "goods"),
    ("CL-101", "Reinigungstabletten (100)", "Cleaning", "pcs", "17.80", "8.20", "goods"),
    ("CL-102", "Descaler 5 l", "Cleaning", "pcs", "26.40", "13.10", "goods"),
    ("CL-103", "Milk system cleaner 1 l", "Cleaning", "pcs", "13.90", "6.40", "goods"),
    ("CL-104", "Brush set", "Cleaning", "pcs", "15.60", "7.00", "goods"),
    ("SP-101", "Gasket set Alba", "Spare parts", "pcs", "18.40", "7.10", "goods"),
    ("SP-102", "Burrs 64 mm", "Spare parts", "pcs", "64.00", "35.00", "goods"),
    ("SP-103", "Water filter cartridge", "Spare parts", "pcs", "48.50", "27.40", "goods"),
    ("SP-104", "Pump 15 bar", "Spare parts", "pcs", "72.00", "41.00", "goods"),
    ("SV-101", "Wartung klein", "Service", "h", "84.00", "46.00", "service"),
    ("SV-102", "Repair, per hour", "Service", "h", "96.00", "52.00", "service"),
    ("SV-103", "Barista training, one day", "Service", "day", "690.00", "380.00", "service"),
    ("SV-104", "Доставка и установка", "Service", "pcs", "120.00", "70.00", "service"),
)

# what is written down about a talk: (kind, subject, text)
TALKS: dict[str, tuple[tuple[str, str, str], ...]] = {
    "de": (
        ("call", "Rückruf wegen Angebot", "Möchte bis Freitag entscheiden, wartet noch auf die Freigabe der Geschäftsführung."),
        ("call", "Liefertermin", "Lieferung bitte nur vormittags, Rampe hinten im Hof."),
        ("call", "Reklamation Mühle", "Mahlwerk läuft ungleichmäßig. Techniker kommt nächste Woche vorbei."),
        ("meeting", "Verkostung vor Ort", "Drei Röstungen probiert. Der Kontor-Espresso kam am besten an."),
        ("meeting", "Jahresgespräch", "Menge bleibt gleich, Preise sollen bis März gehalten werden."),
        ("email", "Preisliste geschickt", "Aktuelle Preisliste mit Staffelpreisen für Kaffee geschickt."),
        ("note", "Neuer Ansprechpartner", "Der Einkauf wechselt zum Monatsersten."),
        ("call", "Niemand erreicht", "Auf den Anrufbeantworter gesprochen."),
    ),
    "ru": (
        ("call", "Звонок по предложению", "Попросили скидку при заказе от 50 кг, ответить до пятницы."),
        ("call", "Срок поставки", "Просят привезти до праздников, приём товара до 16:00."),
        ("call", "Не дозвонились", "Секретарь обещала передать."),
        ("meeting", "Дегустация", "Понравился «Русский караван» и эспрессо Nordwind."),
        ("meeting", "Переговоры о договоре", "Согласовали отсрочку 14 дней."),
        ("email", "Отправлен прайс-лист", "Выслали новый прайс-лист и сертификаты."),
        ("note", "Сменился директор", "С первого числа новый управляющий, познакомиться."),
    ),
    "en": (
        ("call", "Chased the quotation", "They like the two-group machine but want a price for servicing as well."),
        ("call", "Delivery window", "Deliver before ten, loading bay at the back."),
        ("call", "No answer", "Left a message with reception."),
        ("meeting", "Tasting on site", "Sidamo went down well; send two more kilos for the baristas."),
        ("meeting", "Annual review", "Happy with us, asked for quarterly invoices next year."),
        ("email", "Sent price list", "Sent the current list with quantity prices."),
        ("note", "New buyer", "The buyer leaves at the end of the month, ask who follows."),
    ),
}  # fmt: skip
ERRANDS = {
    "de": ("Angebot nachfassen", "Rückruf", "Muster schicken", "Termin vereinbaren", "Zahlung anmahnen", "Vertrag prüfen"),
    "ru": ("Перезвонить", "Отправить образцы", "Согласовать встречу", "Напомнить об оплате", "Подготовить договор"),
    "en": ("Chase the quotation", "Call back", "Send samples", "Arrange a visit", "Remind of payment", "Check contract"),
}
TITLES = {
    "de": ("Neue Siebträgermaschine", "Kaffee-Jahresvertrag", "Ausstattung Filiale", "Teesortiment", "Büroversorgung", "Wartungsvertrag"),
    "ru": ("Новая кофемашина", "Годовой контракт на кофе", "Оснащение зала", "Чайная карта", "Кофе в офис", "Сервисный договор"),
    "en": ("New espresso machine", "Coffee contract", "Second site fit-out", "Tea range", "Office coffee", "Service contract"),
}  # fmt: skip
TAGS = {"de": ("Stammkunde", "Messe", "Gastro", "Newsletter"), "ru": ("постоянный", "выставка", "HoReCa"),
        "en": ("regular", "trade fair", "hospitality", "newsletter")}  # fmt: skip
