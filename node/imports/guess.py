"""A profile for a file that nobody described: columns are recognised by their names in English, German and Russian.

It serves the everyday case, one table of companies, persons or products that somebody exported. What is not
recognised is left out and said, never put somewhere by chance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from node.domain.names import fold
from node.imports.errors import NoProfile
from node.imports.profile import Make, Parts, Profile, Rule, Source

KINDS = ("companies", "persons", "products")
ADDRESS = ("street", "zip", "city", "region", "country")

# field → words that its column is called; compared folded, without blanks and punctuation
_ADDRESS_WORDS = {
    "street": "street address addressline1 strasse str anschrift улица адрес",
    "zip": "zip zipcode postcode postalcode plz postleitzahl индекс почтовыйиндекс",
    "city": "city town ort stadt wohnort город",
    "region": "region state county bundesland регион область",
    "country": "country land staat страна",
}
_REACH_WORDS = {
    "phone": "phone telephone tel telefon telefonnummer phonenumber телефон тел",
    "mobile": "mobile cell mobil handy mobiltelefon мобильный мобильныйтелефон сотовый",
    "fax": "fax telefax факс",
    "email": "email mail emailaddress emailadresse mailadresse почта электроннаяпочта",
}
_WORDS: Mapping[str, Mapping[str, str]] = {
    "companies": {
        "name": "name company companyname customer customername firma firmenname kunde kundenname название "
        "наименование компания организация клиент контрагент",
        "external_code": "id code number customernumber customerid no kundennummer kundennr nr nummer код номер "
        "externalcode кодклиента",
        "legal_name": "legalname официальноеназвание полноенаименование",
        "tax_number": "taxnumber vat vatid vatnumber ustid ustidnr steuernummer инн иннкпп",
        "industry": "industry branche отрасль",
        "website": "website web url homepage internet сайт",
        "notes": "notes note comment comments bemerkung bemerkungen notiz notizen примечание комментарий заметки",
        "tags": "tags tag schlagworte schlagwort теги метки",
        "credit_limit": "creditlimit kreditlimit кредитныйлимит",
        "source": "source quelle источник",
    },
    "persons": {
        "last_name": "lastname surname familyname name nachname familienname фамилия",
        "first_name": "firstname givenname vorname имя",
        "salutation": "salutation title anrede обращение",
        "external_code": "id code number externalcode nr nummer код номер",
        "birthday": "birthday dateofbirth birthdate geburtstag geburtsdatum деньрождения датарождения",
        "notes": "notes note comment bemerkung notiz примечание комментарий",
        "tags": "tags tag schlagworte теги",
    },
    "products": {
        "code": "code sku productcode number articlenumber article artikelnummer artikelnr nummer nr артикул код",
        "name": "name product productname title bezeichnung artikel artikelbezeichnung название наименование товар",
        "group": "group productgroup category warengruppe kategorie группа категория",
        "unit": "unit einheit me единица ед",
        "price": "price salesprice listprice preis vk verkaufspreis цена",
        "buy_price": "buyprice cost purchaseprice einkaufspreis ek закупочнаяцена себестоимость",
        "vat_rate": "vat vatrate mwst ust steuersatz ндс",
        "barcode": "barcode ean gtin штрихкод",
        "supplier": "supplier vendor lieferant поставщик",
        "description": "description beschreibung описание",
    },
}
_CONVERSIONS = {
    "credit_limit": "decimal", "price": "decimal", "buy_price": "decimal", "vat_rate": "decimal",
    "birthday": "date", "country": "country",
}  # fmt: skip
# by what a record is found again, the first that the file has
_MATCH = {
    "companies": (("external_code",), ("tax_number",), ("name",)),
    "persons": (("external_code",), ("last_name", "first_name"), ("last_name",)),
    "products": (("code",), ("name",)),
}
_REQUIRED = {"companies": "name", "persons": "last_name", "products": "code"}


def guess(kind: str, file: str, headers: Sequence[str], *, beside: str = "") -> Profile:
    """A profile for one file of that kind. Raise NoProfile: unknown kind, or no column for its name."""
    if kind not in KINDS:
        raise NoProfile(f"“{kind}” needs a profile (--profile FILE). Without one --kind is one of: {', '.join(KINDS)}.")
    columns = recognise(headers, _WORDS[kind])
    if _REQUIRED[kind] not in columns:
        words = ", ".join(_WORDS[kind][_REQUIRED[kind]].split()[:4])
        raise NoProfile(
            f"{file} has no column that looks like the {_REQUIRED[kind].replace('_', ' ')} of {kind} (for example "
            f"{words}). It has: {', '.join(h for h in headers if h)}. Rename the column, or write a profile."
        )
    fields: dict[str, Rule | Parts] = {
        name: Rule(columns=(column,), convert=_CONVERSIONS.get(name, "text"), split=";" if name == "tags" else "")
        for name, column in columns.items()
    }
    if kind == "products" and "name" not in fields:
        fields["name"] = fields["code"]
    if kind != "products":
        fields.update(_reach(headers, set(columns.values())))
    match = next(m for m in _MATCH[kind] if all(name in fields for name in m))
    make = Make(concept=kind, match=match, fields=fields, when=columns[_REQUIRED[kind]])
    return Profile(name=f"guessed: {kind}", sources=(Source(name=file, decimal="auto", makes=(make,)),))


def _reach(headers: Sequence[str], taken: set[str]) -> dict[str, Parts]:
    left = [h for h in headers if h not in taken]
    found = recognise(left, _REACH_WORDS)
    parts: dict[str, Parts] = {}
    phones = [
        {"value": Rule(columns=(found[kind],)), "kind": Rule(value=kind)}
        for kind in ("phone", "mobile", "fax") if kind in found
    ]  # fmt: skip
    if phones:
        parts["phones"] = Parts(each=tuple(phones))
    if "email" in found:
        parts["emails"] = Parts(each=({"value": Rule(columns=(found["email"],))},))
    address = recognise(left, _ADDRESS_WORDS)
    if address:
        rules = {n: Rule(columns=(c,), convert=_CONVERSIONS.get(n, "text")) for n, c in address.items()}
        parts["addresses"] = Parts(each=(rules,))
    return parts


def recognise(headers: Sequence[str], words: Mapping[str, str]) -> dict[str, str]:
    """Field → column. A column is taken once; the order of the words of a field is their strength."""
    plain = {_plain(header): header for header in reversed(headers) if header}
    found: dict[str, str] = {}
    for name, called in words.items():
        for word in (_plain(w) for w in called.split()):
            if word in plain and plain[word] not in found.values():
                found[name] = plain[word]
                break
    return found


def unrecognised(profile: Profile, headers: Sequence[str]) -> list[str]:
    """The columns that the profile does not read."""
    read = {c for source in profile.sources for make in source.makes for c in make.columns()}
    return [h for h in headers if h and h not in read]


def _plain(text: str) -> str:
    return "".join(c for c in fold(text) if c.isalnum())
