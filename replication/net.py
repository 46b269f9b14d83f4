"""What is in the log and not yet answered, netted per cell.

Successive edits of one cell count as one edit, which has the last value, the last place in the log, and has seen no
more than the first of them had. The netting is over everything that waits, so it cannot be done part by part; but only
rows that were edited more than once need to be remembered for it.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import sqlalchemy as sa

from replication import rows, tables
from replication.catalogue import Catalogue, Shape
from replication.change import Kind
from replication.stored import from_stored, old_values

CHUNK = 5000  # rows that are read at a time
PENDING_FROM = "pending_from"  # exchange_state: everything up to this seq is answered


class Edit(NamedTuple):
    """One change of one row: these cells, with the values that are in the live row now."""

    shape: Shape
    row: str
    cells: tuple[int, ...]
    full: bool  # the row is new here
    author: int
    at: int
    seq: int
    seen: int


@dataclass(frozen=True, slots=True)
class Own:
    """This node's lives, as far as the log needs them."""

    life_of: dict[int, int]  # author -> life
    told: dict[int, int]  # life -> the highest seq that has been answered
    pending_from: int


_LIVES = sa.text("SELECT number, life FROM exchange_author WHERE office = ''")
_TOLD = sa.text("SELECT life, told FROM exchange_life WHERE office = ''")
_GET = sa.text("SELECT value FROM exchange_state WHERE name = :name")
_PUT = sa.text(
    "INSERT INTO exchange_state (name, value) VALUES (:name, :value) "
    "ON CONFLICT (name) DO UPDATE SET value = excluded.value"
)


def own(conn: sa.Connection) -> Own:
    lives = {row.number: row.life for row in conn.execute(_LIVES)}
    told = {row.life: row.told for row in conn.execute(_TOLD)}
    return Own(lives, told, int(get_state(conn, PENDING_FROM, "0")))


def waiting(conn: sa.Connection, mine: Own, *, again: bool = False) -> Generator[Any, None, None]:
    """(seq, tab, row, op, mask, seen, at, author) of the log's entries that are not answered, in order.

    `again`: only those of rows that were edited more than once.
    """
    query = _WAITING_AGAIN if again else _WAITING
    life_of, told = mine.life_of, mine.told
    result = conn.execute(query, {"start": mine.pending_from}, execution_options={"yield_per": CHUNK})
    with result:
        for chunk in result.partitions(CHUNK):
            for entry in chunk:
                life = life_of.get(entry[7])
                if life is not None and entry[0] > told.get(life, 0):
                    yield entry


_WAITS = (
    'SELECT l.seq, l.tab, l."row", l.op, l.mask, x.seen, x.at, x.author '
    "FROM exchange_log l JOIN exchange_tx x ON x.number = l.tx {more}"
    "WHERE l.seq > :start AND l.op < 2 ORDER BY l.seq"
)
_AGAIN = (  # who was edited more than once has an entry that is an update
    'JOIN (SELECT tab, "row" FROM exchange_log WHERE seq > :start AND op < 2 AND "row" IN '
    '(SELECT "row" FROM exchange_log WHERE seq > :start AND op = 1) '
    'GROUP BY tab, "row" HAVING count(*) > 1) again ON again.tab = l.tab AND again."row" = l."row" '
)
_WAITING = sa.text(_WAITS.format(more=""))
_WAITING_AGAIN = sa.text(_WAITS.format(more=_AGAIN))


