"""Customers: companies and persons, their roles for each other, and how to reach them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from node.base import Base, Part, Record, key_column, optional_key
from node.columns import MONEY, Day, Flag, Json
from node.domain.access import Actor
from node.domain.concept import OFFICE, Concept, Field, Kind, SearchText, Values, register
from node.domain.names import tax_key
from node.errors import Invalid
from node.ids import Id, derived


class Company(Base, Record):
    """A firm we have to do with. `name_key` is the name as duplicates are looked for; it changes with the name."""

    __tablename__ = "company"
    __table_args__ = (
        sa.Index("ix_company_changed_at_id", "changed_at", "id"),
        sa.Index("ix_company_office_changed_at", "office", "changed_at", "id"),
    )

    kind: Mapped[str] = mapped_column(sa.String(16), default="customer")  # or prospect partner supplier competitor
    status: Mapped[str] = mapped_column(sa.String(16), default="active")  # active dormant lost
    name: Mapped[str] = mapped_column(sa.Text, index=True)
    name_key: Mapped[str] = mapped_column(sa.Text, default="", index=True)
    legal_name: Mapped[str] = mapped_column(sa.Text, default="")
    tax_number: Mapped[str] = mapped_column(sa.Text, default="")
    tax_key: Mapped[str] = mapped_column(sa.Text, default="", index=True)
    industry: Mapped[str] = mapped_column(sa.Text, default="")
    source: Mapped[str] = mapped_column(sa.Text, default="")
    class_abc: Mapped[str] = mapped_column(sa.String(1), default="")
    website: Mapped[str] = mapped_column(sa.Text, default="")
    tags: Mapped[list[str]] = mapped_column(Json, default=list)
    notes: Mapped[str] = mapped_column(sa.Text, default="")
    sensitivity: Mapped[str] = mapped_column(sa.String(16), default="normal")  # normal confidential vip
    owner_id: Mapped[Id | None] = optional_key()
    language: Mapped[str] = mapped_column(sa.String(2), default="")
    currency: Mapped[str] = mapped_column(sa.String(3), default="")
    payment_days: Mapped[int | None] = mapped_column(sa.Integer)
    credit_limit: Mapped[Decimal | None] = mapped_column(MONEY)
    price_list_id: Mapped[Id | None] = optional_key()
    external_code: Mapped[str] = mapped_column(sa.Text, default="", index=True)
    merged_into: Mapped[Id | None] = optional_key()


class Person(Base, Record):
    """A human being; works for any number of companies (`Position`)."""

    __tablename__ = "person"
    __table_args__ = (
        sa.Index("ix_person_changed_at_id", "changed_at", "id"),
        sa.Index("ix_person_office_changed_at", "office", "changed_at", "id"),
    )

    salutation: Mapped[str] = mapped_column(sa.Text, default="")
    first_name: Mapped[str] = mapped_column(sa.Text, default="")
    last_name: Mapped[str] = mapped_column(sa.Text, index=True)
    name_key: Mapped[str] = mapped_column(sa.Text, default="", index=True)
    birthday: Mapped[date | None] = mapped_column(Day)
    language: Mapped[str] = mapped_column(sa.String(2), default="")
    tags: Mapped[list[str]] = mapped_column(Json, default=list)
    notes: Mapped[str] = mapped_column(sa.Text, default="")
    sensitivity: Mapped[str] = mapped_column(sa.String(16), default="normal")
    owner_id: Mapped[Id | None] = optional_key()
    external_code: Mapped[str] = mapped_column(sa.Text, default="", index=True)
    merged_into: Mapped[Id | None] = optional_key()


class Position(Base, Part):
    """A person's place in a company."""

    __tablename__ = "position"

    company_id: Mapped[Id] = key_column()
    person_id: Mapped[Id] = key_column()
    role: Mapped[str] = mapped_column(sa.Text, default="")
    influence: Mapped[str] = mapped_column(sa.String(16), default="")  # decides influences uses blocks
    main: Mapped[bool] = mapped_column(Flag, default=False)
    left_on: Mapped[date | None] = mapped_column(Day)


class ContactPoint(Base, Part):
    """A phone number, an e-mail address, … of a company or a person. `normal` is how it is looked for."""

    __tablename__ = "contact_point"

    party_id: Mapped[Id] = key_column()  # of a company or a person
    kind: Mapped[str] = mapped_column(sa.String(8))  # phone mobile fax email web
    value: Mapped[str] = mapped_column(sa.Text)
    normal: Mapped[str] = mapped_column(sa.Text, default="", index=True)
    label: Mapped[str] = mapped_column(sa.Text, default="")
    place: Mapped[int] = mapped_column(sa.SmallInteger, default=0)  # the first one is shown first


