"""Search finds what people type, and nothing that they may not see."""

from __future__ import annotations

import pytest
from sqlalchemy.orm import Session

from node.db import Database
from node.domain import records, search
from node.domain.access import SYSTEM, Actor
from node.domain.concept import CONCEPTS
from tests.support import builders

pytestmark = pytest.mark.postgres


def titles(db: Database, q: str, by: Actor = SYSTEM) -> list[str]:
    return [hit.title for hit in db.read_now(search.search, by, q)]


def fill(s: Session) -> str:
    row = builders.company(
        s, "Müller Maschinenbau GmbH", tax_number="DE 136 695 976", phones=["+49 171 1234567"],
        emails=["post@mueller.example"], addresses=[{"city": "Köln", "zip": "50667", "street": "Am Hof 1"}],
    )  # fmt: skip
    builders.company(s, "ООО Иванов и партнёры")
    builders.task(s, "Offer for the lathe", company=row.id)
    return str(row.id)


@pytest.mark.parametrize(
    "q",
    ["mull", "Mueller masch", "MASCHINENBAU müller", "0171 123", "1234567", "136695976", "koln 506", "post@mueller"],
)
def test_a_company_is_found_by_what_people_type(db: Database, q: str) -> None:
    db.write_now(fill)
    assert titles(db, q)[0] == "Müller Maschinenbau GmbH"


def test_cyrillic_is_found_by_latin_and_the_other_way_round(db: Database) -> None:
    db.write_now(fill)
    assert titles(db, "ivanov") == titles(db, "Iwanow") == titles(db, "иванов") == ["ООО Иванов и партнёры"]


def test_a_record_that_changed_or_went_is_found_so(db: Database) -> None:
    id = db.write_now(fill)
    companies = CONCEPTS["companies"]
    db.write_now(lambda s: records.update(s, SYSTEM, companies, id, {"name": "Schmidt AG"}).id)
    assert titles(db, "schmidt")[0] == "Schmidt AG"
    assert "Offer for the lathe" in titles(db, "schmidt"), "what is about it has its new name"
    assert "Müller Maschinenbau GmbH" not in titles(db, "maschinenbau")
    db.write_now(lambda s: records.remove(s, SYSTEM, companies, id))
    assert "Schmidt AG" not in titles(db, "schmidt")


def test_what_an_exchange_brought_is_found_and_a_rebuild_changes_nothing(db: Database) -> None:
    id = db.write_now(fill)
    another = "UPDATE contact_point SET normal = '+4930999888777'"
    db.write_now(lambda s: s.connection().exec_driver_sql(another).rowcount)
    assert titles(db, "030 9998") == []

    def exchanged(s: Session) -> None:
        point = s.connection().exec_driver_sql("SELECT id FROM contact_point").scalars().all()
        search.touched(s, {"contact_point": point, "exchange_of_others": ["x"]})

    db.write_now(exchanged)
    before = titles(db, "030 9998")
    assert before[0] == "Müller Maschinenbau GmbH"
    assert db.write_now(search.rebuild) >= 3
    assert titles(db, "030 9998") == before
    assert db.read_now(search.matching_ids, SYSTEM, ["companies"], "maschinenbau") == [id]


def test_vips_and_other_offices_are_not_found_by_who_may_not_see_them(db: Database) -> None:
    def several(s: Session) -> Actor:
        vip = builders.company(s, "Secret Holding", sensitivity="vip", office="HQ")
        builders.task(s, "Dinner", company=vip.id)
        builders.company(s, "Open Holding", office="HQ")
        other = builders.company(s, "Far Holding", office="HQ")
        other.office = "PAR"
        search.note(s, "companies", [other.id])
        return builders.user(s, "sally", office="HQ")

    sally = db.write_now(several)
    everything = db.read_now(search.search, SYSTEM, "holding", ["companies"])
    assert sorted(hit.title for hit in everything) == ["Far Holding", "Open Holding", "Secret Holding"]
    assert titles(db, "holding", sally) == ["Open Holding"]
    assert titles(db, "dinner", sally) == [], "the task would tell the name of a customer that is hidden from her"
    assert titles(db, "dinner") == ["Dinner"]


@pytest.mark.parametrize("q", ["", "  ", "'\"*:()&|!", "a" * 5000, "x' OR 1=1 --", "NOT AND OR"])
def test_no_query_breaks_it(db: Database, q: str) -> None:
    db.write_now(fill)
    titles(db, q)