def edits(conn: sa.Connection, catalogue: Catalogue) -> Iterator[Edit]:
    """In the order of the log."""
    mine = own(conn)
    shapes = {shape.number: shape for shape in catalogue.values()}
    seen = Seen(conn, mine.pending_from)
    cells = _Cells(shapes)
    again: dict[tuple[int, str], list[Any]] = {}
    for entry in waiting(conn, mine, again=True):
        if entry[1] in shapes:
            again.setdefault((entry[1], entry[2]), []).append(entry)
    planned: dict[int, list[Edit]] = {}
    for (tab, key), entries in again.items():
        _plan(planned, shapes[tab], key, entries, cells, seen)
    all_plain = not again and seen.is_empty
    for entry in waiting(conn, mine):
        seq, tab, key, op, mask, saw, at, author = entry
        shape = shapes.get(tab)
        if shape is None:
            continue  # a table that travels no more
        if all_plain or ((tab, key) not in again and seen.is_plain(tab, key, seq)):
            changed = cells.of(tab, op, mask)
            if changed:
                yield Edit(shape, key, changed, op == tables.INSERTED, author, at, seq, saw)
            continue
        if (tab, key) not in again:
            _plan(planned, shape, key, [entry], cells, seen)
        yield from planned.pop(seq, ())


def _plan(
    planned: dict[int, list[Edit]], shape: Shape, key: str, entries: list[Any], cells: _Cells, seen: Seen
) -> None:
    """One Edit for the cells that have the same last entry and have seen the same."""
    least: dict[int, int] = {}
    last: dict[int, Any] = {}
    for entry in entries:
        for cell in cells.of(shape.number, entry[3], entry[4]):
            saw = seen.of(shape, key, cell, entry[0], entry[5])
            least[cell] = min(least.get(cell, saw), saw)
            last[cell] = entry
    parts: dict[tuple[int, int], list[int]] = {}
    for cell in sorted(last):
        parts.setdefault((last[cell][0], least[cell]), []).append(cell)
    full = len(parts) == 1 and any(entry[3] == tables.INSERTED for entry in entries)
    # of one edit what brings the row back comes first, else the rest would be an edit of a dead row
    for (seq, saw), of_part in sorted(
        parts.items(), key=lambda part: (part[0][0], shape.alive not in part[1], part[0][1])
    ):
        entry = last[of_part[0]]
        planned.setdefault(seq, []).append(Edit(shape, key, tuple(of_part), full, entry[7], entry[6], seq, saw))


class _Cells:
    """(table, op, mask) -> cells, remembered."""

    def __init__(self, shapes: dict[int, Shape]) -> None:
        self._shapes = shapes
        self._known: dict[tuple[int, int, int], tuple[int, ...]] = {}

    def of(self, tab: int, op: int, mask: int) -> tuple[int, ...]:
        found = self._known.get((tab, op, mask))
        if found is None:
            shape = self._shapes[tab]
            cells = shape.cells_of(mask)
            if op == tables.INSERTED:
                cells = sorted({*shape.cells, *cells})
            found = self._known[tab, op, mask] = tuple(cells)
        return found


class Seen:
    """What the author of a log entry had seen of a cell: the watermark when he typed, unless something says less.

    `hidden`: news of the cell is kept from the screen; `leaving`: the row has left our scope, no news comes;
    `unseen`: what was so when this entry was made, and is so no more.
    """

    def __init__(self, conn: sa.Connection, start: int) -> None:
        self._conn = conn
        self.hidden: dict[tuple[int, str], dict[str, int]] = {}
        for row in conn.execute(sa.select(tables.hidden)):
            self.hidden.setdefault((row.tab, row.row), {})[row.cell] = row.seen
        self.leaving = {(row.tab, row.row): row.seen for row in conn.execute(sa.select(tables.leaving))}
        self._unseen: dict[int, dict[int, int]] = {}
        for row in conn.execute(sa.select(tables.unseen).where(tables.unseen.c.seq > start)):
            self._unseen.setdefault(row.seq, {})[row.cell] = row.seen

    @property
    def is_empty(self) -> bool:
        return not (self._unseen or self.hidden or self.leaving)

    def is_plain(self, tab: int, key: str, seq: int) -> bool:
        return seq not in self._unseen and (tab, key) not in self.hidden and (tab, key) not in self.leaving

    def of(self, shape: Shape, key: str, cell: int, seq: int, saw: int) -> int:
        mark = (shape.number, key)
        if self.is_plain(*mark, seq):
            return saw
        hidden = self.hidden.get(mark, {})
        least: int = min(
            saw,
            self._unseen.get(seq, {}).get(cell, saw),
            self.leaving.get(mark, saw),
            hidden.get(shape.names[cell], saw),
        )
        if hidden and self.removes(shape, cell, seq):  # who removes a row must have seen all of it
            least = min([least, *hidden.values()])
        return least

    def removes(self, shape: Shape, cell: int, seq: int) -> bool:
        if cell == shape.merged:
            return True
        if cell != shape.alive:
            return False
        query = sa.select(tables.log.c.old).where(tables.log.c.seq == seq)
        return bool(old_values(self._conn.execute(query).scalar()).get(cell))

    def lower(self, seq: int, cell: int, seen: int) -> None:
        """Remember it with the log entry."""
        of_entry = self._unseen.setdefault(seq, {})
        t = tables.unseen
        if cell in of_entry:
            where = (t.c.seq == seq) & (t.c.cell == cell) & (t.c.seen > seen)
            self._conn.execute(t.update().where(where).values(seen=seen))
        else:
            self._conn.execute(t.insert().values(seq=seq, cell=cell, seen=seen))
        of_entry[cell] = min(of_entry.get(cell, seen), seen)


