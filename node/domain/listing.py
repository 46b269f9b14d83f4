"""Lists: filters, order and pages of any concept.

Pages are found by the values of the last row that was shown (keyset), never by counting rows off: the thousandth page
costs what the first one costs, and a row that somebody adds meanwhile neither repeats nor hides another one. Counting
stops at a thousand, because nobody acts on the difference and 100,000 rows take time to count.
"""

from __future__ import annotations

import base64
import binascii
import json
import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import default
from sqlalchemy.orm import Session
from sqlalchemy.types import TypeDecorator

from node.domain import access, search, taking
from node.domain.access import Actor
from node.domain.concept import CONCEPTS, RECORD_FIELDS, Concept, Field, Kind, Values
from node.domain.items import items
from node.errors import Forbidden, Invalid

LIMIT = 50
LIMIT_MAX = 500
COUNT_MAX = 1_000
FILTERS_MAX = 50
IN_MAX = 500
OPS = ("eq", "ne", "in", "contains", "starts", "gt", "gte", "lt", "lte", "empty", "not_empty")
_TEXTS = (Kind.TEXT, Kind.NOTE, Kind.CHOICE, Kind.COUNTRY, Kind.CURRENCY, Kind.LANGUAGE, Kind.OFFICE, Kind.TIME)
_COMPARE = {"eq": operator.eq, "gt": operator.gt, "gte": operator.ge, "lt": operator.lt, "lte": operator.le}
_CONTROLS = ("limit", "cursor", "order", "q", "columns")


@dataclass(frozen=True, slots=True)
class Filter:
    """One condition. `value`: what the operation compares with; a list for `in`, nothing for `empty`, `not_empty`."""

    field: str
    op: str = "eq"
    value: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What a list shows. All `filters` hold, and of each group in `any_of` at least one."""

    filters: tuple[Filter, ...] = ()
    any_of: tuple[tuple[Filter, ...], ...] = ()
    order: tuple[str, ...] = ()  # field names, `-` before it: descending; empty: the concept's own
    limit: int = LIMIT
    cursor: str | None = None
    q: str = ""  # full text
    columns: tuple[str, ...] | None = None  # None: everything


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page of a list. `next` is the cursor of the following one, None on the last."""

    items: list[Values]
    next: str | None
    count: int  # of the whole list, at most COUNT_MAX
    count_is_exact: bool
    rows: Sequence[Any] = field(default=(), repr=False)


def page(s: Session, by: Actor, concept: Concept, query: Query, verb: str = "read") -> Page:
    """One page. `verb` is `export` where the list leaves the program. Raise Invalid for filters that cannot be,
    Forbidden if the actor may not `verb` any of these."""
    limit = max(1, min(query.limit, LIMIT_MAX))
    base = selection(s, by, concept, query, verb)
    order = _order(concept, query.order)
    statement = base
    if query.cursor:
        statement = statement.where(_after(order, _read_cursor(query.cursor, order)))
    statement = statement.order_by(*(_sort(column, down) for _, column, down in order))
    rows = list(s.scalars(statement.limit(limit + 1)))
    more, rows = len(rows) > limit, rows[:limit]
    if query.cursor is None and not more:
        count = len(rows)
    else:
        some = base.with_only_columns(concept.model.id).limit(COUNT_MAX + 1).subquery()
        count = s.scalar(sa.select(sa.func.count()).select_from(some)) or 0
    return Page(
        items=items(s, by, concept, rows, query.columns),
        next=_cursor(order, rows[-1]) if more else None,
        count=min(count, COUNT_MAX),
        count_is_exact=count <= COUNT_MAX,
        rows=rows,
    )


