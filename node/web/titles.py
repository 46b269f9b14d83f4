"""The names of what records point at, in one question per kind of thing and not one per line."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from node.domain.access import Actor, readable
from node.domain.concept import CONCEPTS, Field, Kind
from node.domain.users import user_names

OPEN = ("users", "pipelines", "lost_reasons", "price_lists", "products", "offices")  # names that everybody may read


def titles_of(s: Session, by: Actor, fields: Iterable[Field], items: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Key to title of everything that the fields of the items refer to and this user may read."""
    wanted: dict[str, set[str]] = defaultdict(set)
    fields, items = list(fields), list(items)
    _gather(fields, items, wanted)
    found: dict[str, str] = {}
    for name, keys in wanted.items():
        found.update(titles(s, by, name, keys))
    return found


def titles(s: Session, by: Actor, concept_name: str, keys: Iterable[str]) -> dict[str, str]:
    """Key to title of records of one concept."""
    keys = {k for k in keys if k}
    if not keys:
        return {}
    if concept_name == "users":
        return user_names(s, keys)
    concept = CONCEPTS.get(concept_name)
    if concept is None:
        return {}
    query = sa.select(concept.model).where(concept.model.id.in_(keys))
    if concept_name not in OPEN:
        query = query.where(readable(by, concept.model, concept.singular))
    return {row.id: concept.title(row) for row in s.scalars(query)}


def _gather(fields: Iterable[Field], items: Iterable[Mapping[str, Any]], wanted: dict[str, set[str]]) -> None:
    for field in fields:
        if field.kind is Kind.REF:
            wanted[field.ref].update(str(item[field.name]) for item in items if item.get(field.name))
        elif field.kind is Kind.PARTS:
            parts = [part for item in items for part in item.get(field.name) or () if isinstance(part, Mapping)]
            _gather(field.parts, parts, wanted)
