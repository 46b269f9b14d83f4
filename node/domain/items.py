"""A record as others see it: its values by field name, in Python and in JSON.

`items` reads any number of records with a fixed number of queries (one per part and computed field), so a list of
fifty costs what a list of one costs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from node.domain.access import Actor
from node.domain.concept import CONCEPTS, RECORD_FIELDS, Concept, Field, Kind, Values

ALWAYS = ("id", "title", "office")  # in every item, whichever columns are asked for
_PLACES_MIN = {Kind.MONEY: 2, Kind.QUANTITY: 0, Kind.PERCENT: 0, Kind.RATE: 8}


def item(s: Session, by: Actor, concept: Concept, row: Any) -> Values:
    """All values of one record."""
    return items(s, by, concept, [row])[0]


def items(
    s: Session, by: Actor, concept: Concept, rows: Sequence[Any], columns: Sequence[str] | None = None
) -> list[Values]:
    """Python values by field name, in the order of the rows: `id`, `title`, `office`, the concept's fields, parts,
    computed fields, and who made and changed it when. `columns` narrows it to what is shown."""
    wanted = None if columns is None else {*columns, *ALWAYS}
    fields = [f for f in concept.fields + RECORD_FIELDS if wanted is None or f.name in wanted]
    ids = [row.id for row in rows]
    parts = {f.name: concept.parts[f.name].load(s, ids) if ids else {} for f in fields if f.kind is Kind.PARTS}
    extra_wanted = wanted is None or any(f.name in wanted for f in concept.extra_fields)
    compute = concept.extra if extra_wanted and ids else None
    extra = compute(s, by, rows) if compute is not None else {}
    found = []
    for row in rows:
        values: Values = {"id": row.id, "title": concept.title(row)}
        for field in fields:
            if field.kind is Kind.PARTS:
                values[field.name] = parts[field.name].get(row.id, [])
            else:
                values[field.name] = getattr(row, field.attribute)
        values.setdefault("office", getattr(row, "office", ""))
        computed = extra.get(row.id, {})
        for field in concept.extra_fields:
            if wanted is None or field.name in wanted:
                values[field.name] = computed.get(field.name)
        found.append(values)
    return found


def titles(s: Session, concept: Concept, ids: Iterable[str | None]) -> dict[str, str]:
    """Key → title, also of removed and merged records: an old entry must still say whom it was about."""
    wanted = sorted({i for i in ids if i})
    found: dict[str, str] = {}
    for start in range(0, len(wanted), 500):
        rows = s.scalars(sa.select(concept.model).where(concept.model.id.in_(wanted[start : start + 500])))
        found.update({row.id: concept.title(row) for row in rows})
    return found


def names(s: Session, concept: Concept, of: Sequence[Values]) -> dict[str, dict[str, str]]:
    """The titles of everything that these items refer to: name of the concept → key → title."""
    keys: dict[str, set[str]] = {}
    for field in concept.fields + concept.extra_fields + RECORD_FIELDS:
        for values in of:
            _gather(field, values.get(field.name), keys)
    return {ref: titles(s, CONCEPTS[ref], found) for ref, found in keys.items() if ref in CONCEPTS}


def _gather(field: Field, value: Any, keys: dict[str, set[str]]) -> None:
    if field.kind is Kind.REF and value:
        keys.setdefault(field.ref, set()).add(value)
    elif field.kind is Kind.PARTS and value:
        for part in value:
            for inner in field.parts:
                _gather(inner, part.get(inner.name), keys)


def version(concept: Concept, values: Values) -> str:
    """A hash of what can be edited: two reads of a record differ in it only if somebody changed something."""
    content = {f.name: json_value(f, values[f.name]) for f in concept.fields if f.name in values}
    content |= {"id": values["id"], "office": values["office"]}
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()


def to_json(concept: Concept, values: Values) -> Values:
    """The item (or a part of one) as JSON can carry it."""
    fields = {f.name: f for f in concept.fields + concept.extra_fields + RECORD_FIELDS}
    return {name: json_value(fields[name], v) if name in fields else plain(v) for name, v in values.items()}


def json_value(field: Field, value: Any) -> Any:
    """One value: amounts as text with the places that are needed, days and times as ISO text."""
    if field.kind is Kind.PARTS and value is not None:
        inner = {f.name: f for f in field.parts}
        return [{n: json_value(inner[n], v) if n in inner else plain(v) for n, v in part.items()} for part in value]
    if isinstance(value, Decimal) and field.kind in _PLACES_MIN:
        return decimal_text(value, _PLACES_MIN[field.kind])
    if field.kind in (Kind.REF, Kind.CHOICE) and value == "" and field.name in ("created_by", "changed_by"):
        return None
    return plain(value)


def plain(value: Any) -> Any:
    """Any value as JSON can carry it."""
    if isinstance(value, Decimal):
        return decimal_text(value, 2)
    if isinstance(value, datetime):
        text = value.astimezone(UTC).isoformat(timespec="milliseconds" if value.microsecond else "seconds")
        return text.replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(v) for v in value]
    return value


def decimal_text(value: Decimal, places_min: int) -> str:
    """12.5000 → 12.50, 3.000 → 3 (with `places_min` 0), 0.1234 → 0.1234."""
    text = f"{value:f}"
    if "." in text:
        whole, _, places = text.partition(".")
        places = places.rstrip("0").ljust(places_min, "0")
        return f"{whole}.{places}" if places else whole
    return f"{text}.{'0' * places_min}" if places_min else text


def json_schema(concept: Concept, *, writing: bool = False) -> Values:
    """The JSON schema (2020-12) of an item, or of what may be written."""
    if writing:
        fields = [f for f in concept.fields if not f.read_only]
        return {
            "type": "object",
            "additionalProperties": False,
            "properties": {f.name: _schema(f, writing=True) for f in fields},
        }
    always: Values = {
        "id": {"type": "string", "minLength": 16, "maxLength": 16, "readOnly": True},
        "title": {"type": "string", "readOnly": True},
        "office": {"type": "string", "description": "Code of an office"},
    }
    fields = [*concept.fields, *concept.extra_fields, *RECORD_FIELDS]
    return {
        "type": "object",
        "properties": always | {f.name: _schema(f, writing=False) for f in fields},
        "required": ["id", "title", "office"],
    }


_TYPES: dict[Kind, Values] = {
    Kind.INT: {"type": ["integer", "null"]},
    Kind.DAY: {"type": ["string", "null"], "format": "date"},
    Kind.INSTANT: {"type": ["string", "null"], "format": "date-time"},
    Kind.TIME: {"type": ["string", "null"], "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$|^$"},
    Kind.FLAG: {"type": "boolean"},
    Kind.REF: {"type": ["string", "null"]},
    Kind.TAGS: {"type": "array", "items": {"type": "string", "maxLength": 64}, "maxItems": 50},
    Kind.OBJECT: {},
}


def _schema(field: Field, *, writing: bool) -> Values:
    if field.kind is Kind.PARTS:
        inner: Values = {f.name: _schema(f, writing=writing) for f in field.parts if not (writing and f.read_only)}
        part: Values = {"type": "object", "properties": {"id": {"type": "string"}} | inner}
        if writing:
            main = "value" if "value" in inner else ""
            part["additionalProperties"] = False
            part = {"anyOf": [{"type": "string"}, part]} if main else part
        schema: Values = {"type": "array", "items": part}
    elif field.kind in _PLACES_MIN:
        schema = {"type": ["string", "null"], "pattern": r"^[+-]?[0-9]+(\.[0-9]+)?$"}
        if writing:
            schema = {"anyOf": [schema, {"type": "number"}]}
    else:
        schema = dict(_TYPES.get(field.kind, {"type": ["string", "null"] if writing else "string"}))
        if field.kind in (Kind.TEXT, Kind.NOTE):
            schema["maxLength"] = field.length_max
        if field.kind is Kind.CHOICE and field.choices:
            schema = {"enum": [*dict.fromkeys([*field.choices, "", None])]}
        if field.kind is Kind.REF:
            schema["description"] = f"Key of one of {field.ref}" + (", or a login" if field.ref == "users" else "")
    schema["title"] = field.label
    if field.help:
        schema["description"] = field.help
    if field.read_only and not writing:
        schema["readOnly"] = True
    return schema
