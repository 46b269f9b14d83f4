"""Finds the records that an import refers to or has made before: whole batches at once, never a query a row."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from node.domain.concept import CONCEPTS, Concept
from node.imports.errors import BadProfile
from node.imports.mapping import value_of
from node.imports.profile import Children, Make, Parts, Rule, Source

Row = Mapping[str, str]
ChildRows = Callable[[Children, Row], Sequence[Row]]
Key = tuple[str, ...]
_IN_MAX = 500  # values in one IN (…)


class Lookups:
    """What was looked up in one transaction."""

    def __init__(self, s: Session) -> None:
        self._s = s
        self._known: dict[tuple[str, str], dict[str, Any]] = {}

    def __call__(self, concept: str, by: str, value: str, take: str) -> Any:
        """Field `take` of the living record whose field `by` is the value. Raise LookupError with a sentence."""
        row = self._known.setdefault((concept, by), {}).get(value)
        if row is None:
            self._fetch(concept, by, [value])
            row = self._known[concept, by].get(value)
        if row is None:
            what = _concept(concept).label.lower()
            raise LookupError(f"There is no {what} with the {by.replace('_', ' ')} “{value}”.")
        return row.id if take == "id" else getattr(row, attribute(_concept(concept), take))

    def prepare(self, source: Source, make: Make, rows: Sequence[Row], children: ChildRows) -> None:
        """Fetch at once what the rows of a batch will look up."""
        wanted: dict[tuple[str, str], set[str]] = {}

        def note(concept: str, by: str, value: str, take: str) -> Any:
            wanted.setdefault((concept, by), set()).add(value)
            raise LookupError

        def hear(rules: Iterable[Rule], row: Row) -> None:
            for rule in rules:
                if rule.lookup:
                    with suppress(LookupError, ValueError):  # only listened to: mapping says what is wrong
                        value_of(source, rule, row, note)

        for row in rows:
            for rule in make.fields.values():
                if isinstance(rule, Rule):
                    hear([rule], row)
                elif isinstance(rule, Parts):
                    for part in rule.each:
                        hear(part.values(), row)
                elif any(r.lookup for r in rule.fields.values()):
                    for child in children(rule, row):
                        hear(rule.fields.values(), child)
        for (concept, by), values in wanted.items():
            self._fetch(concept, by, sorted(values))

    def existing(
        self, concept: Concept, match: Sequence[str], rows: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]
    ) -> dict[Key | None, Any]:
        """Key → the record that has it, a living one before one that was deleted."""
        keys = [key for key in (self.key(concept, match, *row) for row in rows) if key is not None]
        model = concept.model
        attributes = [attribute(concept, name) for name in match]
        first = getattr(model, attributes[0])
        found: dict[Key | None, Any] = {}
        values = sorted({key[0] for key in keys})
        for start in range(0, len(values), _IN_MAX):
            query = sa.select(model).where(first.in_(values[start : start + _IN_MAX]))
            query = query.order_by(model.alive, model.id.desc())
            if concept.where is not None:
                query = query.where(concept.where())
            for row in self._s.scalars(query):
                found[tuple(str(getattr(row, a)) for a in attributes)] = row
        return found

    def key(
        self, concept: Concept, match: Sequence[str], values: Mapping[str, Any], once: Mapping[str, Any]
    ) -> Key | None:
        """What identifies the record; None if the cells of the key are empty."""
        key = tuple(str(values.get(name, once.get(name, ""))) for name in match)
        return key if any(key) else None

    def free(self, concept: Concept, name: str, value: str) -> str:
        """The value, with 2, 3, … behind it if others have it already."""
        column = getattr(concept.model, attribute(concept, name))
        taken = set(self._s.scalars(sa.select(column).where(column.startswith(value, autoescape=True))))
        return next(v for v in (value, *(f"{value}{n}" for n in range(2, len(taken) + 3))) if v not in taken)

    def _fetch(self, name: str, by: str, values: Sequence[str]) -> None:
        concept = _concept(name)
        column = getattr(concept.model, attribute(concept, by))
        known = self._known.setdefault((name, by), {})
        missing = [v for v in values if v not in known]
        for start in range(0, len(missing), _IN_MAX):
            part = missing[start : start + _IN_MAX]
            query = sa.select(concept.model).where(column.in_(part), concept.model.alive)
            query = query.order_by(concept.model.id.desc())
            if concept.where is not None:
                query = query.where(concept.where())
            known.update({str(getattr(row, column.key)): row for row in self._s.scalars(query)})


def attribute(concept: Concept, name: str) -> str:
    """The model's attribute of a field. Raise BadProfile."""
    if name == "id":
        return "id"
    found = concept.field(name)
    if found is None or not hasattr(concept.model, found.attribute):
        raise BadProfile(f"{concept.label_plural} cannot be looked up by “{name}”: there is no such field.")
    return found.attribute


def _concept(name: str) -> Concept:
    concept = CONCEPTS.get(name)
    if concept is None:
        raise BadProfile(f"There is no concept “{name}” to look up. There are: {', '.join(sorted(CONCEPTS))}.")
    return concept