def settle(conn: sa.Connection, catalogue: Catalogue) -> None:
    """Before an answer: who edits a cell again that was not yet answered has seen no more of it than the first time.

    While everything is pending the netting sees to that; but an answer may be for the first edit alone, or the hub may
    go back in time and be offered the second alone.
    """
    mine = own(conn)
    shapes = {shape.number: shape for shape in catalogue.values()}
    seen = Seen(conn, mine.pending_from)
    cells = _Cells(shapes)
    least: dict[tuple[int, str, int], int] = {}
    for seq, tab, key, op, mask, saw, *_ in list(waiting(conn, mine, again=True)):
        shape = shapes.get(tab)
        for cell in cells.of(tab, op, mask) if shape is not None else ():
            assert shape is not None
            now = seen.of(shape, key, cell, seq, saw)
            before = least.get((tab, key, cell), now)
            if before < now:
                seen.lower(seq, cell, before)
            least[tab, key, cell] = min(before, now)


def entries_of(conn: sa.Connection, shape: Shape, key: str) -> list[tuple[int, tuple[int, ...], int]]:
    """Our own log entries of a row: (seq, cells, watermark when it was typed)."""
    l, x = tables.log, tables.tx  # noqa: E741
    query = (
        sa.select(l.c.seq, l.c.op, l.c.mask, x.c.seen)
        .join(x, x.c.number == l.c.tx)
        .where(l.c.tab == shape.number, l.c.row == key, l.c.op < tables.RECEIVED)
        .order_by(l.c.seq)
    )
    cells = _Cells({shape.number: shape})
    return [(seq, cells.of(shape.number, op, mask), saw) for seq, op, mask, saw in conn.execute(query)]


def busy(conn: sa.Connection, catalogue: Catalogue) -> dict[tuple[int, str], set[int]]:
    """(tab, row) -> its cells with an unanswered edit."""
    shapes = {shape.number: shape for shape in catalogue.values()}
    cells = _Cells(shapes)
    result: dict[tuple[int, str], set[int]] = {}
    for _, tab, key, op, mask, *_ in waiting(conn, own(conn)):
        if tab in shapes:
            result.setdefault((tab, key), set()).update(cells.of(tab, op, mask))
    return result


@dataclass(frozen=True, slots=True)
class Layout:
    """Which cells a list of values holds, and where. The same for thousands of rows."""

    shape: Shape
    columns: tuple[str, ...]
    cells: tuple[int, ...]
    slots: dict[int, tuple[int, ...]]  # cell -> indices into the values
    places: tuple[int, ...]  # index into the values -> place in Shape.order
    full: bool  # all cells that a new row has
    missing: tuple[tuple[int, Any], ...] | None  # of values in the order of the table: (place, value) to complete them


