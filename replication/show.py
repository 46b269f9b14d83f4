"""At a branch: bring an answer to the screen, some ten thousand rows at a time.

A cell with an unanswered edit of our own keeps it; that its news was not shown is remembered, because whoever edits the
cell next has not seen it. A row that has left our scope goes once none of our edits of it is unanswered.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from replication import capture, history, net, rows, tables
from replication.catalogue import Catalogue, Shape
from replication.change import Block, Kind, Other, Part
from replication.errors import BadMessage

Key = tuple[int, str]  # tab, row
Entry = tuple[Shape, str, int, int, int, dict[int, Any]]  # as history.keep takes it


class Screen:
    """`above`: cells that are not newer are here already. `seen`: the watermark until this answer."""

    def __init__(self, conn: sa.Connection, shapes: Catalogue, above: int, seen: int) -> None:
        self.conn, self.shapes, self.above, self.seen = conn, shapes, above, seen
        self.rows = self.evicted = 0
        self.touched: dict[str, set[str]] = {}
        self._busy = net.busy(conn, shapes)
        self._seen = net.Seen(conn, 0)
        self._hidden, self._leaving = self._seen.hidden, self._seen.leaving
        self._marks = bool(self._hidden or self._leaving)
        self._authors: dict[tuple[str, int, str, str], int] = {}

    def show(self, part: Part) -> None:
        authors = [self._author(who) for who in part.authors]
        entries: list[Entry] = []
        with capture.off(self.conn):
            for block in part.blocks:
                shape = self.shapes.get(block.table)
                if shape is None or any(c not in shape.place for c in block.columns):
                    raise BadMessage(f"The hub has sent columns of {block.table} that do not travel here.")
                if block.kind is Kind.EVICT:
                    self._evict(shape, block)
                else:
                    entries += self._block(shape, block, authors)
        history.keep(self.conn, entries)

    def _author(self, who: tuple[str, int, str, str]) -> int:
        number = self._authors.get(who)
        if number is None:
            office, life, actor, cause = who
            number = capture.enter_author(self.conn, office or "?", life, actor, cause)
            self._authors[who] = number
        return number

    def _block(self, shape: Shape, block: Block, authors: list[int]) -> list[Entry]:
        live = rows.fetch(self.conn, shape, block.ids)
        places = [shape.place[c] for c in block.columns]
        cells = [shape.cell_of_bit[shape.bits[c]] for c in block.columns]
        full = len(places) == len(shape.order)
        plain = full or (shape.merged >= 0 and len(places) == len(shape.order) - 1)
        inserts: list[tuple[Any, ...]] = []
        updates: dict[tuple[int, ...], list[tuple[Any, ...]]] = {}
        entries: list[Entry] = []
        touched = self.touched.setdefault(shape.name, set())
        for index, values in enumerate(zip(*block.values, strict=True) if block.values else ()):
            key = block.ids[index]
            others = {o.column: o for o in block.others.get(index, ())}
            usual = block.numbers[index] > self.above
            if not usual and (block.kind is Kind.WHOLE or not others):
                continue
            now = live.get(key)
            mark = (shape.number, key)
            special = mark in self._busy or mark in self._hidden or mark in self._leaving or block.kind is Kind.WHOLE
            if now is None and plain and not special:
                inserts.append((key, *self._filled(shape, places, values)))
                touched.add(key)
                self.rows += 1
                continue
            wanted = self._wanted(shape, block, index, cells, others)
            if special:
                wanted = self._guard(shape, block, key, set(cells), wanted)
            if now is None:
                inserts.append((key, *self._filled(shape, places, values)))
            else:
                changed = [i for i, place in enumerate(places) if cells[i] in wanted and now[place] != values[i]]
                if block.kind is Kind.WHOLE:
                    self._unmerge(shape, key, now, cells)
                if not changed:
                    continue
                by_place = sorted((places[i], values[i]) for i in changed)
                updates.setdefault(tuple(p for p, _ in by_place), []).append((*(v for _, v in by_place), key))
                entries += self._entries(shape, block, index, key, changed, now, others, authors)
            touched.add(key)
            self.rows += 1
        rows.insert(self.conn, shape, inserts)
        for at_places, found in updates.items():
            rows.update(self.conn, shape, at_places, found)
        return entries

    def _filled(self, shape: Shape, places: list[int], values: tuple[Any, ...]) -> rows.Values:
        if len(places) == len(shape.order):
            return list(values)
        result = [rows.empty(shape.travel.table.c[column]) for column in shape.order]
        for place, value in zip(places, values, strict=True):
            result[place] = value
        return result

    def _wanted(self, shape: Shape, block: Block, index: int, cells: list[int], others: dict[str, Other]) -> set[int]:
        """The cells of a row that are news."""
        if block.kind is Kind.WHOLE or not others:
            return set(cells)
        usual = block.numbers[index]
        result = set()
        for cell in set(cells):
            other = others.get(shape.columns[cell][0])
            if (other.number if other else usual) > self.above:
                result.add(cell)
        return result

    def _guard(self, shape: Shape, block: Block, key: str, sent: set[int], wanted: set[int]) -> set[int]:
        """Keep what was edited here and is not answered; remember what was not shown."""
        mark = (shape.number, key)
        self._marks = True
        busy = self._busy.get(mark, ())
        seen = self._leaving.pop(mark, None)
        if seen is not None:
            self._remember(shape, key, seen, None)
        shown = self.seen if seen is None else seen
        if block.kind is Kind.WHOLE and shape.merged in sent:
            self._leaving[mark] = shown
        hidden = self._hidden.setdefault(mark, {})
        result = set()
        for cell in wanted:
            name = shape.names[cell]
            if cell in busy:
                hidden.setdefault(name, shown)
            else:
                result.add(cell)
                before = hidden.pop(name, None)
                if before is not None:
                    self._remember(shape, key, before, cell)
        if not hidden:
            del self._hidden[mark]
        return result

    def _hub(self) -> int:
        """The author of what the hub's rules have done to a row."""
        return self._author(("", 0, "", "rule"))

    def _remember(self, shape: Shape, key: str, seen: int, cell: int | None) -> None:
        """Who has edited this cell (None: any) of the row until now had seen no more than that of it.

        And who has removed the row had not seen all of it. Needed even of what is answered: a hub that goes back in
        time asks again.
        """
        for seq, cells, saw in net.entries_of(self.conn, shape, key):
            if saw <= seen:
                continue
            for edited in cells:
                if cell is None or edited == cell or self._seen.removes(shape, edited, seq):
                    self._seen.lower(seq, edited, seen)

    def _entries(
        self,
        shape: Shape,
        block: Block,
        index: int,
        key: str,
        changed: list[int],
        now: rows.Values,
        others: dict[str, Other],
        authors: list[int],
    ) -> list[Entry]:
        found: dict[tuple[int, int, int], dict[int, Any]] = {}
        for i in changed:
            column = block.columns[i]
            other = others.get(shape.columns[shape.cell_of_bit[shape.bits[column]]][0])
            who = (other.author, other.at, other.number) if other else (
                block.authors[index], block.ats[index], block.numbers[index])  # fmt: skip
            found.setdefault(who, {})[shape.bits[column]] = now[shape.place[column]]
        return [(shape, key, authors[a], at, number, old) for (a, at, number), old in found.items()]

    def _unmerge(self, shape: Shape, key: str, now: rows.Values, sent: list[int]) -> None:
        """The row was merged here, and the hub (which has gone back in time) does not say so."""
        if shape.merged < 0 or shape.merged in sent or shape.merged in self._busy.get((shape.number, key), {}):
            return
        place = shape.place[shape.columns[shape.merged][0]]
        if now[place] is not None:
            rows.update(self.conn, shape, [place], [(None, key)])
            old = {shape.bits[shape.order[place]]: now[place]}
            history.keep(self.conn, [(shape, key, self._hub(), 0, self.seen, old)])

    def _evict(self, shape: Shape, block: Block) -> None:
        live = rows.fetch(self.conn, shape, block.ids)
        for index, key in enumerate(block.ids):
            if block.numbers[index] <= self.above:
                continue
            mark = (shape.number, key)
            self._marks = True
            seen = self._leaving.get(mark)
            if seen is not None:
                self._remember(shape, key, seen, None)
            self._leaving[mark] = self.seen if seen is None else seen
            if key in live:
                self._unmerge(shape, key, live[key], [])

    def close(self) -> None:
        """Let go what may go, and remember the rest."""
        if not self._marks:
            return
        by_number = {shape.number: shape for shape in self.shapes.values()}
        gone: dict[int, list[str]] = {}
        for mark in sorted(self._leaving.keys() - self._busy.keys()):
            shape = by_number[mark[0]]
            for name, seen in self._hidden.pop(mark, {}).items():
                self._remember(shape, mark[1], seen, next(c for c, n in shape.names.items() if n == name))
            seen = self._leaving.pop(mark)
            self._remember(shape, mark[1], seen, None)
            gone.setdefault(mark[0], []).append(mark[1])
        with capture.off(self.conn):
            for tab, keys in gone.items():
                self._remove(by_number[tab], keys)
        self.conn.execute(tables.hidden.delete())
        self.conn.execute(tables.leaving.delete())
        hidden = [
            {"tab": tab, "row": row, "cell": cell, "seen": seen}
            for (tab, row), of_row in self._hidden.items()
            for cell, seen in of_row.items()
        ]
        leaving = [{"tab": tab, "row": row, "seen": seen} for (tab, row), seen in self._leaving.items()]
        if hidden:
            self.conn.execute(tables.hidden.insert(), hidden)
        if leaving:
            self.conn.execute(tables.leaving.insert(), leaving)

    def _remove(self, shape: Shape, keys: list[str]) -> None:
        """Of an alias the row stays: it says where everything went."""
        live = rows.fetch(self.conn, shape, keys)
        if shape.merged >= 0:
            place = shape.place[shape.columns[shape.merged][0]]
            live = {key: values for key, values in live.items() if values[place] is None}
        entries = [
            (shape, key, self._hub(), 0, self.seen, {shape.bits[c]: values[place] for c, place in shape.place.items()})
            for key, values in sorted(live.items())
        ]
        history.keep(self.conn, entries)  # the hub may go back in time and ask what we had typed into it
        rows.delete(self.conn, shape, sorted(live))
        self.evicted += len(live)
        self.touched.setdefault(shape.name, set()).update(live)