def selection(s: Session, by: Actor, concept: Concept, query: Query, verb: str = "read") -> sa.Select[Any]:
    """The rows of the list, without order and page: for exports, sums and bulk actions over the same list."""
    if not access.may(by, concept.singular, verb) or not access.may(by, concept.singular, "read"):
        raise Forbidden(
            f"Your role “{by.role}” does not allow you to {verb} {concept.label_plural.lower()}. Ask an administrator.",
            subject=concept.singular,
            verb=verb,
        )
    model = concept.model
    statement = sa.select(model).where(model.alive, access.readable(by, model, concept.singular))
    if verb != "read":
        statement = statement.where(access.readable(by, model, concept.singular, verb))
    statement = statement.where(*not_about_hidden(by, model))
    if hasattr(model, "merged_into"):
        statement = statement.where(model.merged_into.is_(None))
    if concept.where is not None:
        statement = statement.where(concept.where())
    wrong: dict[str, str] = {}
    if len(query.filters) + sum(map(len, query.any_of)) > FILTERS_MAX:
        raise Invalid({"filters": f"At most {FILTERS_MAX} filters at once."})
    for group in (*((f,) for f in query.filters), *query.any_of):
        conditions = []
        for one in group:
            try:
                conditions.append(_condition(s, by, concept, one))
            except taking.Wrong as e:
                wrong[one.field] = str(e)
        if conditions:
            statement = statement.where(sa.or_(*conditions))
    if wrong:
        raise Invalid(wrong)
    if query.q.strip():
        statement = statement.where(_matching(s, by, concept, query.q.strip()))
    return statement


def not_about_hidden(by: Actor, model: Any) -> list[sa.ColumnElement[bool]]:
    """The conditions that a row is not about a customer whose sensitivity the actor does not see: a deal with a VIP
    says as much as the VIP's own page. Search holds to the same rule."""
    if set(by.sensitivities) == set(access.SENSITIVITIES):
        return []
    conditions = []
    for attribute, other in (("company_id", "companies"), ("person_id", "persons")):
        if hasattr(model, attribute):
            customer = CONCEPTS[other].model
            hidden = sa.select(customer.id).where(customer.id == getattr(model, attribute))
            conditions.append(~hidden.where(customer.sensitivity.not_in(by.sensitivities)).exists())
    return conditions


def query_from(concept: Concept, pairs: Iterable[tuple[str, str]], *, limit: int = LIMIT) -> Query:
    """The query of an address: `field=value`, `field__op=value`, `order=-changed_at,name`, `q=`, `limit=`, `cursor=`,
    `columns=name,city`. A field that is named twice takes either value. Raise Invalid naming what is not known."""
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        values.setdefault(name, []).append(value)
    wrong: dict[str, str] = {}
    filters = []
    for name, given in values.items():
        if name in _CONTROLS:
            continue
        known, _, op = name.partition("__")
        op = op or ("in" if len(given) > 1 else "eq")
        if _field(concept, known) is None:
            wrong[name] = f"There is no such field to filter by. Known: {', '.join(_filterable(concept))}."
        elif op not in OPS:
            wrong[name] = f"There is no comparison “{op}”. Known: {', '.join(OPS)}."
        else:
            wanted: Any = given[-1]
            if op == "in":
                wanted = [v for v in given[0].split(",") if v] if len(given) == 1 else given
            filters.append(Filter(known, op, wanted))
    if "limit" in values:
        text = values["limit"][-1]
        if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= LIMIT_MAX:
            wrong["limit"] = f"A whole number from 1 to {LIMIT_MAX}."
        else:
            limit = int(text)
    columns = values.get("columns", [""])[-1]
    chosen = tuple(c for c in columns.split(",") if c)
    for column in chosen:
        if concept.field(column) is None and column not in {f.name for f in RECORD_FIELDS} | {"id", "title", "office"}:
            wrong["columns"] = f"There is no field “{column}”."
    if wrong:
        raise Invalid(wrong)
    query = Query(
        filters=tuple(filters),
        order=tuple(o for o in values.get("order", [""])[-1].split(",") if o),
        limit=limit,
        cursor=values.get("cursor", [""])[-1] or None,
        q=values.get("q", [""])[-1],
        columns=chosen or None,
    )
    _order(concept, query.order)
    return query


# conditions


def _filterable(concept: Concept) -> list[str]:
    return [f.name for f in (*concept.fields, *RECORD_FIELDS) if _field(concept, f.name)] + (
        ["office"] if concept.field("office") is None else []
    )


