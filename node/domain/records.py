"""What can be done with a record of any concept: read, list, make, change, remove.

API, pages, import and export all come through here, so a rule of a concept holds everywhere or nowhere. An update
changes only what it names and only where the value really differs: each assignment travels to other offices as a
change of that cell, and one that changes nothing would there win over somebody's real edit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from node.base import touch
from node.domain import access, search
from node.domain.access import Actor, Scope
from node.domain.concept import CONCEPTS, Concept, Kind, Values
from node.domain.items import decimal_text, item, items, json_schema, json_value, names, plain, titles, to_json, version
from node.domain.listing import Filter, Page, Query, not_about_hidden, page, query_from, selection
from node.domain.taking import Wrong, belongs, one, survivor, take
from node.errors import Invalid, KoggeError, NotFound, Refused, Stale
from node.ids import Id

BULK_MAX = 1_000
BULK_ACTIONS = ("assign", "tag", "untag", "remove")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a bulk action did to one record; `message` says why not."""

    id: str
    ok: bool
    message: str = ""


def concept_of(name: str) -> Concept:
    """The concept of that name, as written in addresses (`price-lists`) or in code (`price_lists`). Raise NotFound."""
    found = CONCEPTS.get(name.replace("-", "_"))
    if found is None:
        raise NotFound(f"There is nothing called “{name[:60]}”.")
    return found


def load(s: Session, by: Actor, concept: Concept, id: str, verb: str = "read") -> Any:
    """The row; of a merged record the one it was merged into. Raise NotFound (not there, removed or not for this
    actor's eyes: one answer), Forbidden (he may read it, not `verb` it)."""
    row = survivor(s, concept.model, id)
    if (
        row is None
        or not row.alive
        or not access.may(by, concept.singular, "read", row)
        or not belongs(s, concept, row)
        or _about_hidden(s, by, concept, row)
    ):
        raise NotFound(
            f"There is no such {concept.label.lower()}, or none that you may see. It may have been removed.", id=id
        )
    if verb != "read":
        access.require(by, concept.singular, verb, row)
    return row


def create(s: Session, by: Actor, concept: Concept, values: Mapping[str, Any]) -> Any:
    """A new record from values by field name (JSON, form or Python values). Raise Invalid, Forbidden, Refused."""
    if not concept.creatable:
        raise Refused(f"{concept.label_plural} are not made by hand.")
    access.require(by, concept.singular, "create")
    taken = take(s, by, concept, values, new=True)
    row = concept.model(**dict(concept.preset))
    for name, value in taken.items():
        field = concept.field(name)
        assert field is not None, name
        if field.kind is not Kind.PARTS and not (value is None and not _nullable(concept, field.attribute)):
            setattr(row, field.attribute, value)
    _place(s, by, concept, row)
    access.require(by, concept.singular, "create", row)
    with s.no_autoflush:
        if concept.check is not None:
            concept.check(s, by, row, taken, True)
        if concept.derive is not None:
            concept.derive(s, row)
    s.add(row)
    s.flush()
    parts = {n: v for n, v in taken.items() if n in concept.parts}
    _save_parts(s, concept, row, parts)
    if concept.after is not None:
        concept.after(s, by, row, taken, True)
    search.note(s, concept.name, [row.id])
    return row


