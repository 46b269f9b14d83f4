"""Documents of trade: offer → order → invoice → credit note. What is posted never changes."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from node.base import Base, Part, Record, key_column, optional_key
from node.columns import MONEY, PERCENT, QUANTITY, RATE, Day, Instant, Json
from node.ids import Id


class Document(Base, Record):
    """One document. Its number is drawn from the office's own range when it is posted."""

    __tablename__ = "document"

    kind: Mapped[str] = mapped_column(sa.String(16), index=True)  # offer order invoice credit
    number: Mapped[str] = mapped_column(sa.Text, default="", index=True)  # empty while a draft
    state: Mapped[str] = mapped_column(sa.String(16), default="draft", index=True)  # draft posted cancelled
    progress: Mapped[str] = mapped_column(sa.String(16), default="")  # accepted, shipped, …: see PROGRESS
    company_id: Mapped[Id | None] = optional_key()
    person_id: Mapped[Id | None] = optional_key()
    deal_id: Mapped[Id | None] = optional_key()
    legal_entity_id: Mapped[Id | None] = optional_key()  # ours
    origin_id: Mapped[Id | None] = optional_key()  # the document that it was made from
    dated: Mapped[date] = mapped_column(Day, index=True)
    due_on: Mapped[date | None] = mapped_column(Day, index=True)  # payment; offer: valid until; order: delivery
    shipped_on: Mapped[date | None] = mapped_column(Day)
    currency: Mapped[str] = mapped_column(sa.String(3), default="EUR")
    rate: Mapped[Decimal] = mapped_column(RATE, default=Decimal(1))  # into the company's currency, on that day
    net: Mapped[Decimal] = mapped_column(MONEY, default=Decimal(0))
    vat: Mapped[Decimal] = mapped_column(MONEY, default=Decimal(0))
    gross: Mapped[Decimal] = mapped_column(MONEY, default=Decimal(0))
    addressee: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)  # name and address as posted
    intro: Mapped[str] = mapped_column(sa.Text, default="")
    closing: Mapped[str] = mapped_column(sa.Text, default="")
    notes: Mapped[str] = mapped_column(sa.Text, default="")
    owner_id: Mapped[Id | None] = optional_key()
    posted_at: Mapped[datetime | None] = mapped_column(Instant)
    posted_by: Mapped[str] = mapped_column(sa.String(16), default="")
    external_code: Mapped[str] = mapped_column(sa.Text, default="", index=True)


class DocumentLine(Base, Part):
    """One line; `net` is quantity × price less discount, rounded to the currency's places."""

    __tablename__ = "document_line"

    document_id: Mapped[Id] = key_column()
    place: Mapped[int] = mapped_column(sa.SmallInteger, default=0)
    product_id: Mapped[Id | None] = optional_key()
    text: Mapped[str] = mapped_column(sa.Text, default="")
    quantity: Mapped[Decimal] = mapped_column(QUANTITY, default=Decimal(1))
    unit: Mapped[str] = mapped_column(sa.String(16), default="")
    price: Mapped[Decimal] = mapped_column(MONEY, default=Decimal(0))
    discount: Mapped[Decimal] = mapped_column(PERCENT, default=Decimal(0))
    vat_rate: Mapped[Decimal] = mapped_column(PERCENT, default=Decimal(0))
    net: Mapped[Decimal] = mapped_column(MONEY, default=Decimal(0))


class NumberRange(Base):
    """The next number of a kind and year at this office. Stays at home; what exists is looked at as well."""

    __tablename__ = "number_range"

    kind: Mapped[str] = mapped_column(sa.String(16), primary_key=True)
    year: Mapped[int] = mapped_column(sa.Integer, primary_key=True)
    next: Mapped[int] = mapped_column(sa.Integer, default=1)
