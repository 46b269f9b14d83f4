"""One record by its key, if it is there and this user may have it. The answer to both noes is the same."""

from __future__ import annotations

from typing import TypeVar

from sqlalchemy.orm import Session

from node.base import Record
from node.domain import access
from node.domain.access import Actor
from node.errors import NotFound

R = TypeVar("R", bound=Record)


def found(s: Session, by: Actor, model: type[R], subject: str, id: str, verb: str = "read") -> R:
    """The living row. Raise NotFound (also if the actor may not read it) or Forbidden (he may read, not `verb`)."""
    row = s.get(model, id)
    if row is None or not row.alive or not access.may(by, subject, "read", row):
        raise NotFound(
            f"There is no such {subject.replace('_', ' ')}, or none that you may see. It may have been removed.", id=id
        )
    access.require(by, subject, verb, row)
    return row
