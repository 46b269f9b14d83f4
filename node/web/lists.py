"""A list as its address says it: what is filtered, how it is ordered, which columns are shown.

The address carries everything, so it can be mailed, kept as a saved view, and exported as it is shown:

    /companies?owner=me&class_abc__in=A,B&order=-changed_at&cols=name,owner,phone&q=hansen

`read` makes a `Shown` from a concept and an address; `Shown.address` makes addresses of slightly different lists (one
filter less, another order, the next page). Pure functions of values; what fetches the rows is in `node.domain.records`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any
from urllib.parse import urlencode

from node.domain.concept import RECORD_FIELDS, Concept, Field, Kind
from node.web.forms import Options, Unreadable, choice_words, read
from node.web.i18n import _
from node.web.language import Reader

PAGE_ROWS = 50
EXPORT_ROWS_MAX = 100_000
FILTERS_MAX = 20
RESERVED = ("q", "order", "cols", "cursor", "view", "at", "lang", "format")
OPS: Mapping[str, str] = {
    "eq": _("is"),
    "ne": _("is not"),
    "in": _("is one of"),
    "contains": _("contains"),
    "starts": _("starts with"),
    "gt": _("is above"),
    "gte": _("is at least"),
    "lt": _("is below"),
    "lte": _("is at most"),
    "empty": _("is empty"),
    "not_empty": _("is filled"),
}
_WORDS = ("contains", "eq", "starts", "empty", "not_empty")
_CODES = ("eq", "ne", "in", "empty", "not_empty")
_AMOUNTS = ("gte", "lte", "eq", "empty", "not_empty")
_OPS_OF: Mapping[Kind, tuple[str, ...]] = {
    Kind.TEXT: _WORDS, Kind.NOTE: _WORDS, Kind.TAGS: ("contains", "empty", "not_empty"),
    Kind.CHOICE: _CODES, Kind.REF: ("eq", "ne", "empty", "not_empty"), Kind.OFFICE: _CODES, Kind.COUNTRY: _CODES,
    Kind.CURRENCY: _CODES, Kind.LANGUAGE: _CODES, Kind.FLAG: ("eq",), Kind.INT: _AMOUNTS, Kind.MONEY: _AMOUNTS,
    Kind.QUANTITY: _AMOUNTS, Kind.PERCENT: _AMOUNTS, Kind.RATE: _AMOUNTS, Kind.DAY: _AMOUNTS,
    Kind.INSTANT: ("gte", "lte"), Kind.TIME: _AMOUNTS,
}  # fmt: skip
NEAR_DAYS: Mapping[str, int] = {"yesterday": -1, "today": 0, "tomorrow": 1}  # words for days in an address


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One filter as it stands in the address; `value` is text."""

    field: Field
    op: str
    value: str

    @property
    def parameter(self) -> str:
        """Its name in the address."""
        return self.field.name if self.op == "eq" else f"{self.field.name}__{self.op}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What the address asks for. `problems` are sentences about parts of it that could not be understood."""

    concept: Concept
    path: str
    conditions: tuple[Condition, ...] = ()
    order: tuple[str, ...] = ()
    columns: tuple[Field, ...] = ()
    q: str = ""
    cursor: str = ""
    view: str = ""
    own_columns: bool = False
    problems: tuple[str, ...] = ()

    def address(self, *, path: str = "", **changes: Any) -> str:
        """The address of this list with something changed; a change of what is shown starts at the first page."""
        if changes and "cursor" not in changes:
            changes["cursor"] = ""
        other = replace(self, **changes)
        pairs = [(c.parameter, c.value) for c in other.conditions]
        if other.order and other.order != other.concept.order:
            pairs.append(("order", ",".join(other.order)))
        if other.own_columns:
            pairs.append(("cols", ",".join(f.name for f in other.columns)))
        pairs += [(name, value) for name in ("q", "view", "cursor") if (value := getattr(other, name))]
        target = path or other.path
        return f"{target}?{urlencode(pairs)}" if pairs else target

    def without(self, condition: Condition) -> str:
        """The list with one filter less."""
        return self.address(conditions=tuple(c for c in self.conditions if c is not condition), view="")

    def sorted_by(self, field: Field) -> str:
        """Ordered by that column; a second time the other way round."""
        up, down = (field.name,), (f"-{field.name}",)
        return self.address(order=down if self.order[:1] == up else up)

    def direction(self, field: Field) -> str:
        """ascending, descending, or nothing: for aria-sort."""
        first = self.order[0] if self.order else ""
        return {field.name: "ascending", f"-{field.name}": "descending"}.get(first, "")

    def query(self) -> dict[str, str]:
        """What a saved view keeps."""
        kept = {c.parameter: c.value for c in self.conditions}
        if self.order and self.order != self.concept.order:
            kept["order"] = ",".join(self.order)
        if self.own_columns:
            kept["cols"] = ",".join(f.name for f in self.columns)
        if self.q:
            kept["q"] = self.q
        return kept


