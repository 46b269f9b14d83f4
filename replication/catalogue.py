"""Small numbers for tables and columns, kept in the database so that an old log stays readable after a migration.

The place of a column in the catalogue is its bit in the change mask. A column that a migration adds gets the next
bit; one that is dropped keeps its own for ever. A cell is named on disk by the lowest bit of its columns.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa

from replication import tables
from replication.errors import NotInstalled
from replication.travel import Policy, Travel


@dataclass(frozen=True, slots=True)
class Shape:
    """A travelling table as this database knows it. A cell is an int: the lowest bit of its columns."""

    travel: Travel
    number: int
    bits: Mapping[str, int]  # travelling column -> bit
    names: Mapping[int, str] = field(init=False)  # cell -> name
    columns: Mapping[int, tuple[str, ...]] = field(init=False)  # cell -> its columns
    cell_of_bit: Mapping[int, int] = field(init=False)
    cells: tuple[int, ...] = field(init=False)  # without `merged`, which exists only once it is set
    silent: frozenset[int] = field(init=False)  # Policy.MAX
    alive: int = field(init=False)  # cell, or -1
    merged: int = field(init=False)
    bucket: int = field(init=False)
    order: tuple[str, ...] = field(init=False)  # the travelling columns
    place: Mapping[str, int] = field(init=False)  # column -> its place in `order`
    raw: sa.Table = field(init=False)  # the table with its values as they lie in the database

    def __post_init__(self) -> None:
        put = object.__setattr__
        travel, names, columns, of_bit = self.travel, {}, {}, {}
        for name, parts in travel.cells.items():
            cell = min(self.bits[c] for c in parts)
            names[cell], columns[cell] = name, parts
            of_bit.update({self.bits[c]: cell for c in parts})
        by_name = {name: cell for cell, name in names.items()}
        put(self, "names", names)
        put(self, "columns", columns)
        put(self, "cell_of_bit", of_bit)
        put(self, "alive", by_name.get(travel.alive or "", -1))
        put(self, "merged", by_name.get(travel.merged or "", -1))
        put(self, "bucket", by_name.get(travel.bucket or "", -1))
        put(self, "cells", tuple(c for c in sorted(names) if c != self.merged))
        put(self, "silent", frozenset(c for c, n in names.items() if travel.policy(n) is Policy.MAX))
        put(self, "order", travel.columns)
        put(self, "place", {c: i for i, c in enumerate(travel.columns)})
        put(self, "raw", _raw_table(travel.table))

    @property
    def name(self) -> str:
        return self.travel.name

    def cells_of(self, mask: int) -> list[int]:
        """The cells of which the mask has a column."""
        found = set()
        while mask:
            low = mask & -mask
            cell = self.cell_of_bit.get(low.bit_length() - 1)  # None: a column that is no more
            if cell is not None:
                found.add(cell)
            mask ^= low
        return sorted(found)


def _raw_table(table: sa.Table) -> sa.Table:
    """The same columns without the application's own types: the exchange carries values as they lie."""
    columns = []
    for c in table.columns:
        kind = c.type.impl_instance if isinstance(c.type, sa.TypeDecorator) else c.type
        columns.append(sa.Column(c.name, kind, primary_key=c.primary_key, nullable=c.nullable))
    return sa.Table(table.name, sa.MetaData(), *columns)


Catalogue = dict[str, Shape]


def enter(conn: sa.Connection, travels: Sequence[Travel]) -> Catalogue:
    """Give numbers to what has none yet."""
    known = _known(conn)
    number = max((n for n, _ in known.values()), default=0)
    for travel in sorted(travels, key=lambda t: (t.order, t.name)):
        if travel.name not in known:
            number += 1
            values = {"number": number, "name": travel.name, "columns": json.dumps(travel.columns)}
            conn.execute(tables.catalogue.insert().values(values))
        else:
            fixed, columns = known[travel.name]
            added = [c for c in travel.columns if c not in columns]
            if added:
                where = tables.catalogue.c.number == fixed
                conn.execute(tables.catalogue.update().where(where).values(columns=json.dumps([*columns, *added])))
    return _shapes(_known(conn), travels)


class Reader:
    """Reads the catalogue, and makes shapes of it only when it has changed."""

    def __init__(self, travels: Sequence[Travel]) -> None:
        self._travels = tuple(travels)
        self._last: tuple[_Known, Catalogue] | None = None

    def load(self, conn: sa.Connection) -> Catalogue:
        """Table name -> Shape, parents first. Raise NotInstalled where `enter` has not seen a table or column."""
        known, last = _known(conn), self._last
        if last is None or last[0] != known:
            last = self._last = (known, _shapes(known, self._travels))
        return last[1]


def load(conn: sa.Connection, travels: Iterable[Travel]) -> Catalogue:
    """As Reader.load, for who needs it once."""
    return _shapes(_known(conn), travels)


_Known = dict[str, tuple[int, tuple[str, ...]]]


def _known(conn: sa.Connection) -> _Known:
    c = tables.catalogue.c
    found = conn.execute(sa.select(c.number, c.name, c.columns))
    return {name: (number, tuple(json.loads(columns))) for number, name, columns in found}


def _shapes(known: _Known, travels: Iterable[Travel]) -> Catalogue:
    result: Catalogue = {}
    for travel in sorted(travels, key=lambda t: (t.order, t.name)):
        number, columns = known.get(travel.name, (0, ()))
        if set(travel.columns) - set(columns):
            raise NotInstalled(f"Table {travel.name} is not prepared for the exchange: run capture.install first.")
        result[travel.name] = Shape(travel, number, {c: columns.index(c) for c in travel.columns})
    return result
