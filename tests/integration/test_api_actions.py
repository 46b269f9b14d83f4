"""The actions of the API beside plain records: trade from offer to credit note, deals, tasks, merging, users."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from node.clock import ManualClock
from node.db import Database
from node.domain.access import Actor
from tests.support import web_node
from tests.support.web_node import Served


@pytest.fixture
async def office(db: Database, clock: ManualClock, by: Actor) -> AsyncIterator[Served]:
    async with web_node.serving(db, clock) as served:
        yield served


@pytest.fixture
def admin(db: Database, by: Actor) -> str:
    return web_node.token(db, by.login)


async def _done(office: Served, path: str, body: Any, by: str, status: int = 200) -> Any:
    found = await office.post(f"/api/v1/{path}", body, by=by)
    assert found.status == status, (path, found.text)
    return found.json


async def test_an_offer_becomes_an_order_an_invoice_a_payment_and_a_credit_note(office: Served, admin: str) -> None:
    company = await _done(office, "companies", {"name": "Hansen"}, admin, 201)
    lines = [{"text": "Pump", "quantity": "3", "price": "19.99", "vat_rate": "19"}, {"text": "Work", "price": 100.5}]
    draft = {"company": company["id"], "dated": "2026-03-01", "lines": lines}
    offer = await _done(office, "offers", draft, admin, 201)
    assert (offer["state"], offer["number"], offer["net"], offer["gross"]) == ("draft", "", "160.47", "171.86")
    same = await office.patch(f"/api/v1/offers/{offer['id']}", offer, by=admin)
    assert (same.status, same.json) == (200, offer), "what was read can be handed back as it is"
    posted = await _done(office, f"offers/{offer['id']}/post", None, admin)
    assert posted["state"] == "posted"
    assert "HQ-2026-0001" in posted["number"]
    order = await _done(office, f"offers/{offer['id']}/order", {}, admin)
    order = await _done(office, f"orders/{order['id']}/post", None, admin)
    invoice = await _done(office, f"orders/{order['id']}/invoice", {}, admin)
    invoice = await _done(office, f"invoices/{invoice['id']}/post", None, admin)
    address = f"/api/v1/invoices/{invoice['id']}"
    refused = await office.patch(address, {"lines": lines[:1]}, by=admin)
    assert (refused.status, refused.json["error"]["code"]) == (409, "refused")
    assert "credit" in refused.json["error"]["message"]
    assert (await office.ask("DELETE", address, by=admin)).status in (405, 409)
    assert (await office.get(address, by=admin)).json["open"] == "171.86"

    payment = {"company": company["id"], "dated": "2026-03-05", "amount": "71.86"}
    await _done(office, "payments", payment, admin, 201)
    assert (await office.get(address, by=admin)).json["open"] == "100.00"
    credit = await _done(office, f"invoices/{invoice['id']}/credit", {}, admin)
    assert credit["state"] == "draft"
    links = (await office.get(f"{address}/chain", by=admin)).json["items"]
    assert [link["concept"] for link in links] == ["offers", "orders", "invoices", "payments", "credits"]
    assert (await office.get(f"/api/v1/orders/{invoice['id']}", by=admin)).status == 404, "an invoice is no order"
    totals = (await office.get("/api/v1/totals/revenue?by=office", by=admin)).json
    assert totals["items"][0]["office"] == "HQ"
    assert totals["total"] == "160.47"
    assert (await office.get("/api/v1/totals/revenue?by=planet", by=admin)).status == 400


async def test_a_deal_moves_and_a_lost_one_needs_a_reason(office: Served, admin: str) -> None:
    pipeline = (await office.get("/api/v1/pipelines", by=admin)).json["items"][0]
    states = {stage["state"]: stage for stage in pipeline["stages"]}
    deal = await _done(office, "deals", {"title": "Pumps", "pipeline": pipeline["id"], "amount": "1000"}, admin, 201)
    won = await _done(office, f"deals/{deal['id']}/move", {"stage": states["won"]["name"]}, admin)
    assert won["state"] == "won"
    no_reason = await office.post(f"/api/v1/deals/{deal['id']}/move", {"stage": states["lost"]["id"]}, by=admin)
    assert no_reason.status in (409, 422)
    reason = (await office.get("/api/v1/lost-reasons", by=admin)).json["items"][0]["id"]
    lost = await _done(
        office, f"deals/{deal['id']}/move", {"stage": states["lost"]["id"], "lost_reason": reason}, admin
    )
    assert (lost["state"], lost["lost_reason"]) == ("lost", reason)
    unknown = await office.post(f"/api/v1/deals/{deal['id']}/move", {"stage": "Nirvana"}, by=admin)
    assert (unknown.status, list(unknown.json["error"]["fields"])) == (422, ["stage"])


async def test_a_repeated_task_that_is_done_gives_the_next_one(office: Served, admin: str) -> None:
    task = await _done(office, "tasks", {"subject": "Report", "due_on": "2026-01-31", "repeat": "monthly"}, admin, 201)
    done = await _done(office, f"tasks/{task['id']}/done", {"result": "sent"}, admin)
    following = (await office.get(f"/api/v1/tasks/{done['next']}", by=admin)).json
    assert (following["due_on"], following["state"]) == ("2026-02-28", "open")
    assert (await office.post(f"/api/v1/tasks/{task['id']}/done", {}, by=admin)).status == 409


async def test_merged_companies_answer_under_both_keys(office: Served, admin: str) -> None:
    one = await _done(office, "companies", {"name": "Hansen GmbH", "phones": ["+49 40 369512"]}, admin, 201)
    similar = await _done(office, "companies/similar", {"name": "Hansen", "phones": ["040 369512"]}, admin)
    assert [c["id"] for c in similar["items"]] == [one["id"]]
    two = await _done(office, "companies", {"name": "Hansen"}, admin, 201)
    await _done(office, f"companies/{two['id']}/merge", {"into": one["id"]}, admin)
    assert (await office.get(f"/api/v1/companies/{two['id']}", by=admin)).json["id"] == one["id"]
    assert [c["id"] for c in (await office.get("/api/v1/companies", by=admin)).json["items"]] == [one["id"]]


async def test_a_user_is_made_gets_a_password_and_is_disabled(office: Served, admin: str, db: Database) -> None:
    made = await _done(office, "users", {"login": "Eva.Stein", "name": "Eva Stein", "role": "sales"}, admin, 201)
    assert made["login"] == "eva.stein"
    assert not any("password" in name for name in made)
    short = await office.post(f"/api/v1/users/{made['id']}/password", {"password": "short"}, by=admin)
    assert (short.status, list(short.json["error"]["fields"])) == (422, ["password"])
    form = {"login": "eva.stein", "password": "a good sentence"}
    assert (await office.post("/login", data=form)).status == 401
    await _done(office, f"users/{made['id']}/password", {"password": "a good sentence"}, admin)
    assert (await office.post("/login", data=form)).status == 303
    history = (await office.get(f"/api/v1/users/{made['id']}/history", by=admin)).text
    assert "argon2" not in history
    key = web_node.token(db, "eva.stein")
    assert (await office.get("/api/v1/companies", by=key)).status == 200
    await _done(office, f"users/{made['id']}/disable", None, admin)
    assert (await office.get("/api/v1/companies", by=key)).status == 401
    taken = await office.post("/api/v1/users", {"login": "eva.stein", "name": "Other"}, by=admin)
    assert (taken.status, list(taken.json["error"]["fields"])) == (422, ["login"])