def fields_of(concept: Concept) -> dict[str, Field]:
    """Every field that a list of the concept may show, by name."""
    known: dict[str, Field] = {}
    for f in (*concept.fields, *concept.extra_fields, *RECORD_FIELDS):
        if f.kind is not Kind.OBJECT and f.name not in known:
            known[f.name] = f
    return known


def is_bare_key(concept: Concept, f: Field) -> bool:
    """A key of which another field says the name: good in an address, of no use to the eye."""
    return concept.field(f"{f.name}_name") is not None


def default_columns(concept: Concept) -> tuple[Field, ...]:
    """What a list shows until somebody chooses."""
    listed = [f for f in (*concept.fields, *concept.extra_fields) if f.listed and f.kind is not Kind.OBJECT]
    return tuple(listed) or tuple(concept.fields[:4])


def filterable(concept: Concept) -> list[Field]:
    """What one can filter by, in the concept's order."""
    own = [f for f in (*concept.fields, *RECORD_FIELDS) if f.filterable and f.kind in _OPS_OF]
    return [f for f in own if f.column != "" or hasattr(concept.model, f.attribute)]


def read_address(concept: Concept, path: str, query: Mapping[str, str]) -> Shown:
    """The list of an address. What is not understood is left out and named in `problems` (message ids)."""
    fields, problems = fields_of(concept), []
    allowed = {f.name for f in filterable(concept)}
    conditions: list[Condition] = []
    for key, value in list(query.items())[: FILTERS_MAX * 2]:
        if key in RESERVED or key.startswith("add."):
            continue
        name, _sep, op = key.partition("__")
        op = op or "eq"
        if name not in allowed or op not in OPS or len(value) > 500 or len(conditions) >= FILTERS_MAX:
            problems.append(_("A filter in the address is not known here and was left out."))
            continue
        conditions.append(Condition(field=fields[name], op=op, value=value))
    order = tuple(o for o in query.get("order", "").split(",") if o.lstrip("-") in fields)[:3]
    wished = tuple(fields[c] for c in dict.fromkeys(query.get("cols", "").split(",")) if c in fields)[:30]
    return Shown(
        concept=concept,
        path=path,
        conditions=tuple(conditions),
        order=order or concept.order,
        columns=wished or default_columns(concept),
        own_columns=bool(wished),
        q=query.get("q", "").strip()[:200],
        cursor=query.get("cursor", "")[:2000],
        view=query.get("view", "")[:16],
        problems=tuple(dict.fromkeys(problems)),
    )


def value_of(condition: Condition, reader: Reader, user_id: str, today: date) -> Any:
    """The typed value as the field's kind; `me`, `today` and `-7d` are words. Raise `forms.Unreadable`."""
    field, text = condition.field, condition.value.strip()
    if condition.op in ("empty", "not_empty"):
        return True
    if condition.op == "in":
        return [one(field, part.strip(), reader, user_id, today) for part in text.split(",")[:100]]
    return one(field, text, reader, user_id, today)