def update(
    s: Session,
    by: Actor,
    concept: Concept,
    id: str,
    values: Mapping[str, Any],
    *,
    if_match: str | None = None,
    original: Mapping[str, Any] | None = None,
) -> Any:
    """Change what `values` names and leave the rest.

    `if_match` is the version that the user saw; `original` are the values that he saw. With `original`, the update is
    stale only if a field that he changed was changed by somebody else as well; with `if_match` alone, if anything was.
    Raise Stale (details `yours`, `stored`, `fields`, `version`), Invalid, Forbidden, Refused, NotFound.
    """
    row = load(s, by, concept, id, "edit")
    if not concept.editable:
        raise Refused(f"{concept.label_plural} cannot be changed once they are there.")
    stored = item(s, by, concept, row)
    taken = take(s, by, concept, values, new=False, stored=stored)
    changed = {n: v for n, v in taken.items() if not _equal(v, stored.get(n))}
    if original is not None:  # a form sends every field: what he left as he saw it is no wish to set it back
        changed = {n: v for n, v in changed.items() if n not in original or not _seen(concept, n, original[n], v)}
    _refuse_stale(concept, stored, values, changed, if_match, original)
    if not changed:
        return row
    with s.no_autoflush:
        if changed.get("sensitivity", "normal") not in by.sensitivities:
            raise Invalid({"sensitivity": "Your role does not see such records; ask somebody whose role does."})
        if concept.check is not None:
            concept.check(s, by, row, changed, False)
        parts = {}
        for name, value in changed.items():
            field = concept.field(name)
            assert field is not None, name
            if field.kind is Kind.PARTS:
                parts[name] = value
            elif value is not None or _nullable(concept, field.attribute):
                setattr(row, field.attribute, value)
            else:
                raise Invalid({name: f"{field.label} cannot be empty."})
        if concept.derive is not None:
            concept.derive(s, row)
    s.flush()
    _save_parts(s, concept, row, parts)
    if concept.after is not None:
        concept.after(s, by, row, changed, False)
    search.note(s, concept.name, [row.id])
    return row


def remove(s: Session, by: Actor, concept: Concept, id: str, *, if_match: str | None = None) -> None:
    """Mark the record as removed; `restore` takes it back. The concept's `check` is asked with `alive`: False.
    Raise NotFound, Forbidden, Refused, and Stale if it is not the version `if_match` any more."""
    row = load(s, by, concept, id, "delete")
    if not concept.removable:
        raise Refused(f"{concept.label_plural} are not removed.")
    if if_match is not None:
        stored = item(s, by, concept, row)
        current = version(concept, stored)
        if if_match.strip('"') not in (current, "*"):
            raise Stale(
                f"This {concept.label.lower()} was changed since you opened it. Look at it again before you remove it.",
                yours={},
                stored=to_json(concept, stored),
                fields=[],
                version=current,
            )
    if concept.check is not None:
        concept.check(s, by, row, {"alive": False}, False)
    row.alive = False
    s.flush()
    search.note(s, concept.name, [row.id])


def restore(s: Session, by: Actor, concept: Concept, id: str) -> Any:
    """Take a removal back. Raise NotFound, Forbidden."""
    row = survivor(s, concept.model, id)
    if row is None or not access.may(by, concept.singular, "read", row) or not belongs(s, concept, row):
        raise NotFound(f"There is no such {concept.label.lower()}, or none that you may see.", id=id)
    access.require(by, concept.singular, "delete", row)
    if not row.alive:
        row.alive = True
        s.flush()
        search.note(s, concept.name, [row.id])
    return row


def bulk(s: Session, by: Actor, concept: Concept, ids: Sequence[str], action: str, value: Any = None) -> list[Outcome]:
    """Do the same to many: `assign` (value: key or login of a user), `tag` / `untag` (value: a word), `remove`.

    Each record succeeds or is refused for itself. Raise Invalid for an unknown action or more than BULK_MAX records.
    """
    if action not in BULK_ACTIONS:
        raise Invalid({"action": f"There is no action “{action[:60]}”. Known: {', '.join(BULK_ACTIONS)}."})
    if len(ids) > BULK_MAX:
        raise Invalid({"ids": f"At most {BULK_MAX:,} records at once; these are {len(ids):,}. Narrow the list."})
    needs = {"assign": "owner", "tag": "tags", "untag": "tags"}.get(action)
    if needs and concept.field(needs) is None:
        raise Invalid({"action": f"{concept.label_plural} have no field “{needs}”."})
    outcomes = []
    for id in dict.fromkeys(ids):
        try:
            with s.begin_nested():
                _one_of_many(s, by, concept, id, action, value)
            outcomes.append(Outcome(id=id, ok=True))
        except KoggeError as e:
            outcomes.append(Outcome(id=id, ok=False, message=e.message))
    return outcomes


def _about_hidden(s: Session, by: Actor, concept: Concept, row: Any) -> bool:
    conditions = not_about_hidden(by, concept.model)
    return bool(conditions) and s.scalar(
        sa.select(concept.model.id).where(concept.model.id == row.id, *conditions)
    ) is None  # fmt: skip


