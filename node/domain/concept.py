"""What a business concept looks like from outside.

One description per concept (its fields, its rights, its parts) from which the API and its OpenAPI document, lists,
filters, forms, export and import are made, so that none of them can drift from the others. A concept that does more
than hold values says so with its own functions (`create`, `update`, `remove`, `check`); posting an invoice or moving a
deal are actions of their own in the concept's file.

Labels are English message ids; pages translate them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy.orm import Session

from node.domain.access import Actor

Values = dict[str, Any]


class Kind(StrEnum):
    """What a field holds: in Python / in JSON."""

    TEXT = "text"  # str, one line
    NOTE = "note"  # str, many lines
    CHOICE = "choice"  # str, one of Field.choices
    INT = "int"
    MONEY = "money"  # Decimal / "12.50"
    QUANTITY = "quantity"  # Decimal / "3"
    PERCENT = "percent"  # Decimal / "19"
    RATE = "rate"  # Decimal / "1.08450000"
    DAY = "day"  # date / "2026-11-24"
    TIME = "time"  # "14:30"
    INSTANT = "instant"  # aware datetime / "2026-11-24T14:05:00Z"
    FLAG = "flag"  # bool
    REF = "ref"  # key of a record of Field.ref
    OFFICE = "office"  # an office's code
    COUNTRY = "country"  # ISO 3166 two letters
    CURRENCY = "currency"  # ISO 4217
    LANGUAGE = "language"  # ISO 639-1
    TAGS = "tags"  # list of words
    PARTS = "parts"  # list of objects, Field.parts
    OBJECT = "object"  # free structure, read only unless the concept checks it


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field. `column` is the attribute of the model where it differs from `name` (owner → owner_id)."""

    name: str
    kind: Kind
    label: str
    column: str = ""
    required: bool = False
    read_only: bool = False
    fixed: bool = False  # may be given at creation, not changed later
    choices: tuple[str, ...] = ()
    choice_labels: Mapping[str, str] = field(default_factory=dict)
    ref: str = ""  # name of the concept that a REF points to
    parts: tuple[Field, ...] = ()
    listed: bool = False  # shown in lists by default
    sortable: bool = False
    filterable: bool = True
    in_form: bool = True
    length_max: int = 10_000
    group: str = ""  # heading under which forms show it
    help: str = ""

    @property
    def attribute(self) -> str:
        """The attribute of the model."""
        return self.column or self.name


class PartsOf(Protocol):
    """Loads and stores a PARTS field."""

    def load(self, s: Session, ids: Sequence[str]) -> Mapping[str, list[Values]]:
        """The parts of many records at once: key of the record to its parts, in order, each with its `id`."""

    def save(self, s: Session, row: Any, parts: list[Values]) -> None:
        """Make the record's parts these: matched by `id`, else by place, so that a changed value is a change
        of that part and not its removal; what is left over is marked as removed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchText:
    """What a record is found by."""

    title: str
    detail: str = ""  # shown under the title
    words: str = ""  # everything that is searched
    digits: str = ""  # phone and document numbers, digits only


@dataclass(frozen=True, slots=True, kw_only=True)
class Concept:
    """One business concept. `name` is plural: the collection in the API and the address of the list."""

    name: str
    singular: str  # the subject of access rules
    model: Any
    label: str
    label_plural: str
    fields: tuple[Field, ...]
    title: Callable[[Any], str]  # of a model row
    icon: str = "doc"
    order: tuple[str, ...] = ("-changed_at",)  # default order; `-` is descending
    where: Callable[[], sa.ColumnElement[bool]] | None = None  # narrows the model (documents: one kind)
    preset: Mapping[str, Any] = field(default_factory=dict)  # attributes of a new row
    parts: Mapping[str, PartsOf] = field(default_factory=dict)  # by field name
    derive: Callable[[Session, Any], None] | None = None  # fills attributes that follow from others
    # (s, by, row, values, is it new?): raise Invalid or Refused
    check: Callable[[Session, Actor, Any, Values, bool], None] | None = None
    # the same, called when the row and its parts are stored: what follows from them (payments: settle invoices)
    after: Callable[[Session, Actor, Any, Values, bool], None] | None = None
    extra: Callable[[Session, Actor, Sequence[Any]], Mapping[str, Values]] | None = None  # computed, read only, by key
    extra_fields: tuple[Field, ...] = ()  # what `extra` gives
    search: Callable[[Session, Sequence[Any]], Mapping[str, SearchText]] | None = None  # by key; None: not searched
    api: bool = True
    creatable: bool = True
    editable: bool = True
    removable: bool = True
    page: str = ""  # address prefix of its page where it is not the general one

    def field(self, name: str) -> Field | None:
        """The field (or computed field) of that name."""
        return next((f for f in self.fields + self.extra_fields if f.name == name), None)


CONCEPTS: dict[str, Concept] = {}


def register(concept: Concept) -> Concept:
    """Make the concept known to API, pages, search, export and import; importing `node.domain.all` registers all."""
    assert concept.name not in CONCEPTS, concept.name
    CONCEPTS[concept.name] = concept
    return concept


RECORD_FIELDS: tuple[Field, ...] = (
    Field(name="created_at", kind=Kind.INSTANT, label="Created", read_only=True, in_form=False, sortable=True),
    Field(name="created_by", kind=Kind.REF, label="Created by", ref="users", read_only=True, in_form=False),
    Field(name="changed_at", kind=Kind.INSTANT, label="Changed", read_only=True, in_form=False, sortable=True),
    Field(name="changed_by", kind=Kind.REF, label="Changed by", ref="users", read_only=True, in_form=False),
)
OWNER = Field(name="owner", kind=Kind.REF, label="Responsible", column="owner_id", ref="users", listed=True)
OFFICE = Field(name="office", kind=Kind.OFFICE, label="Office", listed=True, sortable=True)
