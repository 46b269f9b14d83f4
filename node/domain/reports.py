"""Figures over documents, payments and deals: exact sums per currency, what they are based on and how old they are.

All sums are made of whole numbers in SQL, so they are right to the last digit on both databases. Where currencies meet,
each document is converted at the rate that it was posted with, and what has no rate is named instead of left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from node.columns import MONEY
from node.domain import access, board, deals, money, offices, party, prices, receivables, users
from node.domain.access import Actor
from node.domain.catalogue import Product
from node.domain.concept import Values
from node.domain.deals import Deal
from node.domain.documents import Document, DocumentLine
from node.domain.payments import Payment
from node.errors import BadInput

GROUPS = ("office", "month", "owner", "product_group", "company")
KINDS = ("order", "invoice")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One group in one currency. `key` is an office's code, a month (2026-11), a key, or a product group."""

    key: str
    name: str
    amount: Decimal
    currency: str
    documents: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Rows and their total in `currency`: that of all rows if they share one, else the company's.

    `basis`: order, invoice or payment. `unconverted`: currency → sum that has no rate and is not in `total`.
    `as_of`: office → how new what is known of it is; the oldest of them is the age of the total.
    """

    group: str
    basis: str
    rows: tuple[Row, ...]
    total: Decimal
    currency: str
    documents: int
    unconverted: dict[str, Decimal]
    as_of: dict[str, datetime]


def revenue(
    s: Session,
    by: Actor,
    group: str = "office",
    *,
    kind: str = "order",
    since: date | None = None,
    until: date | None = None,
    include_cancelled: bool = True,
    heard: Mapping[str, datetime] | None = None,
) -> Report:
    """Net revenue of posted documents by office, month, owner, product_group or company.

    The basis is order intake unless `kind` says "invoice": an order is there from the day that it was taken, in every
    office and also with customers whose invoices come from an accounting system. Orders that were cancelled later
    count unless `include_cancelled` is False: the intake of a month that is over does not change afterwards. Invoices
    are less their credit notes. `since` and `until` are days and both count. `heard`: office → when this node last
    had its news. Raise BadInput.
    """
    if group not in GROUPS or kind not in KINDS:
        raise BadInput(f"Revenue is grouped by {', '.join(GROUPS)}, of {' or '.join(KINDS)}.")
    kinds = ("order",) if kind == "order" else ("invoice", "credit")
    readable = [sa.and_(Document.kind == k, access.readable(by, Document, k)) for k in kinds]
    conditions = [Document.alive, Document.state == "posted", sa.or_(*readable)]
    conditions += _between(Document.dated, since, until)
    if not include_cancelled:
        conditions.append(Document.progress != "cancelled")
    whole = sa.type_coerce(DocumentLine.net if group == "product_group" else Document.net, sa.BigInteger)
    signed = sa.case((Document.kind == "credit", -whole), else_=whole)
    key = _key(group, Document)
    count = sa.func.count(sa.distinct(Document.id))
    source: Any = sa.select(
        key, Document.currency, Document.rate, sa.type_coerce(sa.func.sum(signed), MONEY), count
    ).select_from(Document)
    if group == "product_group":
        source = source.join(DocumentLine, sa.and_(DocumentLine.document_id == Document.id, DocumentLine.alive))
        source = source.join(Product, Product.id == DocumentLine.product_id, isouter=True)
    found = s.execute(source.where(*conditions).group_by(key, Document.currency, Document.rate)).all()
    newest = sa.select(Document.office, sa.func.max(Document.changed_at)).group_by(Document.office)
    ages = _ages(s, newest.where(Document.kind.in_(kinds), Document.alive), heard)
    return _report(s, by, group, kind, found, ages)


def payments_total(
    s: Session,
    by: Actor,
    group: str = "office",
    *,
    since: date | None = None,
    until: date | None = None,
    heard: Mapping[str, datetime] | None = None,
) -> Report:
    """Payments received less paid out, by office, month, owner or company. Raise BadInput."""
    if group not in GROUPS or group == "product_group":
        raise BadInput("Payments are grouped by office, month, owner or company.")
    whole = sa.type_coerce(Payment.amount, sa.BigInteger)
    signed = sa.case((Payment.direction == "out", -whole), else_=whole)
    key = _key(group, Payment)
    query = (
        sa.select(key, Payment.currency, Payment.dated, sa.type_coerce(sa.func.sum(signed), MONEY), sa.func.count())
        .where(Payment.alive, access.readable(by, Payment, "payment"), *_between(Payment.dated, since, until))
        .group_by(key, Payment.currency, Payment.dated)
    )
    rates: dict[tuple[str, date], Decimal] = {}
    found = []
    for at, currency, dated, amount, count in s.execute(query):
        if (currency, dated) not in rates:
            rate = prices.rate_on(s, currency, dated)
            rates[currency, dated] = rate.rate if rate else Decimal(0)
        found.append((at, currency, rates[currency, dated], amount, count))
    newest = sa.select(Payment.office, sa.func.max(Payment.changed_at)).where(Payment.alive).group_by(Payment.office)
    return _report(s, by, group, "payment", found, _ages(s, newest, heard))


def as_json(report: Report) -> Values:
    """As /api/v1/totals answers: amounts as text with the currency's places."""
    named = "office" if report.group == "office" else "key"
    word = "payments" if report.basis == "payment" else "revenue"
    return {
        "items": [
            {
                named: r.key,
                "name": r.name,
                word: money.spelled(r.amount, r.currency),
                "currency": r.currency,
                "documents": r.documents,
            }
            for r in report.rows
        ],
        "total": money.spelled(report.total, report.currency),
        "currency": report.currency,
        "documents": report.documents,
        "basis": report.basis,
        "by": report.group,
        "unconverted": {c: money.spelled(a, c) for c, a in report.unconverted.items()},
        "as_of": {office: at.isoformat().replace("+00:00", "Z") for office, at in sorted(report.as_of.items())},
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A stage of the funnel now: `count` and `sums` (currency → amount) of its deals."""

    stage_id: str
    name: str
    state: str
    count: int
    sums: dict[str, Decimal]


@dataclass(frozen=True, slots=True, kw_only=True)
class Funnel:
    """Where the deals of a pipeline are. `won_share` is percent of those decided in the time asked for, None if none;
    `lost_reasons`: reason → how many."""

    steps: tuple[Step, ...]
    won: int
    lost: int
    won_share: Decimal | None
    lost_reasons: dict[str, int]


def funnel(
    s: Session, by: Actor, pipeline_id: str, *, since: date | None = None, until: date | None = None
) -> Funnel:
    """Open deals per stage; won and lost ones that were closed between the two days, both included."""
    mine = [Deal.alive, Deal.pipeline_id == pipeline_id, access.readable(by, Deal, "deal")]
    closed = _between(Deal.closed_on, since, until)
    whole = sa.type_coerce(sa.func.sum(sa.type_coerce(Deal.amount, sa.BigInteger)), MONEY)
    query = sa.select(Deal.stage_id, Deal.currency, sa.func.count(), whole).where(
        *mine, sa.or_(Deal.state == "open", sa.and_(sa.true(), *closed))
    )
    figures: dict[str, tuple[int, dict[str, Decimal]]] = {}
    for stage_id, currency, count, amount in s.execute(query.group_by(Deal.stage_id, Deal.currency)):
        so_far, sums = figures.get(stage_id, (0, {}))
        figures[stage_id] = (so_far + count, {**sums, currency: amount})
    steps = []
    for stage in deals.stages(s, pipeline_id):
        count, sums = figures.get(stage.id, (0, {}))
        name = deals.stage_name(stage, by.language)
        steps.append(Step(stage_id=stage.id, name=name, state=stage.state, count=count, sums=sums))
    decided = {state: sum(x.count for x in steps if x.state == state) for state in ("won", "lost")}
    total = decided["won"] + decided["lost"]
    reasons = sa.select(Deal.lost_reason_id, sa.func.count()).where(*mine, Deal.state == "lost", *closed)
    words = {r.id: r.name for r in deals.lost_reasons(s)}
    counted: dict[str, int] = {}
    for id, count in s.execute(reasons.group_by(Deal.lost_reason_id)):
        word = words.get(id, "") if id else ""
        counted[word] = counted.get(word, 0) + count
    return Funnel(
        steps=tuple(steps),
        won=decided["won"],
        lost=decided["lost"],
        won_share=money.rounded(Decimal(100 * decided["won"]) / total, "EUR") if total else None,
        lost_reasons=dict(sorted(counted.items(), key=lambda pair: (-pair[1], pair[0]))),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """The figures of one's own day; every dictionary is currency → amount."""

    overdue: tuple[receivables.OpenItem, ...]  # the oldest few
    overdue_count: int
    overdue_sums: dict[str, Decimal]
    open_deals: int
    open_sums: dict[str, Decimal]
    weighted: dict[str, Decimal]
    expected_this_month: int
    rotting: tuple[board.Card, ...]
    won_this_month: int
    won_sums: dict[str, Decimal]
    drafts: int


def home(s: Session, by: Actor, limit: int = 10) -> Home:
    """My overdue invoices, my open deals and what rots among them, what I have won this month, my drafts."""
    today = offices.today(s)
    first = today.replace(day=1)
    overdue = receivables.open_items(s, by, owner_id=by.user_id, overdue=True)
    mine = [Deal.alive, Deal.owner_id == by.user_id, access.readable(by, Deal, "deal")]
    whole = sa.type_coerce(sa.func.sum(sa.type_coerce(Deal.amount, sa.BigInteger)), MONEY)
    counted = sa.select(Deal.currency, sa.func.count(), whole).where(*mine).group_by(Deal.currency)
    open_rows = s.execute(counted.where(Deal.state == "open")).all()
    won_rows = s.execute(counted.where(Deal.state == "won", Deal.closed_on >= first)).all()
    weighted: dict[str, Decimal] = {}
    expected = 0
    for deal, stage in s.execute(
        sa.select(Deal, deals.Stage)
        .join(deals.Stage, deals.Stage.id == Deal.stage_id)
        .where(*mine, Deal.state == "open")
        .limit(2000)  # of one person: more is no funnel
    ):
        part = money.rounded(deal.amount * deals.probability_of(deal, stage) / 100, deal.currency)
        weighted[deal.currency] = weighted.get(deal.currency, Decimal(0)) + part
        expected += bool(deal.expected_on and deal.expected_on.isoformat()[:7] == today.isoformat()[:7])
    drafts = sa.select(sa.func.count()).where(
        Document.alive, Document.state == "draft", Document.owner_id == by.user_id
    )
    sums: dict[str, Decimal] = {}
    for item in overdue:
        sums[item.currency] = sums.get(item.currency, Decimal(0)) + item.open
    return Home(
        overdue=tuple(overdue[:limit]),
        overdue_count=len(overdue),
        overdue_sums=sums,
        open_deals=sum(n for _, n, _ in open_rows),
        open_sums={c: amount for c, _, amount in open_rows},
        weighted=weighted,
        expected_this_month=expected,
        rotting=tuple(board.rotting(s, by, owner_id=by.user_id, limit=limit)),
        won_this_month=sum(n for _, n, _ in won_rows),
        won_sums={c: amount for c, _, amount in won_rows},
        drafts=s.scalar(drafts) or 0,
    )


def _key(group: str, model: Any) -> Any:
    if group == "office":
        return model.office
    if group == "month":
        return sa.func.substr(sa.type_coerce(model.dated, sa.String), 1, 7)
    if group == "product_group":
        return sa.func.coalesce(Product.group, "")
    return sa.func.coalesce(model.owner_id if group == "owner" else model.company_id, "")


def _between(column: Any, since: date | None, until: date | None) -> list[sa.ColumnElement[bool]]:
    return [c for c in (column >= since if since else None, column <= until if until else None) if c is not None]


def _ages(s: Session, newest: Any, heard: Mapping[str, datetime] | None) -> dict[str, datetime]:
    known = {office: (heard or {}).get(office, at) for office, at in s.execute(newest)}
    if s.info["office"] in known:
        known[s.info["office"]] = s.info["now"]
    return known


def _report(
    s: Session,
    by: Actor,
    group: str,
    basis: str,
    found: Sequence[tuple[Any, ...]],
    as_of: dict[str, datetime],
) -> Report:
    """`found`: (key, currency, rate into the company's currency or 0, amount, documents)."""
    merged: dict[str, str] = party.survivors(s) if group == "company" else {}
    amounts: dict[tuple[str, str], Decimal] = {}
    counts: dict[tuple[str, str], int] = {}
    worth: dict[tuple[str, str], Decimal] = {}
    unconverted: dict[str, Decimal] = {}
    base = prices.base_currency(s)
    single = {currency for _, currency, *_ in found}
    currency_of_total = single.pop() if len(single) == 1 else base
    for key, currency, rate, amount, count in found:
        at = (merged.get(key, key), currency)
        amounts[at] = amounts.get(at, Decimal(0)) + amount
        counts[at] = counts.get(at, 0) + count
        factor = Decimal(1) if currency == currency_of_total else rate
        if factor:
            worth[at] = worth.get(at, Decimal(0)) + amount * factor
        else:
            unconverted[currency] = unconverted.get(currency, Decimal(0)) + amount
    names = _names(s, by, group, {key for key, _ in amounts})
    rows = [
        Row(key=key, name=names.get(key, key), amount=amount, currency=currency, documents=counts[key, currency])
        for (key, currency), amount in amounts.items()
    ]
    none = Decimal(0)
    if group == "month":
        rows.sort(key=lambda r: (r.key, r.currency))
    else:
        rows.sort(key=lambda r: (-worth.get((r.key, r.currency), none), r.name, r.currency))
    return Report(
        group=group,
        basis=basis,
        rows=tuple(rows),
        total=sum(worth.values(), none)
        if len({r.currency for r in rows}) < 2
        else money.rounded(sum(worth.values(), none), currency_of_total),
        currency=currency_of_total,
        documents=sum(counts.values()),
        unconverted=unconverted,
        as_of=as_of,
    )


def _names(s: Session, by: Actor, group: str, keys: set[str]) -> dict[str, str]:
    if group == "office":
        return offices.office_names(s)
    if group == "owner":
        return {"": "", **users.user_names(s, keys)}
    if group == "company":
        return {**dict.fromkeys(keys, ""), **party.company_names(s, keys, by)}
    return {}
