"""What people and programs hand in, turned into values of a concept, or refused field by field.

Strict on purpose: a field that is not known, a 31st of February or a sum with a rounding error is a mistake that would
otherwise be found months later by somebody else. Each refusal is a sentence that says how to write it. Values that are
Python values already pass through, so forms, JSON, CSV and other actions share this one gate.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from node.domain import access
from node.domain.access import Actor
from node.domain.concept import CONCEPTS, RECORD_FIELDS, Concept, Field, Kind, Values
from node.domain.items import json_value, plain
from node.errors import Invalid
from node.ids import is_id

PARTS_MAX = 1_000  # of one record: a document with more lines is a mistake
TAGS_MAX = 50
ALIASES_MAX = 16  # steps along merged records
PLACES = {Kind.MONEY: 4, Kind.QUANTITY: 3, Kind.PERCENT: 2, Kind.RATE: 8}
WHOLE_MAX = 10**12  # before the point: what lies in 64 bits with four places
_EXAMPLE = {Kind.MONEY: "12.50", Kind.QUANTITY: "3", Kind.PERCENT: "19", Kind.RATE: "1.0845"}
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_TIME = re.compile(r"([01]\d|2[0-3]):[0-5]\d")
_NUMBER = re.compile(r"[+-]?\d{1,15}(\.\d{1,12})?")
_YES, _NO = {"1", "true", "yes", "on"}, {"0", "false", "no", "off", ""}
_UNKNOWN = object()


class Wrong(Exception):
    """Why one value cannot be taken; inside the domain only, one field's sentence on its way to Invalid."""


def take(
    s: Session, by: Actor, concept: Concept, values: Mapping[str, Any], *, new: bool, stored: Values | None = None
) -> Values:
    """The values by field name as Python values, only those that were named.

    `stored` is the record as it is: what is handed back unchanged is not examined again. Raise Invalid with a sentence
    for every field that cannot be taken.
    """
    taken: Values = {}
    wrong: dict[str, str] = {}
    for name, raw in values.items():
        if stored is not None and name in stored and _same(concept.field(name), raw, stored[name]):
            continue
        field = next((f for f in concept.fields if f.name == name), None)
        try:
            if field is None or field.read_only:
                raise Wrong(_not_writable(concept, name, field))
            if field.fixed and not new:
                raise Wrong(f"{field.label} is given once and cannot be changed later.")
            value = one(s, by, field, raw)
        except Wrong as e:
            wrong[name] = str(e)
            continue
        except Invalid as e:
            wrong.update({f"{name}{place}": text for place, text in e.fields.items()})
            continue
        taken[name] = value
    for field in concept.fields:
        named = field.name in taken if not new else True
        if not field.required or not named or field.name in wrong:
            continue
        if _empty(taken.get(field.name, _default(concept, field))):
            wrong[field.name] = f"{field.label} is needed. Fill it in."
    if wrong:
        raise Invalid(wrong)
    return taken


def one(s: Session, by: Actor, field: Field, raw: Any) -> Any:
    """One value. Raise Wrong with its sentence, or Invalid with `[place].field` → sentence for parts."""
    kind = field.kind
    if isinstance(raw, str):
        if "\x00" in raw:
            raise Wrong("This text holds a character that cannot be stored.")
        if kind is not Kind.NOTE:
            raw = raw.strip()
    if kind is Kind.PARTS:
        return _parts(s, by, field, raw)
    if kind is Kind.TAGS:
        return _tags(raw)
    if kind is Kind.OBJECT:
        if not isinstance(raw, dict | list | type(None)):
            raise Wrong("This is a structured value: write it as a JSON object.")
        return raw
    if kind is Kind.FLAG:
        return _flag(raw)
    if kind in (Kind.TEXT, Kind.NOTE):
        return _text(field, raw)
    if raw is None or raw == "":
        return "" if kind in (Kind.CHOICE, Kind.COUNTRY, Kind.CURRENCY, Kind.LANGUAGE, Kind.OFFICE, Kind.TIME) else None
    if kind in PLACES:
        return _decimal(kind, raw)
    if kind in _SIMPLE:
        return _SIMPLE[kind](raw)
    if not isinstance(raw, str):
        raise Wrong(f"This is a text, not {_called(raw)}.")
    if kind is Kind.CHOICE:
        if raw not in field.choices:
            raise Wrong(f"“{_short(raw)}” is not one of: {', '.join(c for c in field.choices if c)}.")
        return raw
    if kind is Kind.REF:
        return _reference(s, by, field, raw)
    if kind is Kind.OFFICE:
        return _office(s, raw)
    return _code(kind, raw)


def one_of(kind: Kind, raw: Any) -> Any:
    """A number, day or time outside any concept. Raise Wrong."""
    return _decimal(kind, raw) if kind in PLACES else _SIMPLE[kind](raw)


