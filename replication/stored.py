"""Old values in the JSON of the log, and back.

The triggers of both databases and the exchange itself write the same text: bit of the column -> value as it lies in the
column; bytes as upper-case hex, dates in ISO form. It is the inside of a JSON object with a comma before each member,
because a trigger makes that with the fewest steps.
"""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from replication.catalogue import Shape


def old_values(text: str | None) -> dict[int, Any]:
    """bit -> old value."""
    return {} if not text else {int(bit): value for bit, value in json.loads("{" + text[1:] + "}").items()}


def to_stored(old: dict[int, Any]) -> str:
    """The same text that the triggers make."""
    return "".join(f',"{bit}":{json.dumps(value, default=_plain, ensure_ascii=False)}' for bit, value in old.items())


def _plain(value: object) -> str:
    if isinstance(value, bytes):
        return value.hex().upper()
    if isinstance(value, dt.datetime):
        return value.isoformat(" ")
    if isinstance(value, dt.date):
        return value.isoformat()
    return str(value)


def from_stored(shape: Shape, column: str, value: Any) -> Any:
    """A value out of the JSON of the log -> as it lies in the column."""
    kind = shape.raw.c[column].type
    if value is None:
        return None
    if isinstance(kind, sa.LargeBinary):
        return bytes.fromhex(value)
    if isinstance(kind, sa.Boolean):
        return bool(value)
    if isinstance(kind, sa.DateTime):
        return dt.datetime.fromisoformat(value)
    if isinstance(kind, sa.Date):
        return dt.date.fromisoformat(value)
    if isinstance(kind, sa.Numeric) and not isinstance(kind, sa.Float) and kind.asdecimal:
        return Decimal(str(value))
    return value