def _one_of_many(s: Session, by: Actor, concept: Concept, id: str, action: str, value: Any) -> None:
    if action == "remove":
        remove(s, by, concept, id)
    elif action == "assign":
        update(s, by, concept, id, {"owner": value})
    else:
        word = " ".join(str(value or "").split())
        if not word:
            raise Invalid({"value": "Which tag?"})
        tags = [t for t in load(s, by, concept, id).tags if t != word]
        update(s, by, concept, id, {"tags": [*tags, word] if action == "tag" else tags})


def _place(s: Session, by: Actor, concept: Concept, row: Any) -> None:
    """Author, office and responsible person of a new record, where nobody said."""
    row.created_by = by.user_id
    if concept.model.__tablename__ != "office" and not row.office:
        # who sees only his own office must find what he made there, even when he sits at another office's node
        sees_all = access.reach(by, concept.singular, "read") is Scope.ALL
        row.office = s.info["office"] if sees_all or not by.office else by.office
    owner = concept.field("owner")
    if owner is not None and not getattr(row, owner.attribute) and by.user_id:
        setattr(row, owner.attribute, Id(by.user_id))
    if getattr(row, "sensitivity", None) is None and hasattr(row, "sensitivity"):
        row.sensitivity = "normal"
    if getattr(row, "sensitivity", "normal") not in by.sensitivities:
        raise Invalid({"sensitivity": "Your role does not see such records; ask somebody whose role does."})


def _save_parts(s: Session, concept: Concept, row: Any, parts: Mapping[str, list[Values]]) -> None:
    for name, value in parts.items():
        concept.parts[name].save(s, row, value)
    if parts:
        touch(s, row)
        if concept.derive is not None:
            concept.derive(s, row)  # totals follow from the lines
        s.flush()


def _refuse_stale(
    concept: Concept,
    stored: Values,
    values: Mapping[str, Any],
    changed: Values,
    if_match: str | None,
    original: Mapping[str, Any] | None,
) -> None:
    current = version(concept, stored)
    other = if_match is not None and if_match.strip('"') not in (current, "*")
    was = original or {}  # of what is not in it (parts), only the version tells
    stale = [n for n in changed if (not _seen(concept, n, was[n], stored.get(n)) if n in was else other)]
    if not stale:
        return
    named = {n: json_value(f, changed.get(n, stored.get(n))) for n in values if (f := concept.field(n)) is not None}
    raise Stale(
        f"This {concept.label.lower()} was changed since you opened it: {', '.join(stale)}. "
        "Look at both versions and decide which holds.",
        yours=named,
        stored=to_json(concept, stored),
        fields=stale,
        version=current,
    )


def _seen(concept: Concept, name: str, original: Any, stored: Any) -> bool:
    """Is what the user saw what is stored? (He may have seen it as a form shows it: texts.)"""
    field = concept.field(name)
    assert field is not None, name
    if original in (None, "", []) and stored in (None, "", [], {}):
        return True
    return bool(original == stored or original == json_value(field, stored) or str(original) == str(plain(stored)))


def _equal(new: Any, stored: Any) -> bool:
    """Equal as far as it is named: parts may leave fields out."""
    if isinstance(new, list) and new and isinstance(new[0], dict) and isinstance(stored, list):
        return len(new) == len(stored) and all(
            isinstance(b, dict) and all(b.get(k) == v for k, v in a.items()) for a, b in zip(new, stored, strict=True)
        )
    if new in (None, "") and stored in (None, ""):
        return True
    return bool(new == stored)


def _nullable(concept: Concept, attribute: str) -> bool:
    return bool(getattr(concept.model, attribute).property.columns[0].nullable)


__all__ = [
    "BULK_ACTIONS", "BULK_MAX", "Filter", "Outcome", "Page", "Query", "Wrong", "bulk", "concept_of", "create",
    "decimal_text", "item", "items", "json_schema", "json_value", "load", "names", "one", "page", "plain", "query_from",
    "remove", "restore", "selection", "survivor", "take", "titles", "to_json", "update", "version",
]  # fmt: skip