def day(raw: Any) -> date:
    """A calendar day."""
    if isinstance(raw, date) and not isinstance(raw, datetime):
        return raw
    if not isinstance(raw, str) or not _DAY.fullmatch(raw):
        raise Wrong(f"“{_short(raw)}” is not a day: write it as 2026-02-28.")
    try:
        return date.fromisoformat(raw)
    except ValueError:
        raise Wrong(f"{raw} is not a day of the calendar: write it as 2026-02-28.") from None


def instant(raw: Any) -> datetime:
    """A point in time; a text without a zone is UTC."""
    if isinstance(raw, str):
        try:
            raw = datetime.fromisoformat(raw)
        except ValueError:
            raise Wrong(f"“{_short(raw)}” is not a time: write it as 2026-02-28T14:30:00Z.") from None
        raw = raw.replace(tzinfo=raw.tzinfo or UTC)
    if not isinstance(raw, datetime) or raw.tzinfo is None or not 1900 <= raw.year <= 9998:
        raise Wrong(f"“{_short(raw)}” is not a time: write it as 2026-02-28T14:30:00Z.")
    return raw.astimezone(UTC)


def survivor(s: Session, model: Any, id: str) -> Any:
    """The row with that key or, of a merged one, the row that it was merged into; None if there is none."""
    row = s.get(model, id) if is_id(id) else None
    for _ in range(ALIASES_MAX):
        into = getattr(row, "merged_into", None)
        if not into:
            break
        row = s.get(model, into)
    return row


def belongs(s: Session, concept: Concept, row: Any) -> bool:
    """Is the row one of this concept (a document is an offer, an order, …)?"""
    if concept.where is None:
        return True
    return s.scalar(sa.select(concept.model.id).where(concept.model.id == row.id, concept.where())) is not None


def _not_writable(concept: Concept, name: str, field: Field | None) -> str:
    computed = {f.name for f in concept.extra_fields + RECORD_FIELDS} | {"id", "title"}
    if field is not None or name in computed:
        return "This is filled in by Kogge and cannot be written."
    known = ", ".join(f.name for f in concept.fields if not f.read_only)
    return f"There is no such field. Known: {known}."


def _parts(s: Session, by: Actor, field: Field, raw: Any) -> list[Values]:
    if raw is None:
        return []
    if not isinstance(raw, list) or len(raw) > PARTS_MAX:
        raise Wrong(f"{field.label}: a list of at most {PARTS_MAX} is expected.")
    known = {f.name: f for f in field.parts}
    main = "value" if "value" in known else next(iter(known), "")
    taken, wrong = [], {}
    for place, part in enumerate(raw):
        values: Values = {}
        if isinstance(part, str):
            part = {main: part}  # a phone number alone is enough
        if not isinstance(part, Mapping):
            wrong[f"[{place}]"] = f"This is an object with: {', '.join(known)}."
            continue
        for name, value in part.items():
            if name == "id":
                if value:
                    values["id"] = str(value)
                continue
            of = known.get(name)
            if of is None:
                wrong[f"[{place}].{name}"] = f"There is no such field. Known: {', '.join(known)}."
            elif not of.read_only:  # computed ones come back with what was read
                try:
                    values[name] = one(s, by, of, value)
                except Wrong as e:
                    wrong[f"[{place}].{name}"] = str(e)
        for of in field.parts:
            missing = of.name in values or "id" not in values
            if of.required and missing and _empty(values.get(of.name)) and f"[{place}].{of.name}" not in wrong:
                wrong[f"[{place}].{of.name}"] = f"{of.label} is needed. Fill it in."
        taken.append(values)
    if wrong:
        raise Invalid(wrong)
    return taken


def _tags(raw: Any) -> list[str]:
    words = raw.split(",") if isinstance(raw, str) else raw if raw is not None else []
    if not isinstance(words, list) or not all(isinstance(w, str) for w in words):
        raise Wrong("Tags are a list of words.")
    words = list(dict.fromkeys(" ".join(w.split()) for w in words if w.strip()))
    if len(words) > TAGS_MAX or any(len(w) > 64 or "," in w for w in words):
        raise Wrong(f"At most {TAGS_MAX} tags, each of at most 64 characters and without a comma.")
    return words


def _flag(raw: Any) -> bool:
    if isinstance(raw, bool):
        return raw
    word = str(raw).lower() if isinstance(raw, str | int) else "" if raw is None else "?"
    if word in _YES or word in _NO:
        return word in _YES
    raise Wrong(f"“{_short(raw)}” is neither true nor false.")


def _text(field: Field, raw: Any) -> str:
    if raw is None:
        return ""
    if not isinstance(raw, str):
        raise Wrong(f"This is a text, not {_called(raw)}: put it in quotes.")
    text = raw.replace("\r\n", "\n")
    if field.kind is Kind.TEXT and ("\n" in text or "\r" in text):
        raise Wrong("This is one line: leave the line breaks out.")
    if len(text) > field.length_max:
        raise Wrong(f"At most {field.length_max:,} characters; these are {len(text):,}.")
    return text


