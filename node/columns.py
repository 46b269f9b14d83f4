"""How values lie in the database.

Only text, whole numbers and bytes are stored, because SQLite and PostgreSQL treat these alike to the last bit: digests
of two offices can be compared, sums of money are exact in SQL, and the exchange carries values as they lie.
"""

from __future__ import annotations

import json
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

from node.clock import as_datetime, as_ms


class Instant(TypeDecorator[datetime]):
    """A point in time: an aware datetime outside, milliseconds since 1970 (UTC) inside."""

    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        return None if value is None else as_ms(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:
        return None if value is None else as_datetime(value)


class Day(TypeDecorator[date]):
    """A calendar day: `date` outside, ISO text (2026-11-24) inside, which also sorts."""

    impl = sa.String(10)
    cache_ok = True

    def process_bind_param(self, value: date | None, dialect: Dialect) -> str | None:
        return None if value is None else value.isoformat()

    def process_result_value(self, value: str | None, dialect: Dialect) -> date | None:
        return None if value is None else date.fromisoformat(value)


class Flag(TypeDecorator[bool]):
    """Yes or no: bool outside, 1 or 0 inside.

    A bare flag in a condition (`where(User.alive)`) means `alive = 1` on every database: SQLAlchemy writes that for
    what it takes for a Boolean on a database without such a type, and `node.db` says so of PostgreSQL too.
    """

    impl = sa.SmallInteger
    cache_ok = True

    @property
    def _type_affinity(self) -> Any:
        return sa.Boolean

    def process_bind_param(self, value: bool | None, dialect: Dialect) -> int | None:
        return None if value is None else int(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> bool | None:
        return None if value is None else bool(value)


class Exact(TypeDecorator[Decimal]):
    """A decimal with a fixed number of places: Decimal outside, a whole number inside, so SUM is exact."""

    impl = sa.BigInteger
    cache_ok = True

    def __init__(self, places: int) -> None:
        super().__init__()
        self.places = places
        self._unit = Decimal(1).scaleb(-places)

    def process_bind_param(self, value: Decimal | int | None, dialect: Dialect) -> int | None:
        if value is None:
            return None
        return int(Decimal(value).quantize(self._unit, ROUND_HALF_UP).scaleb(self.places))

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        # PostgreSQL widens SUM(bigint) to numeric: it is a whole number all the same
        return None if value is None else Decimal(int(value)).scaleb(-self.places)

    def coerce_compared_value(self, op: Any, value: Any) -> Any:
        return self


class Json(TypeDecorator[Any]):
    """A small structured value, kept as text with sorted keys, so that equal values are equal bytes."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        if value is None:
            return None
        return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        return None if value is None else json.loads(value)


MONEY = Exact(4)  # no currency of ISO 4217 has more than four places
QUANTITY = Exact(3)
RATE = Exact(8)  # of currencies
PERCENT = Exact(2)
