"""Real nodes, real HTTPS: edits go both ways, conflicts come up once, decisions travel, a broken line is normal."""

from __future__ import annotations

import asyncio
import io
import json
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from central import consolidated
from node import conflicts, exchange_log, identity
from node.base import Part
from node.carrier import Carrier, RefusedByCentre
from node.clock import ManualClock
from node.conflict_view import PARENTS, models
from node.db import Database
from node.domain.access import ROLES, Actor
from node.domain.customers import Company, ContactPoint
from node.errors import Forbidden, NotFound, Refused
from node.schema import TRAVELS
from tests.support import company, postgres
from tests.support.company import CentreNode, OfficeNode

pytestmark = pytest.mark.postgres


@pytest.fixture
def centre_url(backend: str, request: pytest.FixtureRequest) -> str:
    """The centre's database; offices have SQLite."""
    return "" if backend == "sqlite" else postgres.make_database(request.getfixturevalue("postgres_url"))


def add(s: Session, names: list[str]) -> list[str]:
    rows = [Company(name=name, name_key=name.lower()) for name in names]
    s.add_all(rows)
    s.flush()
    return [row.id for row in rows]


def change(s: Session, id: str, **values: Any) -> None:
    row = s.get(Company, id)
    assert row is not None
    for name, value in values.items():
        setattr(row, name, value)


def company_of(db: Database, id: str) -> dict[str, Any]:
    def read(s: Session) -> dict[str, Any]:
        row = s.get(Company, id)
        assert row is not None
        return {"name": row.name, "industry": row.industry, "website": row.website, "alive": row.alive}

    return db.read_now(read)


def as_role(role: str, office: str) -> Actor:
    """Somebody with the standard rules of a role."""
    rules = ROLES[role][1]
    return Actor(
        user_id="0" * 16, login=role, name=role, role=role, office=office, rules=rules, sensitivities=("normal",)
    )


async def exchanged(*offices: OfficeNode, times: int = 2) -> None:
    for _ in range(times):
        for office in offices:
            run = await office.exchange.run()
            assert run.ok, run.error


async def equal(hq: CentreNode, *offices: OfficeNode) -> None:
    for office in offices:
        result = await office.exchange.verify()
        assert result.equal, result.different