def layout(shape: Shape, columns: tuple[str, ...]) -> Layout:
    index = {column: i for i, column in enumerate(columns)}
    slots = {
        cell: tuple(index[c] for c in parts) for cell, parts in shape.columns.items() if all(c in index for c in parts)
    }
    places = tuple(shape.place[c] for c in columns)
    full = all(c in slots for c in shape.cells)
    missing = None
    if full and list(places) == sorted(places):
        table = shape.travel.table
        missing = tuple((i, rows.empty(table.c[c])) for i, c in enumerate(shape.order) if c not in index)
    return Layout(shape, columns, tuple(sorted(slots)), slots, places, full, missing)


def columns_of(shape: Shape, cells: tuple[int, ...]) -> tuple[str, ...]:
    wanted = {column for cell in cells for column in shape.columns[cell]}
    return tuple(c for c in shape.order if c in wanted)


def with_values(
    conn: sa.Connection, slice_: list[Edit], *, again: bool = False
) -> Iterator[tuple[Shape, tuple[int, ...], Kind, list[Edit], list[Sequence[Any]]]]:
    """The edits of a slice, and for each (id, *values of its row); those of the same cells together.

    An edit that is not answered still stands in the live row. `again`: they have been answered once, and what came from
    elsewhere since may have replaced them: then their values are in the history.
    """
    of_shape: dict[str, list[Edit]] = {}
    for edit in slice_:
        of_shape.setdefault(edit.shape.name, []).append(edit)
    for edits_of in of_shape.values():
        shape = edits_of[0].shape
        keys = {edit.row for edit in edits_of}
        live: dict[str, Sequence[Any]] = dict(rows.read(conn, shape, keys))
        replaced = _replaced(conn, shape, keys) if again else {}
        alike: dict[tuple[tuple[int, ...], bool], tuple[list[Edit], list[Sequence[Any]]]] = {}
        cells, full = None, False
        of_cells: tuple[list[Edit], list[Sequence[Any]]] = ([], [])
        for edit in edits_of:
            values = live.get(edit.row)
            if replaced and edit.row in replaced:
                values = _as_typed(shape, values, edit.seq, replaced[edit.row])
            if values is None:
                continue  # it was removed physically, by the exchange itself
            if edit.cells is not cells or edit.full is not full:
                cells, full = edit.cells, edit.full
                of_cells = alike.setdefault((cells, full), ([], []))
            of_cells[0].append(edit)
            of_cells[1].append(values)
        for (of, whole), (found, values_of) in alike.items():
            yield shape, of, Kind.INSERT if whole else Kind.UPDATE, found, values_of


def _replaced(conn: sa.Connection, shape: Shape, keys: Collection[str]) -> dict[str, list[tuple[int, str]]]:
    """row -> (seq, old values) of what came from elsewhere, newest first."""
    l = tables.log  # noqa: E741
    query = (
        sa.select(l.c.row, l.c.seq, l.c.old)
        .where(l.c.tab == shape.number, l.c.op == tables.RECEIVED, rows.among(conn, l.c.row, keys))
        .order_by(l.c.seq.desc())
    )
    result: dict[str, list[tuple[int, str]]] = {}
    for key, seq, old in conn.execute(query):
        result.setdefault(key, []).append((seq, old))
    return result


def _as_typed(
    shape: Shape, values: Sequence[Any] | None, seq: int, replaced: list[tuple[int, str]]
) -> Sequence[Any] | None:
    """The row as it was before what came after `seq`."""
    result = list(values) if values is not None else None
    column_of = {bit: column for column, bit in shape.bits.items()}
    for after, old in replaced:
        if after < seq:
            break
        for bit, value in old_values(old).items():
            if bit in column_of:
                if result is None:
                    result = [None] * (len(shape.order) + 1)
                result[shape.place[column_of[bit]] + 1] = from_stored(shape, column_of[bit], value)
    return result


def get_state(conn: sa.Connection, name: str, default: str) -> str:
    found = conn.execute(_GET, {"name": name}).scalar()
    return default if found is None else str(found)


def put_state(conn: sa.Connection, name: str, value: object) -> None:
    conn.execute(_PUT, {"name": name, "value": str(value)})
