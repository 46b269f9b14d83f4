"""The log of exchanges: what each brought, how long it took, and since when the line is down.

A line that is down is a normal day: failures of one kind in a row are one entry whose `tries` count up. The table
stays at home. At an office `office` is empty; at the centre it names who has exchanged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from node.base import Base
from node.clock import as_datetime
from node.columns import Instant

KEPT = 500  # entries of one office


class ExchangeRun(Base):
    """One exchange, or one stretch of failures. `upto`: at the centre, the revision that the office was answered to."""

    __tablename__ = "exchange_run"
    __table_args__ = (sa.Index("ix_exchange_run_office_number", "office", "number"),)

    number: Mapped[int] = mapped_column(sa.Integer, primary_key=True)
    office: Mapped[str] = mapped_column(sa.String(8), default="")
    started: Mapped[datetime] = mapped_column(Instant)
    ended: Mapped[datetime] = mapped_column(Instant)
    tries: Mapped[int] = mapped_column(sa.Integer, default=1)
    ms: Mapped[int] = mapped_column(sa.Integer, default=0)
    sent: Mapped[int] = mapped_column(sa.Integer, default=0)
    received: Mapped[int] = mapped_column(sa.Integer, default=0)
    conflicts: Mapped[int] = mapped_column(sa.Integer, default=0)
    bytes_out: Mapped[int] = mapped_column(sa.BigInteger, default=0)
    bytes_in: Mapped[int] = mapped_column(sa.BigInteger, default=0)
    pages: Mapped[int] = mapped_column(sa.Integer, default=0)
    upto: Mapped[int] = mapped_column(sa.BigInteger, default=0)
    code: Mapped[str] = mapped_column(sa.String(32), default="")  # of the error
    error: Mapped[str] = mapped_column(sa.Text, default="")


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What an exchange has done. `error` empty: it went through; else a sentence, and `code` says of which kind.

    `sent` and `received` count rows; `conflicts` those that have come up and wait for a person.
    """

    started_ms: int
    ms: int = 0
    sent: int = 0
    received: int = 0
    conflicts: int = 0
    bytes_out: int = 0
    bytes_in: int = 0
    pages: int = 0
    code: str = ""
    error: str = ""

    @property
    def ok(self) -> bool:
        return not self.code

    @property
    def unreachable(self) -> bool:
        """The line is down; the next run will tell."""
        return self.code == "unreachable"


def note(s: Session, run: Run, office: str = "", upto: int = 0) -> None:
    """Write a run into the log and forget the oldest."""
    last = _last(s, office)
    ended = as_datetime(run.started_ms + run.ms)
    if last is not None and not run.ok and last.code == run.code:
        last.tries += 1
        last.ended, last.ms, last.error = ended, run.ms, run.error
        s.flush()
        return
    s.add(
        ExchangeRun(
            office=office,
            started=as_datetime(run.started_ms),
            ended=ended,
            ms=run.ms,
            sent=run.sent,
            received=run.received,
            conflicts=run.conflicts,
            bytes_out=run.bytes_out,
            bytes_in=run.bytes_in,
            pages=run.pages,
            upto=upto,
            code=run.code,
            error=run.error,
        )
    )
    s.flush()
    e = ExchangeRun
    oldest_kept = s.scalar(
        sa.select(e.number).where(e.office == office).order_by(e.number.desc()).offset(KEPT - 1).limit(1)
    )
    if oldest_kept is not None:
        last_ok = sa.select(sa.func.max(e.number)).where(e.office == office, e.code == "").scalar_subquery()
        s.execute(sa.delete(e).where(e.office == office, e.number < oldest_kept, e.number != last_ok))


def recent(s: Session, office: str | None = "", limit: int = 50) -> Sequence[ExchangeRun]:
    """The newest entries first; `office` None: of everybody."""
    query = sa.select(ExchangeRun).order_by(ExchangeRun.number.desc()).limit(min(limit, KEPT))
    if office is not None:
        query = query.where(ExchangeRun.office == office)
    return s.scalars(query).all()


def last_ok(s: Session, office: str = "") -> ExchangeRun | None:
    """The last exchange that went through."""
    e = ExchangeRun
    return s.scalars(sa.select(e).where(e.office == office, e.code == "").order_by(e.number.desc()).limit(1)).first()


def failing(s: Session, office: str = "") -> ExchangeRun | None:
    """The stretch of failures that lasts until now; None: the last exchange went through, or there was none."""
    last = _last(s, office)
    return last if last is not None and last.code else None


def failing_since(s: Session, office: str = "") -> datetime | None:
    """When the first exchange failed after the last that went through."""
    e = ExchangeRun
    good = sa.select(sa.func.coalesce(sa.func.max(e.number), 0)).where(e.office == office, e.code == "")
    since = sa.select(e.started).where(e.office == office, e.number > good.scalar_subquery()).order_by(e.number)
    return s.scalar(since.limit(1))


def _last(s: Session, office: str) -> ExchangeRun | None:
    e = ExchangeRun
    return s.scalars(sa.select(e).where(e.office == office).order_by(e.number.desc()).limit(1)).first()
