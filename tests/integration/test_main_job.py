"""The main job, on real input: seven offices of a trading company work with the line down and come together again.

Eight real databases, real enrolment, real HTTPS. The same as a sequence of commands is in docs/main-job.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from node import conflicts
from node.clock import ManualClock
from node.conflict_view import Conflict
from node.db import Database
from node.domain import posting, records, reports
from node.domain.access import Actor
from node.domain.concept import CONCEPTS
from node.domain.customers import Company
from node.domain.deals import Pipeline, Stage
from node.imports.run import import_files
from node.schema import TRAVELS
from replication import verify
from tests.support import classicmodels, company
from tests.support.company import CentreNode, OfficeNode

MINUTE = 60_000
COMPANIES = CONCEPTS["companies"]
NEW = 200
NEW_ORDER = Decimal("117.95")  # 3 × 31.95 + 1 × 22.10


@pytest.mark.slow
async def test_seven_offices_work_offline_and_come_together_to_the_cent(tmp_path: Path) -> None:
    files = classicmodels.files()
    clock = ManualClock()
    async with AsyncExitStack() as stack:
        centre = await stack.enter_async_context(company.centre(tmp_path / "HQ", clock=clock))
        imported = import_files(centre.db, centre.by, files, profile=classicmodels.PROFILE)
        assert not imported.errors
        offices = {
            code: await stack.enter_async_context(centre.office(code)) for code in classicmodels.OFFICES
        }
        assert set(offices) == set(classicmodels.REVENUE)
        for db in (centre.db, offices["TYO"].db):  # everybody sees the whole company
            _revenue_is(db, centre.by, classicmodels.REVENUE, classicmodels.REVENUE_TOTAL)
            paid = db.read_now(reports.payments_total, centre.by)
            assert {row.key: row.amount for row in paid.rows} == classicmodels.PAYMENTS

        await centre.line_down()
        edited, deleted = _edit_apart(offices["PAR"], offices["LON"], clock)
        assert (await offices["PAR"].exchange.run()).unreachable
        await centre.line_up()

        for _ in range(2):
            for code in ("PAR", "LON"):
                clock.move(MINUTE)
                assert (await offices[code].exchange.run()).ok
        await _everybody_is_equal(centre, offices)

        found = _inbox(centre.db, centre.by)
        fields = {c.record_id: c for c in found if c.kind == "field"}
        lost = {c.record_id: c for c in found if c.kind == "delete"}
        assert (len(found), len(fields), len(lost)) == (30, 25, 5)
        assert set(fields) == set(edited[25:])
        assert set(lost) == set(deleted)
        for number, id in enumerate(edited[25:]):
            (value,) = fields[id].values
            assert (value.column, value.winner, value.loser) == ("payment_days", 60 + number, 10 + number)
            assert (fields[id].winner.office, fields[id].loser.office) == ("LON", "PAR")
        assert {(c.winner.office, c.loser.office) for c in lost.values()} == {("PAR", "LON")}

        _both_edits_are_there(offices["SYD"].db, edited[:25])
        new_total = classicmodels.REVENUE_TOTAL + NEW * NEW_ORDER
        revenue = {**classicmodels.REVENUE, "PAR": classicmodels.REVENUE["PAR"] + NEW * NEW_ORDER}
        for db in (centre.db, *(office.db for office in offices.values())):
            _revenue_is(db, centre.by, revenue, new_total)

        await _decide(centre, offices, fields, lost, clock)
        await _everybody_is_equal(centre, offices)
        for db in (centre.db, *(office.db for office in offices.values())):
            assert _inbox(db, centre.by) == []
            days = db.read_now(_column, Company.payment_days, edited[25:])
            assert days == [10 + n if n % 2 else 60 + n for n in range(25)]  # every second one for the loser
            assert db.read_now(_column, Company.alive, deleted) == [True, True, True, False, False]
            _revenue_is(db, centre.by, revenue, new_total)


def _edit_apart(paris: OfficeNode, london: OfficeNode, clock: ManualClock) -> tuple[list[str], list[str]]:
    """The 50 customers that both edit (25 in different fields, then 25 in the same) and the 5 that London deletes."""
    chosen = paris.db.read_now(_first_customers)
    edited, deleted = chosen[:50], chosen[50:]
    for number, id in enumerate(edited):
        clock.move(1000)
        here: dict[str, Any] = {"website": f"www.paris-{number}.example"}
        there: dict[str, Any] = {"industry": f"London {number}"}
        if number >= 25:
            here, there = {"payment_days": 10 + number - 25}, {"payment_days": 60 + number - 25}
        _act(paris, lambda s, by, id=id, here=here: records.update(s, by, COMPANIES, id, here))
        clock.move(1000)
        _act(london, lambda s, by, id=id, there=there: records.update(s, by, COMPANIES, id, there))
    for id in deleted:
        _act(london, lambda s, by, id=id: records.remove(s, by, COMPANIES, id))
        clock.move(1000)
        _act(paris, lambda s, by, id=id: records.update(s, by, COMPANIES, id, {"industry": "kept by Paris"}))
    _act(paris, _two_hundred_new)
    return edited, deleted


def _first_customers(s: Session) -> list[str]:
    return [str(id) for id in s.scalars(sa.select(Company.id).order_by(Company.id).limit(55))]


def _two_hundred_new(s: Session, by: Actor) -> None:
    """New customers of Paris, each with a contact, a deal and a posted order."""
    pipeline = s.scalars(sa.select(Pipeline).where(Pipeline.alive).order_by(Pipeline.place)).first()
    assert pipeline is not None
    stage = s.scalars(sa.select(Stage).where(Stage.pipeline_id == pipeline.id).order_by(Stage.place)).first()
    assert stage is not None
    products = records.page(s, by, CONCEPTS["products"], records.Query(limit=2)).items
    for number in range(NEW):
        firm = records.create(s, by, COMPANIES, {
            "name": f"Maquettes Dupont {number} SARL", "office": "PAR",
            "phones": [f"+33 1 70 18 {number // 100:02d} {number % 100:02d}"],
            "addresses": [{"street": f"{number} rue de Rivoli", "zip": "75001", "city": "Paris", "country": "FR"}],
        })  # fmt: skip
        person = records.create(s, by, CONCEPTS["persons"], {
            "first_name": "Claire", "last_name": f"Dupont {number}", "office": "PAR",
            "positions": [{"company": firm.id, "main": True}], "emails": [f"claire{number}@dupont.example"],
        })  # fmt: skip
        deal = records.create(s, by, CONCEPTS["deals"], {
            "title": f"First order {number}", "company": firm.id, "person": person.id, "pipeline": pipeline.id,
            "stage": stage.id, "amount": "117.95", "currency": "USD", "office": "PAR",
        })  # fmt: skip
        order = records.create(s, by, CONCEPTS["orders"], {
            "company": firm.id, "deal": deal.id, "dated": date(2005, 6, 1), "currency": "USD", "office": "PAR",
            "lines": [
                {"product": products[0]["id"], "quantity": "3", "price": "31.95"},
                {"product": products[1]["id"], "quantity": "1", "price": "22.10"},
            ],
        })  # fmt: skip
        posting.post(s, by, order.id)


async def _decide(
    centre: CentreNode, offices: dict[str, OfficeNode], fields: dict[str, Conflict], lost: dict[str, Conflict],
    clock: ManualClock,
) -> None:  # fmt: skip
    """Paris settles the fields (every second one for the side that lost), London the deletions; then all hear of it."""
    clock.move(MINUTE)
    for number, found in enumerate(fields[id] for id in sorted(fields)):
        choice = "loser" if number % 2 else "winner"
        _act(offices["PAR"], lambda s, by, id=found.id, choice=choice: conflicts.decide(s, by, id, choice))
    for number, found in enumerate(lost[id] for id in sorted(lost)):
        choice = "delete" if number >= 3 else "keep"
        _act(offices["LON"], lambda s, by, id=found.id, choice=choice: conflicts.decide(s, by, id, choice))
    for code in ("PAR", "LON", "PAR"):
        clock.move(MINUTE)
        run = await offices[code].exchange.run()
        assert (run.ok, run.conflicts) == (True, 0)
    assert _inbox(centre.db, centre.by) == []


async def _everybody_is_equal(centre: CentreNode, offices: dict[str, OfficeNode]) -> None:
    for office in offices.values():
        verified = await office.exchange.verify()
        assert verified.equal, (office.config.office, verified.different)
    digests = [_digests(db) for db in (centre.db, *(office.db for office in offices.values()))]
    assert len(digests) == 8
    assert all(one == digests[0] for one in digests)


def _digests(db: Database) -> dict[str, Any]:
    return db.read_now(lambda s: dict(verify.digests(s.connection(), TRAVELS)))


def _act(office: OfficeNode, action: Any) -> None:
    office.db.write_now(lambda s: action(s, office.by) and None, by=office.by)


def _inbox(db: Database, by: Actor) -> list[Conflict]:
    return list(db.read_now(conflicts.inbox, by, limit=200).items)


def _column(s: Session, column: Any, ids: Sequence[str]) -> list[Any]:
    rows = s.execute(sa.select(Company.id, column).where(Company.id.in_(ids)))
    found = {row[0]: row[1] for row in rows}
    return [found[id] for id in ids]


def _both_edits_are_there(db: Database, ids: Sequence[str]) -> None:
    assert db.read_now(_column, Company.website, ids) == [f"www.paris-{n}.example" for n in range(25)]
    assert db.read_now(_column, Company.industry, ids) == [f"London {n}" for n in range(25)]


def _revenue_is(db: Database, by: Actor, per_office: dict[str, Decimal], total: Decimal) -> None:
    report = db.read_now(reports.revenue, by)
    assert {row.key: row.amount for row in report.rows} == per_office
    assert report.total == total
