"""Customers: companies and persons, their roles for each other, and how to reach them."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from node.base import Base, Part, Record, key_column, optional_key
from node.columns import MONEY, Day, Flag, Json
from node.ids import Id


class Company(Base, Record):
    """A firm we have to do with. `name_key` is the name as duplicates are looked for; it changes with the name."""

    __tablename__ = "company"

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