def one(field: Field, text: str, reader: Reader, user_id: str, today: date) -> Any:
    """One value of a filter."""
    if field.kind is Kind.REF:
        return user_id if text == "me" and field.ref == "users" else text
    if field.kind is Kind.TAGS:
        return text
    if field.kind in (Kind.DAY, Kind.INSTANT):
        day = _near(text, today)
        if day is not None and field.kind is Kind.DAY:
            return day
        if field.kind is Kind.INSTANT and "T" not in text:
            day = day or read(replace(field, kind=Kind.DAY), text, reader)
            return read(field, f"{day.isoformat()}T00:00", reader)
    value = read(field, text, reader)
    if value is None:
        raise Unreadable(_("A filter needs a value."))
    return value


def _near(text: str, today: date) -> date | None:
    if text in NEAR_DAYS:
        return today + timedelta(days=NEAR_DAYS[text])
    if text.endswith("d") and text[:-1].lstrip("+-").isdigit() and len(text) < 8:
        return today + timedelta(days=int(text[:-1]))
    return None


def value_words(condition: Condition, reader: Reader, titles: Mapping[str, str], offices: Mapping[str, str]) -> str:
    """The value of a filter as its chip says it."""
    field, value = condition.field, condition.value
    if condition.op in ("empty", "not_empty"):
        return ""
    parts = value.split(",") if condition.op == "in" else [value]
    return ", ".join(_one_in_words(field, p.strip(), reader, titles, offices) for p in parts)


def _one_in_words(field: Field, value: str, r: Reader, titles: Mapping[str, str], offices: Mapping[str, str]) -> str:
    match field.kind:
        case Kind.CHOICE:
            return choice_words(field, value, r)
        case Kind.REF:
            return r.text(_("me")) if value == "me" else titles.get(value, value)
        case Kind.OFFICE:
            return offices.get(value, value)
        case Kind.COUNTRY:
            return r.country_name(value)
        case Kind.FLAG:
            return r.text(_("yes")) if value not in ("", "0") else r.text(_("no"))
        case _:
            return r.text(value) if value in NEAR_DAYS else value


def ops_of(field: Field) -> Sequence[str]:
    """How one can filter by the field, the usual way first."""
    return _OPS_OF[field.kind]


def added(shown: Shown, query: Mapping[str, str]) -> str | None:
    """The address with the filter that the filter form adds (`add.field`, `add.op`, `add.value`); None without one."""
    name = query.get("add.field", "")
    field = next((f for f in filterable(shown.concept) if f.name == name), None)
    if field is None:
        return None
    op = query.get("add.op", "")
    op = op if op in ops_of(field) else ops_of(field)[0]
    value = (query.get(f"add.{name}") or query.get("add.value") or "").strip()
    if not value and op not in ("empty", "not_empty"):
        return shown.address()
    if op in ("empty", "not_empty"):
        value = "1"
    kept = tuple(c for c in shown.conditions if c.field.name != name or c.op != op)
    return shown.address(conditions=(*kept, Condition(field=field, op=op, value=value)), view="")


def column_choice(concept: Concept, shown: Iterable[Field]) -> list[tuple[Field, bool]]:
    """All possible columns for the chooser: the shown ones first, in their order."""
    chosen = list(shown)
    names = {f.name for f in chosen}
    rest = [f for f in fields_of(concept).values() if f.name not in names and not is_bare_key(concept, f)]
    return [(f, True) for f in chosen] + [(f, False) for f in rest]


def choices_for(field: Field, reader: Reader, offices: Options, users: Options) -> Options:
    """What the filter form offers for a field that has a closed set of values; empty: free text."""
    match field.kind:
        case Kind.CHOICE:
            return [(c, choice_words(field, c, reader)) for c in field.choices if c]
        case Kind.OFFICE:
            return offices
        case Kind.FLAG:
            return [("1", reader.text(_("yes"))), ("0", reader.text(_("no")))]
        case Kind.REF if field.ref == "users":
            return [("me", reader.text(_("me"))), *users]
        case _:
            return ()
