"""A branch's side of an exchange: say what is new here, take what is new elsewhere.

Both happen in the caller's transactions; nothing is remembered between them but what is in the database, so a message
or an answer may be lost, doubled or late. A cell that was changed here and is not yet answered is never overwritten.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

import sqlalchemy as sa

from replication import capture, catalogue, journal, net, tables, wire
from replication.catalogue import Catalogue
from replication.change import ROWS_MAX, Author, Block, History, Kind, Message, Part, Reply
from replication.pause import no_collection
from replication.recovery import above, below, joined, newest, still_untold
from replication.show import Screen
from replication.travel import Travel, check, fingerprint

ROW_BYTES = 40  # what a waiting change costs on the line, about


@dataclass(frozen=True, slots=True, kw_only=True)
class BranchState:
    """Where this branch stands. Times are ms since 1970."""

    watermark: int
    timeline: int
    waiting: int  # log entries not yet answered
    waiting_bytes: int  # about
    oldest_waiting: int | None  # when the first of them was typed
    last_exchange: int | None
    remaining: int  # rows still to come of an answer in pages
    clock_offset: int | None  # ms: our clock minus the hub's
    recovering: bool  # the hub was restored and has asked for what it lost
    hidden: int  # cells whose news is kept from the screen until our own edit is answered


@dataclass(slots=True, kw_only=True)
class Applied:
    """What an answer has done. `ignored`: it was late, or for a process that is no more; nothing was changed."""

    ignored: bool = False
    more: bool = False  # ask again
    remaining: int = 0
    recover: bool = False  # the hub has lost what we know: the next message brings it
    rows: int = 0
    conflicts: int = 0
    evicted: int = 0
    touched: dict[str, list[str]] = field(default_factory=dict)


class Branch:
    """`office`: the code under which the hub knows this node."""

    def __init__(self, travels: Sequence[Travel], office: str) -> None:
        self.travels = journal.completed(travels)
        check(self.travels)
        self.office = office
        self.schema = fingerprint(self.travels)
        self._catalogue = catalogue.Reader(self.travels)

    def state(self, conn: sa.Connection) -> BranchState:
        history = _history(conn)
        mine = net.own(conn)
        waiting, oldest = _waiting(conn, mine)
        last = net.get_state(conn, "last_exchange", "")
        offset = net.get_state(conn, "clock_offset", "")
        hidden = conn.execute(sa.select(sa.func.count()).select_from(tables.hidden)).scalar_one()
        return BranchState(
            watermark=history[-1][1],
            timeline=history[-1][0],
            waiting=waiting,
            waiting_bytes=waiting * ROW_BYTES,
            oldest_waiting=oldest,
            last_exchange=int(last) if last else None,
            remaining=int(net.get_state(conn, "remaining", "0")),
            clock_offset=int(offset) if offset else None,
            recovering=net.get_state(conn, "recovering", "0") != "0",
            hidden=int(hidden),
        )

    def message(self, conn: sa.Connection, *, life: int, at: int) -> Message:
        """What to send. `life`: of the process that asks; `at`: ms since 1970.

        The parts are read while they are walked: do it in this transaction.
        """
        capture.hold_writers(conn)
        shapes = self._catalogue.load(conn)
        history = _history(conn)
        mine = net.own(conn)
        written = _written(conn, mine)
        written.setdefault(life, 0)
        recovering = int(net.get_state(conn, "recovering", "0"))
        return Message(
            office=self.office,
            life=life,
            schema=self.schema,
            at=at,
            history=history,
            page=max(history[-1][1], int(net.get_state(conn, "page", "0"))),
            written=written,
            acked={of: seq for of, seq in mine.told.items() if of in written and seq > 0},
            recovering=recovering,
            waiting=_waiting(conn, mine)[0],
            parts=self._parts(conn, shapes, recovering),
        )

    def _parts(self, conn: sa.Connection, shapes: Catalogue, recovering: int) -> Iterator[Part]:
        if recovering:
            agreed = int(net.get_state(conn, "agreed", "0"))
            for part in echoes(conn, shapes, agreed):
                yield part
        a = tables.author
        query = sa.select(a.c.number, a.c.life, a.c.actor, a.c.cause).where(a.c.office == "")
        authors = {n: (self.office, life, actor, cause) for n, life, actor, cause in conn.execute(query)}
        edits = net.edits(conn, shapes)
        while True:
            with no_collection():
                slice_ = list(islice(edits, ROWS_MAX))
                part = _part(conn, slice_, authors, again=bool(recovering))
            if not slice_:
                return
            yield part

    def apply(self, conn: sa.Connection, reply: Reply, at: int, *, life: int) -> Applied:
        """Take an answer, in one transaction. `life`: of this process, which must be the one that asked."""
        capture.hold_writers(conn)
        history = _history(conn)
        timeline, watermark = history[-1]
        recovering = int(net.get_state(conn, "recovering", "0"))
        if reply.life != life or reply.timeline < max(timeline, recovering):
            return Applied(ignored=True)
        if reply.timeline > timeline:
            if reply.history != history:
                return Applied(ignored=True)  # we have moved since we asked
            if reply.recover:
                self._recover(conn, reply)
                return Applied(recover=True, more=True)
            if reply.recovering != recovering:
                return Applied(ignored=True)
        elif reply.recover or not self._is_next(conn, reply, watermark):
            return Applied(ignored=True)
        return self._take(conn, reply, history, at, recovering)

    def _is_next(self, conn: sa.Connection, reply: Reply, watermark: int) -> bool:
        """A page fits only to the question it answers; a complete answer also if it is not older than what is here."""
        page = max(watermark, int(net.get_state(conn, "page", "0")))
        if reply.asked_page == page and reply.history[-1][1] == watermark:
            return True
        whole = not reply.more and reply.asked_page == reply.history[-1][1] and page == watermark
        return whole and reply.watermark >= watermark

    def _recover(self, conn: sa.Connection, reply: Reply) -> None:
        net.put_state(conn, "recovering", reply.timeline)
        net.put_state(conn, "agreed", reply.watermark)
        net.put_state(conn, "page", 0)
        net.settle(conn, self._catalogue.load(conn))
        remember_written(conn, net.own(conn))
        life = tables.life
        conn.execute(life.update().where(life.c.office == "").values(told=0))
        for of, seq in reply.acked.items():
            conn.execute(life.update().where(life.c.office == "", life.c.life == of).values(told=seq))
        net.put_state(conn, net.PENDING_FROM, 0)

    def _take(self, conn: sa.Connection, reply: Reply, history: History, at: int, recovering: int) -> Applied:
        shapes = self._catalogue.load(conn)
        timeline, watermark = history[-1]
        travelled = reply.timeline > timeline
        agreed = watermark
        if travelled:
            agreed = int(net.get_state(conn, "agreed", "0")) if recovering else watermark
            _go_back(conn, history, reply.timeline, agreed)
        net.settle(conn, shapes)
        mine = net.own(conn)
        remember_written(conn, mine)
        life = tables.life
        for of, seq in reply.acked.items():
            where = (life.c.office == "") & (life.c.life == of) & (life.c.told < seq)
            conn.execute(life.update().where(where).values(told=seq))
        _advance(conn)
        screen = Screen(conn, shapes, 0 if travelled else watermark, agreed if travelled else watermark)
        told: set[tuple[str, str]] = set()
        later: list[bytes] = []  # the first page of a new timeline: kept after what is left of the old one
        for part in reply.parts:
            with no_collection():
                screen.show(part)
            if travelled:
                told.update((b.table, k) for b in part.blocks if b.kind is not Kind.EVICT for k in b.ids)
                later.append(wire.pack_part(part))
            else:
                _keep(conn, part, reply.page, at)
        screen.close()
        if travelled:
            _keep_untold(conn, shapes, agreed, told, reply)
            for data in later:
                _keep(conn, wire.unpack_part(data), reply.page, at)
        t = tables.timeline
        here = {"timeline": reply.timeline, "revision": reply.watermark}
        if not conn.execute(t.update().where(t.c.timeline == reply.timeline).values(here)).rowcount:
            conn.execute(t.insert().values(here))  # the first answer ever
        net.put_state(conn, "page", reply.page if reply.more else 0)
        net.put_state(conn, "remaining", reply.remaining)
        net.put_state(conn, "last_exchange", at)
        net.put_state(conn, "clock_offset", at - reply.at)
        _forget(conn, shapes, reply)
        return Applied(
            more=reply.more,
            remaining=reply.remaining,
            rows=screen.rows,
            conflicts=len(screen.touched.get(journal.conflict.name, ())),
            evicted=screen.evicted,
            touched={table: sorted(keys) for table, keys in screen.touched.items()},
        )


def _part(conn: sa.Connection, slice_: list[net.Edit], authors: dict[int, Author], *, again: bool) -> Part:
    used: dict[int, int] = {}
    part = Part(blocks=[], authors=[])
    for shape, cells, kind, found, values_of in net.with_values(conn, slice_, again=again):
        columns = net.columns_of(shape, cells)
        by_place = list(zip(*values_of, strict=True))
        _, ids, _, _, whose, ats, seqs, seen = zip(*found, strict=True)
        block = Block(
            table=shape.name,
            kind=kind,
            columns=columns,
            ids=list(ids),
            numbers=list(seen),
            seqs=list(seqs),
            authors=[used.setdefault(number, len(used)) for number in whose],
            ats=list(ats),
            values=[list(by_place[shape.place[c] + 1]) for c in columns],
        )
        part.blocks.append(block)
    part.authors = [authors[number] for number in used]
    return part


def _history(conn: sa.Connection) -> History:
    """(timeline, last revision applied under it), oldest first."""
    t = tables.timeline
    found = conn.execute(sa.select(t.c.timeline, t.c.revision).order_by(t.c.timeline)).all()
    if not found:
        return ((1, 0),)
    return tuple((row.timeline, row.revision) for row in found)


_WAITING = sa.text(
    "SELECT count(*), min(x.at), min(l.seq) FROM exchange_log l JOIN exchange_tx x ON x.number = l.tx "
    "JOIN exchange_author a ON a.number = x.author JOIN exchange_life f ON f.office = a.office AND f.life = a.life "
    "WHERE l.seq > :start AND l.op < 2 AND a.office = '' AND l.seq > f.told"
)


def _waiting(conn: sa.Connection, mine: net.Own) -> tuple[int, int | None]:
    """(entries not yet answered, when the first was typed)"""
    count, oldest, _ = conn.execute(_WAITING, {"start": mine.pending_from}).one()
    return int(count), oldest


def _written(conn: sa.Connection, mine: net.Own) -> dict[int, int]:
    """Per life the highest seq in our log: what is remembered, and what was added since."""
    f = tables.life
    result = {
        row.life: row.written
        for row in conn.execute(sa.select(f.c.life, f.c.written).where(f.c.office == "", f.c.written > 0))
    }
    l, x = tables.log, tables.tx  # noqa: E741
    query = (
        sa.select(x.c.author, sa.func.max(l.c.seq))
        .join(x, x.c.number == l.c.tx)
        .where(l.c.seq > mine.pending_from, l.c.op < tables.RECEIVED)
        .group_by(x.c.author)
    )
    for author, seq in conn.execute(query):
        life = mine.life_of.get(author)
        if life is not None:
            result[life] = max(result.get(life, 0), seq)
    return result


def remember_written(conn: sa.Connection, mine: net.Own) -> None:
    """Before what was answered is passed over: it must not be counted again, and not be forgotten."""
    f = tables.life
    for life, seq in _written(conn, mine).items():
        conn.execute(f.update().where(f.c.office == "", f.c.life == life, f.c.written < seq).values(written=seq))


def _advance(conn: sa.Connection) -> None:
    """Pass over what is answered."""
    start = {"start": int(net.get_state(conn, net.PENDING_FROM, "0"))}
    _, _, first = conn.execute(_WAITING, start).one()
    if first is None:
        first = conn.execute(sa.select(sa.func.coalesce(sa.func.max(tables.log.c.seq), 0))).scalar_one() + 1
    if first - 1 > start["start"]:
        net.put_state(conn, net.PENDING_FROM, first - 1)


def _go_back(conn: sa.Connection, history: History, timeline: int, agreed: int) -> None:
    """Nobody has seen more of the new timeline than what it has in common with the old."""
    x, t = tables.tx, tables.timeline
    conn.execute(x.update().where(x.c.seen > agreed).values(seen=agreed))
    for table in (tables.hidden, tables.leaving, tables.unseen):
        conn.execute(table.update().where(table.c.seen > agreed).values(seen=agreed))
    conn.execute(t.delete())
    past = [{"timeline": of, "revision": min(revision, agreed)} for of, revision in history]
    conn.execute(t.insert(), [*past, {"timeline": timeline, "revision": agreed}])
    net.put_state(conn, "recovering", 0)
    net.put_state(conn, "page", 0)


def echoes(conn: sa.Connection, shapes: Catalogue, agreed: int) -> Iterator[Part]:
    """What we had received from others above `agreed`: each cell as it came last, oldest first.

    What is left of the answers is held compressed while they are put in order.
    """
    r = tables.received
    query = sa.select(r.c.number).where(r.c.revision > agreed).order_by(r.c.revision.desc(), r.c.number.desc())
    numbers = list(conn.execute(query).scalars())

    def parts() -> Iterator[Part]:
        for number in numbers:
            yield wire.unpack_part(conn.execute(sa.select(r.c.pack).where(r.c.number == number)).scalar_one())

    left = [wire.pack_part(part) for part in newest(parts(), shapes, agreed)]
    yield from joined(wire.unpack_part(data) for data in reversed(left))


def _keep(conn: sa.Connection, part: Part, revision: int, at: int) -> None:
    """What came, as it came: if the hub goes back in time, it may be the only copy."""
    if not part.blocks:
        return
    least = min(number for block in part.blocks for number in block.numbers)
    least = min([least] + [o.number for block in part.blocks for found in block.others.values() for o in found])
    values = {"least": least, "revision": revision, "at": at, "pack": wire.pack_part(part)}
    conn.execute(tables.received.insert().values(values))


def _keep_untold(conn: sa.Connection, shapes: Catalogue, agreed: int, told: set[tuple[str, str]], reply: Reply) -> None:
    """Split what the lost timeline had told us at `agreed`."""
    r = tables.received
    query = sa.select(r.c.number).where(r.c.revision > agreed).order_by(r.c.revision, r.c.number)
    for number in list(conn.execute(query).scalars()):
        row = conn.execute(sa.select(r.c.at, r.c.pack).where(r.c.number == number)).one()
        part = wire.unpack_part(row.pack)
        conn.execute(r.delete().where(r.c.number == number))
        _keep(conn, below(part, shapes, agreed), agreed, row.at)
        _keep(conn, still_untold(part, shapes, told, reply.watermark, agreed), reply.watermark, row.at)


def _forget(conn: sa.Connection, shapes: Catalogue, reply: Reply) -> None:
    """What is safe at the hub need not be kept for its sake. The log stays: it is also the history (prune.py)."""
    r, f, safe = tables.received, tables.life, reply.safe_revision
    conn.execute(r.delete().where(r.c.revision <= safe))
    for row in conn.execute(sa.select(r).where(r.c.least <= safe)).all():
        conn.execute(r.delete().where(r.c.number == row.number))
        _keep(conn, above(wire.unpack_part(row.pack), shapes, safe), row.revision, row.at)
    for of, seq in reply.safe_acked.items():
        conn.execute(f.update().where(f.c.office == "", f.c.life == of, f.c.safe < seq).values(safe=seq))
