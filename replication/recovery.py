"""After a restore: what a branch and a hub that have gone different ways still agree on, and how it is brought back.

A hub that was restored begins a new timeline. A branch that knows more offers again what it had sent, and *echoes* what
it had received from others; the hub takes an echo unless its author has told it himself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

import sqlalchemy as sa

from replication import tables
from replication.batch import Batch
from replication.catalogue import Catalogue, Shape
from replication.change import ROWS_MAX, Block, History, Kind, Other, Part
from replication.decide import Change, Judge, Writer
from replication.version import Cell


@dataclass(frozen=True, slots=True)
class Past:
    """The hub's timelines: (timeline, revision at which it began), oldest first."""

    timelines: History
    head: int

    @property
    def timeline(self) -> int:
        return self.timelines[-1][0]

    def agreed(self, history: History) -> int:
        """The last revision at which the branch's past and ours are the same."""
        begins = [at for _, at in self.timelines[1:]] + [self.head]
        ends = dict(zip([t for t, _ in self.timelines], begins, strict=True))
        for timeline, revision in reversed(history):
            if timeline in ends:
                return min(revision, ends[timeline])
        return 0


def past(conn: sa.Connection, head: int) -> Past:
    t = tables.timeline
    found = conn.execute(sa.select(t.c.timeline, t.c.revision).order_by(t.c.timeline)).all()
    return Past(tuple((row.timeline, row.revision) for row in found) or ((1, 0),), head)


def begin_timeline(conn: sa.Connection, head: int, number: int) -> int:
    """A number above the last, which no earlier restore of the same backup has used: `number` only grows."""
    t = tables.timeline
    now = past(conn, head)
    if len(now.timelines) == 1 and not conn.execute(sa.select(sa.func.count()).select_from(t)).scalar():
        conn.execute(t.insert().values(timeline=1, revision=0))
    number = max(now.timeline + 1, number)
    conn.execute(t.insert().values(timeline=number, revision=head))
    return number


@dataclass(slots=True)
class Heard:
    """At which revision of the lost timeline the branch had each cell that it echoed."""

    numbers: dict[tuple[int, str, Writer, int], int] = field(default_factory=dict)

    def number(self, shape: Shape, key: str, writer: Writer, seq: int, seen: int) -> int:
        return self.numbers.get((shape.number, key, writer, seq), seen + 1) if self.numbers else seen + 1


def hear(conn: sa.Connection, batch: Batch, part: Part, agreed: int, heard: Heard) -> set[tuple[int, str]]:
    """Take from a third party what a lost timeline had accepted; return the rows that were mentioned."""
    life = tables.life
    told = {(row.office, row.life): row.told for row in conn.execute(sa.select(life))}
    mentioned: set[tuple[int, str]] = set()
    entries = []
    for block in part.blocks:
        shape = batch.shapes[block.table]
        for index, key in enumerate(block.ids):
            mentioned.add((shape.number, key))
            if block.kind is not Kind.EVICT:
                merges = shape.merged >= 0 and shape.columns[shape.merged][0] in block.columns
                entries.append((block.numbers[index], shape, block, index, merges))
    entries.sort(key=lambda entry: (entry[4], entry[1].name, entry[2].ids[entry[3]]))
    authors = [batch.author(who) for who in part.authors]
    common = {id(block): agreed if block.agreed is None else min(agreed, block.agreed) for block in part.blocks}
    changes = [
        _changes(batch, shape, block, index, authors, common[id(block)]) for _, shape, block, index, _ in entries
    ]
    with batch.judging(c for row in changes for c, _ in row) as judge:
        for (number, _, block, index, _), row in zip(entries, changes, strict=True):
            _hear(judge, batch, row, block, index, number, told, common[id(block)], heard)
    return mentioned


def _changes(
    batch: Batch, shape: Shape, block: Block, index: int, authors: list[int], agreed: int
) -> list[tuple[Change, Other]]:
    others = {other.column: other for other in block.others.get(index, ())}
    result = []
    cells = {shape.cell_of_bit[shape.bits[column]] for column in block.columns}
    for cell in sorted(cells, key=lambda c: (c != shape.alive, c)):
        columns = shape.columns[cell]
        other = others.get(columns[0]) or Other(
            columns[0], block.numbers[index], block.authors[index], block.seqs[index], block.ats[index], None
        )
        values = [block.values[block.columns.index(column)][index] for column in columns]
        change = Change(
            batch.layout(shape, columns), block.ids[index], values, authors[other.author], other.seq, agreed, other.at
        )
        result.append((change, other))
    if block.kind is not Kind.WHOLE:
        result.sort(key=lambda entry: entry[1].number)  # as they came
    return result


def _hear(
    judge: Judge,
    batch: Batch,
    row: list[tuple[Change, Other]],
    block: Block,
    index: int,
    number: int,
    told: dict[Writer, int],
    agreed: int,
    heard: Heard,
) -> None:
    shape = row[0][0].layout.shape if row else None
    if shape is None:
        return
    present = judge.load(shape, block.ids[index])
    known = set(present.cells())
    for change, other in row:
        writer = batch.writer(change.author)
        cell = change.layout.cells[0]
        number_of_cell = number if block.kind is Kind.WHOLE else other.number
        heard.numbers[shape.number, change.row, writer, change.seq] = number_of_cell
        if change.seq > told.get(writer, 0) or not known & {cell, shape.merged}:
            judge.apply(change, _informed(batch, shape, cell, writer, other, change.row, agreed), other.origin)


