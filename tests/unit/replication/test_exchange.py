"""What two offices and a hub agree on, seen from outside: rows, conflicts, digests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from replication import journal
from replication.errors import BadMessage, BadSignature, SchemaDiffers, UnknownOffice
from replication.hub import Hub
from replication.travel import Travel
from tests.unit.replication.company import RICH, TRAVELS, Company, Node, contact, customer, key, posting

pytestmark = pytest.mark.postgres


@pytest.fixture
def shared(company: Company) -> Company:
    """Both offices hold customer A."""
    company.north.add("a", phone="1", street="Am Wall 1", town="Bremen", office="north", **RICH)
    company.settle()
    return company


def sides(conflict: dict[str, Any]) -> tuple[Any, Any, Any]:
    return journal.base_values(conflict), journal.winner_values(conflict), journal.loser_values(conflict)


def test_a_row_arrives_everywhere_as_it_was_typed(shared: Company) -> None:
    for node in shared.nodes:
        row = node.get("a")
        assert {column: row[column] for column in RICH} == RICH
        assert row["secret"] == ""


def test_different_fields_are_both_kept_and_the_same_field_is_a_conflict_that_names_both(shared: Company) -> None:
    shared.north.set("a", at=2_000, name="North", phone="2")
    shared.south.set("a", at=3_000, name="South", street="Am Dobben 2")
    shared.settle()
    for node in shared.nodes:
        row = node.get("a")
        assert (row["name"], row["phone"], row["street"], row["town"]) == ("South", "2", "Am Dobben 2", "Bremen")
        (conflict,) = node.conflicts()
        assert sides(conflict) == ({"name": "a"}, {"name": "South"}, {"name": "North"})
        assert (conflict["winner_office"], conflict["winner_actor"]) == ("south", "south's clerk")
        assert (conflict["loser_office"], conflict["loser_actor"]) == ("north", "north's clerk")
        assert (conflict["kind"], conflict["state"], conflict["loser_at"]) == ("field", "open", 2_000)


def test_who_had_seen_the_other_overwrites_without_a_conflict_even_with_a_late_clock(shared: Company) -> None:
    shared.north.set("a", at=9_000_000, name="North")
    shared.settle()
    shared.south.set("a", at=5, name="South")
    shared.settle()
    assert [node.get("a")["name"] for node in shared.nodes] == ["South"] * 3
    assert shared.hub.conflicts() == []


def test_a_form_that_showed_an_old_row_is_blind_though_the_node_had_the_news(shared: Company) -> None:
    seen = shared.north.branch
    with shared.north.engine.begin() as conn:
        shown = seen.state(conn).watermark
    shared.south.set("a", at=2_000, name="South")
    shared.settle()
    change = customer.update().where(customer.c.id == key("a")).values(name="North")
    shared.north.do(change, at=3_000, seen=shown)
    shared.settle()
    (conflict,) = shared.south.conflicts()
    assert sides(conflict) == ({"name": "a"}, {"name": "North"}, {"name": "South"})


def test_both_typed_the_same_and_bookkeeping_are_no_conflicts(shared: Company) -> None:
    shared.north.set("a", at=2_000, name="Same", changed_at=7)
    shared.south.set("a", at=3_000, name="Same", changed_at=5)
    shared.settle()
    assert shared.hub.conflicts() == []
    assert [node.get("a")["changed_at"] for node in shared.nodes] == [7] * 3


def test_a_group_is_decided_as_one(shared: Company) -> None:
    shared.north.set("a", at=3_000, street="Neue Str. 5")
    shared.south.set("a", at=2_000, town="Kiel")
    shared.settle()
    for node in shared.nodes:
        assert (node.get("a")["street"], node.get("a")["town"]) == ("Neue Str. 5", "Bremen")
    (conflict,) = shared.hub.conflicts()
    assert sides(conflict)[2] == {"street": "Am Wall 1", "town": "Kiel"}


@pytest.mark.parametrize("first", ["edit", "delete"])
def test_an_edit_beats_a_delete_that_had_not_seen_it_whichever_arrives_first(shared: Company, first: str) -> None:
    shared.north.remove("a", at=9_000)
    shared.south.set("a", at=2_000, phone="77")
    order = (shared.south, shared.north) if first == "edit" else (shared.north, shared.south)
    shared.exchange(*order)
    shared.settle()
    for node in shared.nodes:
        assert (node.get("a")["alive"], node.get("a")["phone"], node.get("a")["name"]) == (1, "77", "a")
        (conflict,) = node.conflicts()
        assert (conflict["kind"], conflict["loser_office"], conflict["winner_office"]) == ("delete", "north", "south")
        assert (conflict["winner_actor"], conflict["loser_actor"]) == ("south's clerk", "north's clerk")


def test_bookkeeping_alone_does_not_bring_a_deleted_row_back(shared: Company) -> None:
    shared.north.remove("a")
    shared.south.set("a", changed_at=99)
    shared.settle()
    assert [node.get("a")["alive"] for node in shared.nodes] == [0] * 3
    shared.north.set("a", alive=1)
    shared.settle()
    shared.south.set("a", changed_at=120)
    shared.north.remove("a")
    shared.exchange(shared.south, shared.north)
    shared.settle()
    assert [node.get("a")["alive"] for node in shared.nodes] == [0] * 3
    assert shared.hub.conflicts() == []


@pytest.mark.parametrize("first", ["child", "delete"])
@pytest.mark.parametrize("edited", [True, False], ids=["edited", "added"])
def test_a_child_keeps_its_root_alive_with_one_conflict(shared: Company, first: str, edited: bool) -> None:
    shared.south.do(contact.insert().values(id=key("c0"), customer=key("a"), name="Erika"))
    shared.settle()
    shared.north.remove("a")
    if edited:
        shared.south.do(contact.update().values(name="Erika M."))
    else:
        rows = [{"id": key(f"c{i}"), "customer": key("a"), "name": f"{i}", "alive": 1} for i in (1, 2, 3)]
        shared.south.do(contact.insert().values(rows))
    order = (shared.south, shared.north) if first == "child" else (shared.north, shared.south)
    shared.exchange(*order)
    shared.settle()
    for node in shared.nodes:
        assert node.get("a")["alive"] == 1
        assert [c["kind"] for c in node.conflicts()] == ["delete"]
    shared.north.remove("a")  # now he has seen it
    shared.settle()
    assert [node.get("a")["alive"] for node in shared.nodes] == [0] * 3


def test_policies_decide_by_field(shared: Company) -> None:
    shared.north.set("a", tags="vip, b2b", notes="one\ntwo\nthree", terms="14 days", rating="A")
    shared.settle()
    shared.north.set("a", at=2_000, tags="vip, b2b, fair", notes="ONE\ntwo\nthree", rating="B", terms="30 days")
    shared.south.set("a", at=3_000, tags="b2b, late", notes="one\ntwo\nTHREE", rating="C")
    shared.hub.set("a", at=1, terms="prepaid")
    shared.settle()
    for node in shared.nodes:
        row = node.get("a")
        assert row["tags"] == "b2b, fair, late"
        assert row["notes"] == "ONE\ntwo\nTHREE"
        assert row["rating"] == "B", "north owns the row"
        assert row["terms"] == "prepaid", "head office decides"
    assert {c["cell"] for c in shared.hub.conflicts()} == {"rating", "terms"}


def test_a_lost_answer_a_doubled_and_a_late_message_change_nothing(shared: Company) -> None:
    shared.north.set("a", at=2_000, name="North")
    first = shared.ask(shared.north)
    shared.answer(first)
    shared.answer(first)  # twice, and the answers are lost
    shared.south.set("a", at=3_000, name="South")
    shared.settle()
    before = shared.hub.get("a")
    shared.answer(first)  # from last week
    late = shared.answer(shared.ask(shared.north))
    shared.north.set("a", at=4_000, phone="99")
    shared.settle()
    shared.apply(shared.north, late)
    shared.settle()
    assert shared.hub.get("a") == {**before, "phone": "99"}
    assert len(shared.hub.conflicts()) == 1


def test_an_edit_made_while_the_answer_is_under_way_is_never_overwritten(shared: Company) -> None:
    shared.south.set("a", at=2_000, name="South")
    shared.exchange(shared.south)
    answered = shared.answer(shared.ask(shared.north))
    shared.north.set("a", at=3_000, name="North")
    shared.apply(shared.north, answered)
    assert shared.north.get("a")["name"] == "North"
    shared.settle()
    (conflict,) = shared.north.conflicts()
    assert sides(conflict) == ({"name": "a"}, {"name": "North"}, {"name": "South"})


def test_a_first_copy_in_pages_is_complete_though_people_work_meanwhile(make_url: Callable[[], str]) -> None:
    company = Company(make_url, page_rows=10)
    for i in range(35):
        company.hub.add(f"k{i}")
    pages = 0
    while (applied := company.apply(company.south, company.answer(company.ask(company.south)))).more:
        pages += 1
        assert applied.remaining > 0
        company.hub.set(f"k{pages}", phone=f"page {pages}")  # a row already sent: it moves behind the pages
        company.south.set("k0", at=2_000 + pages, town=f"page {pages}")
    assert pages >= 3
    company.settle()
    company.settle()
    assert company.south.get("k1")["phone"] == "page 1"
    assert company.hub.get("k0")["town"] == f"page {pages}"
    lost = [(c["row_id"], c["cell"], c["loser_office"]) for c in company.hub.conflicts()]
    assert lost == [(key("k0"), "address", "hub")], "who edits during a first copy counts as blind: kept, and said"
    company.close()


def test_a_late_page_is_ignored(make_url: Callable[[], str]) -> None:
    company = Company(make_url, page_rows=10)
    for i in range(25):
        company.hub.add(f"k{i}")
    asked = company.ask(company.south)
    page = company.answer(asked)
    assert not company.apply(company.south, page).ignored
    assert company.apply(company.south, page).ignored
    company.exchange(company.south)
    company.hub.set("k1", phone="new")
    company.exchange(company.south)
    assert company.apply(company.south, page).ignored
    assert company.south.get("k1")["phone"] == "new"
    company.close()


def test_to_settle_a_conflict_is_an_edit_that_travels(shared: Company) -> None:
    shared.north.set("a", at=2_000, name="North")
    shared.south.set("a", at=3_000, name="South")
    shared.settle()
    decision = {"state": journal.DECIDED, "choice": "loser", "decided_by": "anna", "decided_at": 9}
    shared.north.do(journal.conflict.update().values(decision), customer.update().values(name="North"))
    shared.settle()
    for node in shared.nodes:
        (conflict,) = node.conflicts()
        assert {name: conflict[name] for name in decision} == decision
        assert node.get("a")["name"] == "North"


def test_duplicates_become_one_and_late_edits_land_on_the_survivor(shared: Company) -> None:
    shared.south.add("b", phone="b", name="Beta")
    shared.settle()
    shared.north.set("a", at=2_000, merged_into=key("b"))
    shared.south.set("a", at=3_000, phone="late")
    shared.settle()
    for node in shared.nodes:
        assert node.get("a")["merged_into"] == key("b")
        assert node.get("b")["name"] == "Beta"
        (conflict,) = node.conflicts()
        assert (conflict["row_id"], conflict["cell"], conflict["kind"]) == (key("b"), "phone", "merge")
        assert {str(sides(conflict)[1]["phone"]), str(sides(conflict)[2]["phone"])} == {"late", "b"}


def test_rows_that_are_only_added_travel_too(shared: Company) -> None:
    shared.north.do(posting.insert().values([{"id": key("p1"), "amount": 5}, {"id": key("p2"), "amount": -2}]))
    shared.settle()
    assert [row["amount"] for row in shared.south.all(posting)] == [5, -2]


def test_who_does_not_belong_here_is_refused_with_a_reason_and_nothing_changes(shared: Company) -> None:
    shared.north.set("a", name="North")
    before = shared.digests(shared.hub)
    asked = shared.ask(shared.north)
    strange = Node("east", "sqlite://", 77)
    shared.keys["east"] = shared.keys["north"]
    with pytest.raises(UnknownOffice, match="east"):
        shared.answer(shared.ask(strange))
    shared.keys["north"], kept = shared.keys["south"], shared.keys["north"]
    with pytest.raises(BadSignature):
        shared.answer(asked)
    shared.keys["north"] = kept
    shared.engine = Hub([*TRAVELS[1:-1], Travel(table=customer, home=frozenset({"secret"}), order=1)], office="hub")
    with pytest.raises(SchemaDiffers):
        shared.answer(asked)
    assert shared.digests(shared.hub) == before
    strange.engine.dispose()


def test_an_office_cannot_speak_for_another(shared: Company) -> None:
    shared.north.set("a", name="North")
    with shared.north.engine.begin() as conn:
        message = shared.north.branch.message(conn, life=1, at=0)
        parts = list(message.parts)
    parts[0].authors = [("south", *who[1:]) for who in parts[0].authors]
    message.parts = parts
    with pytest.raises(BadMessage, match="name of another"), shared.hub.engine.begin() as conn:
        shared.engine.exchange(conn, message, at=0)


def test_both_sides_say_where_they_stand(shared: Company) -> None:
    shared.north.set("a", name="North")
    shared.north.add("b")
    with shared.north.engine.begin() as conn:
        state = shared.north.branch.state(conn)
    assert (state.waiting, state.timeline, state.last_exchange, state.recovering) == (2, 1, 6_000, False)
    assert state.oldest_waiting == 1_000
    shared.exchange(shared.north)
    with shared.hub.engine.begin() as conn:
        north, south = shared.engine.office_states(conn)
    assert (north.code, north.waiting, north.last_contact, north.clock_offset) == ("north", 2, 5_000, 0)
    assert south.lag == 2
    with shared.north.engine.begin() as conn:
        assert shared.north.branch.state(conn).waiting == 0


def test_a_suspicious_clock_decides_but_is_flagged(shared: Company) -> None:
    shared.north.set("a", at=9_999_999_999_999, name="2286")
    shared.south.set("a", at=3_000, name="South")
    shared.exchange(shared.south)
    with shared.north.engine.begin() as conn:
        message = shared.north.branch.message(conn, life=1, at=9_999_999_999_999)
        message.parts = list(message.parts)
    with shared.hub.engine.begin() as conn:
        list(shared.engine.exchange(conn, message, at=5_000).parts)
    (conflict,) = shared.hub.conflicts()
    assert (conflict["suspicious_clock"], sides(conflict)[1]) == (1, {"name": "2286"})
