"""The branch's loop: message, carrier, apply, until there is nothing more; and what the pill in every page says.

A line that is down is no error here: `run` returns what happened and never raises for it. One run at a time: within
the process whoever asks meanwhile gets the result of the run that is under way, and a file lock keeps the command line
from exchanging beside a running node. Sending again is always harmless, so a run may be killed at any point.
"""

from __future__ import annotations

import asyncio
import fcntl
import io
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import IO, Any, Literal, Protocol, cast

import sqlalchemy as sa
from sqlalchemy.orm import Session

from node import conflicts, exchange_log, identity
from node.carrier import Carrier, RefusedByCentre, spool
from node.clock import Clock, as_datetime
from node.db import Database
from node.domain import search
from node.domain.access import Actor
from node.errors import Refused, Unreachable
from node.exchange_log import ExchangeRun, Run
from node.schema import TRAVELS
from replication import journal, verify, wire
from replication.branch import Applied, Branch, BranchState
from replication.change import Message, Part, Reply
from replication.errors import ReplicationError

log = logging.getLogger(__name__)

PAGES_MAX = 10_000  # answers of one run: 500 million rows
IGNORED_MAX = 3  # answers in a row that came too late
LOCK_WAIT_S = 60.0  # for the other process that exchanges

State = Literal["sent", "waiting", "running", "down", "conflict", "stopped"]


class NotJoined(Refused):
    """This node has no head office. Join with the code that “kogge invite” prints there."""

    code = "not_joined"


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a run is, in rows received; `remaining` is about what head office still has for us."""

    received: int
    remaining: int

    @property
    def percent(self) -> int:
        total = self.received + self.remaining
        return 100 * self.received // total if total else 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How the exchange stands, for the pill and its sheet. Counts are of rows, times are aware UTC."""

    state: State = "sent"
    waiting: int = 0  # changes that have not left this office
    conflicts: int = 0  # that this user may decide
    percent: int | None = None  # of a running exchange
    since: datetime | None = None  # the line is down, or the exchange stopped, since
    error: str = ""
    last_at: datetime | None = None
    last_sent: int = 0
    last_received: int = 0
    next_at: datetime | None = None
    central: bool = False
    oldest_office: str = ""  # at head office: who has been silent longest
    oldest_at: datetime | None = None


class Exchanging(Protocol):
    """What pages, API and jobs know of the exchange, at an office and at the centre."""

    async def run(self, progress: Callable[[Progress], None] | None = None) -> Run: ...

    def pill(self, s: Session, by: Actor) -> Standing: ...

    def status(self, s: Session) -> dict[str, Any]: ...

    def runs(self, s: Session, limit: int = 50) -> Sequence[ExchangeRun]: ...


@dataclass(slots=True)
class _Tally:
    sent: int = 0
    received: int = 0
    conflicts: int = 0
    bytes_out: int = 0
    bytes_in: int = 0
    pages: int = 0
    ignored: int = 0
    tables: set[str] = field(default_factory=set)


