"""Who wrote each cell of a row, and at which of the hub's numbers: the side table `exchange_version`.

Most rows have one version for all their cells (they were written at once); a cell that differs is an exception. So a
row costs one entry, packed with msgpack: [whole, base or nil, {cell: exception}].
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from typing import Any, NamedTuple

import msgpack
import sqlalchemy as sa

from replication import rows, tables
from replication.catalogue import Shape


class Cell(NamedTuple):
    """The version of one cell; its value is in the live row."""

    since: int  # the revision that brought this value: who has seen less has not seen it; 0: being decided
    revision: int  # the last one that carried it: whose watermark is lower is sent it
    author: int
    seq: int
    at: int
    origin: str | None  # the row that it was typed into, if that has been merged into this one


class Row:
    """A row at the hub while a batch is decided."""

    base: Cell | None = None  # of the cells that are not in `but`; None: there are none
    whole = 0  # the revision at which the row last changed its bucket or was merged
    revision = 0  # its newest
    stored_at = 0  # the revision under which it lies in the database; 0: not yet
    values: rows.Values | None = None
    stored = False  # the live row exists
    news = False  # who wrote it last is to be told, too

    def __init__(self, shape: Shape, key: str) -> None:
        self.shape, self.id = shape, key
        self.but: dict[int, Cell] = {}
        self.dirty: set[int] = set()  # places of values that are not yet written
        self.old: dict[int, Any] = {}  # place -> value before this batch

    @property
    def known(self) -> bool:
        return self.base is not None or bool(self.but)

    def cell(self, cell: int) -> Cell | None:
        found = self.but.get(cell)
        return found if found is not None or cell == self.shape.merged else self.base

    def cells(self) -> dict[int, Cell]:
        if self.base is None:
            return self.but
        return dict.fromkeys(self.shape.cells, self.base) | self.but

    def distinct(self) -> Iterable[Cell]:
        """The versions that occur, without those of silent cells."""
        but, silent = self.but, self.shape.silent
        if self.base is not None and any(c not in but and c not in silent for c in self.shape.cells):
            yield self.base
        for c, cell in but.items():
            if c not in silent:
                yield cell

    def alias(self) -> str | None:
        """The id of the row that this duplicate was merged into."""
        if self.shape.merged < 0 or self.shape.merged not in self.but:
            return None
        return str(self.value(self.shape.merged)[0])

    def value(self, cell: int) -> tuple[Any, ...]:
        values = self.values
        assert values is not None
        place = self.shape.place
        return tuple(values[place[column]] for column in self.shape.columns[cell])

    def put(self, place: int, value: Any) -> None:
        values = self.values
        if values is None:
            table = self.shape.travel.table
            values = self.values = [rows.empty(table.c[column]) for column in self.shape.order]
        before = values[place]
        if before != value or type(before) is not type(value):
            values[place] = value
            self.dirty.add(place)
            self.old.setdefault(place, before)

    def compact(self) -> None:
        """Where exceptions have become the rule, make the most frequent of them the base."""
        cells, but = self.shape.cells, self.but
        if len(but) * 2 <= len(cells) or (any(c not in but for c in cells) and self.base is None):
            return
        of_all = [but.get(c, self.base) for c in cells]
        base = Counter(of_all).most_common(1)[0][0]
        assert base is not None
        merged = but.get(self.shape.merged)
        self.but = {c: cell for c, cell in zip(cells, of_all, strict=True) if cell is not None and cell != base}
        if merged is not None:
            self.but[self.shape.merged] = merged
        self.base = base


def pack(row: Row) -> bytes:
    packed: bytes = msgpack.packb([row.whole, row.base, row.but] if row.whole or row.but else [0, row.base])
    return packed


def unpack(data: bytes) -> tuple[int, Cell | None, dict[int, Cell]]:
    """(whole, base, exceptions)"""
    found = msgpack.unpackb(data, strict_map_key=False)
    base = Cell(*found[1]) if found[1] is not None else None
    return found[0], base, {c: Cell(*cell) for c, cell in found[2].items()} if len(found) > 2 else {}


def fetch(conn: sa.Connection, shape: Shape, ids: Collection[str]) -> dict[str, Row]:
    """Every id -> its Row, with versions and live values where there are any."""
    v, result = tables.version, {key: Row(shape, key) for key in ids}
    query = sa.select(v.c.revision, v.c.row, v.c.pack).where(v.c.tab == shape.number, rows.among(conn, v.c.row, ids))
    live = set()
    for revision, key, data in conn.execute(query).all():
        live.add(key)
        row = result[key]
        row.whole, row.base, row.but = unpack(data)
        row.revision = row.stored_at = revision
    live |= rows.existing(conn, shape, result.keys() - live)  # perhaps from before the capture began
    for key, values in rows.fetch(conn, shape, live).items():
        result[key].values, result[key].stored = values, True
    return result


def store(conn: sa.Connection, changed: Iterable[Row]) -> None:
    """Write the versions and the live values of rows that have changed; the capture is off."""
    new, moved = [], []
    inserts: dict[str, tuple[Shape, list[tuple[Any, ...]]]] = {}
    updates: dict[tuple[str, tuple[int, ...]], tuple[Shape, list[tuple[Any, ...]]]] = {}
    for row in changed:
        if row.but:
            row.compact()
        if row.stored_at:
            moved.append((row.revision, pack(row), row.stored_at))
        else:
            new.append((row.revision, row.shape.number, row.id, pack(row)))
        if not row.stored and row.values is None:
            pass  # nothing is known of the row but that it was called a duplicate
        elif not row.stored:
            assert row.values is not None
            inserts.setdefault(row.shape.name, (row.shape, []))[1].append((row.id, *row.values))
        elif row.dirty:
            assert row.values is not None
            places = tuple(sorted(row.dirty))
            values = (*(row.values[place] for place in places), row.id)
            updates.setdefault((row.shape.name, places), (row.shape, []))[1].append(values)
    mark = "?" if conn.dialect.paramstyle == "qmark" else "%s"
    if moved:
        sql = f"UPDATE exchange_version SET revision = {mark}, pack = {mark} WHERE revision = {mark}"
        conn.exec_driver_sql(sql, moved)
    _insert(conn, new)
    for shape, inserted in sorted(inserts.values(), key=lambda entry: entry[0].travel.order):
        rows.insert(conn, shape, inserted)
    for (_, places), (shape, updated) in updates.items():
        rows.update(conn, shape, places, updated)


def insert(conn: sa.Connection, shape: Shape, entries: Iterable[tuple[int, str, int, int, int]]) -> None:
    """The versions of new rows of one table: (revision, id, author, seq, at)."""
    packb, tab = msgpack.packb, shape.number
    _insert(conn, [(n, tab, key, packb([0, (n, n, author, seq, at, None)])) for n, key, author, seq, at in entries])


def _insert(conn: sa.Connection, new: list[tuple[int, int, str, bytes]]) -> None:
    if new:
        mark = "?" if conn.dialect.paramstyle == "qmark" else "%s"
        names = '(revision, tab, "row", pack)'
        sql = f"INSERT INTO exchange_version {names} VALUES ({mark}, {mark}, {mark}, {mark})"
        conn.exec_driver_sql(sql, new)
