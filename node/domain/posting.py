"""Posting: a draft gets its number and its addressee as he is today, and is closed for ever.

The number comes from this office's own range, so nobody waits for a line, and never from the document's office: head
office that enters an order for Paris draws from its own range. A range is not trusted alone. The next number is also
greater than every one of this office, kind and year that the database holds: an office that was restored from an old
backup has received its later documents back through the exchange, and must not use their numbers again.
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from node.domain import documents, money, party, payments, prices, search
from node.domain.access import Actor
from node.domain.customers import Company
from node.domain.documents import Document, DocumentLine
from node.domain.numbers import draw
from node.errors import Invalid, Refused

PAYMENT_DAYS = 14  # where nothing was agreed with the customer


def post(s: Session, by: Actor, id: str) -> Document:
    """Post the draft. Raise Refused (posted already, cancelled, credits more than is left), Invalid (no customer, no
    lines), NotFound, Forbidden."""
    row = documents.document(s, by, id, "edit")
    if row.state == "posted":
        raise Refused(f"{row.number} is posted already.")
    if row.state != "draft":
        raise Refused(f"This {row.kind} was cancelled. Make a new one instead.")
    documents.recompute(s, row)
    lines = documents.lines_of(s, row.id)
    _check(row, lines)
    if row.kind == "credit" and row.origin_id:
        _cap(s, row, lines)
    row.number = draw(s, row.kind, Document, row.dated.year)
    row.state = "posted"
    row.posted_at, row.posted_by = s.info["now"], by.user_id
    row.addressee = party.addressee(s, row.company_id, row.person_id)
    rate = prices.rate_on(s, row.currency, row.dated)
    row.rate = rate.rate if rate else Decimal(0)  # 0: unknown; reports name what they could not convert
    if row.kind == "order" and not row.progress:
        row.progress = "in_process"
    if row.kind == "invoice" and row.due_on is None:
        row.due_on = row.dated + timedelta(days=_payment_days(s, row))
    s.flush()
    search.note(s, documents.COLLECTION[row.kind], [row.id])  # it has its number now
    if row.kind == "credit" and row.origin_id:
        payments.close_paid_tasks(s, by, [row.origin_id])
    return row


def cancel_draft(s: Session, by: Actor, id: str) -> Document:
    """Give a draft up; it stays to be seen. Raise Refused for what is posted, NotFound, Forbidden."""
    row = documents.document(s, by, id, "edit")
    if row.state == "posted":
        raise Refused(documents.way_out(row.kind, row.number))
    row.state = "cancelled"
    s.flush()
    return row


def _check(row: Document, lines: list[DocumentLine]) -> None:
    wrong: dict[str, str] = {}
    if not row.company_id and not row.person_id:
        wrong["company"] = "Say whom it is for before you post it."
    if not lines:
        wrong["lines"] = "There is no line yet. Add what it is about before you post it."
    elif fault := documents.line_faults(lines):
        wrong["lines"] = fault
    elif row.gross < 0:
        wrong["lines"] = "The total is negative. To give money back, make a credit note."
    if wrong:
        raise Invalid(wrong)


def _payment_days(s: Session, row: Document) -> int:
    company = s.get(Company, row.company_id) if row.company_id else None
    days = company.payment_days if company else None
    return PAYMENT_DAYS if days is None else days


def _cap(s: Session, row: Document, lines: list[DocumentLine]) -> None:
    """A credit note takes no more than the invoice has left. What is over by roundings alone is taken off the lines."""
    invoice = s.get(Document, row.origin_id)
    if invoice is None:
        return  # it has not arrived at this office yet: head office sees the sum
    if invoice.currency != row.currency:
        raise Refused(f"{invoice.number} is in {invoice.currency}; a credit note for it is in the same currency.")
    left = left_to_credit(s, invoice, without=row.id)
    spare = money.unit(row.currency) * (len(lines) + _credited_lines(s, invoice.id))  # each was rounded once
    if row.net > left.net + spare or row.gross > left.gross + 2 * spare:
        amount = f"{money.spelled(left.gross, row.currency)} {row.currency}"
        raise Refused(
            f"{invoice.number} has {amount} left to credit; this credit note takes "
            f"{money.spelled(row.gross, row.currency)}. Lower its quantities or prices.",
            left=left.gross,
        )
    nets = money.capped([line.net for line in lines], left.net)
    for line, net in zip(lines, nets, strict=True):
        if line.net != net:
            line.net = net
    total = documents.sums(lines, row.currency)
    gross = min(total.gross, left.gross)
    row.net, row.vat, row.gross = total.net, gross - total.net, gross


def _credited_lines(s: Session, invoice_id: str) -> int:
    query = (
        sa.select(sa.func.count())
        .select_from(DocumentLine)
        .join(Document, Document.id == DocumentLine.document_id)
        .where(Document.origin_id == invoice_id, Document.kind == "credit", Document.state == "posted", Document.alive)
    )
    return s.scalar(query.where(DocumentLine.alive)) or 0


def left_to_credit(s: Session, invoice: Document, without: str = "") -> money.Totals:
    """What posted credit notes have left of an invoice; `without` is one that is not counted."""
    raw: Any = sa.func.coalesce
    query = sa.select(
        raw(sa.func.sum(Document.net), Decimal(0)),
        raw(sa.func.sum(Document.vat), Decimal(0)),
        raw(sa.func.sum(Document.gross), Decimal(0)),
    ).where(
        Document.origin_id == invoice.id,
        Document.kind == "credit",
        Document.state == "posted",
        Document.alive,
        Document.id != without,
    )
    net, vat, gross = s.execute(query).one()
    return money.Totals(net=invoice.net - net, vat=invoice.vat - vat, gross=invoice.gross - gross)
