"""Offices, users, views and settings, and what a company's form refuses."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from sqlalchemy.orm import Session

from node.db import Database
from node.domain import items, offices, records, users, views
from node.domain.access import SYSTEM, Actor
from node.domain.concept import CONCEPTS, Concept
from node.errors import Forbidden, Invalid, Refused
from tests.support import builders


def refused(db: Database, concept: Concept, values: dict[str, Any]) -> str:
    with pytest.raises(Invalid) as caught:
        db.write_now(lambda s: records.create(s, SYSTEM, concept, values).id)
    return ",".join(sorted(caught.value.fields))


def test_a_company_is_stored_with_its_parts_and_read_back(db: Database) -> None:
    def make(s: Session) -> str:
        boss = builders.person(s, "Berger", "Anna")
        return str(
            builders.company(
                s, "Nordwind", phones=["030 1234567", {"value": "0171 1234567", "kind": "mobile"}],
                emails=["a@nordwind.example"], addresses=[{"street": "Kai 1", "city": "Kiel", "country": "DE"}],
                people=[{"person": boss.id, "role": "Director", "main": True}],
                bank_accounts=[{"iban": "DE89370400440532013000"}], tax_number="DE136695976", tags=["north"],
            ).id
        )  # fmt: skip

    id = db.write_now(make)
    companies = CONCEPTS["companies"]
    item = db.read_now(lambda s: items.item(s, SYSTEM, companies, records.load(s, SYSTEM, companies, id)))
    assert [(p["value"], p["kind"]) for p in item["phones"]] == [("030 1234567", "phone"), ("0171 1234567", "mobile")]
    assert [p["value"] for p in item["emails"]] == ["a@nordwind.example"]
    assert (item["city"], item["phone"], item["open_deals"]) == ("Kiel", "030 1234567", 0)
    assert item["people"][0]["role"] == "Director"


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"emails": ["not an address"]}, "emails"),
        ({"bank_accounts": [{"iban": "DE00370400440532013000"}]}, "bank_accounts"),
        ({"name": ""}, "name"),
    ],
)
def test_what_cannot_be_true_is_refused_by_field(db: Database, values: dict[str, Any], field: str) -> None:
    assert field in refused(db, CONCEPTS["companies"], {"name": "Nordwind", **values})


def test_an_office_has_the_same_key_on_every_node(db: Database) -> None:
    made = db.write_now(lambda s: offices.ensure_office(s, "PAR", "Paris").id)
    assert db.write_now(lambda s: offices.ensure_office(s, "PAR", "Paris again").id) == made
    assert db.read_now(offices.office_names)["PAR"] == "Paris"
    assert refused(db, CONCEPTS["offices"], {"code": "p", "name": "Bad"}) == "code"
    assert refused(db, CONCEPTS["offices"], {"code": "PAR", "name": "Twice"}) == "code"


def test_logins_are_one_and_the_last_administrator_stays(db: Database) -> None:
    boss = db.write_now(lambda s: builders.user(s, "boss", "administrator"))
    with pytest.raises(Invalid, match="taken"):
        db.write_now(lambda s: builders.user(s, "BOSS"))
    others = db.read_now(lambda s: [u for u in users.colleagues(s) if u[0] != boss.user_id])
    for id, _, _ in others:
        db.write_now(users.disable, SYSTEM, id)
    with pytest.raises(Refused, match="last administrator"):
        db.write_now(users.disable, SYSTEM, boss.user_id)
    with pytest.raises(Refused, match="last administrator"):
        db.write_now(lambda s: records.update(s, SYSTEM, CONCEPTS["users"], boss.user_id, {"role": "sales"}).id)
    with pytest.raises(Invalid):
        users.acceptable_password("short")


def test_only_administrators_touch_users_roles_and_settings(db: Database) -> None:
    sally = db.write_now(lambda s: builders.user(s, "sally"))
    role = {"code": "mine", "name": "Mine", "rules": {"*": {"*": "all"}}}
    for attempt in (
        lambda s: records.create(s, sally, CONCEPTS["roles"], role).id,
        lambda s: users.create_user(s, sally, login="x", name="X").id,
        lambda s: views.put_setting(s, sally, "currency", "USD"),
    ):
        with pytest.raises(Forbidden):
            db.write_now(attempt, by=sally)
    rules = {**sally.rules, "user": {"*": "all"}}
    clerk = dataclasses.replace(sally, rules=rules)  # a role that somebody made: users, but not the node itself
    with pytest.raises(Forbidden):
        db.write_now(lambda s: records.update(s, clerk, CONCEPTS["users"], clerk.user_id, {"role": "director"}).id)
    db.write_now(lambda s: users.set_preferences(s, sally, theme="dark", language="ru"), by=sally)
    with pytest.raises(Invalid):
        db.write_now(lambda s: users.set_preferences(s, sally, role="administrator"), by=sally)
    db.write_now(views.put_setting, SYSTEM, "currency", "USD")
    assert db.read_now(views.setting, "currency", "EUR") == "USD"


def test_a_view_is_kept_shared_and_opens_first(db: Database) -> None:
    def fill(s: Session) -> tuple[Actor, Actor]:
        anna, boris = builders.user(s, "anna", office="HQ"), builders.user(s, "boris", office="HQ")
        views.save_view(s, anna, "companies", "Mine", {"owner": "me"}, standard=True)
        views.save_view(s, anna, "companies", "Ours", {"class_abc": "A"}, shared="office", standard=True)
        views.save_view(s, anna, "companies", "Ours", {"class_abc": "B"}, shared="office", standard=True)
        return anna, boris

    anna, boris = db.write_now(fill)
    assert [v.name for v in db.read_now(views.views_of, boris, "companies")] == ["Ours"]
    first = db.read_now(views.standard_view, anna, "companies")
    assert first is not None
    assert (first.name, first.query) == ("Ours", {"class_abc": "B"})
    with pytest.raises(Refused, match="somebody else"):
        db.write_now(views.remove_view, boris, first.id, by=boris)


def test_a_tag_is_one_however_it_is_written_and_comes_back_after_it_went(db: Database) -> None:
    tags = CONCEPTS["tags"]
    made = db.write_now(lambda s: str(records.create(s, SYSTEM, tags, {"name": "Fair"}).id))
    assert refused(db, tags, {"name": "fair"}) == "name"
    db.write_now(lambda s: records.remove(s, SYSTEM, tags, made))
    again = db.write_now(lambda s: str(records.create(s, SYSTEM, tags, {"name": "Fair"}).id))
    assert again != made
    assert refused(db, CONCEPTS["occasions"], {"party": again, "name": "B", "month": 2, "day": 30}) == "day"
