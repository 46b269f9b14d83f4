"""The hub's judgement, cell by cell: forward, duplicate, or blind (a conflict). The rules of DESIGN.md as a program.

Works on rows in memory; what it needs it loads through the function it was given, so a batch is decided between one
set-based read and one set-based write.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from replication.catalogue import Shape
from replication.merge import Claim, Value, Winner, decide
from replication.net import Layout
from replication.travel import Policy
from replication.version import Cell, Row

NEVER = 1 << 62


@dataclass(slots=True)
class Change:
    layout: Layout
    row: str
    values: list[Any]  # as `layout` says
    author: int
    seq: int
    seen: int
    at: int

    def value(self, cell: int) -> Value:
        return tuple(self.values[i] for i in self.layout.slots[cell])


def in_order(change: Change) -> tuple[int, bool, int]:
    """The order of the log; of one edit what brings a row back comes first, else the rest would edit a dead row."""
    return change.seq, change.layout.shape.alive not in change.layout.slots, change.seen


Informed = Callable[[Change, Cell, str], bool]  # (change, cell, row): had its author seen what the cell holds now?
Writer = tuple[str, int]  # office, life


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """A conflict as it was decided. `editor`: of a refused delete, who wrote what the deleting user had not seen."""

    number: int
    row: Row
    cell: int
    kind: str
    base: Value | None
    winner: Cell
    winner_value: Value
    loser: Cell
    loser_value: Value
    editor: int


@dataclass(slots=True)
class Judge:
    """Decides the changes of one batch.

    `number`  the hub's last revision; counted up
    `writer`  author -> (office, life)
    `rule`    the author number of what the hub itself decides
    `load`    (shape, id) -> Row, from the batch or from the database
    `base`    (row, cell, seen) -> the value of the cell at that revision, if it is known
    `unseen`  (row, change, informed) -> an author whose edit of the aggregate's other rows the change had not seen
    `note`    what to do with a conflict
    `is_dead` (table, id) -> the Row, if it is one that users have deleted
    """

    number: int
    writer: Callable[[int], Writer]
    rule: int
    load: Callable[[Shape, str], Row]
    base: Callable[[Row, int, int], Value | None]
    unseen: Callable[[Row, Change, Informed], int | None]
    note: Callable[[Lost], None]
    is_dead: Callable[[str, str], Row | None]
    layout: Callable[[Shape, tuple[str, ...]], Layout]
    changed: dict[int, Row] = field(default_factory=dict)  # id() of a row -> the row
    received: list[tuple[Row, Change, int, dict[int, Any]]] = field(default_factory=list)  # for the history

    def apply(self, change: Change, informed: Informed, origin: str | None = None) -> None:
        layout, shape = change.layout, change.layout.shape
        row = self.load(shape, change.row)
        if not row.known and layout.full and not row.stored:
            self._new(row, change, informed, origin)
            return
        cells: tuple[int, ...] = layout.cells
        if shape.merged in layout.slots:
            if change.value(shape.merged)[0] is not None:
                self._merge(change, informed, origin)
                return
            cells = tuple(c for c in cells if c != shape.merged)
        survivor = self.resolve(row)
        if survivor is not row:  # it lands on the survivor, which its author had not on screen
            typed = origin or change.row
            origin = None if typed == survivor.id else typed
            me = self.writer(change.author)

            def same(_: Change, cell: Cell, key: str) -> bool:
                return self.writer(cell.author) == me and (cell.origin or key) == typed

            informed, row = same, survivor
        self._decide(row, cells, change, informed, origin)

    def resolve(self, row: Row) -> Row:
        while (alias := row.alias()) is not None:
            row = self.load(row.shape, alias)
        return row

    def _new(self, row: Row, change: Change, informed: Informed, origin: str | None) -> None:
        """A row that nobody has told us before: the common case, kept short."""
        shape, layout, values = row.shape, change.layout, list(change.values)
        self.number = number = self.number + 1
        if layout.missing is not None:
            for place, value in layout.missing:
                values.insert(place, value)
            row.values = values
        else:
            for i, place in enumerate(layout.places):
                row.put(place, values[i])
        row.base = Cell(number, number, change.author, change.seq, change.at, origin)
        row.revision = number
        if shape.bucket >= 0:
            row.whole = number
        self.changed[id(row)] = row
        if shape.merged >= 0 and shape.merged in layout.slots:
            target = change.value(shape.merged)[0]
            if target is not None:  # it was merged before anybody had heard of it
                self._merge(change, lambda *_: True, origin)
        if shape.travel.root is not None:
            self._revive_root(row, change, informed)

    def _decide(self, row: Row, cells: Iterable[int], change: Change, informed: Informed, origin: str | None) -> None:
        shape, key = row.shape, row.id
        me = self.writer(change.author)
        mine = Cell(0, 0, change.author, change.seq, change.at, origin)
        touched: set[int] = set()
        news = origin is not None  # is the outcome something that the author himself does not know?
        cells = list(cells)
        old: dict[int, Any] = {}
        loud = any(c not in shape.silent for c in cells)
        if shape.alive >= 0 and loud:
            alive = row.cell(shape.alive)
            lives = alive is not None and bool(row.value(shape.alive)[0])
            if alive is not None and not lives and shape.alive not in cells and not informed(change, alive, key):
                # edited here, deleted there, neither saw the other: the edit keeps the row
                self._revive(row, mine, alive, change.author)
                touched.update(row.cells())
                news = True
            elif shape.alive in cells and not change.value(shape.alive)[0] and (alive is None or lives):
                editor = next((c.author for c in row.distinct() if not informed(change, c, key)), None)
                if editor is None:
                    editor = self.unseen(row, change, informed)
                if editor is not None:  # likewise, the other way round
                    self._revive(row, alive or mine, mine, editor, change.value(shape.alive))
                    touched.update(row.cells())
                    cells.remove(shape.alive)
                    news = True
        for c in cells:
            cell, value = row.cell(c), change.value(c)
            if cell is not None and cell.seq >= change.seq and cell.origin == origin and self.writer(cell.author) == me:
                continue  # heard already
            if cell is None or informed(change, cell, key):
                self._put(row, c, value, mine, old)
                touched.add(c)
            elif row.value(c) == value:
                touched.add(c)
                news = True
            else:
                news = True
                self._contest(row, c, change, cell, mine, touched, old)
        if not touched:
            return
        self.number = number = self.number + 1
        for c in touched:
            cell = row.cell(c)
            assert cell is not None
            row.but[c] = cell._replace(since=cell.since or number, revision=number)
        row.revision = number
        if shape.bucket in touched:
            row.whole = number
        self.changed[id(row)] = row
        row.news = row.news or news
        if old:
            self.received.append((row, change, number, old))
        if shape.travel.root is not None and loud and not (shape.alive in cells and not row.value(shape.alive)[0]):
            self._revive_root(row, change, informed)

    def _put(self, row: Row, cell: int, value: Value, version: Cell, old: dict[int, Any]) -> None:
        row.but[cell] = version
        for column, part in zip(row.shape.columns[cell], value, strict=True):
            place = row.shape.place[column]
            before = row.values[place] if row.values is not None else None
            row.put(place, part)
            if row.stored and before != part:
                old.setdefault(row.shape.bits[column], before)

    def _contest(
        self, row: Row, c: int, change: Change, cell: Cell, mine: Cell, touched: set[int], old: dict[int, Any]
    ) -> None:
        """Neither had seen the other."""
        shape, stored, arrived = row.shape, row.value(c), change.value(c)
        policy = shape.travel.policy(shape.names[c])
        base: Value | None = None
        if c == shape.alive:
            wins = bool(arrived[0])
        else:
            if policy is not Policy.MAX:
                base = self.base(row, c, change.seen)
            owner = None
            if shape.travel.owner is not None and row.values is not None:
                owner = row.values[shape.place[shape.travel.owner]]
            (office, life), (our_office, our_life) = self.writer(change.author), self.writer(cell.author)
            verdict = decide(
                policy,
                Claim(office=our_office, life=our_life, at=cell.at, value=stored),
                Claim(office=office, life=life, at=change.at, value=arrived),
                base,
                owner,
            )
            if verdict.winner is Winner.BOTH:
                if verdict.value == stored:
                    touched.add(c)
                else:
                    version = mine if verdict.value == arrived else mine._replace(author=self.rule, seq=0, origin=None)
                    self._put(row, c, verdict.value, version, old)
                    touched.add(c)
                return
            wins = verdict.winner in (Winner.ARRIVED, Winner.SILENT_ARRIVED)
            if verdict.winner in (Winner.SILENT_ARRIVED, Winner.SILENT_STORED):
                if wins:
                    self._put(row, c, arrived, mine, old)
                touched.add(c)
                return
        winner, loser = ((mine, arrived), (cell, stored)) if wins else ((cell, stored), (mine, arrived))
        self._note(row, c, base, winner, loser, winner[0].author)
        if wins:
            self._put(row, c, arrived, mine, old)
        if c == shape.alive and winner[1][0]:
            touched.update(row.cells())
        else:
            touched.add(c)

    def _revive(self, row: Row, version: Cell, loser: Cell, editor: int, loser_value: Value | None = None) -> None:
        alive = row.shape.alive
        winner = version._replace(author=self.rule, seq=0)
        if loser_value is None:
            loser_value = row.value(alive)
        column = row.shape.columns[alive][0]
        lives: Value = (isinstance(row.shape.raw.c[column].type, sa.Boolean) or 1,)
        if row.values is None or not row.value(alive)[0]:
            row.put(row.shape.place[column], lives[0])
        row.but[alive] = winner
        self._note(row, alive, None, (winner, lives), (loser, loser_value), editor)

    def _revive_root(self, row: Row, change: Change, informed: Informed) -> None:
        """A child that was added or edited keeps its aggregate alive, if its author had not seen the delete."""
        root = row.shape.travel.root
        assert root is not None
        assert row.values is not None
        key = row.values[row.shape.place[root[0]]]
        dead = None if key is None else self.is_dead(root[1], str(key))
        if dead is None:
            return
        alive = dead.cell(dead.shape.alive)
        if alive is None or informed(change, alive, dead.id):
            return
        self._revive(dead, Cell(0, 0, change.author, change.seq, change.at, None), alive, change.author)
        self.number = number = self.number + 1
        for c, cell in dead.cells().items():
            dead.but[c] = cell._replace(since=cell.since or number, revision=number)
        dead.revision, dead.news = number, True
        self.changed[id(dead)] = dead

    def _note(
        self, row: Row, c: int, base: Value | None, winner: tuple[Cell, Value], loser: tuple[Cell, Value], editor: int
    ) -> None:
        self.number += 1
        landed = winner[0].origin is not None or loser[0].origin is not None
        kind = "delete" if c == row.shape.alive else "merge" if landed else "field"
        self.note(
            Lost(
                number=self.number, row=row, cell=c, kind=kind, base=base,
                winner=winner[0], winner_value=winner[1], loser=loser[0], loser_value=loser[1], editor=editor,
            )
        )  # fmt: skip

    def _merge(self, change: Change, informed: Informed, origin: str | None) -> None:
        """All rows that anybody has called the same become one; the first alias of a row stays."""
        shape = change.layout.shape
        named = self.load(shape, change.row)
        loser = self.resolve(named)
        survivor = self.resolve(self.load(shape, str(change.value(shape.merged)[0])))
        if loser is not survivor:
            cells = {c: cell for c, cell in loser.cells().items() if c != shape.merged}
            order = sorted(cells, key=lambda c: (c != shape.alive, c))
            left = [(c, cells[c], loser.value(c)) for c in order]
            loser.base, loser.but = None, {}
            for c, cell, value in left:
                if loser is not named or not informed(change, cell, loser.id):  # who merged them had not seen it
                    columns = shape.columns[c]
                    late = Change(
                        self.layout(shape, columns), survivor.id, list(value), cell.author, cell.seq, 0, cell.at
                    )
                    typed = cell.origin or loser.id
                    self._decide(survivor, [c], late, lambda *_: False, None if typed == survivor.id else typed)
            self.number += 1
            old: dict[int, Any] = {}
            typed = origin or change.row
            own = None if typed == loser.id else typed
            alias = Cell(self.number, self.number, change.author, change.seq, change.at, own)
            self._put(loser, shape.merged, (survivor.id,), alias, old)
            loser.revision = loser.whole = self.number
            self.changed[id(loser)] = loser
            if old:
                self.received.append((loser, change, self.number, old))
        for row in {named.id: named, loser.id: loser}.values():
            self.number += 1
            row.revision = row.whole = self.number
            row.news = True
            self.changed[id(row)] = row
