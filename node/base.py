"""The shape that every record of the domain shares, and what is filled in without anybody asking.

A record has a key that its office drew alone, a mark of being alive (a user's delete is a mark: physical removal would
take from other offices what they may just be editing), the office it comes from, and who changed it last and when.
There are no foreign keys in the database: an office may hold a part of the company's rows only, rows arrive in the
order of the exchange, and a duplicate that was merged stays as an alias that references still point at.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from node.columns import Flag, Instant
from node.ids import Id

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """All tables of a node that the exchange engine does not own."""

    metadata = sa.MetaData(naming_convention=NAMING)


def key_column(**options: Any) -> Mapped[Id]:
    """A column that holds another record's key, indexed because lists are made by it."""
    return mapped_column(sa.String(16), **{"nullable": False, "index": True, **options})


def optional_key(**options: Any) -> Mapped[Id | None]:
    """Like `key_column`, and may be empty."""
    return mapped_column(sa.String(16), **{"nullable": True, "index": True, **options})


class Record:
    """Mix-in of everything that travels."""

    id: Mapped[Id] = mapped_column(sa.String(16), primary_key=True)
    alive: Mapped[bool] = mapped_column(Flag, default=True, server_default="1")
    office: Mapped[str] = mapped_column(sa.String(8), default="")
    created_at: Mapped[datetime] = mapped_column(Instant)
    created_by: Mapped[str] = mapped_column(sa.String(16), default="")
    changed_at: Mapped[datetime] = mapped_column(Instant)
    changed_by: Mapped[str] = mapped_column(sa.String(16), default="")


class Part:
    """Mix-in of what lives inside a record (a phone, a line) and has its root's office and rights."""

    id: Mapped[Id] = mapped_column(sa.String(16), primary_key=True)
    alive: Mapped[bool] = mapped_column(Flag, default=True, server_default="1")


def touch(s: Session, record: Record) -> None:
    """Say that a part of the record changed: so a delete elsewhere that has not seen it does not win over it."""
    record.changed_at = s.info["now"]
    record.changed_by = s.info["actor_id"]


@event.listens_for(Session, "before_flush")
def _stamp(s: Session, _context: Any, _instances: Any) -> None:
    """Draw keys, fill office, author and time. `s.info` is set by `node.db` for every transaction."""
    for row in s.new:
        if isinstance(row, Record | Part) and not row.id:
            row.id = s.info["ids"].new()
        if isinstance(row, Record):
            row.created_at = row.created_at or s.info["now"]
            row.created_by = row.created_by or s.info["actor_id"]
            row.changed_at = row.changed_at or s.info["now"]
            row.changed_by = row.changed_by or s.info["actor_id"]
            row.office = row.office or s.info["office"]
    for row in s.dirty:
        if isinstance(row, Record) and s.is_modified(row):
            touch(s, row)
