"""Who the sample company is: a trading house in coffee and tea, its offices, people, goods and customers."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal

from central.sample.names import ENGLISH, GERMAN, PRODUCTS, PROPER, RUSSIAN, TAGS, TRADES, City, Land
from central.sample.rows import Sheet
from node.domain import catalogue as cat
from node.domain import customers as cus
from node.domain.names import fold, name_key, tax_key
from node.domain.offices import Office
from node.domain.phones import normal
from node.domain.users import User
from node.ids import Id, derived

NAME = "Hansen & Wolkow Handelskontor"
DOMAIN = "hansen-wolkow.example"
CENTRE = "HAM"
RATES = {"EUR": Decimal(1), "GBP": Decimal("1.15400000"), "RUB": Decimal("0.01060000")}  # what one unit is in EUR


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """An office: where it is and in what language it works."""

    code: str
    name: str
    land: Land
    zone: str
    street: str
    zip: str
    phone: str


BRANCHES = (
    Branch(code="HAM", name="Hamburg", land=GERMAN, zone="Europe/Berlin",
           street="Brooktorkai 12", zip="20457", phone="040 66969 100"),
    Branch(code="BER", name="Berlin", land=GERMAN, zone="Europe/Berlin",
           street="Torstraße 84", zip="10119", phone="030 23125 100"),
    Branch(code="SPB", name="Санкт-Петербург", land=RUSSIAN, zone="Europe/Moscow",
           street="Лиговский пр., 50", zip="191040", phone="+7 812 555-10-00"),
    Branch(code="LON", name="London", land=ENGLISH, zone="Europe/London",
           street="18 Shad Thames", zip="SE1 2YR", phone="020 7946 0100"),
    Branch(code="MUC", name="München", land=GERMAN, zone="Europe/Berlin",
           street="Lindwurmstraße 9", zip="80337", phone="089 99998 100"),
    Branch(code="MSK", name="Москва", land=RUSSIAN, zone="Europe/Moscow",
           street="ул. Мясницкая, 24", zip="101000", phone="+7 495 555-10-00"),
    Branch(code="MAN", name="Manchester", land=ENGLISH, zone="Europe/London",
           street="40 Ducie Street", zip="M1 2JW", phone="0161 496 0100"),
    Branch(code="CGN", name="Köln", land=GERMAN, zone="Europe/Berlin",
           street="Aachener Straße 31", zip="50674", phone="0221 4710 100"),
)  # fmt: skip
OFFICES_MAX = len(BRANCHES) - 1

# per office: role, how many, job title by language
_STAFF = (
    ("manager", 1, {"de": "Niederlassungsleitung", "ru": "директор филиала", "en": "Branch manager"}),
    ("sales", 4, {"de": "Vertrieb", "ru": "менеджер по продажам", "en": "Sales"}),
    ("secretary", 1, {"de": "Sekretariat", "ru": "секретарь", "en": "Office assistant"}),
)
_KNOWN = {  # who is printed with a login, so that the demo reads alike on every machine
    ("HAM", "director"): ("Ingrid", "Hansen"), ("HAM", "manager"): ("Jan", "Petersen"),
    ("BER", "manager"): ("Katrin", "Wolf"), ("SPB", "manager"): ("Елена", "Соколова"),
    ("LON", "manager"): ("Grace", "Turner"),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Customer:
    """What the year needs to know of a company."""

    id: Id
    name: str
    kind: str
    office: Branch
    owner: Id
    person: Id | None
    since: datetime
    appetite: int  # how often it buys
    address: dict[str, str]


@dataclass(slots=True, kw_only=True)
class Cast:
    """Everybody and everything that the year plays with."""

    branches: tuple[Branch, ...]
    sellers: dict[str, list[Id]] = field(default_factory=dict)  # by office
    logins: list[tuple[str, str, str, str]] = field(default_factory=list)  # office, login, name, role
    products: list[tuple[Id, str, str, Decimal, Decimal, str]] = field(default_factory=list)
    customers: list[Customer] = field(default_factory=list)
    name_keys: set[str] = field(default_factory=set)


def found(sheet: Sheet, offices: int, companies: int, password_hash: str) -> Cast:
    """The company with so many offices beside the centre and so many customers, suppliers and competitors."""
    cast = Cast(branches=BRANCHES[: offices + 1])
    start = sheet.now - timedelta(days=800)
    for branch in cast.branches:
        _office(sheet, branch, start)
        _staff(sheet, cast, branch, start, password_hash)
    _goods(sheet, cast, start)
    for tag in sorted({t for words in TAGS.values() for t in words}):
        sheet.add(cus.Tag, start, id=derived("tag", tag), name=tag, office=CENTRE)
    for _ in range(companies):
        weights = {b: 3 if b.code == CENTRE else 4 for b in cast.branches}
        cast.customers.append(_company(sheet, cast, sheet.chance.choices(list(weights), list(weights.values()))[0]))
    _leave_duplicates(sheet, cast, max(2, companies // 100))
    return cast


def _office(sheet: Sheet, branch: Branch, start: datetime) -> None:
    sheet.add(
        Office, start, id=derived("office", branch.code), code=branch.code, name=branch.name, office=branch.code,
        central=int(branch.code == CENTRE), phone=branch.phone, email=f"{branch.code.lower()}@{DOMAIN}",
        street=branch.street, zip=branch.zip, city=branch.name, country=branch.land.country, timezone=branch.zone,
        currency=branch.land.currency, language=branch.land.language,
    )  # fmt: skip


def _staff(sheet: Sheet, cast: Cast, branch: Branch, start: datetime, password_hash: str) -> None:
    taken = {login for _, login, _, _ in cast.logins}
    staff = _STAFF if branch.code != CENTRE else (("director", 1, {"de": "Geschäftsführung"}), *_STAFF)
    head: Id | None = None
    for role, count, titles in staff:
        for n in range(count):
            first, last = _KNOWN.get((branch.code, role), ("", "")) if n == 0 else ("", "")
            if not first:
                first, last, _ = person_name(sheet, branch.land)
            login = ascii_word(f"{first}.{last}")
            login = next(c for c in (login, *(f"{login}{i}" for i in range(2, 99))) if c not in taken)
            taken.add(login)
            id = sheet.add(
                User, start, login=login, name=f"{first} {last}", email=f"{login}@{DOMAIN}", role=role,
                home_office=branch.code, office=branch.code, manager_id=head, password_hash=password_hash,
                language=branch.land.language, job_title=titles[branch.land.language],
                extension=str(100 + len(taken)),
            )  # fmt: skip
            head = head or id
            cast.logins.append((branch.code, login, f"{first} {last}", role))
            if role in ("sales", "manager"):
                cast.sellers.setdefault(branch.code, []).append(id)


def _goods(sheet: Sheet, cast: Cast, start: datetime) -> None:
    for code, name, group, unit, price, buys, kind in PRODUCTS:
        vat = Decimal(7) if group in ("Coffee", "Tea") else Decimal(19)
        id = sheet.add(
            cat.Product, start, id=derived("sample", "product", code), code=code, name=name, kind=kind, group=group,
            unit=unit, price=Decimal(price), buy_price=Decimal(buys), vat_rate=vat, office=CENTRE,
            barcode=ean13(f"2{len(cast.products):011d}") if kind == "goods" else "",
        )  # fmt: skip
        cast.products.append((id, name, unit, Decimal(price), vat, kind))
    for currency in sorted({b.land.currency for b in cast.branches}):
        list_id = sheet.add(cat.PriceList, start, name=f"List {currency}",
                            currency=currency, standard=True, office=CENTRE)  # fmt: skip
        for id, _, _, cost, _, kind in cast.products:
            sheet.add(cat.Price, start, price_list_id=list_id, product_id=id, price=in_currency(cost, currency))
            if kind == "goods" and cost < 100:
                many = in_currency(cost * Decimal("0.93"), currency)
                sheet.add(cat.Price, start, price_list_id=list_id, product_id=id, price=many, from_quantity=Decimal(50))
        if currency != "EUR":
            for month in range(13):
                drift = Decimal(sheet.chance.randint(-200, 200)) / 10000
                sheet.add(cat.CurrencyRate, sheet.now - timedelta(days=30 * (12 - month)), currency=currency,
                          on=(sheet.now - timedelta(days=30 * (12 - month))).date(), rate=RATES[currency] * (1 + drift),
                          source="sample", office=CENTRE)  # fmt: skip


def _company(sheet: Sheet, cast: Cast, branch: Branch) -> Customer:
    chance, land = sheet.chance, branch.land
    since = sheet.now - timedelta(days=chance.randint(2, 760), minutes=chance.randint(0, 600))
    kind = sheet.pick({"customer": 66, "prospect": 25, "supplier": 5, "partner": 2, "competitor": 2})
    industry = chance.choice(list(TRADES))
    name = _new_name(sheet, cast, land, industry)
    owner = chance.choice(cast.sellers[branch.code])
    city = _city(sheet, branch)
    language = land.language
    sensitivity = sheet.pick({"normal": 96, "confidential": 3, "vip": 1})
    domain = f"{ascii_word(name_key(name)).replace('.', '-')[:30].strip('-')}.example"
    tax = tax_number(sheet, land)
    id = sheet.add(
        cus.Company, since, name=name, name_key=name_key(name), kind=kind, office=branch.code, owner_id=owner,
        status="active" if kind != "customer" else sheet.pick({"active": 85, "dormant": 12, "lost": 3}),
        tax_number=tax, tax_key=tax_key(tax), industry=industry, language=language, currency=land.currency,
        website=f"www.{domain}", tags=sorted(chance.sample(TAGS[language], sheet.pick({0: 60, 1: 30, 2: 10}))),
        source=sheet.pick({"Referral": 4, "Trade fair": 3, "Website": 3, "Cold call": 2, "": 3}),
        sensitivity=sensitivity, class_abc=sheet.pick({"": 4, "A": 1, "B": 2, "C": 3}),
        payment_days=chance.choice((None, 14, 30)), notes="",
    )  # fmt: skip
    address = {"street": street(sheet, land), "zip": chance.choice(city.zips), "city": city.name,
               "region": city.region, "country": land.country}  # fmt: skip
    sheet.add(cus.Address, since, party_id=id, **address)
    phone = digits(sheet, city.phone)
    _reach(sheet, id, since, land, "phone", phone, f"info@{domain}")
    persons = [_person(sheet, branch, id, owner, since, domain, phone, sensitivity, n == 0)
               for n in range(sheet.pick({1: 70, 2: 24, 3: 6}))]  # fmt: skip
    return Customer(id=id, name=name, kind=kind, office=branch, owner=owner, person=persons[0], since=since,
                    appetite=sheet.pick({1: 50, 3: 30, 8: 12, 20: 3}), address=address)  # fmt: skip


def _person(
    sheet: Sheet, branch: Branch, company: Id, owner: Id, since: datetime, domain: str, phone: str,
    sensitivity: str, main: bool,
) -> Id:  # fmt: skip
    first, last, woman = person_name(sheet, branch.land)
    birthday = date(sheet.chance.randint(1955, 2002), sheet.chance.randint(1, 12), sheet.chance.randint(1, 28))
    id = sheet.add(
        cus.Person, since, first_name=first, last_name=last, name_key=name_key(last, first), office=branch.code,
        owner_id=owner, language=branch.land.language, salutation=branch.land.salutations[not woman],
        birthday=birthday if sheet.chance.random() < 0.3 else None, sensitivity=sensitivity,
    )  # fmt: skip
    role = sheet.chance.choice(branch.land.roles)
    sheet.add(cus.Position, since, company_id=company, person_id=id, main=main, role=role)
    email = f"{ascii_word(f'{first}.{last}')}@{domain}"
    if branch.land.mobile:
        _reach(sheet, id, since, branch.land, "mobile", digits(sheet, branch.land.mobile), email)
    else:
        _reach(sheet, id, since, branch.land, "phone", f"{phone}-{sheet.chance.randint(10, 99)}", email)
    return id


def _reach(sheet: Sheet, party: Id, since: datetime, land: Land, kind: str, value: str, email: str) -> None:
    sheet.add(cus.ContactPoint, since, party_id=party, kind=kind, value=value, normal=normal(value, land.country))
    sheet.add(cus.ContactPoint, since, party_id=party, kind="email", value=email, normal=email, place=1)


def _leave_duplicates(sheet: Sheet, cast: Cast, count: int) -> None:
    """Some companies that two people entered: a legal form forgotten, a letter doubled. Kogge should notice."""
    for known in sheet.chance.sample(cast.customers, count):
        name = _mistyped(sheet, known.name, known.office.land)
        since = known.since + timedelta(days=20)
        id = sheet.add(
            cus.Company, since, name=name, name_key=name_key(name), kind="prospect", office=known.office.code,
            owner_id=sheet.chance.choice(cast.sellers[known.office.code]), language=known.office.land.language,
        )  # fmt: skip
        sheet.add(cus.Address, since, party_id=id, **known.address)


def _mistyped(sheet: Sheet, name: str, land: Land) -> str:
    """The name as somebody else would write it: without its legal form, with a slip, without umlauts."""
    words = [word for word in name.split() if word not in (*" ".join(land.forms).split(), "&")]
    if sheet.chance.random() < 0.5:
        return " ".join(words)
    place = sheet.chance.randint(2, len(name) - 3)
    slip = name[:place] + name[place - 1] + name[place:]
    return slip.replace("ß", "ss").replace("ü", "ue").replace("ö", "oe").replace("ä", "ae")


def _new_name(sheet: Sheet, cast: Cast, land: Land, industry: str) -> str:
    """A name that no other customer has, as far as that can be had."""
    for _ in range(50):
        name = _company_name(sheet, land, industry)
        if name_key(name) not in cast.name_keys:
            break
    cast.name_keys.add(name_key(name))
    return name


def _company_name(sheet: Sheet, land: Land, industry: str) -> str:
    language = land.language
    style = sheet.chance.choice(TRADES[industry][language])
    own = industry in ("Office", "Health") or sheet.chance.random() < 0.4  # called after its owner
    word = sheet.chance.choice(land.last if own else PROPER[language])
    if own and sheet.chance.random() < 0.5:
        word = f"{word} {'и' if language == 'ru' else '&'} {sheet.chance.choice(land.last)}"
    elif sheet.chance.random() < 0.4:  # so that hundreds of houses have names of their own
        word = f"{word} {sheet.chance.randint(2, 40) if language == 'ru' else sheet.chance.choice(land.cities).name}"
    name = style.format(word)
    form = sheet.chance.choice(land.forms)
    return f"{form} {name}" if language == "ru" else f"{name} {form}"


def _city(sheet: Sheet, branch: Branch) -> City:
    near = [c for c in branch.land.cities if c.name == branch.name]
    return near[0] if near and sheet.chance.random() < 0.6 else sheet.chance.choice(branch.land.cities)


def person_name(sheet: Sheet, land: Land) -> tuple[str, str, bool]:
    """First name, last name, is it a woman?"""
    woman = sheet.chance.random() < 0.5
    last = sheet.chance.choice(land.last)
    if woman and land.language == "ru":
        last += "а"
    return sheet.chance.choice(land.first_f if woman else land.first_m), last, woman


def street(sheet: Sheet, land: Land) -> str:
    """Street and number in the order of the country."""
    name, number = sheet.chance.choice(land.streets), sheet.chance.randint(1, 140)
    return {"de": f"{name} {number}", "ru": f"{name}, {number}", "en": f"{number} {name}"}[land.language]


def digits(sheet: Sheet, pattern: str) -> str:
    """The pattern with a digit for every #."""
    return "".join(str(sheet.chance.randint(0, 9)) if c == "#" else c for c in pattern)