async def test_edits_travel_and_conflicts_come_up_once_with_both_values(tmp_path: Path, centre_url: str) -> None:
    clock = ManualClock()
    async with (
        company.centre(tmp_path / "HQ", database=centre_url, clock=clock) as hq,
        hq.office("PAR") as paris,
        hq.office("LON") as london,
    ):
        ids = hq.db.write_now(add, [f"Customer {n}" for n in range(10)], by=hq.by)
        await exchanged(paris, london)
        assert company_of(london.db, ids[3])["name"] == "Customer 3"

        for id_ in ids[:3]:  # different fields
            paris.db.write_now(change, id_, industry="Coffee", by=paris.by)
            london.db.write_now(change, id_, website="example.org", by=london.by)
        for id_ in ids[3:6]:  # the same field
            paris.db.write_now(change, id_, industry="Paris says", by=paris.by)
        clock.move(60_000)
        for id_ in ids[3:6]:
            london.db.write_now(change, id_, industry="London says", by=london.by)
        for id_ in ids[6:8]:  # removed there, edited here
            london.db.write_now(change, id_, alive=False, by=london.by)
            paris.db.write_now(change, id_, industry="Tea", by=paris.by)
        new = paris.db.write_now(add, [f"New {n}" for n in range(20)], by=paris.by)
        waiting = paris.db.read_now(lambda s: paris.exchange.pill(s, paris.by))
        assert waiting.state == "waiting"
        first = await paris.exchange.run()
        assert (first.sent, first.pages) == (28, 1)
        await exchanged(london, paris)

        for node in (hq, paris, london):
            open_ = node.db.read_now(conflicts.inbox, node.by).items
            assert sorted(c.kind for c in open_) == ["delete"] * 2 + ["field"] * 3, node
            assert node.db.read_now(conflicts.open_total) == 5
            one = next(c for c in open_ if c.row_id == ids[3])
            assert (one.label, one.record_title, one.concept) == ("Industry", "Customer 3", "companies")
            assert [(v.base, v.winner, v.loser) for v in one.values] == [("", "London says", "Paris says")]
            assert (one.winner.office, one.loser.office, one.winner.name) == ("LON", "PAR", hq.by.name)
            assert company_of(node.db, ids[6])["alive"] is True
            both = company_of(node.db, ids[0])
            assert (both["industry"], both["website"]) == ("Coffee", "example.org")
            assert company_of(node.db, new[0])["name"] == "New 0"
            foreign, reader = as_role("sales", "LON"), as_role("viewer", "LON")
            assert node.db.read_now(conflicts.inbox, foreign).items == ()
            assert node.db.read_now(conflicts.open_count, foreign) == 0
            assert node.db.read_now(conflicts.open_count, as_role("sales", "HQ")) == 5
            assert not any(c.may_decide for c in node.db.read_now(conflicts.inbox, reader).items)
            with pytest.raises(Forbidden):
                node.db.write_now(conflicts.decide, reader, one.id, "loser", by=reader)
            with pytest.raises(NotFound):
                node.db.write_now(conflicts.decide, foreign, one.id, "loser", by=foreign)
        walked: list[str] = []
        page = paris.db.read_now(conflicts.inbox, paris.by, limit=2)
        while page.items:
            walked += [c.id for c in page.items]
            if page.next is None:
                break
            page = paris.db.read_now(conflicts.inbox, paris.by, limit=2, cursor=page.next)
        assert len(walked) == len(set(walked)) == 5
        assert json.loads(json.dumps([conflicts.as_json(c) for c in page.items]))[0]["choices"]
        field = paris.db.read_now(conflicts.inbox, paris.by, kind="field").items
        assert {c.mine for c in field} == {"loser"}
        await equal(hq, paris, london)


