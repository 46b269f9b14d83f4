"""Payments: money that came or went, and which invoices it settles.

A payment never changes once it is there; a wrong one is reversed by its opposite, whose allocations are negative. So
what an invoice has open is always a sum over rows that are only ever added, and two offices can settle it blindly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from node.base import Base, Part, Record, key_column, optional_key
from node.columns import MONEY, Day
from node.domain import access, finding, money, offices, party, prices, search
from node.domain.access import Actor
from node.domain.concept import OWNER, Concept, Field, Kind, SearchText, Values, register
from node.domain.documents import Document
from node.domain.numbers import draw
from node.domain.parts import RowsOf, batches
from node.domain.tasks import Task
from node.errors import Invalid, Refused
from node.ids import Id, derived

METHODS = {"transfer": "Transfer", "cash": "Cash", "card": "Card", "cheque": "Cheque"}
DIRECTIONS = {"in": "Received", "out": "Paid out"}
SETTLED = {
    "open": "Open",
    "part_paid": "Part paid",
    "paid": "Paid",
    "overdue": "Overdue",
    "credited": "Credited",
}
OPEN_MAX = 1000  # invoices that one payment looks at; the oldest first


class Payment(Base, Record):
    """One payment. Never changed once it is there; a wrong one is cancelled by its opposite."""

    __tablename__ = "payment"

    number: Mapped[str] = mapped_column(sa.Text, default="", index=True)
    direction: Mapped[str] = mapped_column(sa.String(8), default="in")  # in out
    company_id: Mapped[Id | None] = optional_key()
    dated: Mapped[date] = mapped_column(Day, index=True)
    amount: Mapped[Decimal] = mapped_column(MONEY)
    currency: Mapped[str] = mapped_column(sa.String(3), default="EUR")
    method: Mapped[str] = mapped_column(sa.String(16), default="transfer")  # transfer cash card cheque
    reference: Mapped[str] = mapped_column(sa.Text, default="")
    notes: Mapped[str] = mapped_column(sa.Text, default="")
    owner_id: Mapped[Id | None] = optional_key()
    reverses_id: Mapped[Id | None] = optional_key()
    external_code: Mapped[str] = mapped_column(sa.Text, default="", index=True)


class Allocation(Base, Part):
    """So much of a payment settles this invoice."""

    __tablename__ = "allocation"

    payment_id: Mapped[Id] = key_column()
    document_id: Mapped[Id] = key_column()
    amount: Mapped[Decimal] = mapped_column(MONEY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """How an invoice stands. `state` is one of SETTLED, empty for a draft; all amounts are in its currency."""

    gross: Decimal
    credited: Decimal
    paid: Decimal
    open: Decimal
    state: str
    days_overdue: int


# rules


def settlement(gross: Decimal, credited: Decimal, paid: Decimal, due_on: date | None, today: date) -> Settlement:
    """How a posted invoice stands on a day."""
    left = gross - credited - paid
    late = (today - due_on).days if due_on and left > 0 and today > due_on else 0
    if left <= 0:
        state = "credited" if paid <= 0 < credited else "paid"
    elif late:
        state = "overdue"
    else:
        state = "part_paid" if paid > 0 or credited > 0 else "open"
    return Settlement(gross=gross, credited=credited, paid=paid, open=left, state=state, days_overdue=late)


# queries


def settlements(s: Session, rows: Sequence[Document]) -> dict[str, Settlement]:
    """Key → settlement of these invoices, in two queries; drafts and other kinds are left out."""
    posted = [r for r in rows if r.kind == "invoice" and r.state == "posted"]
    credited: dict[str, Decimal] = {}
    paid: dict[str, Decimal] = {}
    for batch in batches([r.id for r in posted]):
        credits = (
            sa.select(Document.origin_id, sa.func.sum(Document.gross))
            .where(Document.origin_id.in_(batch), Document.kind == "credit", Document.state == "posted", Document.alive)
            .group_by(Document.origin_id)
        )
        credited.update({id: amount for id, amount in s.execute(credits) if id})
        allocations = (
            sa.select(Allocation.document_id, sa.func.sum(Allocation.amount))
            .where(Allocation.document_id.in_(batch), Allocation.alive)
            .group_by(Allocation.document_id)
        )
        paid.update(s.execute(allocations).all())
    today = offices.today(s)
    none = Decimal(0)
    return {r.id: settlement(r.gross, credited.get(r.id, none), paid.get(r.id, none), r.due_on, today) for r in posted}


def open_amount() -> Any:
    """What a row of `Document`, an invoice, has open, as an expression of whole ten-thousandths."""
    credit = sa.orm.aliased(Document)
    credits = (
        sa.select(sa.func.sum(_whole(credit.gross)))
        .where(credit.origin_id == Document.id, credit.kind == "credit", credit.state == "posted", credit.alive)
        .correlate(Document)
        .scalar_subquery()
    )
    allocations = (
        sa.select(sa.func.sum(_whole(Allocation.amount)))
        .where(Allocation.document_id == Document.id, Allocation.alive)
        .correlate(Document)
        .scalar_subquery()
    )
    return _whole(Document.gross) - sa.func.coalesce(credits, 0) - sa.func.coalesce(allocations, 0)


def is_open() -> sa.ColumnElement[bool]:
    """The condition that a row of `Document` is a posted invoice with something open."""
    return sa.and_(Document.kind == "invoice", Document.state == "posted", Document.alive, open_amount() > 0)


def open_invoices(s: Session, company_id: str, currency: str) -> list[tuple[Document, Decimal]]:
    """The open invoices of a company (and of the duplicates that were merged into it) with what is open, the oldest
    first; OPEN_MAX at most."""
    amount = sa.type_coerce(open_amount(), MONEY)
    query = (
        sa.select(Document, amount)
        .where(is_open(), Document.company_id.in_(party.same_company(s, company_id)), Document.currency == currency)
        .order_by(Document.due_on, Document.dated, Document.number, Document.id)
        .limit(OPEN_MAX)
    )
    return [(row, left) for row, left in s.execute(query)]


def payment_rest(s: Session, row: Payment) -> Decimal:
    """What of a payment settles no invoice yet."""
    used = s.scalar(
        sa.select(sa.func.sum(Allocation.amount)).where(Allocation.payment_id == row.id, Allocation.alive)
    )
    return row.amount - abs(used or Decimal(0))


# actions


def record_payment(
    s: Session,
    by: Actor,
    *,
    company_id: str | None,
    amount: Decimal,
    currency: str = "",
    dated: date | None = None,
    direction: str = "in",
    allocations: Mapping[Any, Decimal] | None = None,
    **attributes: Any,
) -> Payment:
    """Record money that came or went. `allocations`: key of the invoice → how much; None settles the open invoices of
    the company in this currency, the oldest first. `attributes` are those of `Payment`. Raise Invalid, Forbidden."""
    access.require(by, "payment", "create")
    row = Payment(
        company_id=Id(company_id) if company_id else None, amount=amount, direction=direction, **attributes
    )
    row.currency, row.dated = currency, dated or offices.today(s)
    row.owner_id = row.owner_id or (Id(by.user_id) if by.user_id else None)
    values: Values = {"amount": amount, "direction": direction}
    if allocations is not None:
        values["allocations"] = [{"document": id, "amount": part} for id, part in allocations.items()]
    with s.no_autoflush:
        derive(s, row)
        check(s, by, row, values, True)
    s.add(row)
    s.flush()
    if allocations is not None:
        ALLOCATIONS.save(s, row, values["allocations"])
    after(s, by, row, values, True)
    search.note(s, "payments", [row.id])
    return row


def allocate(s: Session, by: Actor, id: str) -> list[tuple[str, Decimal]]:
    """Let what a received payment has left settle the company's open invoices; (invoice, amount) of each."""
    row = finding.found(s, by, Payment, "payment", id, "edit")
    return _allocate(s, by, row)


