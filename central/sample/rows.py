"""How the sample company is written down: rows of the travelling tables, with keys and times of their own past.

Rows are plain dictionaries by column name, complete (every column has a value), so that a table goes into the
database in one statement.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from node.base import Record
from node.clock import as_ms
from node.ids import Id, spell

T = TypeVar("T")


class Sheet:
    """Collects the rows. `now` is the time at which the demo is built: nothing lies behind it."""

    def __init__(self, now: datetime, chance: random.Random) -> None:
        self.now = now
        self.chance = chance
        self.rows: dict[sa.Table, list[dict[str, Any]]] = {}
        self._columns: dict[Any, dict[str, tuple[str, Any]]] = {}
        self._drawn: set[str] = set()

    def add(self, model: Any, at: datetime, /, **values: Any) -> Id:
        """A row that came to be at that time; gives its key."""
        at = min(at, self.now)
        id = values.pop("id", None) or self.key(at)
        if issubclass(model, Record):
            by = values.pop("by", None) or values.get("owner_id") or ""
            values = {"created_at": at, "changed_at": at, "created_by": by, "changed_by": by, **values}
        columns = self._of(model)
        row = {name: (default(None) if callable(default) else default) for name, default in columns.values()}
        for attribute, value in {"id": id, "alive": True, **values}.items():
            row[columns[attribute][0]] = value
        self.rows.setdefault(model.__table__, []).append(row)
        return Id(id)

    def key(self, at: datetime) -> Id:
        """A key of that time that nobody has."""
        while True:
            drawn = spell((as_ms(at) // 16 << 40) + self.chance.getrandbits(40))
            if drawn not in self._drawn:
                self._drawn.add(drawn)
                return drawn

    def pick(self, weighted: Mapping[T, int]) -> T:
        """One of the keys, as often as its weight says."""
        return self.chance.choices(list(weighted), list(weighted.values()))[0]

    def of(self, model: Any) -> list[dict[str, Any]]:
        """The rows of a model so far."""
        return self.rows.get(model.__table__, [])

    def counted(self) -> int:
        """How many rows there are."""
        return sum(map(len, self.rows.values()))

    def _of(self, model: Any) -> dict[str, tuple[str, Any]]:
        if model not in self._columns:
            self._columns[model] = {
                attribute: (column.name, None if column.default is None else column.default.arg)
                for attribute, column in sa.inspect(model).columns.items()
            }
        return self._columns[model]


def at_work(day: date, chance: random.Random, zone: ZoneInfo) -> datetime:
    """Some minute of the working day there."""
    return datetime.combine(day, time(chance.randint(8, 17), chance.randint(0, 59)), zone)


def working_day(day: date) -> date:
    """The day itself, or the Friday before a weekend."""
    return day - timedelta(days=max(0, day.weekday() - 4))
