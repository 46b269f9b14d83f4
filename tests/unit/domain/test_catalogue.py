"""Catalogue: what something costs whom and when, currencies, and stock."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy.orm import Session

from node.db import Database
from node.domain import catalogue, documents, offices, posting, prices, records, shipping
from node.domain.access import Actor
from node.domain.catalogue import StockMovement
from node.domain.concept import CONCEPTS
from node.errors import Invalid, Refused
from tests.support import builders

D = Decimal
TIER = {"currency": "EUR", "own": False}


def _product(s: Session, by: Actor, code: str = "P-1", **values: Any) -> catalogue.Product:
    given = {"code": code, "name": "Pump", "price": "20", "currency": "EUR", "vat_rate": "19", **values}
    row: catalogue.Product = records.create(s, by, CONCEPTS["products"], given)
    return row


def _list(s: Session, by: Actor, name: str, product_id: str, price: str, **values: Any) -> str:
    given = {"name": name, "currency": "EUR", "prices": [{"product": product_id, "price": price}], **values}
    key: str = records.create(s, by, CONCEPTS["price_lists"], given).id
    return key


def test_the_tier_that_is_reached_holds_and_the_own_list_before_all_others() -> None:
    def tier(price: str, start: str, source: str, own: bool = False) -> prices.Tier:
        return prices.Tier(price=D(price), currency="EUR", from_quantity=D(start), source=source, own=own)

    standard = [tier("10", "1", "A"), tier("8", "100", "A"), tier("9", "1", "B")]
    assert prices.best(standard, D(1)) == standard[2]
    assert prices.best(standard, D(100)) == standard[1]
    own = tier("11", "5", "Mine", own=True)
    assert prices.best([*standard, own], D(5)) == own  # agreed is agreed
    assert prices.best([*standard, own], D(4)) == standard[2]
    assert prices.best([], D(1)) is None


@pytest.mark.postgres
def test_a_price_comes_from_the_customers_list_then_the_standard_ones_then_the_product(
    db: Database, by: Actor
) -> None:
    def work(s: Session, by: Actor) -> None:
        pump = _product(s, by)
        own = _list(s, by, "Nordwind", pump.id, "15", valid_from="2026-01-01", valid_until="2026-06-30")
        company = builders.company(s, price_list=own)
        on = date(2026, 3, 1)
        assert prices.best_price(s, pump.id, company_id=company.id, on=on).price == 15
        assert prices.best_price(s, pump.id, company_id=company.id, on=date(2026, 7, 1)).price == 20
        _list(s, by, "Spring", pump.id, "18", standard=True)
        assert prices.best_price(s, pump.id, on=on).source == "Spring"
        assert prices.best_price(s, pump.id, company_id=company.id, on=on).source == "Nordwind"
        with pytest.raises(Invalid, match="before the first one"):
            records.update(s, by, CONCEPTS["price_lists"], own, {"valid_until": "2025-01-01"})

    db.write_now(work, by, by=by)


@pytest.mark.postgres
def test_a_currency_is_converted_by_the_newest_rate_and_says_how_old_it_is(db: Database, by: Actor) -> None:
    def work(s: Session, by: Actor) -> None:
        for day, rate in (("2026-03-01", "0.9"), ("2026-03-03", "0.92")):
            values = {"currency": "USD", "on": day, "rate": rate, "source": "ECB"}
            records.create(s, by, CONCEPTS["currency_rates"], values)
        converted = prices.convert(s, D("100"), "USD", "EUR", date(2026, 3, 2))
        assert converted == prices.Converted(amount=D("90.00"), currency="EUR", as_of=date(2026, 3, 1))
        later = prices.convert(s, D("92"), "EUR", "USD", date(2026, 12, 1))
        assert later == prices.Converted(amount=D("100.00"), currency="USD", as_of=date(2026, 3, 3))
        assert prices.convert(s, D(1), "USD", "EUR", date(2026, 2, 1)) is None
        with pytest.raises(Invalid, match="already"):
            records.create(s, by, CONCEPTS["currency_rates"], {"currency": "USD", "on": "2026-03-01", "rate": "1"})
        pump = _product(s, by, price="46", currency="EUR")
        quote = prices.best_price(s, pump.id, currency="USD", on=date(2026, 3, 4))
        assert (quote.price, quote.listed, quote.rate_on) == (D("50.00"), D(46), date(2026, 3, 3))
        with pytest.raises(Invalid, match="no rate"):
            documents.draft(
                s, by, "order", company_id=builders.company(s).id, currency="GBP", lines=[{"product": pump.id}]
            )

    db.write_now(work, by, by=by)


@pytest.mark.postgres
def test_stock_is_the_sum_of_movements_per_office_and_says_how_old_it_is(db: Database, by: Actor) -> None:
    def work(s: Session, by: Actor) -> None:
        pump = _product(s, by)
        for quantity, kind, office in (("10", "opening", "HQ"), ("-3", "issue", "HQ"), ("4.5", "receipt", "PAR")):
            if office == "PAR":
                offices.ensure_office(s, "PAR", "Paris")
            values = {"product": pump.id, "quantity": quantity, "kind": kind, "office": office}
            records.create(s, by, CONCEPTS["stock_movements"], values)
        heard = {"PAR": datetime(2026, 1, 1, tzinfo=UTC)}
        levels = catalogue.stock(s, [pump.id], heard)
        assert {k[1]: v.quantity for k, v in levels.items()} == {"HQ": D(7), "PAR": D("4.5")}
        assert levels[pump.id, "HQ"].as_of == s.info["now"]
        assert levels[pump.id, "PAR"].as_of == heard["PAR"]
        shown = records.item(s, by, CONCEPTS["products"], pump)
        assert shown["stock"] == D(7)
        assert [x["office"] for x in shown["stock_by_office"]] == ["HQ", "PAR"]
        for quantity, kind in (("1", "issue"), ("-1", "receipt"), ("0", "correction")):
            with pytest.raises(Invalid):
                records.create(
                    s, by, CONCEPTS["stock_movements"], {"product": pump.id, "quantity": quantity, "kind": kind}
                )

    db.write_now(work, by, by=by)


def test_an_order_goes_out_in_parts_and_warns_but_never_blocks(db: Database, by: Actor) -> None:
    def work(s: Session, by: Actor) -> None:
        pump, work_hour = _product(s, by), _product(s, by, "S-1", kind="service")
        lines: list[Any] = [{"product": pump.id, "quantity": D(5)}, {"product": work_hour.id}]
        order = documents.draft(s, by, "order", company_id=builders.company(s).id, lines=lines)
        with pytest.raises(Refused, match="Post it first"):
            shipping.ship_order(s, by, order.id)
        posting.post(s, by, order.id)  # without stock: an order is an order
        first = shipping.ship_order(s, by, order.id, {pump.id: D(2)})
        assert (first.complete, first.short) == (False, (pump.id,))
        assert order.progress == "in_process"
        with pytest.raises(Invalid, match="Only 3"):
            shipping.ship_order(s, by, order.id, {pump.id: D(4)})
        assert shipping.ship_order(s, by, order.id).complete
        assert (order.progress, order.shipped_on) == ("shipped", offices.today(s))
        assert [m.quantity for m in s.query(StockMovement).order_by(StockMovement.id)] == [D(-2), D(-3)]
        assert shipping.ship_order(s, by, order.id).movements == 0

    db.write_now(work, by, by=by)
