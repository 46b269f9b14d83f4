"""Reports: exact sums, per currency, on the basis that they name."""

from __future__ import annotations

import csv
from collections import defaultdict
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.orm import Session

from node.columns import MONEY
from node.db import Database
from node.domain import chain, documents, offices, payments, posting, records, reports
from node.domain.access import Actor
from node.domain.concept import CONCEPTS
from node.domain.documents import Document
from node.errors import BadInput
from tests.support import builders

D = Decimal
CLASSIC = Path(__file__).parents[4] / "shared" / "data" / "business" / "classicmodels"


def _posted(s: Session, by: Actor, kind: str, price: str, **attributes: Any) -> Document:
    attributes.setdefault("company_id", builders.company(s).id)
    attributes.setdefault("dated", date(2026, 3, 2))
    line = {"text": "x", "price": D(price), "vat_rate": D(19), **attributes.pop("line", {})}
    return posting.post(s, by, documents.draft(s, by, kind, lines=[line], **attributes).id)


@pytest.mark.postgres
def test_revenue_is_order_intake_by_default_and_invoices_less_credits_if_asked(db: Database, by: Actor) -> None:
    def work(s: Session, by: Actor) -> None:
        offices.ensure_office(s, "PAR", "Paris")
        _posted(s, by, "order", "100.10", office="PAR")
        cancelled = _posted(s, by, "order", "50")
        cancelled.progress = "cancelled"
        documents.draft(s, by, "order", company_id=builders.company(s).id, lines=[{"text": "x", "price": D(999)}])
        invoice = _posted(s, by, "invoice", "80")
        credit = chain.credit_invoice(s, by, invoice.id)
        documents.LINES.save(s, credit, [{"text": "x", "price": D(30), "vat_rate": D(19)}])
        posting.post(s, by, credit.id)
        s.flush()
        found = reports.revenue(s, by)
        assert [(r.key, r.name, r.amount, r.documents) for r in found.rows] == [
            ("PAR", "Paris", D("100.10"), 1),
            ("HQ", "Head office", D(50), 1),
        ]
        assert (found.total, found.basis, found.currency) == (D("150.10"), "order", "EUR")
        assert set(found.as_of) == {"HQ", "PAR"}
        assert reports.revenue(s, by, include_cancelled=False).total == D("100.10")
        assert reports.revenue(s, by, since=date(2026, 3, 3)).total == 0
        by_month = reports.revenue(s, by, "month", kind="invoice")
        assert [r.amount for r in by_month.rows] == [D(-30), D(80)]  # the clock of this test stands in 2025
        assert by_month.total == D(50)
        shown = reports.as_json(found)
        assert shown["total"] == "150.10"
        assert shown["items"][0] == {
            "office": "PAR", "name": "Paris", "revenue": "100.10", "currency": "EUR", "documents": 1,
        }  # fmt: skip
        for group in reports.GROUPS:
            assert reports.revenue(s, by, group).total == D("150.10"), group
        with pytest.raises(BadInput, match="grouped by"):
            reports.revenue(s, by, "weather")

    db.write_now(work, by, by=by)


@pytest.mark.postgres
def test_currencies_are_totalled_at_the_rate_of_posting_and_what_has_none_is_named(db: Database, by: Actor) -> None:
    def work(s: Session, by: Actor) -> None:
        records.create(s, by, CONCEPTS["currency_rates"], {"currency": "USD", "on": "2026-03-01", "rate": "0.9"})
        _posted(s, by, "order", "100")
        _posted(s, by, "order", "10", currency="USD")
        _posted(s, by, "order", "7", currency="GBP")
        found = reports.revenue(s, by)
        assert (found.total, found.currency) == (D("109.00"), "EUR")
        assert found.unconverted == {"GBP": D(7)}
        assert [(r.currency, r.amount) for r in found.rows] == [("EUR", D(100)), ("USD", D(10)), ("GBP", D(7))]

    db.write_now(work, by, by=by)


def test_reports_count_only_what_the_reader_may_see(db: Database, by: Actor) -> None:
    def work(s: Session, by: Actor) -> None:
        paris = builders.user(s, "claire", office="PAR")
        _posted(s, by, "order", "100", office="PAR")
        _posted(s, by, "order", "50")
        payments.record_payment(s, by, company_id=None, amount=D(5), office="PAR")
        payments.record_payment(s, by, company_id=None, amount=D(6))
        assert reports.revenue(s, paris).total == 100
        assert reports.payments_total(s, paris).total == 5
        assert reports.payments_total(s, by).total == 11
        assert reports.home(s, paris).overdue_count == 0

    db.write_now(work, by, by=by)


@pytest.mark.postgres
def test_my_day_shows_my_overdue_invoices_and_their_sum(db: Database, by: Actor) -> None:
    def work(s: Session, by: Actor) -> None:
        today = offices.today(s)
        for place in range(3):
            _posted(s, by, "invoice", "10", dated=date(2025, 1, 1 + place), due_on=date(2025, 2, 1))
        _posted(s, by, "invoice", "10", dated=today, due_on=today)
        found = reports.home(s, by, limit=2)
        assert (found.overdue_count, len(found.overdue), found.overdue_sums) == (3, 2, {"EUR": D("35.70")})

    db.write_now(work, by, by=by)


@pytest.mark.skipif(not CLASSIC.exists(), reason="the classicmodels files are not on this machine")
def test_revenue_of_a_real_trading_house_is_right_to_the_cent(db: Database, by: Actor) -> None:
    """326 orders with 2,996 lines: quantity × price per line, per office and per product group, as its readme says."""

    def rows(name: str) -> list[dict[str, str]]:
        with (CLASSIC / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    lines = defaultdict(list)
    for r in rows("orderdetails"):
        line = {"text": r["productCode"], "quantity": D(r["quantityOrdered"]), "price": D(r["priceEach"])}
        lines[r["orderNumber"]].append(line)
    office = {r["employeeNumber"]: f"O{r['officeCode']}" for r in rows("employees")}
    of_customer = {r["customerNumber"]: office.get(r["salesRepEmployeeNumber"], "HQ") for r in rows("customers")}

    def work(s: Session, by: Actor) -> None:
        company = builders.company(s)
        for r in rows("orders"):
            draft = documents.draft(
                s, by, "order", company_id=company.id, lines=lines[r["orderNumber"]], currency="USD",
                dated=date.fromisoformat(r["orderDate"][:10]), office=of_customer[r["customerNumber"]],
                progress="cancelled" if r["status"] == "Cancelled" else "shipped",
            )  # fmt: skip
            posting.post(s, by, draft.id)
        found = reports.revenue(s, by)
        assert found.total == D("9604190.61")
        assert {r.key: r.amount for r in found.rows}["O4"] == D("3083761.58")
        assert reports.revenue(s, by, include_cancelled=False).total == D("9365336.43")
        assert reports.revenue(s, by, until=date(2003, 12, 31)).total == D("3317348.39")
        assert found.documents == 326
        assert MONEY.places == 4

    db.write_now(work, by, by=by)
