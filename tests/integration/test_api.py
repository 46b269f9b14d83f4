"""The HTTP API against a real application on a real database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import sqlalchemy as sa

from node.clock import ManualClock, as_datetime
from node.db import Database
from node.domain import offices, records
from node.domain.access import Actor
from node.domain.concept import CONCEPTS
from node.domain.users import Session
from node.errors import Stale
from node.web import api
from tests.support import web_node
from tests.support.nodes import PASSWORD
from tests.support.web_node import Served

pytestmark = pytest.mark.postgres
COLLECTIONS = (
    "offices", "users", "companies", "persons", "activities", "tasks", "deals", "pipelines", "products", "price-lists",
    "stock-movements", "offers", "orders", "invoices", "payments", "tags", "conflicts", "duplicates",
)  # fmt: skip
HANSEN = {
    "name": "Hansen GmbH",
    "kind": "customer",
    "tax_number": "DE136695976",
    "phones": ["+49 40 369512", {"value": "+49 171 5551234", "kind": "mobile", "label": "boss"}],
    "emails": ["post@hansen.example"],
    "addresses": [{"street": "Kai 1", "zip": "20457", "city": "Hamburg", "country": "DE"}],
    "tags": ["harbour", "A"],
    "notes": "Two\nlines",
}


@pytest.fixture
async def office(db: Database, clock: ManualClock, by: Actor) -> AsyncIterator[Served]:
    for code, name in (("PAR", "Paris"), ("LON", "London")):
        db.write_now(offices.ensure_office, code, name)
    async with web_node.serving(db, clock) as served:
        yield served


@pytest.fixture
def admin(db: Database, by: Actor) -> str:
    return web_node.token(db, by.login)


async def test_every_collection_answers_and_the_document_describes_every_route(office: Served, admin: str) -> None:
    for name in COLLECTIONS:
        found = await office.get(f"/api/v1/{name}", by=admin)
        assert found.status == 200, (name, found.json)
        assert isinstance(found.json["items"], list)
        assert "next" in found.json
    document = (await office.get("/api/v1/openapi.json")).json
    assert document["openapi"] == "3.1.0"
    described = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    assert described == {(r.method, r.path) for r in api.table()}
    operations = [o for methods in document["paths"].values() for o in methods.values()]
    assert len({o["operationId"] for o in operations}) == len(operations)
    served = {
        (route.method, route.resource.canonical)
        for route in office.client.app.router.routes()
        if route.resource is not None and route.resource.canonical.startswith("/api/v1/")
    }
    assert described <= served
    for reference in _references(document):
        name = reference.removeprefix("#/components/schemas/")
        assert name in document["components"]["schemas"], reference


def _references(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if "$ref" in value else []
        return own + [r for v in value.values() for r in _references(v)]
    return [r for v in value for r in _references(v)] if isinstance(value, list) else []


async def test_a_company_is_made_read_changed_in_what_is_named_and_removed(office: Served, admin: str) -> None:
    made = await office.post("/api/v1/companies", HANSEN, by=admin)
    assert made.status == 201, made.json
    company = made.json
    assert made.headers["Location"] == f"/api/v1/companies/{company['id']}"
    assert [p["value"] for p in company["phones"]] == ["+49 40 369512", "+49 171 5551234"]
    assert company["phones"][1] | {"id": ""} == {
        "id": "",
        "value": "+49 171 5551234",
        "kind": "mobile",
        "label": "boss",
    }
    assert company["addresses"][0]["city"] == "Hamburg"
    assert (company["office"], company["sensitivity"], company["tags"]) == ("HQ", "normal", ["harbour", "A"])
    address = f"/api/v1/companies/{company['id']}"
    read = await office.get(address, by=admin)
    assert read.json == company | {"changed_at": read.json["changed_at"]}
    assert (await office.get(address, by=admin, headers={"If-None-Match": read.headers["ETag"]})).status == 304

    changed = await office.patch(address, {"notes": "new", "phones": [company["phones"][1]]}, by=admin)
    assert changed.status == 200, changed.json
    kept = {k: v for k, v in changed.json.items() if k not in ("notes", "phones", "phone", "changed_at")}
    assert kept == {k: v for k, v in company.items() if k in kept}
    assert [p["id"] for p in changed.json["phones"]] == [company["phones"][1]["id"]]
    history = (await office.get(address + "/history", by=admin)).json["items"]
    assert [(h["field"], h["old"], h["new"], h["cause"]) for h in history] == [("notes", "Two\nlines", "new", "api")]

    assert (await office.ask("DELETE", address, by=admin)).status == 204
    assert (await office.get(address, by=admin)).status == 404
    assert (await office.get("/api/v1/companies", by=admin)).json["items"] == []
    assert (await office.post(address + "/restore", by=admin)).status == 200
    assert (await office.get(address, by=admin)).status == 200


async def test_a_stale_write_is_answered_with_both_versions(office: Served, admin: str) -> None:
    made = await office.post("/api/v1/companies", {"name": "Alpha"}, by=admin)
    address, seen = made.headers["Location"], made.headers["ETag"]
    first = await office.patch(address, {"name": "Beta"}, by=admin, headers={"If-Match": seen})
    assert first.status == 200
    late = await office.patch(address, {"name": "Gamma"}, by=admin, headers={"If-Match": seen})
    assert late.status == 412
    error = late.json["error"]
    assert error["code"] == "stale"
    assert error["details"]["yours"] == {"name": "Gamma"}
    assert error["details"]["stored"]["name"] == "Beta"
    assert (await office.ask("DELETE", address, by=admin, headers={"If-Match": seen})).status == 412
    assert (await office.get(address, by=admin)).json["name"] == "Beta"
    again = await office.patch(address, {"name": "Gamma"}, by=admin, headers={"If-Match": first.headers["ETag"]})
    assert again.status == 200


async def test_what_cannot_be_taken_is_said_field_by_field_and_changes_nothing(office: Served, admin: str) -> None:
    wrong = await office.post(
        "/api/v1/companies",
        {
            "nmae": "typing error",
            "kind": "friend",
            "phones": [{"number": "1"}],
            "addresses": [{"country": "Germany"}],
            "credit_limit": 12.123456,
            "owner": "nobody",
            "created_at": "2026-01-01",
            "payment_days": True,
        },
        by=admin,
    )
    assert wrong.status == 422
    fields = wrong.json["error"]["fields"]
    assert set(fields) == {
        "name", "nmae", "kind", "phones[0].number", "phones[0].value", "addresses[0].country", "credit_limit", "owner",
        "created_at", "payment_days",
    }  # fmt: skip
    assert all(len(sentence) > 15 for sentence in fields.values()), fields
    day = await office.post("/api/v1/tasks", {"subject": "x", "due_on": "2026-02-31"}, by=admin)
    assert (day.status, list(day.json["error"]["fields"])) == (422, ["due_on"])
    assert "2026-02-28" in day.json["error"]["fields"]["due_on"]
    for body, status in (("{", 400), ("[1]", 400), ('{"name": NaN}', 400), ('{"name": ""}', 422), ('{"name": 1}', 422)):
        assert (await office.ask("POST", "/api/v1/companies", by=admin, data=body)).status == status, body
    for path in ("?nme=x", "?name__like=x", "?limit=0", "?limit=501", "?cursor=abc", "?order=notes", "?kind=friend"):
        assert (await office.get(f"/api/v1/companies{path}", by=admin)).status == 422, path
    assert (await office.get("/api/v1/companies", by=admin)).json["count"] == 0


async def test_a_paged_walk_sees_every_row_once_in_any_order(
    office: Served, admin: str, db: Database, by: Actor
) -> None:
    companies = CONCEPTS["companies"]
    for number in range(25):
        values = {"name": f"Company {number % 7}", "class_abc": "ABC"[number % 3], "payment_days": number % 4 or None}
        db.write_now(records.create, by, companies, values, by=by)
    for order in ("", "name", "-name", "-changed_at", "class_abc,-name", "payment_days", "-payment_days"):
        seen, cursor, keys = [], "", []
        while True:
            path = f"/api/v1/companies?limit=4&order={order}&columns=name,payment_days&cursor={cursor}"
            found = (await office.get(path, by=admin)).json
            assert (found["count"], found["count_is_exact"]) == (25, True)
            seen += [item["id"] for item in found["items"]]
            keys += [item["payment_days"] for item in found["items"]]
            cursor = found["next"]
            if not cursor:
                break
        assert len(seen) == len(set(seen)) == 25, order
        if order.endswith("payment_days"):
            assert keys[-7:] == [None] * 7, "the empty ones come last either way"
            assert keys[:18] == sorted(keys[:18], reverse=order.startswith("-"))


async def test_filters_narrow_the_list(office: Served, admin: str) -> None:
    for name, tags, days in (("Мюллер ООО", ["A"], 10), ("Müller GmbH", ["A", "B"], 20), ("Hansen", [], None)):
        await office.post("/api/v1/companies", {"name": name, "tags": tags, "payment_days": days}, by=admin)

    async def names(query: str) -> set[str]:
        found = await office.get(f"/api/v1/companies?{query}", by=admin)
        assert found.status == 200, found.json
        return {item["name"] for item in found.json["items"]}

    assert await names("name=Hansen") == {"Hansen"}
    assert await names("name__contains=мюлл") == {"Мюллер ООО"}
    assert await names("name__starts=mü") == {"Müller GmbH"}
    assert await names("tags=B") == {"Müller GmbH"}
    assert await names("tags__empty=1") == {"Hansen"}
    assert await names("payment_days__gte=11") == {"Müller GmbH"}
    assert await names("payment_days__empty=1") == {"Hansen"}
    assert await names("name__in=Hansen,Alpha") == {"Hansen"}
    assert await names("owner=admin&name__ne=Hansen") == {"Мюллер ООО", "Müller GmbH"}
    assert await names("owner=nobody") == set()
    assert await names("q=muller") == {"Müller GmbH"}


async def test_rights_hold_alike_in_list_get_search_and_writes(
    office: Served, admin: str, db: Database, by: Actor
) -> None:
    paris, london = (web_node.user(db, by, login, "sales", code) for login, code in (("pia", "PAR"), ("lou", "LON")))
    made = {}
    for name, more in (("Seine Open", {}), ("Seine Vip", {"sensitivity": "vip"})):
        found = await office.post("/api/v1/companies", {"name": name, "office": "PAR", **more}, by=admin)
        made[name] = found.headers["Location"]
    assert (await office.post("/api/v1/companies", {"name": "Seine Own"}, by=paris)).json["office"] == "PAR"
    seen = {
        who: {item["name"] for item in (await office.get("/api/v1/companies", by=key)).json["items"]}
        for who, key in (("admin", admin), ("paris", paris), ("london", london))
    }
    assert seen["admin"] == {"Seine Open", "Seine Vip", "Seine Own"}
    assert seen["paris"] == {"Seine Open", "Seine Own"}
    assert seen["london"] == set()
    for company in (made["Seine Open"], made["Seine Vip"]):
        task = {"subject": "Call", "company": company.rpartition("/")[2], "office": "PAR"}
        assert (await office.post("/api/v1/tasks", task, by=admin)).status == 201
    tasks = (await office.get("/api/v1/tasks", by=paris)).json["items"]
    assert [t["company"] for t in tasks] == [made["Seine Open"].rpartition("/")[2]], "none about a hidden customer"
    for who, key in (("paris", paris), ("london", london)):
        hits = (await office.get("/api/v1/search?q=seine", by=key)).json["items"]
        assert {h["title"] for h in hits if h["concept"] == "companies"} == seen[who]
        assert (await office.get(made["Seine Vip"], by=key)).status == 404
        assert (await office.patch(made["Seine Vip"], {"notes": "x"}, by=key)).status == 404
    assert (await office.get(made["Seine Open"], by=london)).status == 404
    assert (await office.patch(made["Seine Open"], {"notes": "seen"}, by=paris)).status == 200
    assert (await office.patch(made["Seine Open"], {"sensitivity": "vip"}, by=paris)).status == 422
    assert (await office.ask("DELETE", made["Seine Open"], by=paris)).status == 403
    assert (await office.post("/api/v1/users", {"login": "x", "name": "X"}, by=paris)).status == 403
    assert (await office.post("/api/v1/products", {"code": "x", "name": "X"}, by=paris)).status == 403


async def test_bulk_answers_for_each_record(office: Served, admin: str, db: Database, by: Actor) -> None:
    web_node.user(db, by, "pia", "sales", "PAR")
    ids = [(await office.post("/api/v1/companies", {"name": name}, by=admin)).json["id"] for name in ("Alpha", "Beta")]
    wish = {"ids": [*ids, "0" * 16], "action": "assign", "value": "pia"}
    done = await office.post("/api/v1/companies/bulk", wish, by=admin)
    assert [o["ok"] for o in done.json["items"]] == [True, True, False]
    assert (await office.get("/api/v1/companies?owner=pia", by=admin)).json["count"] == 2
    await office.post("/api/v1/companies/bulk", {"ids": ids, "action": "tag", "value": "fair"}, by=admin)
    await office.post("/api/v1/companies/bulk", {"ids": ids[:1], "action": "remove"}, by=admin)
    assert [c["id"] for c in (await office.get("/api/v1/companies?tags=fair", by=admin)).json["items"]] == ids[1:]
    too_many = await office.post("/api/v1/companies/bulk", {"ids": ["x"] * 1001, "action": "remove"}, by=admin)
    assert too_many.status == 422


async def test_tokens_and_sessions_open_and_nothing_else_does(
    office: Served, db: Database, by: Actor, clock: ManualClock
) -> None:
    assert (await office.get("/health")).json["status"] == "ok"
    nobody = await office.get("/api/v1/companies")
    assert (nobody.status, nobody.json["error"]["code"]) == (401, "not_logged_in")
    assert (await office.get("/api/v1/companies", by="kogge_wrong")).status == 401
    page = await office.get("/companies?owner=me")
    assert (page.status, page.headers["Location"]) == (303, "/login?next=/companies%3Fowner%3Dme")

    entered = await office.post("/login", data={"login": "Admin", "password": PASSWORD, "next": "//evil.example/"})
    assert (entered.status, entered.headers["Location"]) == (303, "/")
    assert "HttpOnly" in entered.headers["Set-Cookie"]
    assert "SameSite=Lax" in entered.headers["Set-Cookie"]
    assert (await office.get("/api/v1/companies")).status == 200
    forged = await office.post("/api/v1/companies", {"name": "Alpha"})
    assert (forged.status, forged.json["error"]["code"]) == (403, "forbidden")
    csrf = db.read_now(lambda s: s.scalars(sa.select(Session.csrf)).one())
    headers = {"X-CSRF-Token": csrf}
    assert (await office.post("/api/v1/companies", {"name": "Alpha"}, headers=headers)).status == 201
    foreign = {**headers, "Origin": "https://evil.example"}
    assert (await office.post("/api/v1/companies", {"name": "Beta"}, headers=foreign)).status == 403

    clock.move(11 * 3600_000)
    assert (await office.get("/api/v1/companies")).status == 200
    for _ in range(200):  # the use is noted beside the answer
        if db.read_now(lambda s: s.scalars(sa.select(Session.seen_at)).one()) == as_datetime(clock.now_ms()):
            break
        await asyncio.sleep(0.02)
    clock.move(11 * 3600_000)
    assert (await office.get("/api/v1/companies")).status == 200
    clock.move(13 * 3600_000)
    assert (await office.get("/api/v1/companies")).status == 401


async def test_wrong_passwords_make_wait_and_a_right_one_forgets_them(office: Served, clock: ManualClock) -> None:
    async def tries(password: str, login: str = "admin") -> int:
        return (await office.post("/login", data={"login": login, "password": password})).status

    assert [await tries("wrong") for _ in range(5)] == [401] * 5
    assert await tries(PASSWORD) == 429, "the right one must wait as well, or guessing would go on"
    clock.move(61_000)
    assert await tries(PASSWORD) == 303
    assert await tries("wrong") == 401
    assert [await tries("wrong", "nobody") for _ in range(6)] == [401] * 5 + [429]


async def test_errors_are_json_for_programs_and_pages_for_people(office: Served, admin: str) -> None:
    for method, path, status, code in (
        ("GET", "/api/v1/nothing", 404, "not_found"),
        ("GET", "/api/v1/companies/0000000000000000", 404, "not_found"),
        ("GET", "/api/v1/companies/x%27--", 404, "not_found"),
        ("GET", "/api/v1/status?x=1", 422, "fields"),
        ("POST", "/api/v1/exchange", 409, "refused"),
    ):
        found = await office.ask(method, path, by=admin)
        assert (found.status, found.json["error"]["code"]) == (status, code), path
        assert found.json["error"]["message"]
    status_ = (await office.get("/api/v1/status", by=admin)).json
    assert (status_["office"], status_["role"], status_["conflicts"]) == ("HQ", "central", 0)
    page = await office.get("/nothing/at/all", by=admin)
    assert (page.status, "text/html" in page.headers["Content-Type"]) == (404, True)
    assert "default-src 'self'" in page.headers["Content-Security-Policy"]
    too_large = await office.ask("POST", "/api/v1/companies", by=admin, data=b"x" * (11 * 1024 * 1024))
    assert too_large.status == 413


async def test_two_forms_meet_only_where_both_changed_the_same_field(db: Database, by: Actor) -> None:
    companies = CONCEPTS["companies"]

    def save(s: Any, id: str, values: Any, seen: Any, version: str) -> None:
        records.update(s, by, companies, id, values, if_match=version, original=seen)

    def made(s: Any) -> tuple[str, str]:
        row = records.create(s, by, companies, {"name": "Alpha", "notes": "old", "phones": ["1"]})
        return row.id, records.version(companies, records.item(s, by, companies, row))

    id, version = db.write_now(made, by=by)
    seen = {"name": "Alpha", "notes": "old"}
    db.write_now(save, id, {"name": "Beta", "notes": "old"}, seen, version, by=by)
    db.write_now(save, id, {"name": "Alpha", "notes": "new"}, seen, version, by=by)
    with pytest.raises(Stale) as refused:
        db.write_now(save, id, {"name": "Gamma"}, seen, version, by=by)
    assert refused.value.details["fields"] == ["name"]
    with pytest.raises(Stale):
        db.write_now(save, id, {"phones": ["2"]}, seen, version, by=by)
    item = db.read_now(lambda s: records.item(s, by, companies, records.load(s, by, companies, id)))
    assert (item["name"], item["notes"], item["phones"][0]["value"]) == ("Beta", "new", "1")
