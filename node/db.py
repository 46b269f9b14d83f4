"""The database of a node: reads beside one another, writes one after another.

`await db.read(fn, …)` runs a function with a session that cannot write; `await db.write(fn, …, by=actor)` runs an
action in a transaction of its own, on the one writer thread. Functions are plain and synchronous and return plain
values. Before an action runs, the transaction is told who acts and why, so that the capture triggers can log it; what
`node.base` needs (time, keys, office) is in `session.info`.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.orm import Session
from sqlalchemy.pool import QueuePool

from node.clock import Clock, as_datetime
from node.domain.access import SYSTEM, Actor
from node.errors import Refused
from node.ids import Ids
from replication import capture

log = logging.getLogger(__name__)
P = ParamSpec("P")
T = TypeVar("T")

READERS = 4  # threads and connections that only read
BUSY_TIMEOUT_S = 30  # how long a writer waits for another process (the command line) to finish


class Database:
    """One node's database; opens lazily, must be closed."""

    def __init__(self, url: str, *, clock: Clock, ids: Ids, office: str, life: int | None = None) -> None:
        self.url = sa.make_url(url)
        self.clock = clock
        self.ids = ids
        self.office = office
        self.life = life if life is not None else random.SystemRandom().getrandbits(48)
        self.sqlite = self.url.get_backend_name() == "sqlite"
        self.writer = _engine(self.url, read_only=False, size=2)
        self.reader = _engine(self.url, read_only=True, size=READERS)
        capture.attach(self.writer)
        self._write_thread = ThreadPoolExecutor(1, "write")
        self._read_threads = ThreadPoolExecutor(READERS, "read")
        self.after_write: list[Callable[[frozenset[str]], None]] = []  # called with the names of changed tables

    async def read(self, fn: Callable[Concatenate[Session, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `fn(session, …)` on a reader thread; it cannot write."""
        return await self._on(self._read_threads, lambda: self.read_now(fn, *args, **kwargs))

    async def write(self, fn: Callable[..., T], *args: Any, by: Actor = SYSTEM, cause: str = "ui", **kwargs: Any) -> T:
        """Run the action `fn(session, …)` in one transaction on the writer thread."""
        return await self._on(self._write_thread, lambda: self.write_now(fn, *args, by=by, cause=cause, **kwargs))

    async def exchange(self, fn: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Run `fn(connection, …)` of the exchange engine in one transaction on the writer thread."""
        return await self._on(self._write_thread, lambda: self.exchange_now(fn, *args, **kwargs))

    def read_now(self, fn: Callable[Concatenate[Session, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """`read` for code that is not asynchronous: the command line, tests, jobs."""
        with Session(self.reader) as s:
            s.info["now"] = as_datetime(self.clock.now_ms())
            s.info["office"] = self.office
            return fn(s, *args, **kwargs)

    def write_now(self, fn: Callable[..., T], *args: Any, by: Actor = SYSTEM, cause: str = "ui", **kwargs: Any) -> T:
        """`write` for code that is not asynchronous. Never call it while the event loop waits for a `write`."""
        now_ms = self.clock.now_ms()
        changed: set[str] = set()
        with self.writer.begin() as conn, Session(conn, join_transaction_mode="rollback_only") as s:
            context = capture.Context(life=self.life, actor=by.user_id or by.login, cause=cause, at=now_ms)
            capture.begin(conn, context)
            s.info.update(
                now=as_datetime(now_ms),
                ids=self.ids,
                office=self.office,
                actor_id=by.user_id,
                cause=cause,
                changed=changed,
            )
            result = fn(s, *args, **kwargs)
            s.commit()
        self.tell(frozenset(changed))
        return result

    def exchange_now(self, fn: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """`exchange` for code that is not asynchronous.

        SQLite: what a message or an answer has told the other side must not be lost in a power cut, so this commit
        waits for the disk.
        """
        with self.writer.connect() as conn:
            self._synchronous(conn, "FULL")
            try:
                with conn.begin():
                    return fn(conn, *args, **kwargs)
            finally:
                self._synchronous(conn, "NORMAL")

    def _synchronous(self, conn: Connection, level: str) -> None:
        """Outside of a transaction only; SQLite ignores it within one."""
        if self.sqlite:
            raw = conn.connection.dbapi_connection
            assert raw is not None, "the connection is checked out"
            raw.cursor().execute(f"PRAGMA synchronous={level}")

    def tell(self, tables: frozenset[str]) -> None:
        """Let the listeners know which tables have changed (live pages, the exchange loop)."""
        for listener in self.after_write:
            listener(tables)

    def close(self) -> None:
        """Finish what runs, then close every connection."""
        self._write_thread.shutdown(wait=True)
        self._read_threads.shutdown(wait=True)
        self.writer.dispose()
        self.reader.dispose()

    async def _on(self, pool: ThreadPoolExecutor, job: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(pool, job)


def now(s: Session) -> datetime:
    """The time of this transaction."""
    at: datetime = s.info["now"]
    return at


@event.listens_for(Session, "after_flush")
def _note_changed(s: Session, _context: Any) -> None:
    changed = s.info.get("changed")
    if changed is not None:
        changed.update(row.__tablename__ for group in (s.new, s.dirty, s.deleted) for row in group)


def _engine(url: sa.URL, *, read_only: bool, size: int) -> Engine:
    if url.get_backend_name() != "sqlite":
        options = "-c default_transaction_read_only=on" if read_only else ""
        engine = sa.create_engine(
            url.set(drivername="postgresql+psycopg"),
            pool_size=size,
            max_overflow=0,
            pool_timeout=BUSY_TIMEOUT_S,
            pool_pre_ping=True,
            connect_args={
                "options": f"{options} -c timezone=UTC -c statement_timeout=600000".strip(),
                "connect_timeout": 10,
            },
        )
        engine.dialect.supports_native_boolean = False  # flags are numbers: see node.columns.Flag
        return engine
    if not url.database or url.database == ":memory:":
        raise Refused("A node needs a database file; one in memory would be gone with the process.")
    Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = sa.create_engine(
        url,
        poolclass=QueuePool,
        pool_size=size,
        max_overflow=0,
        pool_timeout=BUSY_TIMEOUT_S,
        connect_args={"check_same_thread": False, "timeout": BUSY_TIMEOUT_S},
    )

    @event.listens_for(engine, "connect")
    def _open(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=NORMAL")
        cursor.execute("PRAGMA temp_store=MEMORY")
        cursor.execute("PRAGMA cache_size=-16000")  # 16 MB
        cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_S * 1000}")
        if read_only:
            cursor.execute("PRAGMA query_only=ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(conn: Connection) -> None:
        conn.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")

    return engine
