"""The hub's side of an exchange: number what it accepts, decide what is contested, answer what is new.

Everything happens in the caller's transaction: data, numbers and what an office has told us commit together. On SQLite
the caller begins it with BEGIN IMMEDIATE; on PostgreSQL the hub waits for the writers and holds them back meanwhile, so
numbers are given in the order of commits, whichever of several hub processes gives them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from replication import answer, capture, catalogue, journal, net, recovery, tables
from replication.batch import Batch
from replication.change import ROWS_MAX, Message, Reply
from replication.decide import Change, in_order
from replication.errors import BadMessage, SchemaDiffers, UnknownOffice
from replication.pause import no_collection
from replication.travel import Travel, check, fingerprint
from replication.version import Cell

PAGE_ROWS = 50_000  # of one answer; a branch that needs more asks again


@dataclass(frozen=True, slots=True, kw_only=True)
class OfficeState:
    """What the hub knows of an office. Times are ms since 1970."""

    code: str
    watermark: int
    lag: int  # revisions that the office has not got yet
    last_contact: int | None
    clock_offset: int | None  # ms: its clock minus ours
    waiting: int  # log entries that it had waiting when it last asked
    schema: str | None
    lives: int  # how many processes of it have ever written


class Hub:
    """`office`: the code under which head office's own users appear in histories and conflicts elsewhere."""

    def __init__(self, travels: Sequence[Travel], office: str = "centre", page_rows: int = PAGE_ROWS) -> None:
        self.travels = journal.completed(travels)
        check(self.travels)
        self.office = office
        self.page_rows = page_rows
        self.schema = fingerprint(self.travels)
        self._catalogue = catalogue.Reader(self.travels)

    def register_office(self, conn: sa.Connection, code: str, buckets: Sequence[str] | None = None) -> None:
        """Let an office exchange. `buckets`: which rows it holds; None: all. Calling it again changes nothing."""
        known = conn.execute(sa.select(tables.office.c.code).where(tables.office.c.code == code)).scalar()
        if known is None:
            text = None if buckets is None else json.dumps(sorted(buckets))
            conn.execute(tables.office.insert().values(code=code, buckets=text))

    def office_states(self, conn: sa.Connection) -> list[OfficeState]:
        head = self.head(conn)
        life = tables.life
        lives: dict[str, int] = {
            row[0]: row[1] for row in conn.execute(sa.select(life.c.office, sa.func.count()).group_by(life.c.office))
        }
        return [
            OfficeState(
                code=row.code,
                watermark=row.watermark,
                lag=max(0, head - row.watermark),
                last_contact=row.last_contact,
                clock_offset=row.clock_offset,
                waiting=row.waiting,
                schema=row.schema,
                lives=lives.get(row.code, 0),
            )
            for row in conn.execute(sa.select(tables.office).order_by(tables.office.c.code))
        ]

    def head(self, conn: sa.Connection) -> int:
        """The last revision."""
        return int(net.get_state(conn, "head", "0"))

    def fold(self, conn: sa.Connection) -> int:
        """Give the edits of the hub's own users their revisions; return how many. They have seen everything."""
        capture.hold_writers(conn)
        shapes = self._catalogue.load(conn)
        mine = net.own(conn)
        query = "SELECT coalesce(max(seq), 0) FROM exchange_log"
        last = int(conn.execute(sa.text(query)).scalar_one())
        if last <= mine.pending_from:
            return 0
        batch = Batch(conn, shapes, self.office, self.head(conn), keep_history=False)
        count = 0
        told: dict[int, int] = {}
        for slice_ in _slices(net.edits(conn, shapes)):
            changes = []
            for shape, cells, _, found, values_of in net.with_values(conn, slice_):
                layout = batch.layout(shape, net.columns_of(shape, cells))
                for edit, values in zip(found, values_of, strict=True):
                    picked = [values[place + 1] for place in layout.places]
                    changes.append(Change(layout, edit.row, picked, edit.author, edit.seq, edit.seen, edit.at))
            changes.sort(key=in_order)
            for change in changes:
                life = mine.life_of[change.author]
                told[life] = max(told.get(life, 0), change.seq)
            batch.apply(changes, lambda *_: True)
            count += len(changes)
        for life, seq in told.items():
            where = (tables.life.c.office == "") & (tables.life.c.life == life)
            conn.execute(tables.life.update().where(where).values(told=seq, written=seq))
        self._number(conn, batch.number)
        log = tables.log
        where = (log.c.seq > mine.pending_from) & (log.c.op == tables.UPDATED)
        conn.execute(log.update().where(where).values(seen=batch.number))
        net.put_state(conn, net.PENDING_FROM, last)
        return count

    def _number(self, conn: sa.Connection, number: int) -> None:
        net.put_state(conn, "head", number)

    def exchange(self, conn: sa.Connection, message: Message, at: int) -> Reply:
        """Take a message and answer it. The reply's parts are read while they are walked: do it in this transaction.

        `at` is the hub's time in ms since 1970. Raise UnknownOffice, SchemaDiffers, BadMessage: then roll back.
        """
        self.fold(conn)
        office = conn.execute(sa.select(tables.office).where(tables.office.c.code == message.office)).one_or_none()
        if office is None:
            raise UnknownOffice(f"The centre does not know the office {message.office}. Enrol it first.")
        if message.schema != self.schema:
            raise SchemaDiffers
        shapes = self._catalogue.load(conn)
        past = recovery.past(conn, self.head(conn))
        life = tables.life
        known = conn.execute(sa.select(life.c.life, life.c.told).where(life.c.office == message.office))
        told = {row.life: row.told for row in known}
        acked = {of: told.get(of, 0) for of in message.written}
        agreed = past.agreed(message.history)
        ahead = agreed < message.watermark or any(seq > acked.get(of, 0) for of, seq in message.acked.items())
        recovering = message.recovering == past.timeline
        reply = Reply(
            life=message.life,
            history=message.history,
            recovering=message.recovering,
            timeline=past.timeline,
            acked=acked,
            watermark=agreed,
            page=agreed,
            asked_page=message.page,
            schema=self.schema,
            at=at,
        )
        if ahead and not recovering:
            reply.recover = True
            return reply
        batch = Batch(
            conn, shapes, self.office, self.head(conn), keep_history=True, clock_offset=message.at - at, agreed=agreed
        )
        heard = recovery.Heard()
        own = _own(batch, message)
        mentioned: set[tuple[int, str]] = set()

        def informed(change: Change, cell: Cell, key: str) -> bool:
            return (
                cell.since <= min(change.seen, agreed)
                or own(cell, key)
                or heard.number(change.layout.shape, key, batch.writer(cell.author), cell.seq, change.seen)
                <= change.seen
            )

        for part in message.parts:
            if part.echo and not recovering:
                raise BadMessage(
                    f"The office {message.office} repeats what others had said, but nobody has asked it to."
                )
            if part.echo:
                mentioned |= recovery.hear(conn, batch, part, agreed, heard)
                continue
            if any(who[0] != message.office for who in part.authors):
                raise BadMessage(f"The office {message.office} has sent changes in the name of another.")
            if recovering:
                mentioned |= {(shapes[b.table].number, key) for b in part.blocks if b.table in shapes for key in b.ids}
            with no_collection():
                batch.take(part, acked, informed)
        for of, seq in message.written.items():
            acked[of] = max(acked[of], seq)
        self._told(conn, message, told, acked, at)
        self._number(conn, batch.number)
        asked = answer.Question(
            office=message.office,
            scope=None if office.buckets is None else frozenset(json.loads(office.buckets)),
            agreed=agreed,
            page=max(agreed, min(message.page, batch.number)) if agreed == message.watermark else agreed,
            head=batch.number,
            limit=self.page_rows,
            before=batch.began,
            news=sorted(batch.news),
            own=(lambda cell, key: False) if recovering else own,
            mentioned=mentioned,
        )
        answer.answer(conn, shapes, batch, asked, reply)
        reply.safe_revision = office.safe_revision
        safe = conn.execute(sa.select(life.c.life, life.c.safe).where(life.c.office == message.office, life.c.safe > 0))
        reply.safe_acked = {row.life: row.safe for row in safe}
        return reply

    def _told(
        self, conn: sa.Connection, message: Message, told: dict[int, int], acked: dict[int, int], at: int
    ) -> None:
        life, office = tables.life, tables.office
        for of, seq in acked.items():
            if of not in told:
                conn.execute(life.insert().values(office=message.office, life=of, told=seq, first_at=at))
            elif seq > told[of]:
                where = (life.c.office == message.office) & (life.c.life == of)
                conn.execute(life.update().where(where).values(told=seq))
        values = {
            "watermark": message.watermark,
            "last_contact": at,
            "clock_offset": message.at - at,
            "waiting": message.waiting,
            "schema": message.schema,
        }
        conn.execute(office.update().where(office.c.code == message.office).values(values))

    def declare_safe(self, conn: sa.Connection) -> None:
        """Call it in a transaction whose result is in a verified backup: what offices may forget from then on."""
        conn.execute(tables.office.update().values(safe_revision=self.head(conn)))
        conn.execute(tables.life.update().where(tables.life.c.office != "").values(safe=tables.life.c.told))

    def restored(self, conn: sa.Connection, number: int) -> int:
        """Begin a new timeline: call it once after the hub's database was restored from a backup.

        `number` must be larger than any that an earlier restore has used, also one of the same backup: take the time
        in ms. Return the number of the timeline.
        """
        return recovery.begin_timeline(conn, self.head(conn), number)


def _own(batch: Batch, message: Message) -> answer.Own:
    """Was the cell written by the office that asks, in this very row, by what it still has in its log?"""
    writer, office, written = batch.writer, message.office, message.written

    def own(cell: Cell, key: str) -> bool:
        if cell.origin is not None:
            return False
        of, life = writer(cell.author)
        return of == office and cell.seq <= written.get(life, 0)

    return own


def _slices(edits: Iterator[net.Edit]) -> Iterator[list[net.Edit]]:
    slice_: list[net.Edit] = []
    for edit in edits:
        slice_.append(edit)
        if len(slice_) == ROWS_MAX:
            yield slice_
            slice_ = []
    if slice_:
        yield slice_