class Address(Base, Part):
    """A postal address of a company or a person; its columns are decided as one."""

    __tablename__ = "address"

    party_id: Mapped[Id] = key_column()
    kind: Mapped[str] = mapped_column(sa.String(16), default="main")  # main billing delivery
    street: Mapped[str] = mapped_column(sa.Text, default="")
    zip: Mapped[str] = mapped_column(sa.Text, default="")
    city: Mapped[str] = mapped_column(sa.Text, default="", index=True)
    region: Mapped[str] = mapped_column(sa.Text, default="")
    country: Mapped[str] = mapped_column(sa.String(2), default="")
    place: Mapped[int] = mapped_column(sa.SmallInteger, default=0)


class BankAccount(Base, Part):
    """An account of a company (or, with the key of a legal entity, of ours)."""

    __tablename__ = "bank_account"

    party_id: Mapped[Id] = key_column()
    iban: Mapped[str] = mapped_column(sa.Text, default="")
    bic: Mapped[str] = mapped_column(sa.Text, default="")
    account: Mapped[str] = mapped_column(sa.Text, default="")  # where there is no IBAN
    bank: Mapped[str] = mapped_column(sa.Text, default="")
    standard: Mapped[bool] = mapped_column(Flag, default=False)


class LegalEntity(Base, Record):
    """A body that contracts: of a customer, or (no company) one of our own."""

    __tablename__ = "legal_entity"

    company_id: Mapped[Id | None] = optional_key()
    name: Mapped[str] = mapped_column(sa.Text)
    tax_number: Mapped[str] = mapped_column(sa.Text, default="")
    vat_id: Mapped[str] = mapped_column(sa.Text, default="")
    registered: Mapped[str] = mapped_column(sa.Text, default="")  # court and number
    letterhead: Mapped[str] = mapped_column(sa.Text, default="")


class Tag(Base, Record):
    """A word that records are marked with. Records carry the word itself."""

    __tablename__ = "tag"

    name: Mapped[str] = mapped_column(sa.Text, index=True)
    colour: Mapped[str] = mapped_column(sa.String(16), default="")
    note: Mapped[str] = mapped_column(sa.Text, default="")


class Duplicate(Base, Record):
    """Two records that are probably one; the key is derived from both, so every office finds the same pair."""

    __tablename__ = "duplicate"

    kind: Mapped[str] = mapped_column(sa.String(8))  # company person
    first_id: Mapped[Id] = key_column()
    second_id: Mapped[Id] = key_column()
    score: Mapped[int] = mapped_column(sa.SmallInteger, default=0)  # 0 … 100
    reasons: Mapped[list[Any]] = mapped_column(Json, default=list)
    state: Mapped[str] = mapped_column(sa.String(16), default="open", index=True)  # open merged different
    decided_by: Mapped[str] = mapped_column(sa.String(16), default="")


class Occasion(Base, Record):
    """A date that returns every year: a birthday, an anniversary."""

    __tablename__ = "occasion"

    party_id: Mapped[Id] = key_column()
    name: Mapped[str] = mapped_column(sa.Text)
    month: Mapped[int] = mapped_column(sa.SmallInteger)
    day: Mapped[int] = mapped_column(sa.SmallInteger)
    year: Mapped[int | None] = mapped_column(sa.SmallInteger)


# queries


def party_names(s: Session, ids: Iterable[str | None]) -> dict[str, str]:
    """Key → name, of companies and persons alike, also of those that were removed or merged."""
    wanted = {i for i in ids if i}
    if not wanted:
        return {}
    names = dict(s.execute(sa.select(Company.id, Company.name).where(Company.id.in_(wanted))).all())
    if len(names) < len(wanted):
        persons = sa.select(Person.id, Person.first_name, Person.last_name).where(Person.id.in_(wanted - set(names)))
        names.update({Id(id): f"{first} {last}".strip() for id, first, last in s.execute(persons)})
    return {str(id): name for id, name in names.items()}


def first_points(s: Session, ids: Sequence[str], kinds: Sequence[str]) -> dict[str, str]:
    """Key of the party → its first phone number (or whatever the kinds are), as it was written."""
    point = ContactPoint
    query = sa.select(point.party_id, point.value).where(point.party_id.in_(ids), point.kind.in_(kinds), point.alive)
    rows = s.execute(query.order_by(point.place.desc(), point.id.desc())).all()
    return {str(party): value for party, value in rows}  # the last one stays: the first place


