"""How each office stands, as the centre knows it: for the offices page, the API and the operator."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from central.tables import EnrolledNode, Invitation
from node import exchange_log
from node.clock import as_datetime
from node.domain import offices
from node.domain.offices import Office
from node.errors import NotFound
from replication import journal
from replication.hub import Hub

CLOCK_TRUSTED_MS = 5 * 60 * 1000  # as replication.batch flags conflicts


@dataclass(frozen=True, slots=True, kw_only=True)
class OfficeStanding:
    """One office. `lag`: revisions that it has not been sent; `waiting`: its changes that it said it has and the centre
    has not; `conflicts`: open ones that it is part of. `joined` None: no node of it is enrolled."""

    office: str  # code
    name: str
    central: bool
    joined: datetime | None
    fingerprint: str  # of the key of its node
    invited: bool  # an unused join code is out
    version: str
    last_contact: datetime | None  # any request that went through
    lag: int
    waiting: int
    conflicts: int
    clock_offset_ms: int | None
    clock_suspicious: bool
    lives: int
    last_sent: int  # of the last exchange: rows to the office
    last_received: int
    failing_since: datetime | None
    error: str


def standings(s: Session, hub: Hub) -> list[OfficeStanding]:
    """All offices of the company, head office first, then by code."""
    conn = s.connection()
    known = {state.code: state for state in hub.office_states(conn)}
    head = hub.head(conn)
    now, here = s.info["now"], s.info["office"]
    nodes = {n.office: n for n in s.scalars(sa.select(EnrolledNode).where(EnrolledNode.revoked_at.is_(None)))}
    i = Invitation
    invited = set(s.scalars(sa.select(i.office).where(i.used_at.is_(None), i.expires_at > now)))
    open_ = _open_conflicts(s)
    rows = s.scalars(sa.select(Office).where(Office.alive).order_by(Office.code)).all()
    result = []
    for row in sorted(rows, key=lambda r: (r.code != here, r.code)):
        state, node = known.get(row.code), nodes.get(row.code)
        last, failing = exchange_log.last_ok(s, row.code), exchange_log.failing(s, row.code)
        upto = max(state.watermark if state else 0, last.upto if last else 0)
        result.append(
            OfficeStanding(
                office=row.code,
                name=row.name,
                central=row.code == here,
                joined=node.enrolled_at if node else None,
                fingerprint=node.fingerprint if node else "",
                invited=row.code in invited,
                version=node.version if node else "",
                last_contact=now if row.code == here else _at(state.last_contact if state else None),
                lag=0 if row.code == here or node is None else max(0, head - upto),
                waiting=state.waiting if state and failing else 0,
                conflicts=open_.get(row.code, 0),
                clock_offset_ms=state.clock_offset if state else None,
                clock_suspicious=bool(state and abs(state.clock_offset or 0) > CLOCK_TRUSTED_MS),
                lives=state.lives if state else 0,
                last_sent=last.sent if last else 0,
                last_received=last.received if last else 0,
                failing_since=exchange_log.failing_since(s, row.code) if failing else None,
                error=failing.error if failing else "",
            )
        )
    return result


def office_status(s: Session, hub: Hub, code: str) -> dict[str, Any]:
    """One office for the API: JSON values, times ISO 8601. Raise NotFound."""
    found = next((o for o in standings(s, hub) if o.office == code.upper()), None)
    if found is None:
        names = ", ".join(sorted(offices.office_names(s)))
        raise NotFound(f"There is no office {code}. Known are: {names}.", code=code)
    values = asdict(found)
    return {k: v.isoformat() if isinstance(v, datetime) else v for k, v in values.items()}


def words(fingerprint: str) -> str:
    """A fingerprint as two people compare it: groups of four."""
    return " ".join(fingerprint[i : i + 4] for i in range(0, len(fingerprint), 4))


def _open_conflicts(s: Session) -> dict[str, int]:
    c = journal.conflict.c
    sides = sa.union(
        sa.select(c.winner_office.label("office"), c.id).where(c.state == journal.OPEN),
        sa.select(c.loser_office.label("office"), c.id).where(c.state == journal.OPEN),
    ).subquery()
    query = sa.select(sides.c.office, sa.func.count()).group_by(sides.c.office)
    return {str(office): int(count) for office, count in s.execute(query)}


def _at(ms: int | None) -> datetime | None:
    return None if ms is None else as_datetime(ms)


