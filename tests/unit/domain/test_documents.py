"""Documents: numbers, posting, what cannot change any more, and one document from another."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from node.db import Database
from node.domain import chain, documents, payments, posting, records, search
from node.domain.access import SYSTEM, Actor
from node.domain.concept import CONCEPTS
from node.domain.documents import Document, DocumentLine, NumberRange
from node.errors import Invalid, NotFound, Refused
from tests.support import builders

D = Decimal
LINES = [
    {"text": "Pump", "quantity": D(3), "price": D("19.99"), "vat_rate": D(19)},
    {"text": "Book", "quantity": D(1), "price": D("10.05"), "discount": D(10), "vat_rate": D(7)},
]


def _posted(s: Session, by: Actor, kind: str = "invoice", lines: Any = None, **attributes: Any) -> Document:
    attributes.setdefault("company_id", builders.company(s).id)
    attributes.setdefault("dated", date(2026, 3, 2))
    return posting.post(s, by, documents.draft(s, by, kind, lines=lines or LINES, **attributes).id)


def _in_both(db: Database, by: Actor, work: Callable[..., Any], *args: Any) -> Any:
    return db.write_now(work, by, *args, by=by)


def test_posting_numbers_and_closes_a_document(db: Database, by: Actor) -> None:
    def work(s: Session, by: Actor) -> None:
        address = {"kind": "billing", "street": "Hafenstr. 7", "zip": "20457", "city": "Hamburg", "country": "DE"}
        company = builders.company(s, "Nordwind GmbH", legal_name="Nordwind Handelsgesellschaft mbH",
                                   addresses=[address], payment_days=30)  # fmt: skip
        values = {"company": company.id, "dated": "2026-03-02", "lines": LINES}
        row = records.create(s, by, CONCEPTS["invoices"], values)
        assert (row.number, row.state, row.net, row.vat, row.gross) == ("", "draft", D("69.02"), D("12.02"), D("81.04"))
        posting.post(s, by, row.id)
        assert (row.number, row.state, row.due_on) == ("R-HQ-2026-0001", "posted", date(2026, 4, 1))
        assert row.addressee["name"] == "Nordwind Handelsgesellschaft mbH"
        assert row.addressee["city"] == "Hamburg"
        company.legal_name = "Someone else"
        assert row.addressee["name"] == "Nordwind Handelsgesellschaft mbH"
        with pytest.raises(Refused, match="posted already"):
            posting.post(s, by, row.id)
        with pytest.raises(Refused, match="credit note"):
            posting.cancel_draft(s, by, row.id)

    _in_both(db, by, work)


@pytest.mark.parametrize(
    "change",
    [
        {"company": None},
        {"dated": "2026-05-05"},
        {"currency": "USD"},
        {"intro": "Hello"},
        {"lines": [{"text": "Pump", "quantity": D(1), "price": D(1)}]},
        {"office": "HQ", "notes": "x", "closing": "y"},
    ],
    ids=str,
)
def test_a_posted_document_refuses_every_edit_and_names_the_way_out(
    db: Database, by: Actor, change: dict[str, Any]
) -> None:
    def work(s: Session, by: Actor) -> None:
        row = _posted(s, by)
        if change.get("company", "") is None:
            change["company"] = builders.company(s, "Other AG").id
        with pytest.raises(Refused, match="credit note"):
            records.update(s, by, CONCEPTS["invoices"], row.id, change)
        with pytest.raises(Refused, match="credit note"):
            documents.LINES.save(s, row, [])
        with pytest.raises(Refused):
            records.remove(s, by, CONCEPTS["invoices"], row.id)
        s.expire_all()
        assert (row.gross, row.alive, len(documents.lines_of(s, row.id))) == (D("81.04"), True, 2)
        unchanged = {"lines": documents.ROWS.load(s, [row.id])[row.id], "notes": "Called", "progress": "reminded"}
        records.update(s, by, CONCEPTS["invoices"], row.id, unchanged)  # what a form sends back, and what is free
        assert (row.notes, row.progress) == ("Called", "reminded")

    _in_both(db, by, work)


@pytest.mark.postgres
def test_numbers_rise_without_gaps_per_kind_and_year_and_survive_a_refusal(db: Database, by: Actor) -> None:
    def work(s: Session, by: Actor) -> None:
        assert [_posted(s, by).number for _ in range(2)] == ["R-HQ-2026-0001", "R-HQ-2026-0002"]
        assert _posted(s, by, dated=date(2025, 1, 1)).number == "R-HQ-2025-0001"
        assert _posted(s, by, "order").number == "O-HQ-2026-0001"
        empty = documents.draft(s, by, "invoice", company_id=builders.company(s).id, lines=[], dated=date(2026, 3, 2))
        with pytest.raises(Invalid, match="no line"):
            posting.post(s, by, empty.id)
        assert _posted(s, by).number == "R-HQ-2026-0003"

    _in_both(db, by, work)

    def failing(s: Session, by: Actor) -> None:
        _posted(s, by)
        raise RuntimeError("the power goes")

    with pytest.raises(RuntimeError):
        _in_both(db, by, failing)
    _in_both(db, by, lambda s, by: _assert_number(_posted(s, by), "R-HQ-2026-0004"))


@pytest.mark.postgres
def test_a_restored_office_never_reuses_a_number_that_came_back(db: Database, by: Actor) -> None:
    def lose(s: Session, by: Actor) -> None:
        for _ in range(3):
            _posted(s, by)
        # the backup is from before: its range begins anew, the documents have come back by the exchange
        s.execute(sa.update(NumberRange).values(next=1))
        s.execute(sa.update(Document).where(Document.number == "R-HQ-2026-0003").values(number="R-HQ-2026-12345"))

    _in_both(db, by, lose)
    _in_both(db, by, lambda s, by: _assert_number(_posted(s, by), "R-HQ-2026-12346"))


def _assert_number(row: Document, number: str) -> None:
    assert row.number == number


def test_a_line_changes_in_place_and_takes_what_is_missing_from_the_catalogue(db: Database, by: Actor) -> None:
    def work(s: Session, by: Actor) -> None:
        product = {"code": "P-1", "name": "Pump", "price": "12.50", "unit": "pcs", "vat_rate": "19", "currency": "EUR"}
        pump = records.create(s, by, CONCEPTS["products"], product)
        company = builders.company(s)
        row = records.create(
            s, by, CONCEPTS["orders"], {"company": company.id, "lines": [{"product": pump.id, "quantity": "4"}]}
        )
        (line,) = documents.lines_of(s, row.id)
        assert (line.text, line.unit, line.price, line.vat_rate, line.net) == ("Pump", "pcs", D("12.5"), D(19), D(50))
        assert row.gross == D("59.50")
        records.update(s, by, CONCEPTS["orders"], row.id, {"lines": [{"id": line.id, "quantity": "2"}]})
        assert (line.quantity, line.price, row.net) == (D(2), D("12.5"), D(25))
        two: list[Any] = [{"product": pump.id, "quantity": D(1)}, {"text": "Freight", "price": D(9)}]
        records.update(s, by, CONCEPTS["orders"], row.id, {"lines": two})
        lines = documents.lines_of(s, row.id)
        assert [x.id == line.id for x in lines] == [True, False]
        assert [(x.text, x.net) for x in lines] == [("Pump", D("12.5")), ("Freight", D(9))]
        records.update(s, by, CONCEPTS["orders"], row.id, {"lines": [{"id": lines[1].id}]})
        assert [x.text for x in documents.lines_of(s, row.id)] == ["Freight"]
        assert not line.alive
        assert row.net == D(9)
        with pytest.raises(Invalid, match="not negative"):
            records.update(s, by, CONCEPTS["orders"], row.id, {"lines": [{"text": "x", "quantity": "-1"}]})

    _in_both(db, by, work)


def test_the_chain_from_offer_to_credit_takes_over_only_what_is_left(db: Database, by: Actor) -> None:
    def work(s: Session, by: Actor) -> None:
        offer = _posted(s, by, "offer")
        order_draft = chain.next_document(s, by, offer.id, "order")
        assert offer.progress == "accepted"
        with pytest.raises(Refused, match="Nothing is left"):
            chain.next_document(s, by, offer.id, "order")
        with pytest.raises(Refused, match="comes invoice"):
            chain.next_document(s, by, order_draft.id, "credit")
        with pytest.raises(Refused, match="Post this order first"):
            chain.next_document(s, by, order_draft.id, "invoice")
        order = posting.post(s, by, order_draft.id)
        assert order.progress == "in_process"
        pump = documents.lines_of(s, order.id)[0]
        first = posting.post(s, by, chain.next_document(s, by, order.id, "invoice", quantities={pump.id: D(2)}).id)
        assert first.net == D("39.98")
        second = posting.post(s, by, chain.next_document(s, by, order.id, "invoice").id)
        assert first.net + second.net == order.net
        with pytest.raises(Invalid, match="Only 2"):
            chain.credit_invoice(s, by, first.id, quantities={documents.lines_of(s, first.id)[0].id: D(3)})
        credit = posting.post(s, by, chain.credit_invoice(s, by, first.id).id)
        assert credit.gross == first.gross
        assert payments.settlements(s, [first])[first.id].state == "credited"
        links = chain.chain(s, by, second.id)
        assert [x.concept for x in links] == ["offers", "orders", "invoices", "invoices", "credits"]
        assert [x.current for x in links] == [False, False, False, True, False]
        again = chain.copy_last_order(s, by, order.company_id or "")
        assert (again.state, again.net, again.origin_id) == ("draft", order.net, None)

    _in_both(db, by, work)


@pytest.mark.postgres
def test_a_credit_note_takes_no_more_than_the_invoice_has_left(db: Database, by: Actor) -> None:
    def work(s: Session, by: Actor) -> None:
        invoice = _posted(s, by)
        half = chain.credit_invoice(s, by, invoice.id)
        whole = chain.credit_invoice  # a second one while the first is a draft: its lines are spoken for
        with pytest.raises(Refused, match="Nothing is left"):
            whole(s, by, invoice.id)
        documents.LINES.save(s, half, [{"text": "Too much", "price": D(500), "quantity": D(1)}])
        with pytest.raises(Refused, match=r"81\.04 EUR left"):
            posting.post(s, by, half.id)
        documents.LINES.save(s, half, [{"text": "Goodwill", "price": D(20), "quantity": D(1)}])
        posting.post(s, by, half.id)
        assert posting.left_to_credit(s, invoice).gross == D("61.04")

    _in_both(db, by, work)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    price=st.decimals(min_value=D("0.01"), max_value=50, places=4),
    quantity=st.integers(1, 6),
    discount=st.decimals(min_value=0, max_value=99, places=2),
    rate=st.sampled_from([D(0), D(7), D(19), D("5.5")]),
)
def test_crediting_piece_by_piece_never_exceeds_the_invoice(
    db: Database, by: Actor, price: Decimal, quantity: int, discount: Decimal, rate: Decimal
) -> None:
    def work(s: Session, by: Actor) -> None:
        line = {"text": "x", "quantity": D(quantity), "price": price, "discount": discount, "vat_rate": rate}
        invoice = _posted(s, by, lines=[line])
        key = documents.lines_of(s, invoice.id)[0].id
        credits = []
        for _ in range(quantity):
            left = chain.left_lines(s, invoice, "credit")[0]
            draft = chain.credit_invoice(s, by, invoice.id, quantities={left["line_id"]: D(1)})
            assert left["line_id"] == key
            credits.append(posting.post(s, by, draft.id))
        assert sum((c.gross for c in credits), D(0)) <= invoice.gross
        assert sum((c.net for c in credits), D(0)) <= invoice.net
        assert all(c.net + c.vat == c.gross and c.gross >= 0 for c in credits)
        assert all(c.net == sum((x.net for x in documents.lines_of(s, c.id)), D(0)) for c in credits)
        assert payments.settlements(s, [invoice])[invoice.id].open >= 0

    _in_both(db, by, work)


def test_a_document_is_found_by_its_number_and_its_customer(db: Database, by: Actor) -> None:
    def work(s: Session, by: Actor) -> None:
        row = _posted(s, by, company_id=builders.company(s, "Müller Söhne").id, external_code="10425")
        for words in ("R-HQ-2026-0001", "muller", "10425"):
            hits = search.search(s, by, words, ["invoices"])
            assert [(h.id, h.title, h.detail) for h in hits] == [(row.id, "R-HQ-2026-0001", "Müller Söhne")], words
        assert search.search(s, by, "muller", ["orders"]) == []

    _in_both(db, by, work)


def test_sales_sees_and_posts_only_what_is_his(db: Database, by: Actor) -> None:
    def work(s: Session, by: Actor) -> None:
        paris = builders.user(s, "claire", office="PAR")
        company = builders.company(s)
        theirs = documents.draft(s, by, "order", company_id=company.id, lines=LINES)
        own = documents.draft(s, paris, "order", company_id=company.id, lines=LINES, office="PAR")
        with pytest.raises(NotFound):
            posting.post(s, paris, theirs.id)
        assert posting.post(s, paris, own.id).number == "O-HQ-2026-0001" or own.dated.year != 2026

    _in_both(db, by, work)


def test_lines_know_their_document_by_an_index(db: Database) -> None:
    def plan(s: Session) -> str:
        query = sa.select(DocumentLine.id).where(DocumentLine.document_id == "x")
        text = str(query.compile(s.get_bind(), compile_kwargs={"literal_binds": True}))
        return " ".join(str(r) for r in s.execute(sa.text(f"EXPLAIN QUERY PLAN {text}")))

    assert "ix_document_line_document_id" in db.read_now(plan)
    assert SYSTEM.admin