def ascii_word(text: str) -> str:
    """Lower case Latin letters, digits, dots and hyphens: for logins and domains."""
    german = text.lower().replace("ä", "ae").replace("ö", "oe").replace("ü", "ue").replace("ß", "ss")
    return "".join(c if c.isascii() and (c.isalnum() or c == ".") else "-" for c in fold(german)).strip("-")


def in_currency(euros: Decimal, currency: str) -> Decimal:
    """A price in another currency: whole roubles, pence kept."""
    places = Decimal(1) if currency == "RUB" else Decimal("0.01")
    return (euros / RATES[currency]).quantize(places)


def ean13(first12: str) -> str:
    """Twelve digits and their check digit (GS1 General Specifications, 7.9)."""
    total = sum(int(d) * (3 if n % 2 else 1) for n, d in enumerate(first12))
    return first12 + str(-total % 10)


def tax_number(sheet: Sheet, land: Land) -> str:
    """A number whose check digits are right: DE (ISO 7064 mod 11,10), RU (INN of ten digits), GB (mod 97)."""
    draw = [sheet.chance.randint(1, 9), *(sheet.chance.randint(0, 9) for _ in range(8))]
    plain = "".join(map(str, draw))
    if land.country == "DE":
        product = 10
        for digit in draw[:8]:
            product = 2 * ((digit + product) % 10 or 10) % 11
        return f"DE{plain[:8]}{(11 - product) % 10}"
    if land.country == "RU":
        weighted = sum(d * w for d, w in zip(draw, (2, 4, 10, 3, 5, 9, 4, 6, 8), strict=True))
        return f"{plain}{weighted % 11 % 10}"
    check = sum(d * w for d, w in zip(draw[:7], range(8, 1, -1), strict=True))
    return f"GB{plain[:7]}{97 - check % 97:02d}"

