"""Two records become one, nothing is lost, and it can be taken back."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from node.clock import ManualClock
from node.db import Database
from node.domain import duplicates, merging, search
from node.domain.access import SYSTEM
from node.domain.activities import Activity
from node.domain.contacts import PHONES
from node.domain.customers import Company, Duplicate
from node.errors import NotFound, Refused
from tests.support import builders

DAY_MS = 86_400_000


def two(s: Session) -> tuple[str, str]:
    one = builders.company(s, "Nordwind GmbH", phones=["030 1111111"], tags=["north"], notes="Pays late")
    other = builders.company(s, "Nordwind Handel", phones=["030 2222222", "030 1111111"], tags=["trade"],
                             tax_number="DE136695976", sensitivity="confidential")  # fmt: skip
    builders.activity(s, "Talked about sails", company_id=other.id)
    duplicates.find_pairs(s, "company", [one.id, other.id])
    return str(one.id), str(other.id)


def numbers(db: Database, id: str) -> list[str]:
    return sorted(p["value"] for p in db.read_now(PHONES.load, [id])[id])


def company(db: Database, id: str) -> Company:
    row = db.read_now(lambda s: s.get(Company, id))
    assert row is not None
    return row


def test_a_merge_keeps_everything_and_the_old_key_still_leads_to_it(db: Database) -> None:
    one, other = db.write_now(two)
    db.write_now(lambda s: merging.merge(s, SYSTEM, "companies", other, one, {"name": "loser"}).id)
    row = company(db, one)
    assert (row.name, row.name_key, row.tax_number) == ("Nordwind Handel", "nordvind handel", "DE136695976")
    assert (row.tags, row.notes, row.sensitivity) == (["north", "trade"], "Pays late", "confidential")
    assert numbers(db, one) == ["030 1111111", "030 2222222"]
    assert db.read_now(merging.resolve, Company, other) == one
    assert db.read_now(merging.aliases, Company, other) == [one, other]
    assert [h.id for h in db.read_now(search.search, SYSTEM, "nordwind", ["companies"])] == [one]
    about = db.read_now(lambda s: s.scalars(sa.select(Activity.company_id)).all())
    assert about == [other], "what refers to it is left alone"
    with pytest.raises(Refused, match="already"):
        db.write_now(merging.merge, SYSTEM, "companies", other, one)


def test_a_merge_can_be_undone_for_thirty_days(db: Database, clock: ManualClock) -> None:
    one, other = db.write_now(two)
    before = company(db, one)
    db.write_now(lambda s: merging.merge(s, SYSTEM, "companies", other, one).id)
    again = db.write_now(lambda s: str(merging.undo_merge(s, SYSTEM, other).id))
    after, back = company(db, one), company(db, again)
    assert (after.name, after.tags, after.tax_number) == (before.name, before.tags, before.tax_number)
    assert (back.name, back.tax_number, back.merged_into) == ("Nordwind Handel", "DE136695976", None)
    assert numbers(db, one) == ["030 1111111"]
    assert numbers(db, again) == ["030 1111111", "030 2222222"]
    assert db.read_now(lambda s: s.scalars(sa.select(Activity.company_id)).all()) == [again]
    assert db.read_now(lambda s: set(s.scalars(sa.select(Duplicate.state)))) <= {"different"}
    with pytest.raises(NotFound):
        db.write_now(merging.undo_merge, SYSTEM, other)
    db.write_now(lambda s: merging.merge(s, SYSTEM, "companies", again, one).id)
    clock.move(31 * DAY_MS)
    with pytest.raises(Refused, match="30 days"):
        db.write_now(merging.undo_merge, SYSTEM, again)


def test_what_was_edited_after_the_merge_is_not_undone(db: Database) -> None:
    one, other = db.write_now(two)
    db.write_now(lambda s: merging.merge(s, SYSTEM, "companies", other, one).id)

    def edit(s: Session) -> None:
        row = s.get_one(Company, one)
        row.tax_number = "DE999999999"

    db.write_now(edit)
    db.write_now(lambda s: merging.undo_merge(s, SYSTEM, other).id)
    assert company(db, one).tax_number == "DE999999999"


def test_aliases_that_go_in_a_circle_end(db: Database) -> None:
    one, other = db.write_now(two)

    def circle(s: Session) -> None:
        s.get_one(Company, one).merged_into = s.get_one(Company, other).id
        s.get_one(Company, other).merged_into = s.get_one(Company, one).id

    db.write_now(circle)
    assert db.read_now(merging.resolve, Company, one) == db.read_now(merging.resolve, Company, other) == min(one, other)
