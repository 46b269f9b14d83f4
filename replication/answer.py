"""What the hub answers: of every row that has changed since the branch's watermark, the cells that it does not have.

A version's key is the row's newest revision, so an answer is one range of `exchange_version`. A large answer is paged:
the branch's watermark stays where it was until it has the last page, because a row that changes meanwhile moves behind
the pages already sent; so each page sends the cells above the watermark of the rows above the page.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import sqlalchemy as sa

from replication import journal, rows, tables, version
from replication.batch import Batch
from replication.catalogue import Catalogue, Shape
from replication.change import ROWS_MAX, Author, Block, Kind, Other, Part, Reply
from replication.net import CHUNK
from replication.version import Cell, Row

Own = Callable[[Cell, str], bool]  # (cell, row): has the office that asks written this itself?


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    office: str
    scope: frozenset[str] | None  # the buckets of the office; None: all
    agreed: int  # cells above this
    page: int  # of rows above this
    before: int  # the hub's last revision before this message
    news: list[int]  # those that the message was given, and of which the office does not know all
    head: int  # the hub's last revision now
    limit: int  # rows
    own: Own
    mentioned: set[tuple[int, str]]  # (tab, row) that are answered whole, whatever their revision


@dataclass(slots=True)
class News:
    row: Row
    kind: Kind
    cells: dict[int, Cell]
    number: int


def answer(conn: sa.Connection, shapes: Catalogue, batch: Batch, asked: Question, reply: Reply) -> None:
    """Fill in the reply. Its parts are read from the database while they are walked."""
    v = tables.version
    query = sa.select(v.c.revision).where(v.c.revision > asked.page, v.c.revision <= asked.before)
    query = query.order_by(v.c.revision)
    last = conn.execute(query.offset(asked.limit - 1).limit(1)).scalar()
    reply.page = asked.head if last is None else int(last)
    if last is not None and last < asked.head:
        behind = sa.select(sa.func.count()).select_from(v).where(v.c.revision > reply.page)
        reply.remaining = int(conn.execute(behind).scalar_one())
        reply.more = True
    reply.watermark = asked.agreed if reply.more else asked.head
    if not reply.more:
        reply.page = asked.head
    reply.parts = _parts(conn, shapes, batch, asked, reply.page)


def _parts(conn: sa.Connection, shapes: Catalogue, batch: Batch, asked: Question, upto: int) -> Iterator[Part]:
    news = _news(conn, shapes, asked, upto)
    sent: set[tuple[int, str]] = set()
    while slice_ := list(islice(news, ROWS_MAX)):
        found = list(_with_values(conn, shapes, asked, slice_))
        whole = [n for n in found if n.kind in (Kind.WHOLE, Kind.EVICT)]
        if asked.scope is not None and whole:
            found += _conflicts_of(conn, shapes, [n for n in whole if n.kind is Kind.WHOLE], found, sent)
        if found:
            yield pack(found, batch.who)


def _news(conn: sa.Connection, shapes: Catalogue, asked: Question, upto: int) -> Iterator[News]:
    by_number = {shape.number: shape for shape in shapes.values()}
    v = tables.version
    columns = (v.c.revision, v.c.tab, v.c.row, v.c.pack)
    done = set(asked.mentioned)
    for tab, keys in _by_table(asked.mentioned).items():
        query = sa.select(*columns).where(v.c.tab == tab, rows.among(conn, v.c.row, keys))
        found = {entry.row: entry for entry in conn.execute(query)}
        for key in keys:
            entry = found.get(key)
            row = _row(by_number[tab], key, entry.revision, entry.pack) if entry else Row(by_number[tab], key)
            yield News(row, Kind.WHOLE, row.cells(), asked.head)
    own, agreed = asked.own, asked.agreed
    for revision, tab, key, data in _changed(conn, asked, upto):
        shape = by_number.get(tab)
        if shape is None or (tab, key) in done:
            continue
        whole, base, but = version.unpack(data)
        if base is not None and not but and whole <= agreed and own(base, key):
            continue
        row = _row(shape, key, revision, data)
        if whole > agreed:
            yield News(row, Kind.WHOLE, row.cells(), revision)
            continue
        cells = {c: cell for c, cell in row.cells().items() if cell.revision > agreed and not own(cell, key)}
        if cells:
            yield News(row, Kind.UPDATE, cells, revision)


def _changed(conn: sa.Connection, asked: Question, upto: int) -> Iterator[sa.Row[Any, Any, Any, Any]]:
    """The versions that have come since, without those that the message itself has brought and nobody disputed."""
    v = tables.version
    query = sa.select(v.c.revision, v.c.tab, v.c.row, v.c.pack).order_by(v.c.revision)
    since = query.where(v.c.revision > asked.page, v.c.revision <= min(upto, asked.before))
    with conn.execute(since, execution_options={"yield_per": CHUNK}) as result:
        for chunk in result.partitions(CHUNK):
            yield from chunk
    news = [revision for revision in asked.news if asked.page < revision <= upto]
    for start in range(0, len(news), CHUNK):
        yield from conn.execute(query.where(v.c.revision.in_(news[start : start + CHUNK]))).all()


def _by_table(keys: Iterable[tuple[int, str]]) -> dict[int, list[str]]:
    result: dict[int, list[str]] = {}
    for tab, key in sorted(keys):
        result.setdefault(tab, []).append(key)
    return result


def _row(shape: Shape, key: str, revision: int, data: bytes) -> Row:
    row = Row(shape, key)
    row.whole, row.base, row.but = version.unpack(data)
    row.revision = revision
    return row


def _with_values(conn: sa.Connection, shapes: Catalogue, asked: Question, found: list[News]) -> Iterator[News]:
    """Read the live values, and leave out or evict what is not in the office's scope."""
    of_table: dict[str, list[News]] = {}
    for news in found:
        of_table.setdefault(news.row.shape.name, []).append(news)
    for group in of_table.values():
        shape = group[0].row.shape
        live = rows.fetch(conn, shape, {news.row.id for news in group})
        for news in group:
            news.row.values = live.get(news.row.id)
        hidden = _out_of_scope(conn, shapes, asked, shape, [news.row for news in group])
        for news in group:
            if news.row.values is None or news.row.id in hidden:
                if news.kind is Kind.WHOLE:
                    yield News(news.row, Kind.EVICT, {}, news.number)
            else:
                yield news