def _informed(
    batch: Batch, shape: Shape, cell: int, writer: Writer, other: Other, row: str, agreed: int
) -> Callable[[Change, Cell, str], bool]:
    typed = other.origin or row

    def informed(_: Change, now: Cell, key: str) -> bool:
        if cell == shape.merged:
            return False  # nobody knows what its author had seen
        return now.since <= agreed or (batch.writer(now.author) == writer and (now.origin or key) == typed)

    return informed


Wanted = Callable[[Block, int, str, int], bool]  # (block, index of the row, first column of a cell, its number)


def newest(parts: Iterable[Part], shapes: Catalogue, agreed: int) -> Iterator[Part]:
    """Each cell above `agreed` only as it came last. Takes the parts newest first, gives what is left in that order."""
    done: dict[tuple[str, str], set[str]] = {}

    def unseen(block: Block, index: int, column: str, number: int) -> bool:
        of_row = done.setdefault((block.table, block.ids[index]), set())
        if number <= agreed or column in of_row:
            return False
        of_row.add(column)
        return True

    for part in parts:
        left = _picked(part, shapes, unseen, lambda _, __, number: number > agreed)
        if left.blocks:
            yield replace(left, echo=True)


def above(part: Part, shapes: Catalogue, safe: int) -> Part:
    """What of an answer is not yet in a verified backup of the hub."""
    return _picked(part, shapes, lambda _, __, ___, number: number > safe, lambda _, __, number: number > safe)


def below(part: Part, shapes: Catalogue, agreed: int) -> Part:
    """What of an answer belongs to the past that both timelines have in common."""
    return _picked(part, shapes, lambda _, __, ___, number: number <= agreed, lambda _, __, number: number <= agreed)


def still_untold(part: Part, shapes: Catalogue, told: set[tuple[str, str]], number: int, agreed: int) -> Part:
    """What of a lost timeline's answer nobody tells us again: to be kept under the new timeline's number."""

    def untold(block: Block, index: int, _: str, at: int) -> bool:
        return at > agreed and (block.table, block.ids[index]) not in told

    kept = _picked(part, shapes, untold, lambda block, i, at: at > agreed and (block.table, block.ids[i]) not in told)
    for block in kept.blocks:
        block.numbers = [number] * len(block.ids)
        block.others = {i: [o._replace(number=number) for o in others] for i, others in block.others.items()}
        block.agreed = agreed if block.agreed is None else min(block.agreed, agreed)
    return kept


def _picked(part: Part, shapes: Catalogue, wanted: Wanted, mentioned: Callable[[Block, int, int], bool]) -> Part:
    """Some cells of the rows of a part. A row that was sent whole, or evicted, stays as a mention without cells."""
    blocks: dict[tuple[str, Kind, tuple[str, ...], int | None], Block] = {}
    order = [(block.numbers[i], block, i) for block in part.blocks for i in range(len(block.ids))]
    for number, block, i in sorted(order, key=lambda entry: -entry[0]):
        shape = shapes[block.table]
        others = {o.column: o for o in block.others.get(i, ())}
        columns: list[str] = []
        for cell in sorted({shape.cell_of_bit[shape.bits[c]] for c in block.columns}):
            first = shape.columns[cell][0]
            at = number if block.kind is Kind.WHOLE or first not in others else others[first].number
            if wanted(block, i, first, at):
                columns += shape.columns[cell]
        kind = block.kind
        if not columns:
            if kind not in (Kind.WHOLE, Kind.EVICT) or not mentioned(block, i, number):
                continue
            kind = Kind.EVICT
        names = tuple(c for c in block.columns if c in columns)
        key = (block.table, kind, names, block.agreed)
        into = blocks.get(key)
        if into is None:
            into = blocks[key] = Block(
                table=block.table, kind=kind, columns=names, values=[[] for _ in names], agreed=block.agreed
            )
        left = [o for o in others.values() if o.column in columns]
        if left:
            into.others[len(into.ids)] = left
        into.ids.append(block.ids[i])
        into.numbers.append(number)
        into.seqs.append(block.seqs[i])
        into.authors.append(block.authors[i])
        into.ats.append(block.ats[i])
        for values, column in zip(into.values, names, strict=True):
            values.append(block.values[block.columns.index(column)][i])
    return replace(part, blocks=list(blocks.values()))


def joined(parts: Iterable[Part]) -> Iterator[Part]:
    """Small parts become large ones: within a part the hub takes merges after all else."""
    into: Part | None = None
    for part in parts:
        if into is not None and into.rows + part.rows > ROWS_MAX:
            yield into
            into = None
        if into is None:
            into = replace(part, blocks=list(part.blocks), authors=list(part.authors))
            continue
        place = {who: i for i, who in enumerate(into.authors)}
        numbers = []
        for who in part.authors:
            numbers.append(place.setdefault(who, len(into.authors)))
            if numbers[-1] == len(into.authors):
                into.authors.append(who)
        for block in part.blocks:
            others = {i: [o._replace(author=numbers[o.author]) for o in found] for i, found in block.others.items()}
            into.blocks.append(replace(block, authors=[numbers[a] for a in block.authors], others=others))
    if into is not None:
        yield into
