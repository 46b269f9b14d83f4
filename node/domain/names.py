"""Names and tax numbers as they are compared: the same whoever wrote them, in whatever letters.

`fold` brings Cyrillic, accents and special letters down to plain Latin; `search_fold` goes on until the spellings that
German and English writers choose for the same sound meet (Müller, Mueller; Iwanow, Ivanov). Both the stored text and
what somebody looks for go through the same function, so one index answers in both alphabets. Pure functions.
"""

from __future__ import annotations

import re
import unicodedata

_CYRILLIC = dict(
    zip(
        "абвгдеёжзийклмнопрстуфхцчшщъыьэюяіїєґў",
        (*"abvgdee", "zh", *"ziiklmnoprstuf", "kh", "ts", "ch", "sh", "shch", "", "y", "", "e", "yu", "ya", *"iiegu"),
        strict=True,
    )
)
_SPECIAL = {"ø": "o", "ł": "l", "đ": "d", "æ": "ae", "œ": "oe", "þ": "th", "ð": "d", "ı": "i", "’": "'", "´": "'"}
_PLAIN = str.maketrans({**_CYRILLIC, **_SPECIAL})
_SPELLINGS = (("ae", "a"), ("oe", "o"), ("ue", "u"), ("j", "y"), ("w", "v"))  # one sound, one spelling
_INITIALS = re.compile(r"\b(?:\w\.){2,}\w?\b")  # G.m.b.H., e.K.
_VAT_PREFIX = re.compile(
    r"(?:at|be|bg|ch|cy|cz|de|dk|ee|el|es|fi|fr|gb|hr|hu|ie|it|lt|lu|lv|mt|nl|no|pl|pt|ro|ru|se|si|sk)"
    r"(?=[a-z]?\d{7})"
)
_LEGAL_FORMS = (
    "gmbh mbh ag kg kgaa ohg gbr ug ek ev eg se co cokg haftungsbeschränkt gesellschaft "
    "ооо оао зао пао ао нао ип тоо чп тов общество "
    "ltd limited inc incorporated llc llp lp plc corp corporation company pty "
    "sa sarl sas sasu sl slu spa srl sro bv nv oy oyj ab as asa aps zoo "
    "und and et y и the"
)
TAX_KEY_MIN = 5  # shorter is “n/a”, “-”, “none”


def fold(text: str) -> str:
    """Lower case, plain Latin letters, no accents: Ёлкин → elkin, Groß → gross, Łódź → lodz."""
    plain = unicodedata.normalize("NFC", text).casefold().translate(_PLAIN)
    return "".join(c for c in unicodedata.normalize("NFKD", plain) if not unicodedata.combining(c))


def search_fold(text: str) -> str:
    """Words of letters and digits with one blank between them, spellings of one sound made equal."""
    plain = fold(text).replace("'", "")
    for spelling, sound in _SPELLINGS:
        plain = plain.replace(spelling, sound)
    return " ".join("".join(c if c.isalnum() else " " for c in plain).split())


_LEGAL = frozenset(search_fold(word) for word in _LEGAL_FORMS.split())


def name_key(*names: str) -> str:
    """A name as duplicates are looked for: folded, without legal form. Empty only where there is no letter at all.

    A person's goes last name first, as `name_key(last_name, first_name)`.
    """
    text = _INITIALS.sub(lambda m: m.group().replace(".", ""), " ".join(names))
    words = search_fold(text).split()
    return " ".join([w for w in words if w not in _LEGAL] or words)


def tax_key(text: str) -> str:
    """A tax number as it is compared: letters and digits, no country prefix; empty for what cannot be one."""
    plain = "".join(c for c in fold(text) if c.isascii() and c.isalnum())
    plain = _VAT_PREFIX.sub("", plain, count=1) if _VAT_PREFIX.match(plain) else plain
    digits = {c for c in plain if c.isdigit()}
    return plain if len(plain) >= TAX_KEY_MIN and len(digits) > 1 else ""


def tax_doubt(country: str, text: str) -> str:
    """A sentence if the number breaks the rules of its country, else empty.

    A warning and never a refusal: there are more kinds of numbers than any library knows (python-stdnum knows the
    check digits of those that it does). `country`: two letters of ISO 3166.
    """
    if not text.strip() or not country:
        return ""
    from stdnum.util import get_cc_module  # imported here: most nodes at rest never need it

    known = [get_cc_module(country.lower(), kind) for kind in ("vat", "inn", "stnr", "idnr", "tin", "ein")]
    checks = [module.is_valid for module in known if module is not None]
    if not checks or any(is_valid(text) for is_valid in checks):
        return ""
    return f"This does not look like a tax number of {country.upper()}. Look at the digits once more."
