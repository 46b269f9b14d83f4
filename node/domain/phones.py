"""Phone numbers as they are compared and searched. Pure functions.

A number that the numbering plan of its country knows becomes E.164 (+4917012345678); anything else keeps its digits, so
that an internal extension or a mistyped number can still be found. phonenumbers is imported where it is used: a node
at rest does not carry its tables.
"""

from __future__ import annotations

import re

DEFAULT_COUNTRY = "DE"
NUMBER_MIN = 6  # shorter is an internal extension
SUFFIX_MIN = 5  # shorter ends of a number are not searched
GROUP_MAX = 20  # digits of a number that are looked at
_NUMBERISH = re.compile(r"[\d\s()+\-./]+")


def normal(text: str, country: str = DEFAULT_COUNTRY) -> str:
    """E.164 where the number is possible, else its digits (with + if it was written internationally), else empty."""
    plain = digits(text)
    if len(plain) < NUMBER_MIN:
        return plain
    import phonenumbers

    international = text.strip().startswith(("+", "00"))
    written = "+" + plain.removeprefix("00") if international else text
    try:
        number = phonenumbers.parse(written, country.upper() or None)
    except phonenumbers.NumberParseException:
        number = None
    if number is not None and phonenumbers.is_possible_number(number):
        return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return "+" + plain.removeprefix("00") if international else plain


def digits(text: str) -> str:
    """The digits alone; the (0) that Germans write into international numbers is not one of them."""
    return "".join(c for c in text.replace("(0)", "") if c.isdecimal() and c.isascii())


def looked_for(text: str) -> str:
    """The digits that somebody types to find a number, without the zeros in front; empty if it is not a number."""
    return digits(text).lstrip("0") if _NUMBERISH.fullmatch(text) else ""


def suffixes(numbers: str) -> str:
    """All ends of the numbers (groups of digits between blanks), so that the start of any of them finds the number."""
    found: dict[str, None] = {}
    for group in numbers.split():
        plain = digits(group)[:GROUP_MAX].lstrip("0")
        found.update(dict.fromkeys(plain[i:] for i in range(max(1, len(plain) - SUFFIX_MIN + 1)) if plain[i:]))
    return " ".join(found)
