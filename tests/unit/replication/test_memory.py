"""What is kept, shown and forgotten: history, digests, pruning."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest
import sqlalchemy as sa

from replication import capture, history, prune, tables, verify
from replication.errors import BadTravel
from tests.unit.replication.company import RICH, TRAVELS, Company, Node, customer, key

pytestmark = pytest.mark.postgres


def changes(node: Node, name: str) -> list[tuple[str, str, str, object, object]]:
    with node.engine.begin() as conn:
        found = history.history(conn, TRAVELS, "customer", key(name))
    return [(e.office, e.actor, e.column, e.old, e.new) for e in found]


def test_every_node_knows_who_changed_what_from_what_to_what(company: Company) -> None:
    company.north.add("a", **RICH)
    company.settle()
    company.north.set("a", phone="1", limit=Decimal("7.25"))
    company.settle()
    company.south.set("a", phone="2", photo=None)
    company.settle()
    north, south = "north's clerk", "south's clerk"
    assert changes(company.north, "a") == [
        ("south", south, "phone", "1", "2"),
        ("south", south, "photo", RICH["photo"], None),
        ("", north, "phone", None, "1"),
        ("", north, "limit", Decimal("1200.50"), Decimal("7.25")),
    ]
    assert [c[:2] for c in changes(company.hub, "a")] == [("south", south)] * 2 + [("north", north)] * 2
    assert changes(company.south, "a")[0] == ("", south, "phone", "1", "2")
    with company.hub.engine.begin() as conn, pytest.raises(BadTravel, match="nobody keeps"):
        history.history(conn, TRAVELS, "nothing", "x")


def test_digests_are_equal_if_and_only_if_the_living_rows_are(company: Company) -> None:
    company.north.add("a", **RICH)
    company.north.add("b")
    company.north.add("dead")
    company.north.remove("dead")
    company.settle()
    before = company.digests(company.hub)
    assert before["customer"][0] == 2
    with company.south.engine.begin() as conn, capture.off(conn):
        conn.execute(customer.delete().where(customer.c.alive == 0))
        conn.execute(customer.update().values(secret="at home"))
    assert company.digests(company.south) == before
    with company.south.engine.begin() as conn, capture.off(conn):
        conn.execute(customer.update().where(customer.c.id == key("b")).values(phone="uncaptured"))
    after = company.digests(company.south)
    assert [table for table in before if before[table] != after[table]] == ["customer"]


def test_digests_are_the_same_on_both_databases(make_url: Callable[[], str]) -> None:
    here, there = Node("x", make_url(), 1), Node("x", "sqlite://", 1)
    for node in (here, there):
        node.add("a", **RICH)
        node.add("ä", name="Ünï", merged_into=key("a"))
    with here.engine.begin() as one, there.engine.begin() as other:
        assert verify.digests(one, TRAVELS) == verify.digests(other, TRAVELS)
    here.engine.dispose()
    there.engine.dispose()


def test_history_goes_with_age_but_what_waits_or_is_not_safe_stays(company: Company) -> None:
    company.north.add("a", at=100)
    company.north.set("a", at=200, phone="1")
    company.settle()
    company.north.set("a", at=300, phone="2")

    def pruned(unsafe_from: int) -> int:
        with company.north.engine.begin() as conn:
            return prune.prune(conn, history_from=1_000, unsafe_from=unsafe_from).entries

    assert pruned(unsafe_from=0) == 0, "no backup of the hub is known to contain it"
    with company.hub.engine.begin() as conn:
        company.engine.declare_safe(conn)
    late = company.ask(company.north)
    company.apply(company.north, company.answer(late))
    assert pruned(unsafe_from=0) == 2, "the third was not yet in that backup"
    assert pruned(unsafe_from=1_000) == 1
    with company.north.engine.begin() as conn:
        left = [conn.execute(sa.select(sa.func.count()).select_from(t)).scalar() for t in (tables.log, tables.received)]
    assert left == [0, 0]
    company.south.set("a", phone="3")
    company.settle()
    assert company.north.get("a")["phone"] == "3"