def first_addresses(s: Session, ids: Sequence[str]) -> dict[str, Address]:
    """Key of the party → its main address, else its first."""
    query = sa.select(Address).where(Address.party_id.in_(ids), Address.alive)
    rows = s.scalars(query.order_by((Address.kind == "main"), Address.place.desc(), Address.id.desc()))
    return {str(row.party_id): row for row in rows}


# concepts of one page each; companies and persons have files of their own


def _check_tag(s: Session, by: Actor, row: Tag, values: Values, new: bool) -> None:
    name = str(values.get("name", "")).strip()
    with s.no_autoflush:
        query = sa.select(Tag.id).where(sa.func.lower(Tag.name) == name.lower(), Tag.alive)
        there = s.scalars(query).first() if name else None
    if there is not None and (new or there != row.id):
        raise Invalid({"name": f"There is a tag “{name}” already."})


def _derive_tag(s: Session, row: Tag) -> None:
    if not row.id:  # two offices that invent the same tag mean the same one
        key = derived("tag", row.name.strip().casefold())
        with s.no_autoflush:
            row.id = key if s.get(Tag, key) is None else s.info["ids"].new()


def _search_entities(s: Session, rows: Sequence[LegalEntity]) -> dict[str, SearchText]:
    names = party_names(s, (r.company_id for r in rows))
    return {
        r.id: SearchText(
            title=r.name,
            detail=names.get(r.company_id or "", ""),
            words=f"{r.name} {r.tax_number} {r.vat_id} {r.registered} {names.get(r.company_id or '', '')}",
            digits=f"{tax_key(r.tax_number)} {tax_key(r.vat_id)}",
        )
        for r in rows
    }


def _check_occasion(s: Session, by: Actor, row: Occasion, values: Values, new: bool) -> None:
    month = int(values.get("month") or row.month or 1)
    day = int(values.get("day") or row.day or 1)
    try:
        date(2024, month, day)  # a leap year: 29 February is a birthday
    except ValueError:
        raise Invalid({"day": "There is no such day; day and month are numbers, for example 24 and 12."}) from None


TAGS = register(
    Concept(
        name="tags",
        singular="tag",
        model=Tag,
        label="Tag",
        label_plural="Tags",
        icon="tag",
        title=lambda r: r.name,
        order=("name",),
        check=_check_tag,
        derive=_derive_tag,
        fields=(
            Field(name="name", kind=Kind.TEXT, label="Name", required=True, listed=True, sortable=True, length_max=60),
            Field(name="colour", kind=Kind.TEXT, label="Colour", listed=True, length_max=16),
            Field(name="note", kind=Kind.TEXT, label="Note", listed=True),
        ),
    )
)

LEGAL_ENTITIES = register(
    Concept(
        name="legal_entities",
        singular="legal_entity",
        model=LegalEntity,
        label="Legal entity",
        label_plural="Legal entities",
        icon="company",
        title=lambda r: r.name,
        search=_search_entities,
        fields=(
            Field(name="name", kind=Kind.TEXT, label="Name", required=True, listed=True, sortable=True),
            Field(name="company", kind=Kind.REF, label="Company", column="company_id", ref="companies", listed=True,
                  help="empty: one of our own"),
            Field(name="tax_number", kind=Kind.TEXT, label="Tax number", listed=True),
            Field(name="vat_id", kind=Kind.TEXT, label="VAT number", listed=True),
            Field(name="registered", kind=Kind.TEXT, label="Registered at"),
            Field(name="letterhead", kind=Kind.NOTE, label="Letterhead"),
            OFFICE,
        ),
    )
)  # fmt: skip

OCCASIONS = register(
    Concept(
        name="occasions",
        singular="occasion",
        model=Occasion,
        label="Occasion",
        label_plural="Occasions",
        icon="calendar",
        title=lambda r: r.name,
        order=("month", "day"),
        check=_check_occasion,
        fields=(
            Field(name="party", kind=Kind.TEXT, label="Of", column="party_id", required=True, fixed=True, length_max=16,
                  help="the key of a company or of a person"),
            Field(name="name", kind=Kind.TEXT, label="Occasion", required=True, listed=True),
            Field(name="month", kind=Kind.INT, label="Month", required=True, listed=True),
            Field(name="day", kind=Kind.INT, label="Day", required=True, listed=True),
            Field(name="year", kind=Kind.INT, label="Year", listed=True),
            OFFICE,
        ),
    )
)  # fmt: skip
