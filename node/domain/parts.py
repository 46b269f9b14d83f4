"""The parts that live inside a record (phones, lines, stages), loaded and stored in one way for all of them.

`RowsOf` describes one list of parts. Storing changes rows in place: a new phone number at the place of the old one is a
change of that number, which another office can merge with its own change of the label; removing everything and writing
it anew would make conflicts out of nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from node.base import Record, touch
from node.domain.concept import Field, Values
from node.errors import Invalid

PARTS_MAX = 1000  # of one record
BATCH = 500  # keys in one query

# (s, record, part, names of the fields that were given): fills what follows from others
Prepare = Callable[[Session, Any, Any, frozenset[str]], None]


class RowsOf:
    """Parts of `model` whose column `parent_attr` holds the key of their record; a `PartsOf` of a concept.

    `kinds`: only parts whose attribute `kind` is one of these belong to this list; a new one gets the first.
    `lone`: name of the field that a bare value stands for ("+49 30 123" instead of {"value": "+49 30 123"}).
    """

    def __init__(
        self,
        model: Any,
        parent_attr: str,
        fields: Sequence[Field],
        order_attr: str = "place",
        *,
        kinds: tuple[str, ...] = (),
        prepare: Prepare | None = None,
        lone: str = "",
    ) -> None:
        self.model = model
        self.parent_attr = parent_attr
        self.fields = tuple(fields)
        self.order_attr = order_attr if order_attr != "id" and hasattr(model, order_attr) else ""
        self.kinds = kinds
        self.prepare = prepare
        self.lone = lone

    def load(self, s: Session, ids: Sequence[str]) -> Mapping[str, list[Values]]:
        """Key of the record → its living parts in order, each with `id` and the fields. Every key is answered."""
        found: dict[str, list[Values]] = {id: [] for id in ids}
        names = [f.name for f in self.fields]
        columns = [getattr(self.model, f.attribute) for f in self.fields]
        for batch in batches(list(found)):
            query = self._select(sa.select(getattr(self.model, self.parent_attr), self.model.id, *columns), batch)
            for parent, id, *values in s.execute(query.where(self.model.alive)):
                found[parent].append({"id": id, **dict(zip(names, values, strict=True))})
        return found

    def rows(self, s: Session, id: str) -> list[Any]:
        """The living rows of one record, in order."""
        return list(s.scalars(self._select(sa.select(self.model), [id]).where(self.model.alive)))

    def save(self, s: Session, row: Any, parts: Sequence[Values | str]) -> None:
        """Make the record's parts these.

        A part with the `id` of one that the record has (or had) changes only what it names. A part without takes the
        row at its place and gives it all its values anew. What is left over is marked as removed. Raise Invalid.
        """
        if len(parts) > PARTS_MAX:
            raise Invalid({self.model.__tablename__: f"There are {len(parts)}; a record holds {PARTS_MAX} at most."})
        if not row.id or row in s.new:
            s.flush()
        given: list[Values] = [dict(p) if isinstance(p, Mapping) else {self.lone: p} for p in parts]
        have = {r.id: r for r in s.scalars(self._select(sa.select(self.model), [row.id]))}
        living = [r for r in have.values() if r.alive]
        named = {p["id"] for p in given if p.get("id") in have}
        changed, kept = False, set()
        for place, part in enumerate(given):
            target = have.get(part.get("id") or "")
            whole = target is None
            if target is None and place < len(living) and living[place].id not in named:
                target = living[place]
            if target is None:
                target = self.model(**{self.parent_attr: row.id})
            changed |= self._fill(s, row, target, part, place, whole)
            kept.add(target.id)
        for leftover in living:
            if leftover.id not in kept:
                leftover.alive = False
                changed = True
        if changed and isinstance(row, Record):
            touch(s, row)
        s.flush()

    def _fill(self, s: Session, row: Any, target: Any, part: Values, place: int, whole: bool) -> bool:
        values = {f.attribute: part[f.name] for f in self.fields if f.name in part and not f.read_only}
        if whole:
            blank = {f.attribute for f in self.fields if not f.read_only} - set(values)
            values.update({a: _blank(self.model, a) for a in blank if _has_blank(self.model, a)})
        for attribute in [a for a, value in values.items() if value is None and not _column(self.model, a).nullable]:
            values[attribute] = _blank(self.model, attribute)  # emptied where there is no empty
        if self.kinds and values.get("kind") not in self.kinds:
            values["kind"] = target.kind if target.kind in self.kinds else self.kinds[0]
        if self.order_attr:
            values[self.order_attr] = place
        values["alive"] = True
        for attribute, value in values.items():
            if getattr(target, attribute) != value or not target.id:
                setattr(target, attribute, value)
        if self.prepare is not None:
            self.prepare(s, row, target, frozenset(part))
        new = not target.id
        if new:
            target.id = s.info["ids"].new()
            s.add(target)
        return new or s.is_modified(target)

    def _select(self, query: Any, ids: Sequence[str]) -> Any:
        if self.kinds:
            query = query.where(self.model.kind.in_(self.kinds))
        order = [getattr(self.model, self.order_attr)] if self.order_attr else []
        return query.where(getattr(self.model, self.parent_attr).in_(ids)).order_by(*order, self.model.id)


def batches(ids: Sequence[str], size: int = BATCH) -> Iterator[Sequence[str]]:
    """The keys in portions that a query can take."""
    for start in range(0, len(ids), size):
        yield ids[start : start + size]


def stored(row: Any, attribute: str) -> Any:
    """What the database holds in an attribute of a loaded row, even if the row has been assigned another value."""
    history = sa.inspect(row).attrs[attribute].history
    return history.deleted[0] if history.deleted else getattr(row, attribute)


def _column(model: Any, attribute: str) -> Any:
    return sa.inspect(model).column_attrs[attribute].columns[0]


def _has_blank(model: Any, attribute: str) -> bool:
    column = _column(model, attribute)
    return column.default is not None or bool(column.nullable)


def _blank(model: Any, attribute: str) -> Any:
    default = _column(model, attribute).default
    if default is None:
        return None
    return default.arg(None) if default.is_callable else default.arg
