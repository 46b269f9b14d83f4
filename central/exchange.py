"""The centre's own part in the exchange: its people's edits become revisions, and its pill says how old the data is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from central import consolidated
from node import conflicts, exchange_log
from node.clock import Clock
from node.db import Database
from node.domain.access import Actor
from node.exchange import Progress, Standing
from node.exchange_log import ExchangeRun, Run
from replication import net
from replication.hub import Hub


class CentralExchange:
    """What `node.exchange.Exchange` is to an office. Here nobody is asked: the offices come."""

    def __init__(self, db: Database, hub: Hub, *, clock: Clock) -> None:
        self._db, self.hub, self._clock = db, hub, clock

    async def run(self, progress: Callable[[Progress], None] | None = None) -> Run:
        """Give the edits made here their revisions; the offices fetch them."""
        started = self._clock.now_ms()
        folded = await self._db.exchange(self.hub.fold)
        if progress is not None:
            progress(Progress(received=0, remaining=0))
        return Run(started_ms=started, ms=max(0, self._clock.now_ms() - started), sent=folded)

    async def stop(self, within_s: float = 10) -> None:
        """Nothing runs in between."""

    def pill(self, s: Session, by: Actor) -> Standing:
        """What the pill says to this user: his conflicts, else whose data is the oldest."""
        open_ = conflicts.open_count(s, by)
        known = consolidated.as_of(s, self.hub)
        oldest = consolidated.laggard(known, self._db.office)
        return Standing(
            state="conflict" if open_ else "sent",
            conflicts=open_,
            central=True,
            last_at=max((one.at for one in known if one.at and one.office != self._db.office), default=None),
            oldest_office=oldest.name if oldest else "",
            oldest_at=oldest.at if oldest else None,
        )

    def status(self, s: Session) -> dict[str, Any]:
        """As of an office; `waiting` counts edits made here that have no revision yet."""
        conn = s.connection()
        waiting = sum(1 for _ in net.waiting(conn, net.own(conn)))
        known = [one.at for one in consolidated.as_of(s, self.hub) if one.at and one.office != self._db.office]
        return {
            "watermark": self.hub.head(conn),
            "timeline": _timeline(conn),
            "waiting": waiting,
            "waiting_bytes": 0,
            "last_exchange": max(known).isoformat() if known else None,
            "failing_since": None,
            "error": "",
            "clock_offset_ms": 0,
            "conflicts": conflicts.open_total(s),
        }

    def runs(self, s: Session, limit: int = 50) -> Sequence[ExchangeRun]:
        """The log of all offices, newest first."""
        return exchange_log.recent(s, None, limit)


def _timeline(conn: sa.Connection) -> int:
    return int(conn.execute(sa.text("SELECT coalesce(max(timeline), 1) FROM exchange_timeline")).scalar_one())