def _field(concept: Concept, name: str) -> Field | None:
    """The field, if lists can be filtered by it: it lies in a column of the record itself."""
    fields = [*concept.fields, *RECORD_FIELDS]
    found = next((f for f in fields if f.name == name), None)
    if name == "office" and found is None and hasattr(concept.model, "office"):
        return Field(name="office", kind=Kind.OFFICE, label="Office")
    if name == "id":
        return Field(name="id", kind=Kind.TEXT, label="Key")
    if found is None or not found.filterable or found.kind in (Kind.PARTS, Kind.OBJECT):
        return None
    return found if hasattr(concept.model, found.attribute) else None


def _condition(s: Session, by: Actor, concept: Concept, one: Filter) -> sa.ColumnElement[bool]:
    known = _field(concept, one.field)
    if known is None:
        raise taking.Wrong(f"There is no such field to filter by. Known: {', '.join(_filterable(concept))}.")
    column = getattr(concept.model, known.attribute)
    if one.op in ("empty", "not_empty"):
        blank: sa.ColumnElement[bool] = column.is_(None)
        if known.kind in _TEXTS:
            blank = sa.or_(blank, column == "")
        elif known.kind is Kind.TAGS:
            blank = sa.or_(blank, sa.type_coerce(column, sa.Text) == "[]")
        return blank if one.op == "empty" else sa.not_(blank)
    if known.kind is Kind.TAGS:
        return _tagged(column, one)
    if one.op in ("contains", "starts"):
        if known.kind not in _TEXTS:
            raise taking.Wrong("Only texts can be searched for a part; use eq, gt, lt.")
        return _like(s, column, str(one.value), start=one.op == "starts")
    if one.op == "in":
        wanted = one.value if isinstance(one.value, list | tuple) else [one.value]
        if len(wanted) > IN_MAX:
            raise taking.Wrong(f"At most {IN_MAX} values at once.")
        return sa.or_(sa.false(), column.in_([_value(s, known, v) for v in wanted]))
    value = _value(s, known, one.value)
    if value is None:
        blank = column.is_(None) if one.op == "eq" else column.isnot(None)
        return blank
    if one.op == "ne":
        return sa.or_(column != value, column.is_(None))
    if one.op not in _COMPARE:
        raise taking.Wrong(f"There is no comparison “{one.op}”. Known: {', '.join(OPS)}.")
    found: sa.ColumnElement[bool] = _COMPARE[one.op](column, value)
    return found


def _value(s: Session, known: Field, raw: Any) -> Any:
    """The value to compare with. Keys are not looked up: a list of what belongs to an unknown key is just empty."""
    if known.kind in (Kind.REF, Kind.OFFICE, *_TEXTS):
        text = "" if raw is None else str(raw).strip()
        if known.kind is Kind.CHOICE and text and text not in known.choices:
            raise taking.Wrong(f"“{text[:60]}” is not one of: {', '.join(c for c in known.choices if c)}.")
        if known.kind is Kind.REF:
            return _user_by_login(s, text) if known.ref == "users" and text else text or None
        return text
    return taking.one(s, access.SYSTEM, known, raw)


def _user_by_login(s: Session, text: str) -> str:
    from node.domain.users import user_by_login  # users is a concept like the others: lists do not need it otherwise

    there = user_by_login(s, text)
    return there.id if there is not None else text


def _tagged(column: Any, one: Filter) -> sa.ColumnElement[bool]:
    words = one.value if isinstance(one.value, list | tuple) else [one.value]
    stored = sa.type_coerce(column, sa.Text)
    conditions = [stored.contains(json.dumps(str(w), ensure_ascii=False), autoescape=True) for w in words]
    found = sa.or_(sa.false(), *conditions)
    if one.op not in ("eq", "ne", "in", "contains"):
        raise taking.Wrong("Tags are compared with eq, ne, in, empty.")
    return sa.not_(found) if one.op == "ne" else found