def reverse_payment(s: Session, by: Actor, id: str, notes: str = "") -> Payment:
    """Undo a payment by its opposite; the invoices that it settled are open again.

    The key of the opposite is derived, so two offices that reverse one payment blindly have reversed it once.
    Raise Refused if it is a reversal or was reversed, NotFound, Forbidden.
    """
    row = finding.found(s, by, Payment, "payment", id, "edit")
    if row.reverses_id:
        raise Refused(f"{row.number} is a reversal itself. Record the payment anew instead.")
    key = derived("reversal", row.id)
    if s.get(Payment, key) is not None:
        raise Refused(f"{row.number} was reversed already.")
    opposite = Payment(
        id=key,
        direction="out" if row.direction == "in" else "in",
        company_id=row.company_id,
        dated=offices.today(s),
        amount=row.amount,
        currency=row.currency,
        method=row.method,
        reference=row.number,
        notes=notes,
        owner_id=row.owner_id,
        reverses_id=row.id,
        office=row.office,
    )
    opposite.number = draw(s, "payment", Payment, opposite.dated.year)
    s.add(opposite)
    for part in ALLOCATIONS.rows(s, row.id):
        s.add(
            Allocation(
                id=derived("reversal", part.id), payment_id=key, document_id=part.document_id, amount=-part.amount
            )
        )
    s.flush()
    search.note(s, "payments", [key])
    return opposite


