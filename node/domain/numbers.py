"""Numbers of documents and payments: R-PAR-2026-0001, from this office's own range, rising without gaps."""

from __future__ import annotations

import re
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from node.domain.documents import NumberRange
from node.errors import Refused

PREFIX = {"offer": "A", "order": "O", "invoice": "R", "credit": "G", "payment": "P"}
DIGITS = 4  # at least; the 10,000th invoice of a year has five
_LAST = re.compile(r"-(\d+)$")


def spelled(kind: str, office: str, year: int, number: int) -> str:
    """R-PAR-2026-0001."""
    return f"{PREFIX[kind]}-{office}-{year:04d}-{number:0{DIGITS}d}"


def counted(number: str) -> int:
    """The running part of a number; 0 if it has none."""
    found = _LAST.search(number)
    return int(found.group(1)) if found else 0


def draw(s: Session, kind: str, model: Any, year: int) -> str:
    """The next number of this kind and year at this office; `model` is the table that holds such numbers.

    The range is locked until the transaction ends, so nobody draws the same. What exists is looked at once in a
    transaction. Raise Refused while no office is known.
    """
    office = s.info["office"]
    if not office:
        raise Refused("This node does not know its office yet, so it has no number range. Finish its set-up first.")
    drawn: dict[tuple[str, int], NumberRange] = s.info.setdefault("number_ranges", {})
    row = drawn.get((kind, year))
    if row is None or row not in s:
        row = s.scalars(
            sa.select(NumberRange).where(NumberRange.kind == kind, NumberRange.year == year).with_for_update()
        ).first()
        if row is None:
            row = NumberRange(kind=kind, year=year, next=1)
            s.add(row)
        row.next = max(row.next, highest(s, kind, model, office, year) + 1)
        drawn[(kind, year)] = row
    number = spelled(kind, office, year, row.next)
    row.next += 1
    s.flush()
    return number


def highest(s: Session, kind: str, model: Any, office: str, year: int) -> int:
    """The greatest running number that the database holds for this office, kind and year; also of removed rows."""
    start = spelled(kind, office, year, 0)[:-DIGITS]
    found = s.scalar(
        sa.select(model.number)
        .where(sa.func.substr(model.number, 1, len(start)) == start)
        .order_by(sa.func.length(model.number).desc(), model.number.desc())
        .limit(1)
    )
    return counted(found) if found else 0
