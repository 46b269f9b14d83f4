"""As of when the consolidated figures are: a total is as old as the office that has been silent longest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from central.offices import standings
from replication.hub import Hub


@dataclass(frozen=True, slots=True, kw_only=True)
class AsOf:
    """What is here of an office is what it had at this time. None: nothing has come from it yet."""

    office: str
    name: str
    at: datetime | None


def as_of(s: Session, hub: Hub) -> list[AsOf]:
    """Head office (now) and every office that has joined or ever exchanged."""
    found = standings(s, hub)
    return [
        AsOf(office=o.office, name=o.name, at=o.last_contact)
        for o in found
        if o.central or o.joined is not None or o.last_contact is not None
    ]


def laggard(known: Sequence[AsOf], head_office: str) -> AsOf | None:
    """The office whose data is the oldest; None without offices."""
    others = [one for one in known if one.office != head_office]
    return min(others, key=lambda one: one.at.timestamp() if one.at else 0.0, default=None)