def close_paid_tasks(s: Session, by: Actor, invoice_ids: Sequence[str]) -> int:
    """Close the reminders (tasks with `close_on_payment`) of those invoices that have nothing open; how many."""
    rows = list(s.scalars(sa.select(Document).where(Document.id.in_(invoice_ids))))
    done = [id for id, it in settlements(s, rows).items() if it.open <= 0]
    query = sa.select(Task).where(
        Task.document_id.in_(done), Task.close_on_payment, Task.state == "open", Task.alive
    )
    tasks = list(s.scalars(query)) if done else []
    for task in tasks:
        task.state, task.done_at, task.done_by = "done", s.info["now"], by.user_id
    s.flush()
    return len(tasks)


def _allocate(s: Session, by: Actor, row: Payment) -> list[tuple[str, Decimal]]:
    if row.direction != "in" or row.reverses_id or not row.company_id:
        return []
    owed = [(invoice.id, left) for invoice, left in open_invoices(s, row.company_id, row.currency)]
    shares = money.allocated(payment_rest(s, row), owed)
    for id, amount in shares:
        s.add(Allocation(payment_id=row.id, document_id=Id(id), amount=amount))
    s.flush()
    if shares:
        close_paid_tasks(s, by, [id for id, _ in shares])
    return shares


def derive(s: Session, row: Payment) -> None:
    row.direction = row.direction or "in"
    row.dated = row.dated or offices.today(s)
    row.currency = row.currency or prices.base_currency(s)
    if not row.number:
        row.number = draw(s, "payment", Payment, row.dated.year)


def check(s: Session, by: Actor, row: Payment, values: Values, new: bool) -> None:
    """Raise Invalid, Refused."""
    if not new:
        raise Refused(f"{row.number} does not change any more. Reverse it and record it anew instead.")
    amount = values.get("amount")
    if amount is None or amount <= 0:
        raise Invalid({"amount": "A payment is more than nothing; which way it goes is its direction."})
    parts = values.get("allocations") or []
    if not parts:
        return
    if any(p.get("amount") is None or p["amount"] <= 0 for p in parts):
        raise Invalid({"allocations": "Each invoice gets more than nothing, or is left out."})
    if sum(p["amount"] for p in parts) > amount:
        raise Invalid({"allocations": "The parts are more than the payment. Lower them, or raise the amount."})
    wanted: dict[str, Decimal] = {}
    for part in parts:
        wanted[part["document"]] = wanted.get(part["document"], Decimal(0)) + part["amount"]
    rows: dict[str, Document] = {r.id: r for r in s.scalars(sa.select(Document).where(Document.id.in_(wanted)))}
    standing = settlements(s, list(rows.values()))
    currency = row.currency or prices.base_currency(s)
    for id, part in wanted.items():
        if id not in standing:
            raise Invalid({"allocations": "Only a posted invoice can be settled. Post it first."})
        if rows[id].currency != currency:
            raise Invalid({"allocations": f"{rows[id].number} is in {rows[id].currency}; so must the payment be."})
        if part > standing[id].open:
            left = money.spelled(standing[id].open, currency)
            raise Invalid({"allocations": f"{rows[id].number} has only {left} {currency} open."})