class Exchange:
    """One office's exchange with head office.

    `folder` is the node's DIR; `next_at` tells when the plan has the next run; `back_off_s`: waits between tries.
    """

    def __init__(
        self,
        db: Database,
        folder: Path,
        *,
        clock: Clock,
        next_at: Callable[[], datetime | None] = lambda: None,
        back_off_s: tuple[float, ...] = (1.0, 3.0),
    ) -> None:
        self._db, self._folder, self._clock = db, folder, clock
        self.next_at = next_at
        self._back_off_s = back_off_s
        self.branch = Branch(TRAVELS, db.office)
        self.progress: Progress | None = None  # of the run that is under way
        self._running: asyncio.Task[Run] | None = None

    # --- exchanging ---

    async def run(self, progress: Callable[[Progress], None] | None = None) -> Run:
        """Exchange until both sides have everything; if a run is under way, wait for that one."""
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._logged(progress))
        return await asyncio.shield(self._running)

    async def stop(self, within_s: float = 10) -> None:
        """Let a run under way finish for so long, then break it off: nothing is lost by that."""
        if self._running is None or self._running.done():
            return
        done, _ = await asyncio.wait({self._running}, timeout=within_s)
        if not done:
            self._running.cancel()
            await asyncio.wait({self._running}, timeout=within_s)

    async def _logged(self, progress: Callable[[Progress], None] | None) -> Run:
        started, tally = self._clock.now_ms(), _Tally()
        self.progress = Progress(received=0, remaining=0)
        self._db.tell(frozenset({ExchangeRun.__tablename__}))
        code = error = ""
        try:
            async with _only_one(self._folder / "exchange.lock"):
                await self._exchange(tally, progress)
        except (RefusedByCentre, Unreachable, Refused) as e:
            code, error = e.code, e.message
            if not isinstance(e, Unreachable):
                log.warning("exchange refused: %s", error)
        except ReplicationError as e:
            code, error = _snake(type(e).__name__), str(e)
            log.exception("exchange failed")
        except OSError as e:  # of the temporary file: the line's own errors are translated
            code, error = "disk", f"The exchange could not write to {self._folder}: {e.strerror}. Nothing was changed."
            log.exception("exchange failed")
        except sa.exc.DBAPIError as e:  # disk full, database gone: said to the operator, tried again by the plan
            code, error = "database", f"The database could not take the exchange: {e.orig}. Nothing was changed."
            log.exception("exchange failed")
        finally:
            self.progress = None
        run = Run(
            started_ms=started,
            ms=max(0, self._clock.now_ms() - started),
            sent=tally.sent,
            received=tally.received,
            conflicts=tally.conflicts,
            bytes_out=tally.bytes_out,
            bytes_in=tally.bytes_in,
            pages=tally.pages,
            code=code,
            error=error,
        )
        await self._db.exchange(lambda conn: exchange_log.note(session_on(self._db, conn), run))
        if run.ok:
            figures = {"sent": run.sent, "received": run.received, "conflicts": run.conflicts, "ms": run.ms}
            log.info("exchanged", extra=figures)
        self._db.tell(frozenset(tally.tables | {ExchangeRun.__tablename__}))
        return run

    async def _exchange(self, tally: _Tally, progress: Callable[[Progress], None] | None) -> None:
        async with self.carrier() as carrier:
            for _ in range(PAGES_MAX):
                applied = await self._once(carrier, tally)
                if applied.ignored:
                    tally.ignored += 1
                    if tally.ignored >= IGNORED_MAX:
                        raise Unreachable("Head office's answers came too late. The next exchange tries again.")
                    continue
                tally.ignored = 0
                self.progress = Progress(received=tally.received, remaining=applied.remaining)
                if progress is not None:
                    progress(self.progress)
                if not applied.more:
                    return
                self._db.tell(frozenset({ExchangeRun.__tablename__}))
        raise Unreachable("Head office has more than one exchange can bring. The next one continues.")

    async def _once(self, carrier: Carrier, tally: _Tally) -> Applied:
        """One message and its answer."""
        with spool(self._folder / "tmp") as file:
            sent, size = await self._db.exchange(self._write_message, file)
            answer = await carrier.carry(file, size)
        with answer.file:
            applied, conflicts_new = await self._db.exchange(self._take_answer, answer.file, carrier.centre_key)
        tally.bytes_out += answer.bytes_out
        tally.bytes_in += answer.bytes_in
        if not applied.ignored:
            tally.pages += 1
            tally.sent += sent
            tally.received += applied.rows
            tally.conflicts += conflicts_new
            tally.tables.update(applied.touched)
        return applied

    def carrier(self) -> Carrier:
        """The line to head office. Raise NotJoined."""
        keys = self._folder / "keys"
        centre = identity.load_centre(keys)
        if centre is None:
            raise NotJoined(
                "This node has not joined a head office yet. Ask there for a code, then: “kogge join DIR --code …”."
            )
        return Carrier(
            centre, identity.node_key(keys), self._db.office, self._folder / "tmp", back_off_s=self._back_off_s
        )

    def _write_message(self, conn: sa.Connection, file: IO[bytes]) -> tuple[int, int]:
        """Write the message into the file; return (rows, bytes)."""
        message = self.branch.message(conn, life=self._db.life, at=self._clock.now_ms())
        key = identity.node_key(self._folder / "keys")
        rows = Rows(message)
        size = 0
        for frame in wire.encode_message(message, key):
            size += file.write(frame)
        return rows.count, size

    def _take_answer(self, conn: sa.Connection, file: IO[bytes], centre: Any) -> tuple[Applied, int]:
        """Apply the answer, and let search know, in one transaction; return what it did and how many conflicts it
        brought that wait for a person."""
        reply = wire.decode_reply(cast(io.BufferedIOBase, file), centre)  # type: ignore[arg-type]
        applied = self.branch.apply(conn, reply, self._clock.now_ms(), life=self._db.life)
        arrived = applied.touched.get(journal.conflict.name, [])
        tell_search(session_on(self._db, conn), applied.touched)
        return applied, conflicts.open_among(conn, arrived)

    # --- how it stands ---

    def pill(self, s: Session, by: Actor) -> Standing:
        """What the pill says to this user."""
        at = self.branch_state(s)
        open_ = conflicts.open_count(s, by)
        last, failing = exchange_log.last_ok(s), exchange_log.failing(s)
        state: State = "waiting" if at.waiting else "sent"
        if self.progress is not None:
            state = "running"
        elif failing is not None:
            state = "down" if failing.code == "unreachable" else "stopped"
        elif open_:
            state = "conflict"
        return Standing(
            state=state,
            waiting=at.waiting,
            conflicts=open_,
            percent=self.progress.percent if self.progress is not None and self.progress.remaining else None,
            since=exchange_log.failing_since(s) if failing is not None else None,
            error=failing.error if failing is not None else "",
            last_at=last.ended if last else None,
            last_sent=last.sent if last else 0,
            last_received=last.received if last else 0,
            next_at=self.next_at(),
        )

    def status(self, s: Session) -> dict[str, Any]:
        """What the command line and the API say; times are ISO 8601."""
        at, last, failing = self.branch_state(s), exchange_log.last_ok(s), exchange_log.failing(s)
        return {
            "watermark": at.watermark,
            "timeline": at.timeline,
            "waiting": at.waiting,
            "waiting_bytes": at.waiting_bytes,
            "last_exchange": last.ended.isoformat() if last else None,
            "failing_since": exchange_log.failing_since(s).isoformat() if failing else None,  # type: ignore[union-attr]
            "error": failing.error if failing else "",
            "clock_offset_ms": at.clock_offset,
            "conflicts": conflicts.open_total(s),
        }

    def branch_state(self, s: Session) -> BranchState:
        return self.branch.state(s.connection())

    def runs(self, s: Session, limit: int = 50) -> Sequence[ExchangeRun]:
        """The log, newest first."""
        return exchange_log.recent(s, limit=limit)

    # --- proof ---

    async def verify(self) -> Verified:
        """Exchange, then compare a digest per table with head office. Raise Unreachable, RefusedByCentre, Refused."""
        for attempt in (1, 2):
            run = await self.run()
            if not run.ok:
                raise Unreachable(run.error) if run.unreachable else RefusedByCentre(run.error, code=run.code)
            async with self.carrier() as carrier:
                told = await carrier.ask("digests", {"office": self._db.office})
            theirs = {str(k): (int(v[0]), str(v[1])) for k, v in dict(told["tables"]).items()}
            ours = await self._db.read(lambda s: verify.digests(s.connection(), TRAVELS))
            result = Verified(ours=ours, theirs=theirs)
            if result.equal or attempt == 2:
                return result
        raise AssertionError("the second attempt returns")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """Digests per table, (rows, hex), here and at head office."""

    ours: Mapping[str, tuple[int, str]]
    theirs: Mapping[str, tuple[int, str]]

    @property
    def different(self) -> list[str]:
        """The tables that are not equal."""
        names = sorted(self.ours.keys() | self.theirs.keys())
        return [name for name in names if self.ours.get(name) != self.theirs.get(name)]

    @property
    def equal(self) -> bool:
        return not self.different