def _whole(raw: Any) -> int:
    if isinstance(raw, str) and re.fullmatch(r"[+-]?\d{1,9}", raw):
        raw = int(raw)
    if isinstance(raw, bool) or not isinstance(raw, int) or abs(raw) >= 10**9:
        raise Wrong(f"“{_short(raw)}” is not a whole number: write it as 30.")
    return raw


def _decimal(kind: Kind, raw: Any) -> Decimal:
    places = PLACES[kind]
    how = f"write it as {_EXAMPLE[kind]}, with at most {places} places"
    if isinstance(raw, str) and not _NUMBER.fullmatch(raw):
        raise Wrong(f"“{_short(raw)}” is not a number: {how}.")
    if isinstance(raw, bool) or not isinstance(raw, str | int | Decimal):
        raise Wrong(f"{_called(raw).capitalize()} is not exact here: {how}, in quotes.")
    try:
        value = Decimal(raw)
        exact = value.quantize(Decimal(1).scaleb(-places)) if value.is_finite() and abs(value) < WHOLE_MAX else None
    except InvalidOperation:
        exact = None
    if exact is None:
        raise Wrong(f"“{_short(raw)}” is too large: at most {WHOLE_MAX:,}.")
    if exact != value:
        raise Wrong(f"“{_short(raw)}” has too many places: {how}.")
    return exact


def _time_of_day(raw: Any) -> str:
    if not isinstance(raw, str) or not _TIME.fullmatch(raw):
        raise Wrong(f"“{_short(raw)}” is not a time of day: write it as 14:30.")
    return raw


_SIMPLE: Mapping[Kind, Callable[[Any], Any]] = {
    Kind.INT: _whole, Kind.DAY: day, Kind.INSTANT: instant, Kind.TIME: _time_of_day,
}  # fmt: skip


def _reference(s: Session, by: Actor, field: Field, raw: str) -> str:
    concept = CONCEPTS.get(field.ref)
    assert concept is not None, f"{field.name} refers to {field.ref}, which no file registers"
    model = concept.model
    row = survivor(s, model, raw)
    if row is None and field.ref == "users":
        named = sa.select(model).where(model.login == raw.lower(), model.alive)
        row = s.scalars(named.order_by(model.created_at)).first()
    seen = row is not None and row.alive and access.may(by, concept.singular, "read", row)
    if not seen or not belongs(s, concept, row):
        how = "its key or login" if field.ref == "users" else "its key"
        raise Wrong(f"There is no {concept.label.lower()} “{_short(raw)}”, or none that you may see: give {how}.")
    return str(row.id)


def _office(s: Session, raw: str) -> str:
    offices = CONCEPTS["offices"].model
    code = raw.upper()
    if s.scalar(sa.select(offices.id).where(offices.code == code, offices.alive)) is None:
        known = s.scalars(sa.select(offices.code).where(offices.alive).order_by(offices.code).limit(40))
        raise Wrong(f"There is no office “{_short(raw)}”. There are: {', '.join(known)}.")
    return code


def _code(kind: Kind, raw: str) -> str:
    code = raw.lower() if kind is Kind.LANGUAGE else raw.upper()
    names, example = _codes(kind)
    if code not in names:
        raise Wrong(f"“{_short(raw)}” is not known: write the code of ISO, for example {example}.")
    return code


@lru_cache
def _codes(kind: Kind) -> tuple[frozenset[str], str]:
    from babel import Locale  # imported when first needed: it is large

    english = Locale("en")
    if kind is Kind.COUNTRY:
        return frozenset(c for c in map(str, english.territories) if len(c) == 2 and c.isalpha()), "DE"
    if kind is Kind.CURRENCY:
        return frozenset(map(str, english.currencies)), "EUR"
    return frozenset(c for c in map(str, english.languages) if len(c) == 2), "de"


def _same(field: Field | None, raw: Any, stored: Any) -> bool:
    """Is it what was read, as a Python value or as JSON?"""
    if isinstance(raw, bool) != isinstance(stored, bool):
        return False
    return bool(raw == stored or raw == (plain(stored) if field is None else json_value(field, stored)))


def _default(concept: Concept, field: Field) -> Any:
    """What a new record has in the field if nobody says anything; `_UNKNOWN` counts as filled."""
    if field.attribute in concept.preset:
        return concept.preset[field.attribute]
    column = getattr(concept.model, "__table__").c.get(field.attribute)  # noqa: B009 (mypy knows no such attribute)
    if column is None or column.default is None:
        return None
    value = column.default.arg if column.default.is_scalar else _UNKNOWN
    return None if value == "" else value


def _empty(value: Any) -> bool:
    return value is None or (isinstance(value, str | list) and not value)


def _called(raw: Any) -> str:
    names = {bool: "true or false", int: "a number", float: "a fraction", Decimal: "a number", list: "a list"}
    return names.get(type(raw), "an object")


def _short(raw: Any) -> str:
    text = str(raw)
    return text if len(text) <= 60 else text[:57] + "…"
