"""What customers owe: open invoices, and how old the debt of each company is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from node.columns import MONEY
from node.domain import access, offices, party, payments
from node.domain.access import Actor
from node.domain.documents import Document

BUCKETS = ("not_due", "1_30", "31_60", "61_90", "over_90")  # days after the day of payment
ITEMS_MAX = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenItem:
    """An open invoice. `bucket` is one of BUCKETS."""

    id: str
    number: str
    company_id: str | None
    company: str
    office: str
    owner_id: str | None
    dated: date
    due_on: date | None
    days_overdue: int
    bucket: str
    gross: Decimal
    open: Decimal
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ageing:
    """What one company owes in one currency; `buckets` has every one of BUCKETS."""

    company_id: str
    company: str
    currency: str
    buckets: dict[str, Decimal]
    total: Decimal
    overdue: Decimal
    invoices: int


def bucket(due_on: date | None, today: date) -> str:
    """In which bucket a debt lies that is due on that day."""
    late = (today - due_on).days if due_on else 0
    if late <= 0:
        return "not_due"
    return next((name for most, name in ((30, "1_30"), (60, "31_60"), (90, "61_90")) if late <= most), "over_90")


def open_items(
    s: Session,
    by: Actor,
    *,
    company_id: str | None = None,
    owner_id: str | None = None,
    office: str | None = None,
    overdue: bool = False,
    limit: int = ITEMS_MAX,
) -> list[OpenItem]:
    """Open invoices, the longest overdue first. `overdue`: only those whose day is over."""
    today = offices.today(s)
    rows = s.execute(
        _open(s, by, company_id, owner_id, office, overdue)
        .order_by(Document.due_on.is_(None), Document.due_on, Document.number, Document.id)
        .limit(limit)
    ).all()
    names = party.company_names(s, (row.company_id for row, _ in rows), by)
    return [
        OpenItem(
            id=row.id,
            number=row.number,
            company_id=row.company_id,
            company=names.get(row.company_id or "", ""),
            office=row.office,
            owner_id=row.owner_id,
            dated=row.dated,
            due_on=row.due_on,
            days_overdue=max(0, (today - row.due_on).days) if row.due_on else 0,
            bucket=bucket(row.due_on, today),
            gross=row.gross,
            open=left,
            currency=row.currency,
        )
        for row, left in rows
    ]


def ageing(
    s: Session, by: Actor, *, company_id: str | None = None, office: str | None = None, owner_id: str | None = None
) -> list[Ageing]:
    """What each company owes by age, the greatest debt first; merged companies count as one."""
    today = offices.today(s)
    merged = party.survivors(s)
    sums: dict[tuple[str, str], dict[str, Decimal]] = {}
    counts: dict[tuple[str, str], int] = {}
    query = _open(s, by, company_id, owner_id, office, overdue=False).with_only_columns(
        Document.company_id, Document.currency, Document.due_on, sa.type_coerce(payments.open_amount(), MONEY)
    )
    for owed_by, currency, due_on, left in s.execute(query):
        key = (merged.get(owed_by or "", owed_by or ""), currency)
        buckets = sums.setdefault(key, dict.fromkeys(BUCKETS, Decimal(0)))
        buckets[bucket(due_on, today)] += left
        counts[key] = counts.get(key, 0) + 1
    names = party.company_names(s, (id for id, _ in sums), by)
    found = []
    for (debtor, currency), buckets in sums.items():
        total = sum(buckets.values(), Decimal(0))
        found.append(
            Ageing(
                company_id=debtor,
                company=names.get(debtor, ""),
                currency=currency,
                buckets=buckets,
                total=total,
                overdue=total - buckets["not_due"],
                invoices=counts[debtor, currency],
            )
        )
    return sorted(found, key=lambda a: (-a.overdue, -a.total, a.company, a.currency))


def _open(
    s: Session, by: Actor, company_id: str | None, owner_id: str | None, office: str | None, overdue: bool
) -> Any:
    query: Any = sa.select(Document, sa.type_coerce(payments.open_amount(), MONEY)).where(
        payments.is_open(), access.readable(by, Document, "invoice")
    )
    if company_id is not None:
        query = query.where(Document.company_id.in_(party.same_company(s, company_id)))
    if owner_id is not None:
        query = query.where(Document.owner_id == owner_id)
    if office is not None:
        query = query.where(Document.office == office)
    if overdue:
        query = query.where(Document.due_on < offices.today(s))
    return query
