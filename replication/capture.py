"""Capture: triggers generated from the tables write every change of a travelling table into `exchange_log`.

They run in the user's own transaction, so nothing escapes them: not raw SQL, not a bulk update, not a cascade. Who
writes, and why, reaches the trigger per connection: through the function `exchange_context()`, which exists only on
connections that `attach` prepared (SQLite), or through a setting of the transaction (PostgreSQL). A writer who has not
called `begin` fails loudly instead of writing what would never travel.

A DELETE becomes the mark `alive` = 0, because an edit that another office makes meanwhile brings the row back whole.
The engine's own writes run inside `off`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from replication import catalogue, ddl, tables
from replication.errors import NoContext, NotAttached
from replication.travel import Travel, check

OFF = 0  # of a transaction number: do not capture
WRITERS = 0x65786368  # the advisory lock on PostgreSQL: shared by who writes, exclusive for who reads the log
_KEY = "exchange"


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Who writes. `at` is ms since 1970. `seen`: the hub's revision that the author had on screen; None: the watermark.

    `life` is a random number (1 … 2^62) that each process draws when it opens the database. `cause` is a short word
    of a small vocabulary ("web", "import"), not a sentence: it is stored once per (life, actor, cause).
    """

    life: int
    actor: str
    cause: str
    at: int
    seen: int | None = None


class _State:
    """What one SQLite connection knows of its current transaction."""

    __slots__ = ("authors", "tx")

    def __init__(self) -> None:
        self.tx: int | None = None
        self.authors: dict[tuple[int, str, str], int] = {}

    def current(self) -> int | None:
        return self.tx


def attach(engine: sa.Engine) -> None:
    """Prepare an engine, before its first connection: call once per engine, before `begin` and `install`."""
    if engine.dialect.name == "sqlite":

        def connected(dbapi_connection: object, record: object) -> None:
            state = _State()
            dbapi_connection.create_function("exchange_context", 0, state.current)  # type: ignore[attr-defined]
            record.info[_KEY] = state  # type: ignore[attr-defined]

        def ended(conn: sa.Connection) -> None:
            state = conn.info.get(_KEY)
            if state is not None:
                state.tx = None

        def undone(conn: sa.Connection) -> None:
            ended(conn)
            if _KEY in conn.info:
                conn.info[_KEY].authors.clear()  # what the transaction had entered is no more

        sa.event.listen(engine, "connect", connected)
        sa.event.listen(engine, "commit", ended)
        sa.event.listen(engine, "rollback", undone)
    sa.event.listen(engine, "handle_error", _explain)


def _explain(context: sa.engine.ExceptionContext) -> None:
    if "a_write_to_a_travelling_table_needs_capture_begin" in str(context.original_exception):
        raise NoContext from context.original_exception


def install(conn: sa.Connection, travels: Sequence[Travel]) -> tuple[str, ...]:
    """Create or repair the triggers; return the names of those that were missing or different.

    Call it at every start and after every migration: a migration on SQLite that rebuilds a table drops its triggers.
    The tables must exist. Raise BadTravel.
    """
    check(travels)
    shapes = catalogue.enter(conn, travels)
    return ddl.repair(conn, list(shapes.values()))


def begin(conn: sa.Connection, context: Context) -> int:
    """Say who writes in the transaction that has just begun; return its number in `exchange_tx`.

    A second call in one transaction starts another entry: what follows is by somebody else.
    """
    if conn.dialect.name == "sqlite":
        return _begin_sqlite(conn, context)
    conn.execute(sa.text("SELECT pg_advisory_xact_lock_shared(:key)"), {"key": WRITERS})
    number = _enter(conn, enter_author(conn, "", context.life, context.actor, context.cause, context.at), context)
    conn.execute(sa.text("SELECT set_config('exchange.tx', :number, true)"), {"number": str(number)})
    return number


def _begin_sqlite(conn: sa.Connection, context: Context) -> int:
    state = conn.info.get(_KEY)
    if not isinstance(state, _State):
        raise NotAttached
    who = (context.life, context.actor, context.cause)
    author = state.authors.get(who)
    if author is None:
        author = state.authors[who] = enter_author(conn, "", *who, context.at)
    state.tx = _enter(conn, author, context)
    return state.tx


def _enter(conn: sa.Connection, author: int, context: Context) -> int:
    seen = (
        "(SELECT coalesce(max(revision), 0) FROM exchange_timeline WHERE timeline = "
        "(SELECT max(timeline) FROM exchange_timeline))"
    )
    if conn.dialect.name == "sqlite":  # once per transaction of every user: the shortest way to the driver
        if context.seen is None:
            sql = f"INSERT INTO exchange_tx (author, at, seen) VALUES (?, ?, {seen})"
            return int(conn.exec_driver_sql(sql, (author, context.at)).lastrowid)
        sql = "INSERT INTO exchange_tx (author, at, seen) VALUES (?, ?, ?)"
        return int(conn.exec_driver_sql(sql, (author, context.at, context.seen)).lastrowid)
    value = sa.literal_column(seen) if context.seen is None else sa.literal(context.seen, sa.BigInteger())
    insert = tables.tx.insert().values(author=author, at=context.at, seen=value).returning(tables.tx.c.number)
    return int(conn.execute(insert).scalar_one())


def enter_author(conn: sa.Connection, office: str, life: int, actor: str, cause: str, at: int = 0) -> int:
    """The number of (office, life, actor, cause) in `exchange_author`; office empty: this node."""
    t, key = tables.author, {"office": office, "life": life, "actor": actor, "cause": cause}
    found = conn.execute(sa.select(t.c.number).filter_by(**key)).scalar()
    if found is not None:
        return int(found)
    if office == "":
        insert = _insert_missing(conn, tables.life).values(office="", life=life, told=0, first_at=at)
        conn.execute(insert.on_conflict_do_nothing())
    conn.execute(_insert_missing(conn, t).values(**key).on_conflict_do_nothing())
    return int(conn.execute(sa.select(t.c.number).filter_by(**key)).scalar_one())


def _insert_missing(conn: sa.Connection, table: sa.Table) -> sqlite.Insert | postgresql.Insert:
    if conn.dialect.name == "sqlite":
        return sqlite.insert(table)
    return postgresql.insert(table)


@contextmanager
def off(conn: sa.Connection) -> Iterator[None]:
    """The engine's own writes: nothing is captured, and a DELETE deletes. Only for the current transaction."""
    if conn.dialect.name == "sqlite":
        state = conn.info.get(_KEY)
        if not isinstance(state, _State):
            raise NotAttached
        before, state.tx = state.tx, OFF
        try:
            yield
        finally:
            state.tx = before
        return
    before_pg = conn.execute(sa.text("SELECT current_setting('exchange.tx', true)")).scalar() or ""
    conn.execute(sa.text("SELECT set_config('exchange.tx', '0', true)"))
    yield  # an error aborts the transaction, and with it the setting
    conn.execute(sa.text("SELECT set_config('exchange.tx', :before, true)"), {"before": before_pg})


def hold_writers(conn: sa.Connection) -> None:
    """PostgreSQL: wait until nobody writes, and let nobody write until this transaction ends.

    Numbers of the log are drawn before they are committed; without this a reader could pass over one that commits late.
    On SQLite there is one writer at a time: the caller has begun the transaction with BEGIN IMMEDIATE.
    """
    if conn.dialect.name == "postgresql":
        conn.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": WRITERS})
