"""The field history of a row: who changed what, when, at which office and why, from what to what.

It is the log itself: an entry holds the old values of what it changed; the new ones are the next entry's old ones, or
what stands in the row. What arrives from elsewhere is entered by the exchange as op RECEIVED.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from replication import catalogue, rows, tables
from replication.catalogue import Shape
from replication.errors import BadTravel
from replication.stored import from_stored, old_values, to_stored
from replication.travel import Travel


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One change of one column. `office` empty: this node. `at`: ms since 1970 by the clock of the author's node."""

    at: int
    actor: str
    office: str
    cause: str
    cell: str
    column: str
    old: Any
    new: Any


def history(conn: sa.Connection, travels: Sequence[Travel], table: str, row: str, limit: int = 200) -> list[Entry]:
    """The newest `limit` changes of a row, newest first, with values as the application knows them.

    The making of the row is not an entry: it changed nothing. Raise BadTravel for a table that does not travel.
    """
    shape = catalogue.load(conn, travels).get(table)
    if shape is None:
        raise BadTravel(f"Table {table} does not travel, so nobody keeps its history.")
    l, x, a = tables.log, tables.tx, tables.author  # noqa: E741
    query = (
        sa.select(l.c.old, x.c.at, a.c.actor, a.c.office, a.c.cause)
        .join(x, x.c.number == l.c.tx)
        .join(a, a.c.number == x.c.author)
        .where(l.c.tab == shape.number, l.c.row == row, l.c.op != tables.INSERTED)
        .order_by(l.c.seq.desc())
        .limit(limit)
    )
    live = rows.fetch(conn, shape, [row]).get(row)
    now = {column: live[place] for column, place in shape.place.items()} if live else {}
    column_of = {bit: column for column, bit in shape.bits.items()}
    result: list[Entry] = []
    for found in conn.execute(query):
        for bit, text in old_values(found.old).items():
            column = column_of.get(bit)
            if column is None:
                continue  # dropped by a migration
            old, new = from_stored(shape, column, text), now.get(column)
            now[column] = old
            cell = shape.names[shape.cell_of_bit[bit]]
            result.append(
                Entry(
                    at=found.at, actor=found.actor, office=found.office, cause=found.cause, cell=cell, column=column,
                    old=typed(shape.travel, column, old, conn.dialect),
                    new=typed(shape.travel, column, new, conn.dialect),
                )
            )  # fmt: skip
    return result[:limit]


def typed(travel: Travel, column: str, value: Any, dialect: sa.Dialect) -> Any:
    """A value as it lies in the database -> as the application knows it."""
    kind = travel.table.c[column].type
    return kind.process_result_value(value, dialect) if isinstance(kind, sa.TypeDecorator) else value


def keep(conn: sa.Connection, entries: Iterable[tuple[Shape, str, int, int, int, dict[int, Any]]]) -> None:
    """Enter what came from elsewhere: (shape, row, author, at, revision, bit -> old value)."""
    found = list(entries)
    if not found:
        return
    whose = list(dict.fromkeys((author, at) for _, _, author, at, _, _ in found))
    numbers = dict(zip(whose, _tx_numbers(conn, len(whose)), strict=True))
    mark = "?" if conn.dialect.paramstyle == "qmark" else "%s"
    sql = f"INSERT INTO exchange_tx (number, author, at, seen) VALUES ({mark}, {mark}, {mark}, 0)"
    conn.exec_driver_sql(sql, [(numbers[who], *who) for who in whose])
    names = '(tx, tab, "row", op, mask, seen, old)'
    sql = f"INSERT INTO exchange_log {names} VALUES ({', '.join([mark] * 7)})"
    conn.exec_driver_sql(
        sql,
        [
            (
                numbers[author, at],
                shape.number,
                row,
                tables.RECEIVED,
                sum(1 << bit for bit in old),
                number,
                to_stored(old),
            )
            for shape, row, author, at, number, old in found
        ],
    )


def _tx_numbers(conn: sa.Connection, count: int) -> list[int]:
    if conn.dialect.name == "sqlite":
        last = conn.execute(sa.text("SELECT seq FROM sqlite_sequence WHERE name = 'exchange_tx'")).scalar() or 0
        return list(range(int(last) + 1, int(last) + 1 + count))
    query = sa.text("SELECT nextval(pg_get_serial_sequence('exchange_tx', 'number')) FROM generate_series(1, :count)")
    return [int(n) for n in conn.execute(query, {"count": count}).scalars()]


def value_at(conn: sa.Connection, shape: Shape, row: str, cell: int, seen: int) -> dict[str, Any]:
    """Column -> its value at the hub's revision `seen`, for those columns of the cell that have changed since."""
    l = tables.log  # noqa: E741
    query = sa.select(l.c.old).where(
        l.c.tab == shape.number, l.c.row == row, l.c.op != tables.INSERTED, l.c.seen > seen
    )
    bits = {shape.bits[column]: column for column in shape.columns[cell]}
    found: dict[str, Any] = {}
    for text in conn.execute(query.order_by(l.c.seq)).scalars():
        for bit, value in old_values(text).items():
            if bit in bits and bits[bit] not in found:
                found[bits[bit]] = from_stored(shape, bits[bit], value)
    return found
