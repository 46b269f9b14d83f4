"""Writes the sample company into the centre's database.

This is the one place that writes travelling tables without the domain's actions: what it writes has happened in the
past (an invoice of last March with its number, posted by somebody who was at work that day), which no action could or
should do, and a demo must stand within seconds. It does so inside a transaction with an author and a cause like any
other, so the triggers log every row and the offices get all of it through the ordinary exchange.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from central.sample import company, year
from central.sample.rows import Sheet
from node import founding
from node.clock import as_datetime
from node.db import Database
from node.domain import deals, duplicates, offices, search, sessions, users
from node.domain.customers import Company
from node.ids import Id

CAUSE = "demo"
BATCH = 2_000  # rows in one statement


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What is there now. `logins`: (office, login, name, role)."""

    rows: int
    branches: tuple[company.Branch, ...]
    logins: tuple[tuple[str, str, str, str], ...]


def load(db: Database, *, offices_count: int, companies: int, seed: int, login: str, password: str) -> Loaded:
    """Fill a new, migrated database of the centre: the same seed and day give the same company."""
    now = as_datetime(db.clock.now_ms())
    hashed = sessions.hash_password(password)
    return db.write_now(_load, now, offices_count, companies, seed, login, password, hashed, cause=CAUSE)


def _load(
    s: Session, now: datetime, offices_count: int, companies: int, seed: int, login: str, password: str, hashed: str
) -> Loaded:
    users.seed_roles(s)
    deals.seed_pipelines(s)
    s.flush()
    sheet = Sheet(now, random.Random(seed))  # noqa: S311 (an invented company, no secret)
    cast = company.found(sheet, offices_count, companies, hashed)
    year.Year(sheet, cast, _ways(s)).live(companies * 3 // 8)
    connection = s.connection()
    for table, rows in sheet.rows.items():
        for start in range(0, len(rows), BATCH):
            connection.execute(sa.insert(table), rows[start : start + BATCH])
    head = cast.branches[0]
    founding.found(s, code=head.code, name=head.name, central=True, login=login, password=password)
    search.rebuild(s)
    duplicates.find_pairs(s, "company", [row["id"] for row in sheet.of(Company)])
    found = offices.office_of(s, head.code)
    assert found is not None, "the centre is the first of the offices"
    return Loaded(rows=sheet.counted(), branches=cast.branches, logins=tuple(cast.logins))


def _ways(s: Session) -> year.Ways:
    """The pipelines as they were made at the founding."""
    stages: dict[Id, list[tuple[Id, str]]] = {}
    for stage in s.scalars(sa.select(deals.Stage).where(deals.Stage.alive).order_by(deals.Stage.place)):
        stages.setdefault(stage.pipeline_id, []).append((stage.id, stage.state))
    pipelines = s.scalars(sa.select(deals.Pipeline.id).where(deals.Pipeline.alive).order_by(deals.Pipeline.place))
    reasons = s.scalars(sa.select(deals.LostReason.id).where(deals.LostReason.alive).order_by(deals.LostReason.place))
    return year.Ways(
        pipelines=tuple((p, tuple(stages[p])) for p in pipelines if stages.get(p))[:2], lost_reasons=tuple(reasons)
    )
