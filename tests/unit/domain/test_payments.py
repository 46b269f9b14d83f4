"""Payments: they settle invoices, never change, are reversed by their opposite, and close reminders."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy.orm import Session

from node.db import Database
from node.domain import chain, documents, offices, payments, posting, receivables, records
from node.domain.access import Actor
from node.domain.concept import CONCEPTS
from node.domain.documents import Document
from node.errors import Invalid, Refused
from tests.support import builders

D = Decimal


def _invoice(s: Session, by: Actor, company_id: str, amount: str, due: date, **attributes: Any) -> Document:
    line, dated = {"text": "Work", "price": D(amount)}, min(due, offices.today(s))
    row = documents.draft(
        s, by, "invoice", company_id=company_id, lines=[line], dated=dated, due_on=due, **attributes
    )
    return posting.post(s, by, row.id)


def _states(s: Session, *rows: Document) -> list[str]:
    found = payments.settlements(s, rows)
    return [found[r.id].state for r in rows]


@pytest.mark.postgres
def test_a_payment_settles_the_oldest_open_invoices_and_can_be_reversed(db: Database, by: Actor) -> None:
    def work(s: Session, by: Actor) -> None:
        today = offices.today(s)
        company = builders.company(s)
        old = _invoice(s, by, company.id, "100", today - timedelta(days=40))
        newer = _invoice(s, by, company.id, "50", today + timedelta(days=5))
        foreign = _invoice(s, by, company.id, "70", today - timedelta(days=90), currency="USD")
        assert _states(s, newer, old, foreign) == ["open", "overdue", "overdue"]
        row = records.create(s, by, CONCEPTS["payments"], {"company": company.id, "amount": "120", "currency": "EUR"})
        assert row.number == f"P-HQ-{today.year}-0001"
        assert _states(s, old, newer, foreign) == ["paid", "part_paid", "overdue"]
        assert payments.payment_rest(s, row) == 0
        with pytest.raises(Refused):
            records.update(s, by, CONCEPTS["payments"], row.id, {"amount": "1"})
        opposite = payments.reverse_payment(s, by, row.id)
        assert (opposite.direction, opposite.amount) == ("out", D(120))
        assert _states(s, old, newer) == ["overdue", "open"]
        with pytest.raises(Refused, match="reversed already"):
            payments.reverse_payment(s, by, row.id)
        assert records.item(s, by, CONCEPTS["payments"], row)["reversed"] is True

    db.write_now(work, by, by=by)


def test_parts_of_a_payment_fit_the_payment_and_the_invoices(db: Database, by: Actor) -> None:
    def work(s: Session, by: Actor) -> None:
        company = builders.company(s)
        invoice = _invoice(s, by, company.id, "100", offices.today(s))
        draft = documents.draft(s, by, "invoice", company_id=company.id, lines=[{"text": "x", "price": D(5)}])

        def pay(amount: str, **parts: str) -> Any:
            chosen = {invoice.id if k == "invoice" else draft.id: D(v) for k, v in parts.items()}
            return payments.record_payment(s, by, company_id=company.id, amount=D(amount), allocations=chosen)

        for amount, parts, why in (
            ("50", {"invoice": "60"}, "more than the payment"),
            ("500", {"invoice": "101"}, "only 100.00 EUR open"),
            ("50", {"draft": "5"}, "Post it first"),
            ("-1", {}, "more than nothing"),
        ):
            with pytest.raises(Invalid, match=why):
                pay(amount, **parts)
        pay("80", invoice="60")
        assert payments.settlements(s, [invoice])[invoice.id].open == D(40)

    db.write_now(work, by, by=by)


def test_a_reminder_closes_itself_when_its_invoice_is_paid_or_credited(db: Database, by: Actor) -> None:
    def work(s: Session, by: Actor) -> None:
        company = builders.company(s)
        paid = _invoice(s, by, company.id, "100", offices.today(s))
        credited = _invoice(s, by, company.id, "30", offices.today(s))
        tasks = [builders.task(s, "Remind", by, kind="payment") for _ in range(3)]
        for task, invoice, closes in zip(tasks, (paid, credited, paid), (True, True, False), strict=True):
            task.document_id, task.close_on_payment = invoice.id, closes
        s.flush()
        payments.record_payment(s, by, company_id=company.id, amount=D(40), allocations={paid.id: D(40)})
        assert [t.state for t in tasks] == ["open"] * 3
        payments.record_payment(s, by, company_id=company.id, amount=D(60), allocations={paid.id: D(60)})
        assert [t.state for t in tasks] == ["done", "open", "open"]
        posting.post(s, by, chain.credit_invoice(s, by, credited.id).id)
        assert [t.state for t in tasks] == ["done", "done", "open"]

    db.write_now(work, by, by=by)


@pytest.mark.postgres
def test_receivables_are_aged_per_company_and_equal_the_open_items(db: Database, by: Actor) -> None:
    def work(s: Session, by: Actor) -> None:
        today = offices.today(s)
        nord, sued = builders.company(s, "Nord GmbH"), builders.company(s, "Süd GmbH")
        for company, amount, late in ((nord, "100", 10), (nord, "50", -3), (nord, "7", 95), (sued, "20", 31)):
            _invoice(s, by, company.id, amount, today - timedelta(days=late))
        payments.record_payment(s, by, company_id=nord.id, amount=D(10))  # goes to the oldest: 7 and 3 of the 100
        rows = receivables.ageing(s, by)
        assert [(r.company, r.total, r.overdue) for r in rows] == [
            ("Nord GmbH", D(147), D(97)),
            ("Süd GmbH", D(20), D(20)),
        ]
        assert rows[0].buckets == {"not_due": 50, "1_30": 97, "31_60": 0, "61_90": 0, "over_90": 0}
        items = receivables.open_items(s, by)
        assert sum(x.open for x in items) == sum(r.total for r in rows)
        assert [x.days_overdue for x in items] == [31, 10, 0]
        # the duplicate's invoices count for who it is now
        sued.merged_into = nord.id
        s.flush()
        assert [(r.company, r.total) for r in receivables.ageing(s, by)] == [("Nord GmbH", D(167))]
        assert len(receivables.open_items(s, by, company_id=nord.id)) == 3

    db.write_now(work, by, by=by)