def _out_of_scope(conn: sa.Connection, shapes: Catalogue, asked: Question, shape: Shape, group: list[Row]) -> set[str]:
    if asked.scope is None:
        return set()
    if shape.name != journal.conflict.name:
        return {row.id for row in group if not _in_scope(asked.scope, row)}
    about: dict[str, dict[str, list[str]]] = {}
    for row in group:
        assert row.values is not None
        table, key = (str(row.values[shape.place[c]]) for c in ("table_name", "row_id"))
        about.setdefault(table, {}).setdefault(key, []).append(row.id)
    result: set[str] = set()
    for table, keys in about.items():
        if table in shapes:
            for key, row in version.fetch(conn, shapes[table], keys.keys()).items():
                if not _in_scope(asked.scope, row):
                    result.update(keys[key])
    return result


def _in_scope(scope: frozenset[str], row: Row) -> bool:
    """An alias is in everybody's scope, and so is a row without a bucket."""
    if row.shape.bucket < 0 or row.values is None or row.alias() is not None or row.cell(row.shape.bucket) is None:
        return True
    bucket = row.value(row.shape.bucket)[0]
    return bucket is None or bucket in scope


def _conflicts_of(
    conn: sa.Connection, shapes: Catalogue, whole: list[News], besides: list[News], sent: set[tuple[int, str]]
) -> list[News]:
    """With a row that enters a scope come its conflicts."""
    table, c = shapes[journal.conflict.name], journal.conflict.c
    keys: set[str] = set()
    of_table: dict[str, set[str]] = {}
    for news in whole:
        of_table.setdefault(news.row.shape.name, set()).add(news.row.id)
    for name, ids in of_table.items():
        query = sa.select(c.id).where(c.table_name == name, rows.among(conn, c.row_id, ids))
        keys.update(conn.execute(query).scalars())
    there = {news.row.id for news in besides if news.row.shape is table}
    keys -= there | {key for _, key in sent}
    sent.update((table.number, key) for key in keys)
    found = version.fetch(conn, table, keys)
    return [News(row, Kind.WHOLE, row.cells(), row.revision) for _, row in sorted(found.items())]


def pack(found: Iterable[News], who: Callable[[int], Author]) -> Part:
    """Rows of which the same cells are sent become one block."""
    alike: dict[tuple[str, Kind, tuple[int, ...]], list[News]] = {}
    for news in found:
        alike.setdefault((news.row.shape.name, news.kind, tuple(sorted(news.cells))), []).append(news)
    authors: dict[int, int] = {}
    part = Part(blocks=[], authors=[])
    for (_, kind, cells), group in alike.items():
        shape = group[0].row.shape
        columns = tuple(c for c in shape.order if shape.cell_of_bit[shape.bits[c]] in cells)
        block = Block(table=shape.name, kind=kind, columns=columns)
        for news in group:
            usual = _usual(news)
            index = len(block.ids)
            number = news.number if kind is not Kind.UPDATE else usual.revision
            block.ids.append(news.row.id)
            block.numbers.append(number)
            block.authors.append(authors.setdefault(usual.author, len(authors)))
            block.seqs.append(usual.seq)
            block.ats.append(usual.at)
            for c, cell in news.cells.items():
                if cell is usual and cell.origin is None:
                    continue
                revision = cell.revision if kind is Kind.UPDATE else number
                if (revision, *cell[2:]) != (number, usual.author, usual.seq, usual.at, None):
                    author = authors.setdefault(cell.author, len(authors))
                    other = Other(shape.columns[c][0], revision, author, cell.seq, cell.at, cell.origin)
                    block.others.setdefault(index, []).append(other)
        places = [shape.place[c] for c in columns]
        if places:
            by_place = list(zip(*(news.row.values or () for news in group), strict=True))
            block.values = [list(by_place[place]) for place in places]
        part.blocks.append(block)
    part.authors = [("", 0, "", "") if number == 0 else who(number) for number in authors]
    return part


_NOBODY = Cell(0, 0, 0, 0, 0, None)


def _usual(news: News) -> Cell:
    """The version that most of the cells have, as far as that is quickly said."""
    base = news.row.base
    if base is not None and base in news.cells.values():
        return base
    return next(iter(news.cells.values()), _NOBODY)
