"""From a row of text to the values of a record, as a profile says. Pure functions; looking up is an argument."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import Any

from node.imports.errors import BadRow
from node.imports.profile import Children, Make, Parts, Rule, Source, fill

# (concept, by, value, take) → what was found; LookupError if nothing was
Look = Callable[[str, str, str, str], Any]
CellErrors = list[tuple[str, str]]

_YES = {"1", "y", "yes", "true", "x", "ja", "wahr", "да", "истина", "on"}
_NO = {"0", "n", "no", "false", "nein", "falsch", "нет", "ложь", "off", "-"}
_ALIASES = {
    "usa": "US", "u.s.a.": "US", "us": "US", "uk": "GB", "england": "GB", "scotland": "GB", "great britain": "GB",
    "hong kong": "HK", "россия": "RU", "российская федерация": "RU", "brd": "DE", "holland": "NL", "macau": "MO",
    "czech republic": "CZ", "беларусь": "BY", "белоруссия": "BY", "south korea": "KR", "korea": "KR", "turkey": "TR",
}  # fmt: skip


@dataclass(slots=True, kw_only=True)
class Mapped:
    """The values of one record. `once` are set only where it is new; `unique` may get a number appended."""

    values: dict[str, Any] = field(default_factory=dict)
    once: dict[str, Any] = field(default_factory=dict)
    unique: tuple[str, ...] = ()
    postponed: dict[str, Rule] = field(default_factory=dict)  # look-ups among the records of this same file


def map_row(
    source: Source,
    make: Make,
    row: Mapping[str, str],
    look: Look,
    children: Callable[[Children, Mapping[str, str]], Sequence[Mapping[str, str]]],
) -> Mapped:
    """The row as values for `make.concept`. Raise BadRow with every cell that cannot be taken."""
    mapped, wrong = Mapped(), CellErrors()
    for name, rule in make.fields.items():
        if isinstance(rule, Rule):
            target = mapped.once if rule.once else mapped.values
            value = _guarded(source, rule, row, look, wrong, make, mapped, name)
            if rule.unique:
                mapped.unique = (*mapped.unique, name)
            if value is not None:
                target[name] = value
        elif isinstance(rule, Parts):
            parts = [p for p in (_part(source, one, row, look, wrong) for one in rule.each) if p is not None]
            if parts:
                (mapped.once if rule.once else mapped.values)[name] = parts
        else:
            found = children(rule, row)
            made = [_part(source, rule.fields, child, look, wrong) for child in found]
            mapped.values[name] = [part for part in made if part is not None]
    if wrong:
        raise BadRow(wrong)
    return mapped


def _guarded(
    source: Source, rule: Rule, row: Mapping[str, str], look: Look, wrong: CellErrors,
    make: Make, mapped: Mapped, name: str,
) -> Any:  # fmt: skip
    try:
        return value_of(source, rule, row, look)
    except ValueError as error:
        wrong.append((", ".join(rule.columns), str(error)))
    except LookupError as error:
        if rule.lookup == make.concept:  # its row may come further down
            mapped.postponed[name] = rule
        elif not rule.optional:
            wrong.append((", ".join(rule.columns), str(error.args[0])))
    return None


def _part(
    source: Source, rules: Mapping[str, Rule], row: Mapping[str, str], look: Look, wrong: CellErrors
) -> dict[str, Any] | None:
    part: dict[str, Any] = {}
    filled = False
    for name, rule in rules.items():
        try:
            value = value_of(source, rule, row, look)
        except (ValueError, LookupError) as error:
            if not (isinstance(error, LookupError) and rule.optional):
                wrong.append((", ".join(rule.columns), str(error.args[0])))
            continue
        if value is not None:
            part[name] = value
            filled = filled or bool(rule.columns)
    return part if filled else None


def value_of(source: Source, rule: Rule, row: Mapping[str, str], look: Look) -> Any:
    """The value, None if the cells are empty and there is no default. Raise ValueError, LookupError with a sentence."""
    if not rule.columns:
        return rule.value if not rule.lookup else look(rule.lookup, rule.by, str(rule.value), rule.take)
    if rule.text:
        text = fill(rule.text, row)
    elif rule.joiner is not None:
        text = rule.joiner.join(cell for cell in (row.get(c, "") for c in rule.columns) if cell)
    else:
        text = row.get(rule.columns[0], "")
    if not text:
        return rule.default
    if rule.choices is not None:
        chosen = rule.choices.get(text, rule.otherwise)
        if chosen is None:
            raise ValueError(f"“{text}” is none of the values that the profile knows: {', '.join(rule.choices)}.")
        if not rule.lookup:
            return chosen
        text = str(chosen)
    if rule.lookup:
        return look(rule.lookup, rule.by, text, rule.take) or rule.default
    if rule.split:
        return [word.strip() for word in text.split(rule.split) if word.strip()]
    return convert(text, rule.convert, format=rule.format or source.date, decimal=rule.decimal or source.decimal)


def convert(text: str, kind: str, *, format: str = "", decimal: str = ".") -> Any:
    """Text as a value that records take: days and decimals exact, countries as two letters. Raise ValueError."""
    match kind:
        case "date":
            return day(text, format)
        case "decimal":
            return number(text, decimal)
        case "int":
            return int(number(text, decimal))
        case "flag":
            if text.casefold() not in _YES | _NO:
                raise ValueError(f"“{text}” is neither yes nor no.")
            return text.casefold() in _YES
        case "country":
            return country(text)
        case "login":
            return text.split("@", 1)[0].strip().lower()
        case "name":
            return " ".join(text.split())
        case _:
            return text


def day(text: str, format: str = "") -> date:
    """A calendar day. Without a format: 2026-11-24 (a time behind it is dropped) or 24.11.2026."""
    if format:
        try:
            return datetime.strptime(text, format).date()  # noqa: DTZ007 (a day has no zone)
        except ValueError:
            raise ValueError(f"“{text}” is not a day written as {format}.") from None
    try:
        if re.match(r"\d{4}-\d\d-\d\d", text):
            return date.fromisoformat(text[:10])
        if found := re.fullmatch(r"(\d{1,2})\.(\d{1,2})\.(\d{4})", text):
            return date(int(found[3]), int(found[2]), int(found[1]))
    except ValueError:
        raise ValueError(f"“{text}” is not a day of the calendar.") from None
    raise ValueError(f"“{text}” is not a day written as 2026-11-24 or 24.11.2026; name the format in the profile.")


def number(text: str, decimal: str = ".") -> Decimal:
    """An exact number. `decimal` is the decimal sign; the other one and blanks separate thousands; "auto" guesses."""
    plain = re.sub(r"[\s\u00a0\u202f'€$£]", "", text)
    sign = decimal if decimal != "auto" else ("," if plain.rfind(",") > plain.rfind(".") else ".")
    other = "." if sign == "," else ","
    whole, _, rest = plain.partition(sign)
    if other in rest or (other in whole and not re.fullmatch(rf"[+-]?\d{{1,3}}({re.escape(other)}\d{{3}})+", whole)):
        raise ValueError(f"“{text}” is not a number with “{sign}” as its decimal sign.")
    try:
        value = Decimal(whole.replace(other, "") + ("." + rest if rest else ""))
    except InvalidOperation:
        raise ValueError(f"“{text}” is not a number.") from None
    if not value.is_finite() or abs(value) >= Decimal(10) ** 14:
        raise ValueError(f"“{text}” is too large a number.")
    return value


def country(text: str) -> str:
    """ISO 3166 two letters of a country that is named in English, German or Russian, or by its letters."""
    plain = " ".join(text.split()).casefold()
    found = _countries().get(plain)
    if found is None:
        raise ValueError(f"“{text}” is no country that Kogge knows. Write its two letters (ISO 3166), for example DE.")
    return found


@cache
def _countries() -> Mapping[str, str]:
    from babel import Locale

    known: dict[str, str] = {}
    for language in ("ru", "de", "en"):
        for code, name in Locale(language).territories.items():
            if len(code) == 2 and code.isalpha():
                known[name.casefold()] = code
                known[code.casefold()] = code
    return {**known, **_ALIASES}
