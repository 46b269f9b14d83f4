"""A conflict as a person reads it: of which record, under which labels, with what before, here and there, and by whom.

The journal holds columns and values as they lie in the database. Here they get the names, types and titles that the
business concepts know. Parts (a phone, an address) are shown under their record, whose rights they have.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from node.base import Base, Part
from node.clock import as_datetime
from node.domain import access
from node.domain.access import Actor
from node.domain.catalogue import PriceList
from node.domain.concept import CONCEPTS, Concept, Field
from node.domain.customers import Company, Person
from node.domain.deals import Deal, Pipeline
from node.domain.documents import Document
from node.domain.payments import Payment
from node.domain.users import User
from node.schema import TRAVELS
from replication import history, journal
from replication.travel import Travel

# Which record a part belongs to: the column of its key, and where that key may lie.
PARENTS: Mapping[str, tuple[str, tuple[Any, ...]]] = {
    "position": ("company_id", (Company,)),
    "contact_point": ("party_id", (Company, Person)),
    "address": ("party_id", (Company, Person)),
    "bank_account": ("party_id", (Company,)),
    "price": ("price_list_id", (PriceList,)),
    "stage": ("pipeline_id", (Pipeline,)),
    "deal_participant": ("deal_id", (Deal,)),
    "deal_line": ("deal_id", (Deal,)),
    "document_line": ("document_id", (Document,)),
    "allocation": ("payment_id", (Payment,)),
}
DERIVED = ("name_key", "tax_key", "normal")  # columns that follow from others of their group and tell a person nothing
_TRAVEL: Mapping[str, Travel] = {t.name: t for t in TRAVELS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Author:
    """Who wrote one side. `user_id` is empty where it was a rule or the system."""

    user_id: str
    name: str
    office: str
    at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """One column of the contested cell, with Python values. `field` is None where no concept describes the column."""

    column: str
    label: str  # English message id
    field: Field | None
    base: Any
    winner: Any
    loser: Any
    now: Any  # what stands in the record


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """One conflict. `mine` says which side this node's office wrote; empty: neither, or both."""

    id: str
    kind: str  # field, delete, merge
    state: str  # open, decided
    table: str
    row_id: str
    cell: str
    label: str  # English message id of the cell
    concept: str  # name of the record's concept; empty: none describes it
    singular: str
    record_id: str  # of the record that the row belongs to
    record_title: str
    owner_office: str
    values: tuple[Value, ...]
    base_known: bool
    winner: Author
    loser: Author
    mine: str  # winner, loser, or empty
    suspicious_clock: bool
    both_possible: bool
    may_decide: bool
    choice: str
    decided_by: str  # name
    decided_at: datetime | None


@cache
def models() -> Mapping[str, Any]:
    """Table name -> mapped class."""
    return {str(m.local_table.name): m.class_ for m in Base.registry.mappers}  # type: ignore[attr-defined]


def subject_of(table: str) -> str:
    """The word under which rights are given: the concept's singular, else the table's name."""
    concept = next((c for c in CONCEPTS.values() if c.model.__tablename__ == table), None)
    return concept.singular if concept else table


def concept_of(row: Any) -> Concept | None:
    """The concept of a record; of several over one table (documents) the one that presets what the row has."""
    fitting = [c for c in CONCEPTS.values() if isinstance(row, c.model)]
    exact = [c for c in fitting if c.preset and all(getattr(row, k, None) == v for k, v in c.preset.items())]
    return next(iter(exact or [c for c in fitting if not c.preset] or fitting), None)


def readable(by: Actor) -> sa.ColumnElement[bool]:
    """The condition that the actor may read the record which a conflict is about."""
    c = journal.conflict.c
    if access.reach(by, access.ANY, "read") is access.Scope.ALL and not _narrowed(by):
        return sa.true()
    allowed: list[sa.ColumnElement[bool]] = []
    for name in _TRAVEL:
        model = models().get(name)
        if model is None:
            continue
        if name in PARENTS:
            column, parents = PARENTS[name]
            inside = [
                getattr(model, column).in_(sa.select(p.id).where(access.readable(by, p, subject_of(p.__tablename__))))
                for p in parents
            ]
            rows = sa.select(model.id).where(sa.or_(*inside))
        elif issubclass(model, Part):
            continue
        else:
            rows = sa.select(model.id).where(access.readable(by, model, subject_of(name)))
        allowed.append(sa.and_(c.table_name == name, c.row_id.in_(rows)))
    return sa.or_(sa.false(), *allowed)


def _narrowed(by: Actor) -> bool:
    """Does a rule of his keep anything from him?"""
    less = any(
        access.reach(by, subject, "read") is not access.Scope.ALL
        for subject in by.rules
        if subject not in (access.ANY, "administration", "sensitivity")
    )
    return less or set(by.sensitivities) != set(access.SENSITIVITIES)


def views(s: Session, by: Actor, rows: Sequence[Mapping[str, Any]]) -> list[Conflict]:
    """Journal rows as people read them, in the same order."""
    live = _live(s, rows)
    parents = _parents(s, live.values())
    names = _names(s, rows)
    return [_view(s, by, row, live.get((row["table_name"], row["row_id"])), parents, names) for row in rows]


def _live(s: Session, rows: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str], Any]:
    ids: dict[str, set[str]] = {}
    for row in rows:
        ids.setdefault(row["table_name"], set()).add(row["row_id"])
    found: dict[tuple[str, str], Any] = {}
    for table, keys in ids.items():
        model = models().get(table)
        if model is not None and table in _TRAVEL:
            found.update({(table, r.id): r for r in s.scalars(sa.select(model).where(model.id.in_(keys)))})
    return found


