"""Deals: the way through a pipeline, the board, and what it should bring."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy.orm import Session

from node.clock import ManualClock
from node.db import Database
from node.domain import board, chain, deals, offices, records, reports
from node.domain.access import Actor
from node.domain.concept import CONCEPTS
from node.domain.deals import Deal
from node.errors import Invalid, Refused
from node.ids import derived
from tests.support import builders

D = Decimal
DAY_MS = 86_400_000
NEW = derived("pipeline", "New customers")


def _stage(word: str, pipeline: str = "New customers") -> str:
    return derived("stage", pipeline, word)


def _deal(s: Session, by: Actor, title: str = "Pumps", **values: Any) -> Deal:
    row: Deal = records.create(s, by, CONCEPTS["deals"], {"title": title, "currency": "EUR", **values})
    return row


def test_stage_state_and_what_follows_move_as_one(db: Database, by: Actor, clock: ManualClock) -> None:
    def begin(s: Session, by: Actor) -> str:
        row = _deal(s, by)
        assert (row.pipeline_id, row.stage_id, row.state) == (NEW, _stage("First contact"), "open")
        return row.id

    key = db.write_now(begin, by, by=by)
    clock.move(3 * DAY_MS)

    def go_on(s: Session, by: Actor) -> None:
        row = deals.move_deal(s, by, key, _stage("Offer sent"))
        assert row.stage_since == s.info["now"]
        records.update(s, by, CONCEPTS["deals"], key, {"title": "Five pumps"})
        with pytest.raises(Invalid, match="why it was lost"):
            deals.move_deal(s, by, key, _stage("Lost"))
        assert row.state == "open"
        deals.move_deal(s, by, key, _stage("Lost"), derived("lost reason", "Price"))
        assert (row.state, row.closed_on) == ("lost", offices.today(s))
        records.update(s, by, CONCEPTS["deals"], key, {"stage": "Переговоры"})  # by name, in any language
        assert (row.state, row.closed_on, row.lost_reason_id) == ("open", None, None)
        assert row.stage_id == _stage("Negotiation")
        records.update(s, by, CONCEPTS["deals"], key, {"stage": _stage("Won")})
        assert (row.state, row.closed_on) == ("won", offices.today(s))
        with pytest.raises(Invalid, match="no such stage"):
            records.update(s, by, CONCEPTS["deals"], key, {"stage": "Half won"})
        deals.move_deal(s, by, key, _stage("Request", "Repeat business"))
        assert row.pipeline_id == derived("pipeline", "Repeat business")

    db.write_now(go_on, by, by=by)


def test_products_make_the_amount_and_become_the_lines_of_an_offer(db: Database, by: Actor) -> None:
    def work(s: Session, by: Actor) -> None:
        pump = records.create(
            s, by, CONCEPTS["products"], {"code": "P-1", "name": "Pump", "price": "12.50", "currency": "EUR"}
        )
        lines = [{"product": pump.id, "quantity": "4"}, {"text": "Work", "price": "99.99", "discount": "10"}]
        row = _deal(s, by, company=builders.company(s).id, amount="5", lines=lines)
        assert row.amount == D("139.99")
        records.update(s, by, CONCEPTS["deals"], row.id, {"amount": "7"})
        assert row.amount == D("139.99")
        offer = chain.document_from_deal(s, by, row.id)
        assert (offer.kind, offer.net, offer.deal_id) == ("offer", D("139.99"), row.id)

    db.write_now(work, by, by=by)


@pytest.mark.postgres
def test_the_board_counts_sums_and_shows_what_rots(db: Database, by: Actor, clock: ManualClock) -> None:
    def begin(s: Session, by: Actor) -> None:
        for place in range(5):
            _deal(s, by, f"Deal {place}", amount="100", company=builders.company(s, f"Firm {place}").id)
        _deal(s, by, "Dollars", amount="50.50", currency="USD", probability=50)
        won = _deal(s, by, "Won", amount="30")
        deals.move_deal(s, by, won.id, _stage("Won"))

    db.write_now(begin, by, by=by)
    clock.move(15 * DAY_MS)

    def look(s: Session, by: Actor) -> None:
        shown = board.board(s, by, limit=2)
        first = shown.columns[0]
        assert (first.count, len(first.cards)) == (6, 2)
        assert first.sums == {"EUR": D(500), "USD": D("50.50")}
        assert first.weighted == {"EUR": D(50), "USD": D("25.25")}  # 10 percent of the stage, 50 of its own
        assert shown.open_sums == first.sums
        assert all(card.rotting and card.days_in_stage == 15 for card in first.cards)
        assert [c.count for c in shown.columns] == [6, 0, 0, 0, 1, 0]
        assert len(board.rotting(s, by)) == 6
        assert board.board(s, by, narrow=board.Narrow(text="dollar")).count == 1
        assert reports.home(s, by).open_deals == 6

    db.read_now(look, by)
    clock.move(16 * DAY_MS)
    later = db.read_now(board.board, by)
    assert [c.count for c in later.columns] == [6, 0, 0, 0, 0, 0]  # what is decided leaves the board after a month


@pytest.mark.postgres
def test_the_forecast_weighs_and_groups_by_month(db: Database, by: Actor) -> None:
    def work(s: Session, by: Actor) -> None:
        month = offices.today(s).replace(day=15)
        _deal(s, by, amount="1000", expected_on=month, stage=_stage("Negotiation"))
        _deal(s, by, amount="0.01", expected_on=month, stage=_stage("Negotiation"))
        _deal(s, by, amount="200", expected_on=month + timedelta(days=30), probability=5)
        _deal(s, by, amount="9")
        found = [(m.month, m.count, m.amount, m.weighted) for m in board.forecast(s, by)]
        assert found == [
            ("", 1, D(9), D("0.9")),
            (month.isoformat()[:7], 2, D("1000.01"), D("750.0075")),
            ((month + timedelta(days=30)).isoformat()[:7], 1, D(200), D(10)),
        ]

    db.write_now(work, by, by=by)


def test_a_stage_with_deals_cannot_be_taken_away(db: Database, by: Actor) -> None:
    def work(s: Session, by: Actor) -> None:
        _deal(s, by)
        stages = records.item(s, by, CONCEPTS["pipelines"], s.get(deals.Pipeline, NEW))["stages"]
        without = [{"id": x["id"], "name": x["name"]} for x in stages[1:]]
        with pytest.raises(Refused, match="First contact"), s.begin_nested():
            records.update(s, by, CONCEPTS["pipelines"], NEW, {"stages": without})
        renamed = [{"id": x["id"], "name": x["name"].upper()} for x in stages if x["name"] != "Negotiation"]
        records.update(s, by, CONCEPTS["pipelines"], NEW, {"stages": renamed})
        assert [x.name for x in deals.stages(s, NEW)][:3] == ["FIRST CONTACT", "NEED KNOWN", "OFFER SENT"]

    db.write_now(work, by, by=by)


def test_sales_of_another_office_sees_neither_deal_nor_sum(db: Database, by: Actor) -> None:
    def work(s: Session, by: Actor) -> None:
        _deal(s, by, amount="100", company=builders.company(s, "Secret AG", sensitivity="vip").id)
        london = builders.user(s, "harry", office="LON")
        assert board.board(s, london).count == 0
        assert board.board(s, london).open_sums == {}
        local = builders.user(s, "otto", office="HQ")
        (card,) = board.board(s, local).columns[0].cards
        assert card.company == ""  # the deal is his office's, the name of the VIP is not for him

    db.write_now(work, by, by=by)


@pytest.mark.postgres
def test_funnel_tells_how_many_were_won_and_why_others_were_lost(db: Database, by: Actor) -> None:
    def work(s: Session, by: Actor) -> None:
        for place in range(4):
            row = _deal(s, by, f"Deal {place}", amount="10")
            if place < 3:
                to = "Won" if place == 0 else "Lost"
                deals.move_deal(s, by, row.id, _stage(to), None if place == 0 else derived("lost reason", "Price"))
        found = reports.funnel(s, by, NEW, since=offices.today(s))
        assert (found.won, found.lost, found.won_share) == (1, 2, D("33.33"))
        assert found.lost_reasons == {"Price": 2}
        assert [x.count for x in found.steps] == [1, 0, 0, 0, 1, 2]
        assert reports.funnel(s, by, NEW, since=offices.today(s) + timedelta(days=1)).lost == 0

    db.write_now(work, by, by=by)
