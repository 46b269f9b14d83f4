"""The board: a pipeline's deals stage by stage, with sums, what rots, and what the coming months should bring."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from node.clock import as_ms
from node.columns import MONEY
from node.domain import access, deals, offices, party, users
from node.domain.access import Actor
from node.domain.deals import Deal, Pipeline, Stage
from node.domain.tasks import Task
from node.errors import NotFound

CARDS = 50  # shown per column; the sums count all
DAY_MS = 86_400_000
CLOSED_DAYS = 30  # won and lost deals leave the board after so many days


@dataclass(frozen=True, slots=True, kw_only=True)
class Narrow:
    """Which deals the board shows; None: whatever."""

    owner_id: str | None = None
    office: str | None = None
    company_id: str | None = None
    amount_min: Decimal | None = None
    text: str = ""  # in the title


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One deal on the board. `next_due` is the day of its next open task; `late`: its expected day is over."""

    id: str
    title: str
    company_id: str | None
    company: str
    amount: Decimal
    currency: str
    probability: int
    owner_id: str | None
    owner: str
    office: str
    days_in_stage: int
    rotting: bool
    expected_on: date | None
    late: bool
    next_due: date | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One stage. `count`, `sums` and `weighted` (currency → amount) are of all its deals, `cards` of the first."""

    stage_id: str
    name: str
    state: str
    probability: int
    count: int
    sums: dict[str, Decimal]
    weighted: dict[str, Decimal]
    cards: tuple[Card, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """One pipeline. `open_sums` and `weighted` are of its open stages."""

    pipeline_id: str
    name: str
    columns: tuple[Column, ...]
    count: int
    open_sums: dict[str, Decimal]
    weighted: dict[str, Decimal]


@dataclass(frozen=True, slots=True, kw_only=True)
class Month:
    """What open deals that are expected in a month come to; `month` is "2026-11", or empty for no expected day."""

    month: str
    currency: str
    count: int
    amount: Decimal
    weighted: Decimal


def rots(days_in_stage: int, limit: int | None, state: str) -> bool:
    """Has an open deal been in its stage for longer than that stage allows?"""
    return state == "open" and limit is not None and days_in_stage > limit


def board(
    s: Session, by: Actor, pipeline_id: str | None = None, narrow: Narrow | None = None, limit: int = CARDS
) -> Board:
    """The pipeline (the first one) with at most `limit` cards per column, those expected first on top.

    Raise NotFound.
    """
    known = deals.pipelines(s)
    pipeline = s.get(Pipeline, pipeline_id) if pipeline_id else next(iter(known), None)
    if pipeline is None or not pipeline.alive:
        raise NotFound("There is no such pipeline. Choose one from the list above the board.", id=pipeline_id or "")
    wanted = _wanted(s, by, pipeline.id, narrow or Narrow())
    steps = deals.stages(s, pipeline.id)
    figures = _figures(s, wanted)
    rows = {step.id: _first(s, wanted, step.id, limit) for step in steps}
    cards = _cards(s, by, [row for some in rows.values() for row in some], {x.id: x for x in steps})
    columns = []
    for step in steps:
        of_step = {c: f for (stage_id, c), f in figures.items() if stage_id == step.id}
        columns.append(
            Column(
                stage_id=step.id,
                name=deals.stage_name(step, by.language),
                state=step.state,
                probability=step.probability,
                count=sum(f[0] for f in of_step.values()),
                sums={c: f[1] for c, f in of_step.items()},
                weighted={c: f[2] for c, f in of_step.items()},
                cards=tuple(cards[row.id] for row in rows[step.id]),
            )
        )
    open_columns = [c for c in columns if c.state == "open"]
    return Board(
        pipeline_id=pipeline.id,
        name=pipeline.name,
        columns=tuple(columns),
        count=sum(c.count for c in open_columns),
        open_sums=_added([c.sums for c in open_columns]),
        weighted=_added([c.weighted for c in open_columns]),
    )


def forecast(s: Session, by: Actor, pipeline_id: str | None = None, months: int = 6) -> list[Month]:
    """What open deals should bring, by the month that they are expected in: those that are over, `months` from this one
    on, and those without a day; per currency."""
    last = offices.today(s).replace(day=1) + timedelta(days=31 * months)
    month = sa.func.coalesce(sa.func.substr(sa.type_coerce(Deal.expected_on, sa.String), 1, 7), "")
    query = (
        sa.select(month, Deal.currency, sa.func.count(), _sum(_amount()), _sum(_amount() * _chance()))
        .join(Stage, Stage.id == Deal.stage_id, isouter=True)
        .where(
            Deal.alive,
            Deal.state == "open",
            access.readable(by, Deal, "deal"),
            sa.or_(Deal.expected_on.is_(None), Deal.expected_on < last.replace(day=1)),
        )
        .group_by(month, Deal.currency)
        .order_by(month, Deal.currency)
    )
    if pipeline_id:
        query = query.where(Deal.pipeline_id == pipeline_id)
    return [
        Month(month=at, currency=currency, count=count, amount=amount, weighted=weighted / 100)
        for at, currency, count, amount, weighted in s.execute(query)
    ]


def rotting(s: Session, by: Actor, owner_id: str | None = None, limit: int = CARDS) -> list[Card]:
    """Open deals that have been in their stage for longer than it allows, the oldest first."""
    now = s.info["now"]
    query = (
        sa.select(Deal, Stage)
        .join(Stage, Stage.id == Deal.stage_id)
        .where(Deal.alive, Deal.state == "open", access.readable(by, Deal, "deal"), Stage.rots_after_days.is_not(None))
        .order_by(Deal.stage_since, Deal.id)
    )
    if owner_id:
        query = query.where(Deal.owner_id == owner_id)
    allowed_ms = sa.cast(Stage.rots_after_days, sa.BigInteger) * DAY_MS
    until = sa.type_coerce(Deal.stage_since, sa.BigInteger) + allowed_ms + DAY_MS  # as `rots`: whole days
    found = list(s.execute(query.where(until <= as_ms(now)).limit(limit)))
    cards = _cards(s, by, [d for d, _ in found], {stage.id: stage for _, stage in found})
    return [cards[d.id] for d, _ in found]


def _wanted(s: Session, by: Actor, pipeline_id: str, narrow: Narrow) -> sa.ColumnElement[bool]:
    conditions = [
        Deal.alive,
        Deal.pipeline_id == pipeline_id,
        access.readable(by, Deal, "deal"),
        sa.or_(Deal.state == "open", Deal.closed_on >= offices.today(s) - timedelta(days=CLOSED_DAYS)),
    ]
    if narrow.owner_id is not None:
        conditions.append(Deal.owner_id == narrow.owner_id)
    if narrow.office is not None:
        conditions.append(Deal.office == narrow.office)
    if narrow.company_id is not None:
        conditions.append(Deal.company_id.in_(party.same_company(s, narrow.company_id)))
    if narrow.amount_min is not None:
        conditions.append(Deal.amount >= narrow.amount_min)
    if narrow.text:
        conditions.append(Deal.title.icontains(narrow.text, autoescape=True))
    return sa.and_(*conditions)


def _figures(s: Session, wanted: sa.ColumnElement[bool]) -> dict[tuple[str, str], tuple[int, Decimal, Decimal]]:
    query = (
        sa.select(Deal.stage_id, Deal.currency, sa.func.count(), _sum(_amount()), _sum(_amount() * _chance()))
        .join(Stage, Stage.id == Deal.stage_id)
        .where(wanted)
        .group_by(Deal.stage_id, Deal.currency)
        .order_by(Deal.currency)
    )
    return {(stage, currency): (n, amount, part / 100) for stage, currency, n, amount, part in s.execute(query)}


def _first(s: Session, wanted: sa.ColumnElement[bool], stage_id: str, limit: int) -> Sequence[Deal]:
    query = (
        sa.select(Deal)
        .where(wanted, Deal.stage_id == stage_id)
        .order_by(Deal.expected_on.is_(None), Deal.expected_on, Deal.id)
        .limit(limit)
    )
    return s.scalars(query).all()


def _cards(s: Session, by: Actor, rows: Sequence[Deal], steps: dict[str, Stage]) -> dict[str, Card]:
    companies = party.company_names(s, (r.company_id for r in rows), by)
    owners = users.user_names(s, (r.owner_id for r in rows))
    due = (
        sa.select(Task.deal_id, sa.func.min(Task.due_on))
        .where(Task.deal_id.in_([r.id for r in rows]), Task.alive, Task.state == "open")
        .group_by(Task.deal_id)
    )
    next_due: dict[Any, Any] = dict(s.execute(due).all()) if rows else {}
    today, now = offices.today(s), s.info["now"]
    cards: dict[str, Card] = {}
    for r in rows:
        step = steps.get(r.stage_id)
        days = max(0, (now - r.stage_since).days)
        cards[r.id] = Card(
            id=r.id,
            title=r.title,
            company_id=r.company_id,
            company=companies.get(r.company_id or "", ""),
            amount=r.amount,
            currency=r.currency,
            probability=deals.probability_of(r, step),
            owner_id=r.owner_id,
            owner=owners.get(r.owner_id or "", ""),
            office=r.office,
            days_in_stage=days,
            rotting=rots(days, step.rots_after_days if step else None, r.state),
            expected_on=r.expected_on,
            late=r.state == "open" and r.expected_on is not None and r.expected_on < today,
            next_due=next_due.get(r.id),
        )
    return cards


def _amount() -> Any:
    return sa.type_coerce(Deal.amount, sa.BigInteger)


def _chance() -> Any:
    """Percent that a deal is won with, as `deals.probability_of`."""
    own = sa.func.coalesce(Deal.probability, Stage.probability, 0)
    return sa.case((Deal.state == "won", 100), (Deal.state == "lost", 0), else_=own)


def _sum(whole: Any) -> Any:
    return sa.type_coerce(sa.func.coalesce(sa.func.sum(whole), 0), MONEY)


def _added(sums: Sequence[dict[str, Decimal]]) -> dict[str, Decimal]:
    total: dict[str, Decimal] = {}
    for some in sums:
        for currency, amount in some.items():
            total[currency] = total.get(currency, Decimal(0)) + amount
    return total


