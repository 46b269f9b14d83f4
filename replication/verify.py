"""Proof that two nodes hold the same: one digest per travelling table.

Two digests are equal if and only if (but for a chance of 1 in 2^64) the nodes hold the same living rows with the same
values. Rows that users have deleted do not count, nor columns that stay at home; of a duplicate that was merged only
its id and the survivor's count, because the rest of it is history. The digest is a sum over the rows, so it needs no
order (databases sort text differently) and no memory, and it is the same on SQLite and PostgreSQL.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgpack
import sqlalchemy as sa

from replication import catalogue, journal
from replication.catalogue import Shape
from replication.travel import ID, Travel

BITS = 128
ROWS_AT_ONCE = 5_000


def digests(conn: sa.Connection, travels: Sequence[Travel]) -> dict[str, tuple[int, str]]:
    """Table name -> (living rows, 32 hex digits)."""
    shapes = catalogue.load(conn, journal.completed(travels))
    return {name: _digest(conn, shape) for name, shape in shapes.items()}


def _digest(conn: sa.Connection, shape: Shape) -> tuple[int, str]:
    travel, raw = shape.travel, shape.raw
    names = [ID, *sorted(shape.order)]
    query = sa.select(*(raw.c[name] for name in names))
    if travel.alive is not None:
        column = raw.c[travel.alive]
        living = column if isinstance(column.type, sa.Boolean) else column != 0
        query = query.where(living if travel.merged is None else living | raw.c[travel.merged].is_not(None))
    alias = -1 if travel.merged is None else names.index(travel.merged)
    count, total = 0, 0
    with conn.execute(query, execution_options={"yield_per": ROWS_AT_ONCE}) as rows:
        for row in rows:
            values: Sequence[Any] = row
            if alias >= 0 and row[alias] is not None:
                values = (row[0], row[alias])
            packed: bytes = msgpack.packb([v if type(v) in _PLAIN else _plain(v) for v in values])
            total += int.from_bytes(hashlib.blake2b(packed, digest_size=BITS // 8).digest(), "big")
            count += 1
    return count, f"{total % (1 << BITS):0{BITS // 4}x}"


_PLAIN = frozenset((int, str, type(None), float, bytes))


def _plain(value: Any) -> Any:
    """A value as it counts on every database."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, Decimal):
        return str(value.normalize())
    if isinstance(value, dt.datetime | dt.date):
        return value.isoformat()
    if isinstance(value, memoryview | bytearray):
        return bytes(value)
    return value