def _parents(s: Session, rows: Iterable[Any]) -> dict[str, Any]:
    """Key of a part's record -> that record."""
    wanted: dict[Any, set[str]] = {}
    for row in rows:
        if row.__tablename__ in PARENTS:
            column, models_ = PARENTS[row.__tablename__]
            for model in models_:
                wanted.setdefault(model, set()).add(getattr(row, column))
    return {
        found.id: found
        for model, keys in wanted.items()
        for found in s.scalars(sa.select(model).where(model.id.in_(keys)))
    }


def root_of(s: Session, row: Any) -> Any:
    """The record that a row belongs to: itself, or of a part its root; None where that is not here."""
    if row.__tablename__ not in PARENTS:
        return row
    column, parents = PARENTS[row.__tablename__]
    return next((root for p in parents if (root := s.get(p, getattr(row, column))) is not None), None)


def _names(s: Session, rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    ids = {row[name] for row in rows for name in ("winner_actor", "loser_actor", "decided_by") if row[name]}
    return {u.id: u.name for u in s.execute(sa.select(User.id, User.name).where(User.id.in_(ids)))}


def _view(
    s: Session,
    by: Actor,
    row: Mapping[str, Any],
    live: Any,
    parents: Mapping[str, Any],
    names: Mapping[str, str],
) -> Conflict:
    table, travel = row["table_name"], _TRAVEL.get(row["table_name"])
    root = live
    if live is not None and table in PARENTS:
        root = parents.get(getattr(live, PARENTS[table][0]))
    concept = concept_of(root) if root is not None else None
    subject = concept.singular if concept else table
    values = _values(s, row, travel, live, concept if root is live else None)
    labels = [v.label for v in values if v.column not in DERIVED] or [_words(row["cell"])]
    here = s.info["office"]
    sides = {side: row[f"{side}_office"] for side in ("winner", "loser")}
    mine = [side for side, office in sides.items() if office == here]
    return Conflict(
        id=row["id"],
        kind=row["kind"],
        state=row["state"],
        table=table,
        row_id=row["row_id"],
        cell=row["cell"],
        label="Removed" if row["kind"] == journal.DELETE else labels[0] if len(labels) == 1 else _words(row["cell"]),
        concept=concept.name if concept else "",
        singular=subject,
        record_id=root.id if root is not None else row["row_id"],
        record_title=concept.title(root) if concept else row["row_id"],
        owner_office=getattr(root, "office", "") or "",
        values=values,
        base_known=row["base"] is not None,
        winner=_author(row, "winner", names),
        loser=_author(row, "loser", names),
        mine=mine[0] if len(mine) == 1 else "",
        suspicious_clock=bool(row["suspicious_clock"]),
        both_possible=row["kind"] == journal.FIELD and joinable(travel, row["cell"], live) != "",
        may_decide=root is not None and access.may(by, subject, "edit", root),
        choice=row["choice"] or "",
        decided_by=names.get(row["decided_by"] or "", ""),
        decided_at=None if row["decided_at"] is None else as_datetime(row["decided_at"]),
    )


def joinable(travel: Travel | None, cell: str, live: Any) -> str:
    """How both values of a cell can be kept: `text`, `tags`, `second` (another contact point), or not at all."""
    if travel is None or live is None:
        return ""
    if travel.name == "contact_point" and cell == "value":
        return "second"
    policy = travel.policy(cell).value
    return policy if policy in ("text", "tags") else ""


def _author(row: Mapping[str, Any], side: str, names: Mapping[str, str]) -> Author:
    actor, at = row[f"{side}_actor"], row[f"{side}_at"]
    return Author(
        user_id=actor if actor in names else "",
        name=names.get(actor, "" if actor in ("", "system") else actor),
        office=row[f"{side}_office"],
        at=as_datetime(at) if at else None,
    )


def typed(s: Session, table: str, values: Mapping[str, Any] | None) -> dict[str, Any]:
    """Values of the journal as Python values; columns that are no more are left out."""
    travel, dialect = _TRAVEL.get(table), s.connection().dialect
    if travel is None or values is None:
        return {}
    return {
        c: history.typed(travel, c, v, dialect) for c, v in values.items() if c in travel.table.columns
    }


def attribute(model: Any, column: str) -> str:
    """The attribute of a model that holds the column."""
    return str(sa.inspect(model).get_property_by_column(model.__table__.c[column]).key)


def _values(
    s: Session, row: Mapping[str, Any], travel: Travel | None, live: Any, concept: Concept | None
) -> tuple[Value, ...]:
    base = typed(s, row["table_name"], journal.base_values(row))
    winner = typed(s, row["table_name"], journal.winner_values(row))
    loser = typed(s, row["table_name"], journal.loser_values(row))
    fields = {f.attribute: f for f in concept.fields} if concept else {}
    result = []
    for column in (travel.columns if travel else ()):
        if column not in winner and column not in loser:
            continue
        field = fields.get(column)
        result.append(
            Value(
                column=column,
                label=field.label if field else _words(column),
                field=field,
                base=base.get(column),
                winner=winner.get(column),
                loser=loser.get(column),
                now=getattr(live, attribute(type(live), column)) if live is not None else None,
            )
        )
    return tuple(result)


def _words(name: str) -> str:
    """A column's name as a label."""
    return name.removesuffix("_id").replace("_", " ").capitalize()
