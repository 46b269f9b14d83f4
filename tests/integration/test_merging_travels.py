"""Merging and duplicates between nodes: what one office settles is settled everywhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from node import schema, upgrade
from node.clock import ManualClock
from node.db import Database
from node.domain import duplicates, merging, offices, users
from node.domain.access import SYSTEM
from node.domain.activities import Activity
from node.domain.customers import Company, Duplicate
from node.ids import Ids
from replication import journal
from replication.branch import Branch
from replication.hub import Hub
from tests.support import builders


class Company3:
    """Head office and two branches on three databases, exchanged without a wire."""

    def __init__(self, path: Path) -> None:
        self.clock = ManualClock()
        self.nodes = {code: self._node(path / f"{code}.db", code) for code in ("HQ", "PAR", "LON")}
        self.hub = Hub(schema.TRAVELS)
        for code in ("PAR", "LON"):
            self.nodes["HQ"].exchange_now(self.hub.register_office, code)

    def _node(self, path: Path, code: str) -> Database:
        db = Database(f"sqlite:///{path}", clock=self.clock, ids=Ids(self.clock), office=code)
        upgrade.upgrade(db)
        if code == "HQ":
            db.write_now(users.seed_roles)
            db.write_now(lambda s: offices.ensure_office(s, "HQ", "Head office", central=True).id)
        return db

    def exchange(self) -> None:
        """Everybody twice, so that everybody knows everything."""
        centre = self.nodes["HQ"]
        for _ in range(2):
            for code in ("PAR", "LON"):
                node, branch, more = self.nodes[code], Branch(schema.TRAVELS, code), True
                while more:
                    self.clock.move(1000)
                    at = self.clock.now_ms()
                    with node.writer.connect() as asking, centre.writer.begin() as answering, asking.begin():
                        message = branch.message(asking, life=node.life, at=at)
                        reply = self.hub.exchange(answering, message, at)
                        more = bool(branch.apply(asking, reply, at, life=node.life).more)

    def conflicts(self) -> int:
        table = journal.travel().table
        query = sa.select(sa.func.count()).select_from(table)
        return max(db.read_now(lambda s: int(s.scalar(query) or 0)) for db in self.nodes.values())


@pytest.fixture
def three(tmp_path: Path) -> Iterator[Company3]:
    company = Company3(tmp_path)
    yield company
    for db in company.nodes.values():
        db.close()


def living(db: Database) -> list[tuple[str, str]]:
    query = sa.select(Company.name, Company.tax_number).where(Company.alive, Company.merged_into.is_(None))
    return sorted((name, tax) for name, tax in db.read_now(lambda s: s.execute(query).all()))


def test_a_merge_and_its_undo_reach_every_office(three: Company3) -> None:
    paris = three.nodes["PAR"]

    def make(s: Session) -> tuple[str, str]:
        one = builders.company(s, "Nordwind")
        other = builders.company(s, "Nordwind Handel", tax_number="DE136695976", phones=["030 1234567"])
        return str(one.id), str(other.id)

    three.exchange()
    one, other = paris.write_now(make)
    three.exchange()
    paris.write_now(lambda s: str(merging.merge(s, SYSTEM, "companies", other, one).id))
    three.nodes["LON"].write_now(lambda s: str(builders.activity(s, "To the old one", company_id=other).id))
    three.exchange()
    for db in three.nodes.values():
        assert living(db) == [("Nordwind", "DE136695976")]
        assert db.read_now(merging.aliases, Company, one) == [one, other]

    again = paris.write_now(lambda s: str(merging.undo_merge(s, SYSTEM, other).id))
    three.exchange()
    for db in three.nodes.values():
        assert living(db) == [("Nordwind", ""), ("Nordwind Handel", "DE136695976")]
        assert db.read_now(lambda s: list(s.scalars(sa.select(Activity.company_id)))) == [again]
    assert three.conflicts() == 0


def test_offices_that_find_the_same_pair_alone_have_nothing_to_decide(three: Company3) -> None:
    three.exchange()
    for code, number in (("PAR", "0301234567"), ("LON", "030 / 123 45 67")):
        three.nodes[code].write_now(lambda s, n=number: str(builders.company(s, "Nordwind", phones=[n]).id))
    three.exchange()
    found = []
    for db in three.nodes.values():
        three.clock.move(60_000)
        ids = db.read_now(lambda s: [str(i) for i in s.scalars(sa.select(Company.id))])
        found += db.write_now(duplicates.find_pairs, "company", ids)
    assert len(found) == 3
    assert len(set(found)) == 1
    three.exchange()
    assert three.conflicts() == 0
    for db in three.nodes.values():
        assert db.read_now(lambda s: list(s.scalars(sa.select(Duplicate.state)))) == ["open"]
