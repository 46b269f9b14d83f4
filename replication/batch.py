"""At the hub, some ten thousand changes at a time: one set-based read, the judgement in memory, one set-based write."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa

from replication import capture, history, journal, net, rows, tables, version
from replication.catalogue import Catalogue, Shape
from replication.change import Author, Block, Kind, Part
from replication.decide import Change, Informed, Judge, Lost, Writer, in_order
from replication.errors import BadMessage
from replication.merge import Value
from replication.net import Layout
from replication.version import Cell, Row

CLOCK_TRUSTED_MS = 5 * 60 * 1000  # a conflict with an office whose clock is further off is flagged
RULE = ("", 0, "", "rule")  # the author of what the hub itself decides


class Batch:
    """`number` is the hub's last revision and counts on. `office`: the code of the hub's own users elsewhere."""

    def __init__(
        self,
        conn: sa.Connection,
        shapes: Catalogue,
        office: str,
        number: int,
        *,
        keep_history: bool,
        clock_offset: int = 0,
        agreed: int = 0,
    ) -> None:
        self.conn, self.shapes, self.office, self.number = conn, shapes, office, number
        self.keep_history, self.suspicious = keep_history, abs(clock_offset) > CLOCK_TRUSTED_MS
        a = tables.author
        self._authors: dict[int, Author] = {
            row.number: (row.office, row.life, row.actor, row.cause) for row in conn.execute(sa.select(a))
        }
        self._numbers = {who: number for number, who in self._authors.items()}
        self._layouts: dict[tuple[str, tuple[str, ...]], Layout] = {}
        self._rows: dict[tuple[int, str], Row] = {}
        self._dead: dict[str, set[str]] = {}
        self._judge: Judge | None = None
        self.rule = self.author(RULE)
        self.began, self.agreed = number, agreed
        self.news: list[int] = []  # revisions given here of which who asks does not know all

    def author(self, who: Author) -> int:
        """The number of an author; one that calls himself what we call our own users is one of ours."""
        if who[0] == self.office:
            who = ("", *who[1:])
        number = self._numbers.get(who)
        if number is None:
            number = self._numbers[who] = capture.enter_author(self.conn, *who)
            self._authors[number] = who
        return number

    def who(self, number: int) -> Author:
        """As other nodes know him."""
        office, *rest = self._authors[number]
        return (office or self.office, *rest)  # type: ignore[return-value]

    def writer(self, number: int) -> Writer:
        who = self._authors[number]
        return who[0], who[1]

    def layout(self, shape: Shape, columns: tuple[str, ...]) -> Layout:
        found = self._layouts.get((shape.name, columns))
        if found is None:
            unknown = [c for c in columns if c not in shape.place]
            if unknown:
                raise BadMessage(f"Table {shape.name} has no travelling column {', '.join(unknown)}.")
            found = self._layouts[shape.name, columns] = net.layout(shape, columns)
        return found

    def changes(self, part: Part) -> list[Change]:
        """The changes of a part in the order in which they were made."""
        authors = [self.author(who) for who in part.authors]
        result: list[Change] = []
        for block in part.blocks:
            shape = self.shapes.get(block.table)
            if shape is None:
                raise BadMessage(f"The table {block.table} does not travel here.")
            layout = self.layout(shape, block.columns)
            values: Iterable[tuple[Any, ...]] = zip(*block.values, strict=True)
            rest = zip(block.ids, values, block.authors, block.seqs, block.numbers, block.ats, strict=True)
            result += [Change(layout, k, list(v), authors[a], seq, seen, at) for k, v, a, seq, seen, at in rest]
        result.sort(key=in_order)
        return result

    def take(self, part: Part, acked: Mapping[int, int], informed: Informed) -> None:
        """Decide and write what is not yet told. First the rows that are new here: there is nothing to decide."""
        left = Part(blocks=[], authors=part.authors)
        for block in part.blocks:
            contested = self._insert(block, part.authors, acked) if block.kind is Kind.INSERT else block
            if contested is not None:
                left.blocks.append(contested)
        if left.blocks:
            changes = self.changes(left)
            seqs = {author: acked.get(who[1], 0) for author, who in self._authors.items()}
            self.apply([c for c in changes if c.seq > seqs[c.author]], informed)

    def _insert(self, block: Block, by: list[Author], acked: Mapping[int, int]) -> Block | None:
        """Write the rows of a block if all of them are new; else give it back."""
        shape = self.shapes.get(block.table)
        if shape is None or shape.bucket >= 0 or not block.ids:
            return block
        layout = self.layout(shape, block.columns)
        if layout.missing is None or shape.merged in layout.slots:
            return block
        newest = [acked.get(who[1], 0) for who in by]
        if any(seq <= newest[a] for seq, a in zip(block.seqs, block.authors, strict=True)):
            return block
        v = tables.version
        query = sa.select(v.c.row).where(v.c.tab == shape.number, rows.among(self.conn, v.c.row, block.ids)).limit(1)
        if self.conn.execute(query).first() is not None or rows.existing(self.conn, shape, block.ids):
            return block
        root = shape.travel.root
        if root is not None and self._find_dead(
            root[1], {str(key) for key in block.values[block.columns.index(root[0])]}
        ):
            return block
        authors = [self.author(who) for who in by]
        first, count = self.number + 1, len(block.ids)
        columns = list(block.values)
        for place, value in layout.missing:
            columns.insert(place, [value] * count)
        numbers = range(first, first + count)
        whose = (authors[a] for a in block.authors)
        entries = zip(numbers, block.ids, whose, block.seqs, block.ats, strict=True)
        with capture.off(self.conn):
            version.insert(self.conn, shape, entries)
            rows.insert(self.conn, shape, zip(block.ids, *columns, strict=True))
        self.number += count
        return None

    def apply(self, changes: list[Change], informed: Informed) -> None:
        """Decide and write."""
        with self.judging(changes) as judge:
            for change in changes:
                judge.apply(change, informed)

    def judging(self, changes: Iterable[Change]) -> _Judging:
        return _Judging(self, list(changes))

    # --- what the judge asks for ---

    def _prefetch(self, changes: list[Change]) -> Judge:
        ids: dict[str, set[str]] = {}
        roots: dict[str, set[str]] = {}
        for change in changes:
            shape = change.layout.shape
            ids.setdefault(shape.name, set()).add(change.row)
            if shape.merged >= 0 and shape.merged in change.layout.slots:
                target = change.value(shape.merged)[0]
                if target is not None:
                    ids[shape.name].add(str(target))
        for table, keys in ids.items():
            shape = self.shapes[table]
            for key, row in version.fetch(self.conn, shape, keys).items():
                self._rows[shape.number, key] = row
            root = shape.travel.root
            if root is not None:
                place = shape.place[root[0]]
                found = roots.setdefault(root[1], set())
                found.update(
                    str(row.values[place]) for key in keys if (row := self._row(shape, key)).values is not None
                )
        for change in changes:
            root = change.layout.shape.travel.root
            if root is not None and root[0] in change.layout.columns:
                roots[root[1]].add(str(change.values[change.layout.columns.index(root[0])]))
        for table, keys in roots.items():
            self._dead[table] = self._find_dead(table, keys)
        return Judge(
            number=self.number,
            writer=self.writer,
            rule=self.rule,
            load=self._row,
            base=self._base,
            unseen=self._unseen,
            note=self._note,
            is_dead=self._is_dead,
            layout=self.layout,
        )

    def _find_dead(self, table: str, keys: set[str]) -> set[str]:
        """Those rows of the table that users have deleted."""
        shape = self.shapes[table]
        if shape.alive < 0 or not keys:
            return set()
        raw, alive = shape.raw.c, shape.raw.c[shape.columns[shape.alive][0]]
        dead = sa.not_(alive) if isinstance(alive.type, sa.Boolean) else alive == 0
        return set(self.conn.execute(sa.select(raw.id).where(rows.among(self.conn, raw.id, keys), dead)).scalars())

    def _row(self, shape: Shape, key: str) -> Row:
        row = self._rows.get((shape.number, key))
        if row is None:
            row = self._rows[shape.number, key] = version.fetch(self.conn, shape, [key])[key]
        return row

    def _is_dead(self, table: str, key: str) -> Row | None:
        shape = self.shapes[table]
        if shape.alive < 0:
            return None
        cached = self._rows.get((shape.number, key))
        if cached is None and key in self._dead.get(table, ()):
            cached = self._row(shape, key)
        if cached is None or not cached.known or cached.alias() is not None:
            return None
        return None if cached.cell(shape.alive) is None or cached.value(shape.alive)[0] else cached

    def _unseen(self, row: Row, change: Change, informed: Informed) -> int | None:
        """Of the rows that would go down with this root: one that the deleting user had not seen."""
        for shape in self.shapes.values():
            root = shape.travel.root
            if root is None or root[1] != row.shape.name:
                continue
            query = sa.select(shape.raw.c.id).where(shape.raw.c[root[0]] == row.id)
            children = {found[0] for found in self.conn.execute(query)}
            children |= {
                of.id for of in self._rows.values()
                if of.shape is shape and of.values is not None and of.values[shape.place[root[0]]] == row.id
            }  # fmt: skip
            missing = {key for key in children if (shape.number, key) not in self._rows}
            for key, child in version.fetch(self.conn, shape, missing).items():
                self._rows[shape.number, key] = child
            for key in sorted(children):
                child = self._row(shape, key)
                if child.alias() is not None or (shape.alive >= 0 and child.known and not child.value(shape.alive)[0]):
                    continue
                for cell in child.distinct():
                    if not informed(change, cell, key):
                        return cell.author
        return None

    def _base(self, row: Row, cell: int, seen: int) -> Value | None:
        if not row.stored:
            return None
        found = history.value_at(self.conn, row.shape, row.id, cell, seen)
        place, columns = row.shape.place, row.shape.columns[cell]
        if not found and not any(place[c] in row.old for c in columns):
            return None
        values = row.values
        assert values is not None
        return tuple(found[c] if c in found else row.old.get(place[c], values[place[c]]) for c in columns)

    def _note(self, lost: Lost) -> None:
        shape, key = lost.row.shape, lost.row.id
        winner, loser = (
            self._side(cell, dict(zip(shape.columns[lost.cell], value, strict=True)))
            for cell, value in ((lost.winner, lost.winner_value), (lost.loser, lost.loser_value))
        )
        name, table = shape.names[lost.cell], self.shapes[journal.conflict.name]
        row = self._row(table, journal.identity(shape.name, key, name, winner, loser))
        if row.known:
            return  # found again; perhaps a person has decided it already
        editor = self.who(lost.editor)
        base = None if lost.base is None else dict(zip(shape.columns[lost.cell], lost.base, strict=True))
        values = {
            "table_name": shape.name, "row_id": key, "cell": name, "kind": lost.kind,
            "base": None if base is None else journal.to_json(base),
            "winner": journal.to_json(winner.values), "loser": journal.to_json(loser.values),
            "winner_actor": editor[2] if lost.winner.author == self.rule else winner.actor,
            "winner_office": editor[0] if lost.winner.author == self.rule else winner.office,
            "winner_life": winner.life, "winner_seq": winner.seq, "winner_at": winner.at,
            "loser_actor": loser.actor, "loser_office": loser.office,
            "loser_life": loser.life, "loser_seq": loser.seq, "loser_at": loser.at,
            "decided_at_revision": lost.number, "suspicious_clock": int(self.suspicious), "state": journal.OPEN,
        }  # fmt: skip
        row.values = [values.get(column) for column in table.order]
        row.base = Cell(lost.number, lost.number, self.rule, 0, 0, None)
        row.revision, row.news = lost.number, True
        assert self._judge is not None
        self._judge.changed[id(row)] = row

    def _side(self, cell: Cell, values: dict[str, Any]) -> journal.Side:
        office, life, actor, _ = self.who(cell.author)
        return journal.Side(office=office, life=life, seq=cell.seq, actor=actor, at=cell.at, values=values)

    def _flush(self, judge: Judge) -> None:
        with capture.off(self.conn):
            version.store(self.conn, judge.changed.values())
        self.news += [
            row.revision
            for row in judge.changed.values()
            if row.news or row.stored_at > self.agreed or row.whole > self.agreed
        ]
        if self.keep_history:
            entries = ((row.shape, row.id, c.author, c.at, number, old) for row, c, number, old in judge.received)
            history.keep(self.conn, entries)
        self.number = judge.number
        self._rows.clear()
        self._dead.clear()


class _Judging:
    """with batch.judging(changes) as judge: the rows are read before and written after."""

    def __init__(self, batch: Batch, changes: list[Change]) -> None:
        self._batch, self._changes = batch, changes

    def __enter__(self) -> Judge:
        self._batch._judge = self._batch._prefetch(self._changes)
        return self._batch._judge

    def __exit__(self, kind: object, *_: object) -> None:
        assert self._batch._judge is not None
        if kind is None:
            self._batch._flush(self._batch._judge)
        self._batch._judge = None
