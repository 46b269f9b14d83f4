"""The timeline: everything that happened with a customer, deal or document, from all tables, newest first.

Each source is asked for no more than one page, by its own index; the pages are then laid into one another. Field
changes come from the exchange's log, which the domain does not know: they are handed in by the caller (`History`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from node.clock import as_datetime, as_ms
from node.domain import access, activities, merging, users
from node.domain.access import Actor
from node.domain.activities import Activity
from node.domain.concept import CONCEPTS, Concept
from node.domain.deals import Deal, Stage
from node.domain.documents import Document
from node.domain.finding import found
from node.domain.payments import Payment
from node.domain.tasks import Task
from node.errors import BadInput, NotFound

KINDS = ("activity", "task", "deal", "document", "payment", "change")
LIMIT_MAX = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One change of one column, as the exchange's log tells it."""

    table: str
    id: str
    column: str
    old: Any
    new: Any
    at: datetime
    actor: str  # key or login of the author
    office: str
    cause: str  # ui import exchange process …


# (table, keys, before, limit) → the newest changes before that time
History = Callable[[str, Sequence[str], datetime | None, int], Iterable[Change]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of a timeline."""

    key: str  # unique, and orders what happened at the same time
    kind: str  # of KINDS
    what: str  # call, meeting, created, done, posted, changed …
    at: datetime
    concept: str
    id: str
    title: str
    text: str = ""
    office: str = ""
    author: str = ""  # key of the user
    author_name: str = ""
    amount: Any = None
    currency: str = ""
    field: str = ""  # of a change: its label
    old: Any = None
    new: Any = None
    cause: str = ""

    @property
    def cursor(self) -> str:
        """What to hand in as `before` to go on after this entry."""
        return f"{as_ms(self.at)}~{self.key}"


def timeline(
    s: Session,
    by: Actor,
    concept_name: str,
    id: str,
    kinds: Iterable[str] | None = None,
    limit: int = 50,
    before: str = "",
    history: History | None = None,
) -> list[Entry]:
    """At most `limit` (1 … 200) entries before the cursor `before`, newest first; only what the actor may read.

    Fewer than `limit` entries: the beginning is reached. Raise NotFound, BadInput.
    """
    concept = CONCEPTS.get(concept_name)
    if concept is None:
        raise NotFound(f"There is nothing called {concept_name}.")
    wanted = set(kinds) if kinds is not None else set(KINDS)
    if wanted - set(KINDS):
        raise BadInput(f"A timeline has entries of the kinds {', '.join(KINDS)}.")
    limit = max(1, min(limit, LIMIT_MAX))
    at, key = _position(before)
    row = found(s, by, concept.model, concept.singular, _resolved(s, concept, id))
    ids = merging.aliases(s, concept.model, row.id) if concept_name in merging.MERGEABLE else [row.id]
    entries: list[Entry] = []
    for source in _SOURCES:
        entries += source(s, by, concept, ids, wanted, at, limit)
    if history is not None and "change" in wanted:
        entries += _changes(concept, row, history(concept.model.__tablename__, ids, at, limit))
    if at is not None:
        entries = [e for e in entries if (e.at, e.key) < (at, key)]
    entries.sort(key=lambda e: (e.at, e.key), reverse=True)
    return list(_with_names(s, entries[:limit]))


def _position(before: str) -> tuple[datetime | None, str]:
    if not before:
        return None, ""
    ms, _, key = before.partition("~")
    if not ms.isdecimal() or len(ms) > 15:
        raise BadInput("This place in the timeline is not one that was given out. Start at its top again.")
    return as_datetime(int(ms)), key


def _resolved(s: Session, concept: Concept, id: str) -> str:
    return merging.resolve(s, concept.model, id) if concept.name in merging.MERGEABLE else id


def _about(concept: Concept, model: Any, ids: Sequence[str]) -> sa.ColumnElement[bool] | None:
    """The condition that a row of `model` is about these records; None if it never is."""
    attribute = {"company": "company_id", "person": "person_id", "deal": "deal_id", "document": "document_id"}.get(
        concept.model.__tablename__, ""
    )
    if model is Document and attribute == "document_id":
        return sa.or_(Document.id.in_(ids), Document.origin_id.in_(ids))
    if model is Deal and attribute == "deal_id":
        return Deal.id.in_(ids)
    return getattr(model, attribute).in_(ids) if hasattr(model, attribute) else None


def _rows(
    s: Session, concept: Concept, model: Any, ids: Sequence[str], column: Any, at: datetime | None, limit: int,
    readable: sa.ColumnElement[bool],
) -> list[Any]:  # fmt: skip
    about = _about(concept, model, ids)
    if about is None:
        return []
    query = sa.select(model).where(about, model.alive, readable, column.is_not(None))
    if at is not None:
        query = query.where(column <= at)
    # one more than a page: those of the very same time as the cursor are sorted out later by their key
    return list(s.scalars(query.order_by(column.desc(), model.id.desc()).limit(limit * 2)))


def _activities(
    s: Session, by: Actor, c: Concept, ids: Sequence[str], wanted: set[str], at: datetime | None, limit: int
) -> Iterator[Entry]:
    if "activity" in wanted:
        for r in _rows(s, c, Activity, ids, Activity.at, at, limit, access.readable(by, Activity, "activity")):
            text = "\n".join(filter(None, (r.text, r.result)))
            yield Entry(key=f"a{r.id}", kind="activity", what=r.kind, at=r.at, concept="activities", id=r.id,
                        title=activities.title_of(r), text=text, office=r.office, author=r.created_by)  # fmt: skip


def _tasks(
    s: Session, by: Actor, c: Concept, ids: Sequence[str], wanted: set[str], at: datetime | None, limit: int
) -> Iterator[Entry]:
    if "task" in wanted:
        readable = access.readable(by, Task, "task")
        for column, what, author in ((Task.created_at, "created", "created_by"), (Task.done_at, "done", "done_by")):
            for r in _rows(s, c, Task, ids, column, at, limit, readable):
                yield Entry(key=f"t{r.id}{what}", kind="task", what=what, at=getattr(r, column.key), concept="tasks",
                            id=r.id, title=r.subject, text=r.text if what == "created" else "", office=r.office,
                            author=getattr(r, author))  # fmt: skip


def _deals(
    s: Session, by: Actor, c: Concept, ids: Sequence[str], wanted: set[str], at: datetime | None, limit: int
) -> Iterator[Entry]:
    if "deal" not in wanted:
        return
    readable = access.readable(by, Deal, "deal")
    for column, what in ((Deal.created_at, "created"), (Deal.stage_since, "stage")):
        rows = _rows(s, c, Deal, ids, column, at, limit, readable)
        names = sa.select(Stage.id, Stage.name).where(Stage.id.in_({r.stage_id for r in rows}))
        stages = dict(s.execute(names).all())
        for r in rows:
            if what == "stage" and r.stage_since == r.created_at:
                continue
            told = r.state if what == "stage" and r.state != "open" else what
            yield Entry(key=f"d{r.id}{what}", kind="deal", what=told, at=getattr(r, column.key), concept="deals",
                        id=r.id, title=r.title, text=stages.get(r.stage_id, "") if what == "stage" else "",
                        office=r.office, author=r.created_by if what == "created" else r.changed_by, amount=r.amount,
                        currency=r.currency)  # fmt: skip


def _documents(
    s: Session, by: Actor, c: Concept, ids: Sequence[str], wanted: set[str], at: datetime | None, limit: int
) -> Iterator[Entry]:
    if "document" not in wanted:
        return
    subjects = {"offer": "offers", "order": "orders", "invoice": "invoices", "credit": "credits"}
    readable = sa.or_(
        *(sa.and_(Document.kind == kind, access.readable(by, Document, kind)) for kind in subjects)
    )
    for column, what in ((Document.created_at, "created"), (Document.posted_at, "posted")):
        for r in _rows(s, c, Document, ids, column, at, limit, readable):
            yield Entry(key=f"o{r.id}{what}", kind="document", what=what, at=getattr(r, column.key),
                        concept=subjects.get(r.kind, "orders"), id=r.id, title=f"{r.kind} {r.number}".strip(),
                        office=r.office, author=r.created_by if what == "created" else r.posted_by, amount=r.gross,
                        currency=r.currency)  # fmt: skip


def _payments(
    s: Session, by: Actor, c: Concept, ids: Sequence[str], wanted: set[str], at: datetime | None, limit: int
) -> Iterator[Entry]:
    if "payment" in wanted:
        for r in _rows(s, c, Payment, ids, Payment.created_at, at, limit, access.readable(by, Payment, "payment")):
            yield Entry(key=f"p{r.id}", kind="payment", what=r.direction, at=r.created_at, concept="payments", id=r.id,
                        title=r.number or r.reference, text=r.notes, office=r.office, author=r.created_by,
                        amount=r.amount, currency=r.currency)  # fmt: skip


def _changes(concept: Concept, row: Any, changes: Iterable[Change]) -> Iterator[Entry]:
    labels = {f.attribute: f.label for f in concept.fields}
    for n in changes:
        if n.column in labels:  # bookkeeping and derived columns tell nobody anything
            yield Entry(key=f"c{n.id}{n.column}", kind="change", what="changed", at=n.at, concept=concept.name, id=n.id,
                        title=concept.title(row), office=n.office, author=n.actor, field=labels[n.column], old=n.old,
                        new=n.new, cause=n.cause)  # fmt: skip


_SOURCES = (_activities, _tasks, _deals, _documents, _payments)


def _with_names(s: Session, entries: Sequence[Entry]) -> Iterator[Entry]:
    names = users.user_names(s, {e.author for e in entries})
    for entry in entries:
        yield replace(entry, author_name=names.get(entry.author, entry.author))
