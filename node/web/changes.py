"""The history of fields for pages: the exchange's log, put into words by the concept's fields."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from node.clock import as_datetime
from node.domain.access import Actor
from node.domain.concept import Concept, Field, Kind
from node.domain.timeline import Change, History
from node.domain.users import user_names
from node.schema import TRAVELS
from node.web import cells
from node.web.language import Reader
from node.web.titles import titles
from replication.history import history

KEPT_AT_MOST = 200  # changes of one record that are looked through


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldChange:
    """One change: `field` is the label (a message id)."""

    field: str
    old: Any
    new: Any
    at: datetime
    author_name: str
    office: str


def history_of(s: Session) -> History:
    """What the timeline asks for field changes."""

    def newest(table: str, keys: Sequence[str], before: datetime | None, limit: int) -> Iterator[Change]:
        for key in keys:
            for e in history(s.connection(), TRAVELS, table, key, KEPT_AT_MOST):
                at = as_datetime(e.at)
                if before is None or at <= before:
                    yield Change(
                        table=table,
                        id=key,
                        column=e.column,
                        old=e.old,
                        new=e.new,
                        at=at,
                        actor=e.actor,
                        office=e.office,
                        cause=e.cause,
                    )

    return newest


def of_record(s: Session, concept: Concept, id: str, limit: int) -> list[FieldChange]:
    """The newest changes of fields that the concept shows."""
    labels = {f.attribute: f.label for f in concept.fields}
    found = [c for c in history_of(s)(concept.model.__tablename__, [id], None, limit) if c.column in labels][:limit]
    names = user_names(s, [c.actor for c in found])
    return [
        FieldChange(
            field=labels[c.column],
            old=c.old,
            new=c.new,
            at=c.at,
            author_name=names.get(c.actor, c.actor),
            office=c.office,
        )
        for c in found
    ]


def titles_in(s: Session, by: Actor, concept: Concept, told: Iterable[tuple[str, Any, Any]]) -> dict[str, str]:
    """The titles of records that old and new values point at."""
    found: dict[str, str] = {}
    for label, old, new in told:
        f = _field(concept, label)
        if f is not None and f.kind is Kind.REF:
            found.update(titles(s, by, f.ref, [str(x) for x in (old, new) if x]))
    return found


def words(concept: Concept, label: str, old: Any, new: Any, r: Reader, known: cells.Known) -> str:
    """“0561 7004-10 → 0561 7004-0”."""
    f = _field(concept, label) or Field(name="", kind=Kind.TEXT, label="")
    before, after = (cells.short(f, x, r, known) for x in (old, new))
    return f"{before} → {after}"


def _field(concept: Concept, label: str) -> Field | None:
    return next((f for f in concept.fields if f.label == label), None)