async def test_a_decision_is_an_edit_that_travels_and_can_be_undone(tmp_path: Path, centre_url: str) -> None:
    clock = ManualClock()
    async with (
        company.centre(tmp_path / "HQ", database=centre_url, clock=clock) as hq,
        hq.office("PAR") as paris,
        hq.office("LON") as london,
    ):
        ids = hq.db.write_now(add, ["Alpha", "Beta", "Gamma", "Delta"], by=hq.by)

        def phone(s: Session) -> str:
            row = ContactPoint(party_id=ids[3], kind="phone", value="030 1", normal="+49301")
            s.add(row)
            s.flush()
            return row.id

        number = hq.db.write_now(phone, by=hq.by)
        await exchanged(paris, london)
        for office, word in ((paris, "Paris"), (london, "London")):
            clock.move(1000)
            office.db.write_now(change, ids[0], industry=word, by=office.by)
            office.db.write_now(change, ids[1], website=word, by=office.by)

            def dial(s: Session, word: str = word) -> None:
                row = s.get(ContactPoint, number)
                assert row is not None
                row.value, row.normal = word, word.lower()

            office.db.write_now(dial, by=office.by)
        paris.db.write_now(change, ids[2], alive=False, by=paris.by)
        london.db.write_now(change, ids[2], industry="Ships", by=london.by)
        await exchanged(paris, london)
        by_row = {c.row_id: c for c in paris.db.read_now(lambda s: conflicts.inbox(s, paris.by)).items}
        assert set(by_row) == {*ids[:3], number}
        assert by_row[number].record_title == "Delta"
        assert by_row[number].both_possible

        clock.move(1000)
        decide = conflicts.decide
        paris.db.write_now(lambda s: decide(s, paris.by, by_row[ids[0]].id, "loser"), by=paris.by)
        paris.db.write_now(lambda s: decide(s, paris.by, by_row[ids[1]].id, "value", "Kassel"), by=paris.by)
        paris.db.write_now(lambda s: decide(s, paris.by, by_row[ids[2]].id, "delete"), by=paris.by)
        paris.db.write_now(lambda s: decide(s, paris.by, by_row[number].id, "both"), by=paris.by)
        with pytest.raises(conflicts.Decided):
            paris.db.write_now(lambda s: decide(s, paris.by, by_row[ids[0]].id, "winner"), by=paris.by)
        await exchanged(paris, london)
        for node in (hq, paris, london):
            assert node.db.read_now(conflicts.open_total) == 0
            assert company_of(node.db, ids[0])["industry"] == "Paris"
            assert company_of(node.db, ids[1])["website"] == "Kassel"
            assert company_of(node.db, ids[2])["alive"] is False
            numbers = node.db.read_now(lambda s: set(s.scalars(sa.select(ContactPoint.value)).all()))
            assert numbers == {"London", "Paris"}
        done = london.db.read_now(lambda s: conflicts.conflict(s, london.by, by_row[ids[0]].id))
        assert (done.state, done.choice, done.decided_by) == ("decided", "loser", paris.by.name)

        clock.move(1000)
        london.db.write_now(lambda s: conflicts.undo(s, london.by, by_row[ids[0]].id), by=london.by)
        london.db.write_now(lambda s: conflicts.undo(s, london.by, by_row[ids[2]].id), by=london.by)
        london.db.write_now(change, ids[1], website="Riga", by=london.by)
        clock.move(1000)
        with pytest.raises(Refused, match="changed again"):
            london.db.write_now(lambda s: conflicts.undo(s, london.by, by_row[ids[1]].id), by=london.by)
        with pytest.raises(NotFound):
            london.db.write_now(lambda s: conflicts.undo(s, london.by, "0" * 16), by=london.by)
        await exchanged(london, paris)
        for node in (hq, paris, london):
            assert company_of(node.db, ids[0])["industry"] == "London"
            assert company_of(node.db, ids[2])["alive"] is True
            assert node.db.read_now(conflicts.open_total) == 2
        await equal(hq, paris, london)


async def test_work_goes_on_while_the_line_is_down(tmp_path: Path, centre_url: str) -> None:
    clock = ManualClock()
    async with company.centre(tmp_path / "HQ", database=centre_url, clock=clock) as hq, hq.office("PAR") as paris:
        await hq.line_down()
        paris.db.write_now(add, ["Offline"], by=paris.by)
        began = clock.now_ms()
        for _ in range(3):
            run = await paris.exchange.run()
            assert run.unreachable
            clock.move(60_000)
        pill = paris.db.read_now(lambda s: paris.exchange.pill(s, paris.by))
        assert (pill.state, pill.waiting > 0) == ("down", True)
        assert pill.since is not None
        assert round(pill.since.timestamp() * 1000) == began
        failing = paris.db.read_now(exchange_log.failing)
        assert failing is not None
        assert failing.tries == 3
        await hq.line_up()
        run = await paris.exchange.run()
        assert (run.ok, run.sent) == (True, 1)
        assert run.bytes_out > 0
        pill = paris.db.read_now(lambda s: paris.exchange.pill(s, paris.by))
        assert (pill.state, pill.waiting, pill.since) == ("sent", 0, None)
        known = hq.db.read_now(consolidated.as_of, hq.hub)
        oldest = consolidated.laggard(known, "HQ")
        assert oldest is not None
        assert oldest.office == "PAR"
        central_pill = hq.db.read_now(lambda s: hq.exchange.pill(s, hq.by))
        assert (central_pill.central, central_pill.oldest_at) == (True, oldest.at)
        await equal(hq, paris)