# --- shared with the centre ---


class Rows:
    """Counts the rows of a message or reply, and notes which they are, while its parts are walked."""

    def __init__(self, stream: Message | Reply) -> None:
        self.count = 0
        self.touched: dict[str, set[str]] = {}
        stream.parts = self._watched(iter(stream.parts))

    def _watched(self, parts: Iterator[Part]) -> Iterator[Part]:
        for part in parts:
            self.count += part.rows
            for block in part.blocks:
                self.touched.setdefault(block.table, set()).update(block.ids)
            yield part


def session_on(db: Database, conn: sa.Connection, cause: str = "exchange") -> Session:
    """A session inside the exchange's transaction, with what `node.base` needs; the caller flushes."""
    s = Session(conn, join_transaction_mode="rollback_only")
    s.info.update(
        now=as_datetime(db.clock.now_ms()), ids=db.ids, office=db.office, actor_id="", cause=cause, changed=set()
    )
    return s


def tell_search(s: Session, touched: Mapping[str, Sequence[str] | set[str]]) -> None:
    """Bring the search index up to what arrived; it works in batches of its own."""
    search.touched(s, {table: sorted(ids) for table, ids in touched.items()})
    s.flush()


class _only_one:  # noqa: N801 (a context manager, used as one)
    """The lock of a file between processes. Raise Unreachable when another process holds it for long."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle = -1

    async def __aenter__(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._handle = os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600)
        waited = 0.0
        while True:
            try:
                fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if waited >= LOCK_WAIT_S:
                    os.close(self._handle)
                    raise Unreachable("Another process exchanges for this node. Wait until it is done.") from None
            await asyncio.sleep(0.2)
            waited += 0.2

    async def __aexit__(self, *_: object) -> None:
        os.close(self._handle)


def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")
