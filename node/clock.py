"""Where time comes from.

Every time in Kogge is a whole number of milliseconds since 1970 in UTC, because that is what all databases order and
compare alike. People see it in the office's own time zone; that is the pages' business. Code never asks the machine
for the time itself: it is handed a `Clock`, so that a test can live through a year in a second.
"""

from __future__ import annotations

import time
from datetime import UTC, date, datetime
from typing import Protocol


class Clock(Protocol):
    """Tells the time in milliseconds since 1970, UTC."""

    def now_ms(self) -> int: ...


class SystemClock:
    """The machine's own clock."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000


class ManualClock:
    """A clock for tests: stands still until it is moved."""

    def __init__(self, now_ms: int = 1_760_000_000_000) -> None:
        self._now_ms = now_ms

    def now_ms(self) -> int:
        return self._now_ms

    def move(self, by_ms: int) -> None:
        """Move by so many milliseconds, forth or back."""
        self._now_ms += by_ms


def as_datetime(at_ms: int) -> datetime:
    """The aware UTC datetime of a time in milliseconds."""
    return datetime.fromtimestamp(at_ms / 1000, UTC)


def as_ms(at: datetime) -> int:
    """Milliseconds of an aware datetime; a naive one is a bug of the caller."""
    assert at.tzinfo is not None, "a naive datetime has no place in time"
    return round(at.timestamp() * 1000)


def today(clock: Clock) -> date:
    """The calendar day in UTC."""
    return as_datetime(clock.now_ms()).date()