def _like(s: Session, column: Any, text: str, *, start: bool) -> sa.ColumnElement[bool]:
    """Does the text contain (begin with) that, whatever the case?"""
    if s.get_bind().dialect.name != "sqlite":
        found: sa.ColumnElement[bool] = (column.istartswith if start else column.icontains)(text, autoescape=True)
        return found
    # SQLite's LIKE ignores the case of Latin letters only: ask for the usual writings of the others
    writings = {text} if text.isascii() else {text, text.lower(), text.upper(), text.capitalize(), text.title()}
    how = column.startswith if start else column.contains
    return sa.or_(sa.false(), *(how(w, autoescape=True) for w in sorted(writings)))


def _matching(s: Session, by: Actor, concept: Concept, q: str) -> sa.ColumnElement[bool]:
    if concept.search is not None:
        found: sa.ColumnElement[bool] = concept.model.id.in_(search.matching(s, by, [concept.name], q[:200]))
        return found
    texts = [f for f in concept.fields if f.kind is Kind.TEXT and hasattr(concept.model, f.attribute)]
    return sa.or_(sa.false(), *(_like(s, getattr(concept.model, f.attribute), q[:200], start=False) for f in texts[:4]))


# order and cursor

_Order = list[tuple[str, Any, bool]]  # name, column, descending?


def _order(concept: Concept, wish: Sequence[str]) -> _Order:
    order: _Order = []
    for word in list(wish)[:3] or concept.order:
        down, name = word.startswith("-"), word.lstrip("-")
        known = _field(concept, name)
        attribute = known.attribute if known is not None else name
        sortable = known is not None and known.kind not in (Kind.TAGS, Kind.NOTE)
        if wish and not sortable:
            names = [f.name for f in (*concept.fields, *RECORD_FIELDS) if f.sortable]
            raise Invalid({"order": f"Lists cannot be sorted by “{name[:60]}”. Sort by one of: {', '.join(names)}."})
        order.append((word, getattr(concept.model, attribute), down))
    down = order[0][2] if order else False
    return [*order, ("-id" if down else "id", concept.model.id, down)]


def _sort(column: Any, down: bool) -> Any:
    # empty ones come last either way; a column that is never empty must not say so, or its index is not used
    sort = column.desc() if down else column.asc()
    return sort.nulls_last() if column.property.columns[0].nullable else sort


def _after(order: _Order, last: list[Any]) -> sa.ColumnElement[bool]:
    """Everything that comes after these values: later in the first column, or equal there and later in the next."""
    ways = []
    for place, (_, column, down) in enumerate(order):
        value = last[place]
        if value is None:
            continue  # nothing comes after the empty ones in this column
        later = column < value if down else column > value
        if column.property.columns[0].nullable:
            later = sa.or_(later, column.is_(None))
        equal = [c.is_(None) if v is None else c == v for (_, c, _), v in zip(order[:place], last, strict=False)]
        ways.append(sa.and_(*equal, later))
    first, value, down = order[0][1], last[0], order[0][2]
    found = sa.or_(sa.false(), *ways)
    if value is not None and not first.property.columns[0].nullable:
        # says nothing new, and lets the database start in the index where the page starts
        found = sa.and_(first <= value if down else first >= value, found)
    return found


def _cursor(order: _Order, row: Any) -> str:
    values = [_stored(column, getattr(row, column.key)) for _, column, _ in order]
    text = json.dumps([[name for name, _, _ in order], values], ensure_ascii=False, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _read_cursor(cursor: str, order: _Order) -> list[Any]:
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        names, values = json.loads(text)
        if names == [name for name, _, _ in order] and len(values) == len(order):
            return [_shown(column, v) for (_, column, _), v in zip(order, values, strict=True)]
    except (ValueError, TypeError, binascii.Error, ArithmeticError):
        pass
    raise Invalid({"cursor": "This cursor belongs to another list or order. Start again without one."})


def _stored(column: Any, value: Any) -> Any:
    type_ = column.type
    return type_.process_bind_param(value, default.DefaultDialect()) if isinstance(type_, TypeDecorator) else value


def _shown(column: Any, value: Any) -> Any:
    if not isinstance(value, str | int | type(None)) or isinstance(value, bool):
        raise ValueError(value)
    type_ = column.type
    return type_.process_result_value(value, default.DefaultDialect()) if isinstance(type_, TypeDecorator) else value
