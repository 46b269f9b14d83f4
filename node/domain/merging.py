"""Merging: two records of one company or person become one, and how to take it back.

The loser stays as an alias for ever (`merged_into`): an invoice that names it, here or at an office that has not heard
yet, still points at something. Nothing that refers to it is rewritten; whoever reads follows the alias (`resolve`) and
asks for all names of a record at once (`aliases`). Only its own parts (numbers, addresses, places of work) move over.

An alias that other offices have heard of cannot be revoked: they may have written to it meanwhile, and that has gone to
the survivor. So undo makes the loser stand again under a new key, gives it its parts back, and what referred to the old
key refers to the new one. What is needed for that is kept for 30 days, at the office that merged.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite
from sqlalchemy.orm import Mapped, Session, mapped_column

from node.base import Base, Part, Record, touch
from node.columns import Instant, Json
from node.domain import duplicates, search
from node.domain.access import SENSITIVITIES, Actor
from node.domain.concept import CONCEPTS, Concept, Field, Kind
from node.domain.customers import Address, BankAccount, Company, ContactPoint, Duplicate, Position
from node.domain.finding import found
from node.domain.names import search_fold
from node.errors import Invalid, NotFound, Refused
from node.ids import Id

ALIAS_MAX = 16  # aliases of aliases that are followed
UNDO_DAYS = 30
MERGEABLE = ("companies", "persons")
KEPT = ("id", "created_at", "created_by", "changed_at", "changed_by", "merged_into", "alive")


class Merge(Base):
    """One merge and what it moved, so that it can be undone. Stays at home; `jobs` may drop rows after 30 days."""

    __tablename__ = "merge_done"

    loser_id: Mapped[str] = mapped_column(sa.String(16), primary_key=True)
    survivor_id: Mapped[str] = mapped_column(sa.String(16), index=True)
    concept: Mapped[str] = mapped_column(sa.String(32))
    at: Mapped[datetime] = mapped_column(Instant)
    by: Mapped[str] = mapped_column("by_user", sa.String(16), default="")
    moved: Mapped[list[Any]] = mapped_column(Json)  # [[table, key of the part, attribute], …]
    before: Mapped[dict[str, Any]] = mapped_column(Json)  # column of the survivor → [what it was, what it became]
    lost: Mapped[dict[str, Any]] = mapped_column(Json)  # column of the loser → what it was


# queries


def resolve(s: Session, model: Any, id: str) -> str:
    """The key of the record that now stands for this one: itself, or the survivor at the end of the aliases."""
    seen = [id]
    for _ in range(ALIAS_MAX):
        target = s.scalar(sa.select(model.merged_into).where(model.id == seen[-1]))
        if target is None:
            return seen[-1]
        if target in seen:  # two offices merged the two into each other before they heard of it
            return min(seen[seen.index(target) :])
        seen.append(target)
    return seen[-1]


def aliases(s: Session, model: Any, id: str) -> list[str]:
    """All keys that stand for this record: its own first, then of everything that was merged into it."""
    known = [resolve(s, model, id)]
    newest = known
    for _ in range(ALIAS_MAX):
        query = sa.select(model.id).where(model.merged_into.in_(newest), model.id.not_in(known))
        newest = list(s.scalars(query.order_by(model.id)))
        if not newest:
            break
        known = [*known, *newest]
    return known


# actions


def merge(
    s: Session, by: Actor, concept_name: str, loser_id: str, survivor_id: str, choose: Mapping[str, str] | None = None
) -> Any:
    """Make one of two; returns the surviving row. Raise NotFound, Forbidden, Invalid, Refused.

    `choose`: name of a field → loser | survivor. Without a choice the survivor's value stands and gaps are filled from
    the loser; tags are united, notes joined, and the stricter sensitivity holds.
    """
    concept = _concept(concept_name)
    loser = found(s, by, concept.model, concept.singular, loser_id, "edit")
    survivor = found(s, by, concept.model, concept.singular, survivor_id, "edit")
    if loser_id == survivor_id:
        raise Refused("A record cannot be merged into itself. Choose another one.")
    if loser.merged_into or survivor.merged_into:
        raise Refused("One of the two has been merged already. Open the record that it was merged into.")
    choices = dict(choose or {})
    fields = {f.name: f for f in concept.fields if f.kind is not Kind.PARTS and f.name != "office"}
    wrong = {n: "Choose loser or survivor for a field of the record." for n, c in choices.items()
             if n not in fields or c not in ("loser", "survivor")}  # fmt: skip
    if wrong:
        raise Invalid(wrong)
    lost = _stored(loser)
    was = _stored(survivor)
    for name, it in fields.items():
        value = _chosen(it, getattr(loser, it.attribute), getattr(survivor, it.attribute), choices.get(name))
        if value != getattr(survivor, it.attribute):
            setattr(survivor, it.attribute, value)
    if concept.derive:
        concept.derive(s, survivor)
    became = _stored(survivor)
    moved = _move_parts(s, concept, loser, survivor)
    loser.merged_into = survivor.id
    touch(s, survivor)
    touch(s, loser)
    _settle_pairs(s, by, concept, loser, survivor)
    s.add(
        Merge(
            loser_id=loser.id, survivor_id=survivor.id, concept=concept.name, at=s.info["now"], by=by.user_id,
            moved=moved, before={c: [was[c], became[c]] for c in was if was[c] != became[c]}, lost=lost,
        )
    )  # fmt: skip
    s.flush()
    search.note(s, concept.name, [loser.id, survivor.id])
    return survivor


def undo_merge(s: Session, by: Actor, loser_id: str) -> Any:
    """Let a merged record stand again, under a new key; returns its row. Values of the survivor that came from it go
    back, unless they were edited since. Raise NotFound (merged elsewhere, or undone), Refused (too long ago)."""
    done = s.get(Merge, loser_id)
    if done is None:
        raise NotFound("This merge was not made at this office, or it has been undone. Ask the office that merged.")
    if s.info["now"] - done.at > timedelta(days=UNDO_DAYS):
        raise Refused(f"A merge can be undone for {UNDO_DAYS} days. Make a new record instead.")
    concept = _concept(done.concept)
    survivor = found(s, by, concept.model, concept.singular, resolve(s, concept.model, done.survivor_id), "edit")
    row = concept.model(id=s.info["ids"].new(), **_values(concept.model, done.lost))
    s.add(row)
    if survivor.id == done.survivor_id:
        now = _stored(survivor)
        for column, (was, became) in done.before.items():
            if now[column] == became:
                setattr(survivor, column, _values(concept.model, {column: was})[column])
    _move_back(s, done, survivor.id, row.id)
    _refer_again(s, done.loser_id, row.id, done.concept)
    pair = s.get(Duplicate, duplicates.pair_id(done.loser_id, done.survivor_id))
    if pair is not None:
        pair.state, pair.decided_by = "different", by.user_id
    touch(s, survivor)
    s.delete(done)
    s.flush()
    search.note(s, concept.name, [row.id, survivor.id])
    return row


def _concept(name: str) -> Concept:
    if name not in MERGEABLE:
        raise Refused("Only companies and persons are merged.")
    return CONCEPTS[name]


def _chosen(field: Field, loser: Any, survivor: Any, choice: str | None) -> Any:
    if choice:
        return loser if choice == "loser" else survivor
    if field.kind is Kind.TAGS:
        return [*(survivor or []), *(t for t in loser or [] if t not in (survivor or []))]
    if field.kind is Kind.NOTE and loser and loser not in (survivor or ""):
        return f"{survivor}\n\n{loser}" if survivor else loser
    if field.name == "sensitivity":
        return max(loser, survivor, key=SENSITIVITIES.index)
    return loser if survivor in (None, "") and loser not in (None, "") else survivor


def _stored(row: Record) -> dict[str, Any]:
    """Attribute → value as the database stores it, so that it fits into JSON."""
    mapper, dialect = sa.inspect(type(row)), sqlite.dialect()
    result = {}
    for name, column in mapper.columns.items():
        if name not in KEPT:
            bind = column.type.bind_processor(dialect)
            value = getattr(row, name)
            result[name] = bind(value) if bind else value
    return result


def _values(model: Any, stored: Mapping[str, Any]) -> dict[str, Any]:
    """The opposite of `_stored`."""
    mapper, dialect = sa.inspect(model), sqlite.dialect()
    result = {}
    for name, value in stored.items():
        column = mapper.columns[name]
        back = column.type.result_processor(dialect, None)
        result[name] = back(value) if back else value
    return result


def _own_parts(concept: Concept) -> tuple[tuple[Any, str, tuple[str, ...]], ...]:
    """(model, attribute with the key of the record, what makes two of them the same)"""
    place = ("company_id", ("person_id",)) if concept.model is Company else ("person_id", ("company_id",))
    return (
        (ContactPoint, "party_id", ("kind", "normal")),
        (Address, "party_id", ("street", "zip", "city", "country")),
        (BankAccount, "party_id", ("iban", "account")),
        (Position, *place),
    )


def _move_parts(s: Session, concept: Concept, loser: Any, survivor: Any) -> list[list[str]]:
    """Hang what the survivor has not got over to it."""
    moved: list[list[str]] = []
    for model, attribute, same in _own_parts(concept):
        column = getattr(model, attribute)
        rows = list(s.scalars(sa.select(model).where(column.in_([loser.id, survivor.id]), model.alive)))
        have = {_face(r, same) for r in rows if getattr(r, attribute) == survivor.id}
        places = len(have)
        for row in sorted((r for r in rows if getattr(r, attribute) == loser.id), key=lambda r: str(r.id)):
            if _face(row, same) in have:
                continue
            setattr(row, attribute, survivor.id)
            if hasattr(row, "place"):
                row.place += places
            moved.append([model.__tablename__, row.id, attribute])
    return moved


def _face(row: Any, attributes: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(search_fold(str(getattr(row, a) or "")) for a in attributes)


def _move_back(s: Session, done: Merge, survivor_id: str, new_id: str) -> None:
    models = {m.class_.__tablename__: m.class_ for m in Base.registry.mappers}
    for table, id, attribute in done.moved:
        part = s.get(models[table], id)
        if part is not None and getattr(part, attribute) == survivor_id:
            setattr(part, attribute, new_id)


def _refer_again(s: Session, old_id: str, new_id: str, concept: str) -> None:
    """What refers to the alias by its old key, its remaining parts among it, now refers to what stands again."""
    names = ("company_id", "competitor_id", "party_id") if concept == "companies" else ("person_id", "party_id")
    for model in sorted({m.class_ for m in Base.registry.mappers}, key=lambda m: m.__name__):
        for name in names:
            if issubclass(model, Record | Part) and hasattr(model, name):
                for row in s.scalars(sa.select(model).where(getattr(model, name) == old_id)):
                    setattr(row, name, Id(new_id))


def _settle_pairs(s: Session, by: Actor, concept: Concept, loser: Any, survivor: Any) -> None:
    names = aliases(s, concept.model, loser.id) + aliases(s, concept.model, survivor.id)
    query = sa.select(Duplicate).where(Duplicate.first_id.in_(names), Duplicate.second_id.in_(names))
    for pair in s.scalars(query):
        pair.state, pair.decided_by = "merged", by.user_id