def after(s: Session, by: Actor, row: Payment, values: Values, new: bool) -> None:
    """Settle invoices where the author named none, and close the reminders of those that are paid."""
    if not new:
        return
    if "allocations" in values:
        close_paid_tasks(s, by, [p["document"] for p in values["allocations"]])
    else:
        _allocate(s, by, row)


def _whole(column: Any) -> Any:
    return sa.type_coerce(column, sa.BigInteger)


def _extra(s: Session, by: Actor, rows: Sequence[Payment]) -> dict[str, Values]:
    used: dict[str, Decimal] = {}
    for batch in batches([r.id for r in rows]):
        query = sa.select(Allocation.payment_id, sa.func.sum(Allocation.amount))
        query = query.where(Allocation.payment_id.in_(batch), Allocation.alive).group_by(Allocation.payment_id)
        used.update(s.execute(query).all())
    reversals = {derived("reversal", r.id): r.id for r in rows}
    found = s.scalars(sa.select(Payment.id).where(Payment.id.in_(reversals)))
    gone = {reversals[id] for id in found}
    return {
        r.id: {"unallocated": r.amount - abs(used.get(r.id, Decimal(0))), "reversed": r.id in gone} for r in rows
    }


def _search(s: Session, rows: Sequence[Payment]) -> dict[str, SearchText]:
    names = party.company_names(s, (r.company_id for r in rows))
    return {
        r.id: SearchText(
            title=r.number,
            detail=names.get(r.company_id or "", ""),
            words=f"{r.number} {names.get(r.company_id or '', '')} {r.reference} {r.external_code}",
            digits=f"{r.number} {r.external_code}",
        )
        for r in rows
    }


ALLOCATION_FIELDS = (
    Field(name="document", kind=Kind.REF, label="Invoice", column="document_id", ref="invoices", required=True),
    Field(name="amount", kind=Kind.MONEY, label="Amount", required=True),
)
ALLOCATIONS = RowsOf(Allocation, "payment_id", ALLOCATION_FIELDS)

PAYMENTS = register(
    Concept(
        name="payments",
        singular="payment",
        model=Payment,
        label="Payment",
        label_plural="Payments",
        icon="money",
        title=lambda r: r.number,
        order=("-dated",),
        derive=derive,
        check=check,
        after=after,
        extra=_extra,
        search=_search,
        parts={"allocations": ALLOCATIONS},
        editable=False,
        removable=False,
        extra_fields=(
            Field(name="unallocated", kind=Kind.MONEY, label="Unallocated", read_only=True, listed=True),
            Field(name="reversed", kind=Kind.FLAG, label="Reversed", read_only=True),
        ),
        fields=(
            Field(name="number", kind=Kind.TEXT, label="Number", read_only=True, listed=True, sortable=True),
            Field(name="direction", kind=Kind.CHOICE, label="Direction", choices=tuple(DIRECTIONS),
                  choice_labels=DIRECTIONS),
            Field(name="company", kind=Kind.REF, label="Company", column="company_id", ref="companies", listed=True),
            Field(name="dated", kind=Kind.DAY, label="Date", listed=True, sortable=True),
            Field(name="amount", kind=Kind.MONEY, label="Amount", required=True, listed=True, sortable=True),
            Field(name="currency", kind=Kind.CURRENCY, label="Currency", listed=True),
            Field(name="method", kind=Kind.CHOICE, label="Method", choices=tuple(METHODS), choice_labels=METHODS),
            Field(name="reference", kind=Kind.TEXT, label="Reference"),
            Field(name="notes", kind=Kind.NOTE, label="Notes"),
            OWNER,
            Field(name="office", kind=Kind.OFFICE, label="Office", listed=True, sortable=True),
            Field(name="reverses", kind=Kind.REF, label="Reverses", column="reverses_id", ref="payments",
                  read_only=True, in_form=False),
            Field(name="external_code", kind=Kind.TEXT, label="External code"),
            Field(name="allocations", kind=Kind.PARTS, label="Settles", parts=ALLOCATION_FIELDS),
        ),
    )
)  # fmt: skip