async def test_an_answer_that_is_lost_does_no_harm(tmp_path: Path, centre_url: str) -> None:
    async with company.centre(tmp_path / "HQ", database=centre_url) as hq, hq.office("PAR") as paris:
        ids = paris.db.write_now(add, ["Once", "Twice"], by=paris.by)
        take = paris.exchange._take_answer
        killed = asyncio.CancelledError("the process ends between message and answer")

        def die(*_: Any) -> Any:
            raise killed

        paris.exchange._take_answer = die  # type: ignore[method-assign, assignment]
        with pytest.raises(asyncio.CancelledError):
            await paris.exchange.run()
        assert hq.db.read_now(lambda s: len(s.scalars(sa.select(Company)).all())) == 2
        paris.exchange._take_answer = take  # type: ignore[method-assign]
        paris.db.write_now(change, ids[0], industry="Tea", by=paris.by)
        run = await paris.exchange.run()
        assert run.ok
        assert run.conflicts == 0
        assert company_of(hq.db, ids[0])["industry"] == "Tea"
        assert paris.db.read_now(paris.exchange.branch_state).waiting == 0
        await equal(hq, paris)


async def test_first_copy_comes_in_pages_with_progress_and_one_run_at_a_time(tmp_path: Path) -> None:
    async with company.centre(tmp_path / "HQ", page_rows=100) as hq, hq.office("PAR") as paris:
        hq.db.write_now(add, [f"Customer {n}" for n in range(450)], by=hq.by)
        seen: list[int] = []
        runs = await asyncio.gather(
            paris.exchange.run(lambda p: seen.append(p.remaining)), paris.exchange.run(), paris.exchange.run()
        )
        assert {run.received for run in runs} == {450}
        assert runs[0].pages == len(seen) >= 5
        assert seen == sorted(seen, reverse=True)
        assert seen[-1] == 0
        assert len(paris.db.read_now(paris.exchange.runs)) == 2  # the first copy and this one
        await equal(hq, paris)


async def test_a_forged_or_damaged_message_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    async with company.centre(tmp_path / "HQ") as hq, hq.office("PAR") as paris, hq.office("LON") as london:
        paris.db.write_now(add, ["Alpha"], by=paris.by)
        keys = paris.folder / "keys"
        known = identity.load_centre(keys)
        assert known is not None
        file = io.BytesIO()
        size = paris.db.exchange_now(paris.exchange._write_message, file)[1]
        whole = file.getvalue()

        async def sent(data: bytes, office: str = "PAR", folder: Path = keys) -> str:
            key = identity.node_key(folder)
            async with Carrier(known, key, office, tmp_path / "tmp", back_off_s=()) as carrier:
                try:
                    answer = await carrier.carry(io.BytesIO(data), len(data))
                except RefusedByCentre as e:
                    return e.message
                answer.file.close()
                return ""

        assert "ends in the middle" in await sent(whole[: size - 5])
        flipped = bytearray(whole)
        flipped[-3] ^= 1
        assert await sent(bytes(flipped)) != ""
        assert "was not signed by" in await sent(whole[:4] + bytes(64) + whole[68:])
        assert "asks in the name of PAR" in await sent(whole, "PAR", london.folder / "keys")
        assert "belongs to LON" in await sent(whole, "LON", london.folder / "keys")  # what Paris had written
        stranger = tmp_path / "stranger"
        identity.ensure_node_key(stranger)
        assert "does not know this node" in await sent(whole, "PAR", stranger)
        assert hq.db.read_now(lambda s: s.scalars(sa.select(Company)).all()) == []
        assert await sent(whole) == ""
        assert await sent(whole) == ""  # doubled
        assert hq.db.read_now(lambda s: len(s.scalars(sa.select(Company)).all())) == 1
        assert (await paris.exchange.run()).ok
        await equal(hq, paris)


def test_every_travelling_part_knows_its_record() -> None:
    parts = {t.name for t in TRAVELS if t.name in models() and issubclass(models()[t.name], Part)}
    assert parts == set(PARENTS)
    assert all(hasattr(models()[table], column) for table, (column, _) in PARENTS.items())
