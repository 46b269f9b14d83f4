"""Deals: chances to sell, on their way through a pipeline."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from node.base import Base, Part, Record, key_column, optional_key
from node.columns import MONEY, PERCENT, QUANTITY, Day, Flag, Instant, Json
from node.ids import Id


class Pipeline(Base, Record):
    """A way of selling: its stages in order."""

    __tablename__ = "pipeline"

    name: Mapped[str] = mapped_column(sa.Text)
    place: Mapped[int] = mapped_column(sa.SmallInteger, default=0)
    active: Mapped[bool] = mapped_column(Flag, default=True)


class Stage(Base, Part):
    """A step of a pipeline; `names` holds its word per language."""

    __tablename__ = "stage"

    pipeline_id: Mapped[Id] = key_column()
    name: Mapped[str] = mapped_column(sa.Text)
    names: Mapped[dict[str, str]] = mapped_column(Json, default=dict)
    place: Mapped[int] = mapped_column(sa.SmallInteger, default=0)
    probability: Mapped[int] = mapped_column(sa.SmallInteger, default=0)  # percent
    state: Mapped[str] = mapped_column(sa.String(8), default="open")  # open won lost
    rots_after_days: Mapped[int | None] = mapped_column(sa.SmallInteger)


class LostReason(Base, Record):
    """Why deals are lost."""

    __tablename__ = "lost_reason"

    name: Mapped[str] = mapped_column(sa.Text)
    place: Mapped[int] = mapped_column(sa.SmallInteger, default=0)


class Deal(Base, Record):
    """One chance. Amount and currency are decided as one, so are stage, state and what follows from them."""

    __tablename__ = "deal"

    title: Mapped[str] = mapped_column(sa.Text)
    company_id: Mapped[Id | None] = optional_key()
    person_id: Mapped[Id | None] = optional_key()
    pipeline_id: Mapped[Id] = key_column()
    stage_id: Mapped[Id] = key_column()
    state: Mapped[str] = mapped_column(sa.String(8), default="open", index=True)  # open won lost
    stage_since: Mapped[datetime] = mapped_column(Instant)
    closed_on: Mapped[date | None] = mapped_column(Day)
    lost_reason_id: Mapped[Id | None] = optional_key()
    amount: Mapped[Decimal] = mapped_column(MONEY, default=Decimal(0))
    currency: Mapped[str] = mapped_column(sa.String(3), default="EUR")
    probability: Mapped[int | None] = mapped_column(sa.SmallInteger)  # empty: the stage's
    expected_on: Mapped[date | None] = mapped_column(Day, index=True)
    owner_id: Mapped[Id | None] = optional_key()
    competitor_id: Mapped[Id | None] = optional_key()
    source: Mapped[str] = mapped_column(sa.Text, default="")
    tags: Mapped[list[str]] = mapped_column(Json, default=list)
    notes: Mapped[str] = mapped_column(sa.Text, default="")
    external_code: Mapped[str] = mapped_column(sa.Text, default="", index=True)


class Participant(Base, Part):
    """Who takes part in a deal, and as what."""

    __tablename__ = "deal_participant"

    deal_id: Mapped[Id] = key_column()
    company_id: Mapped[Id | None] = optional_key()
    person_id: Mapped[Id | None] = optional_key()
    role: Mapped[str] = mapped_column(sa.Text, default="")


class DealLine(Base, Part):
    """A product that the deal is about."""

    __tablename__ = "deal_line"

    deal_id: Mapped[Id] = key_column()
    place: Mapped[int] = mapped_column(sa.SmallInteger, default=0)
    product_id: Mapped[Id | None] = optional_key()
    text: Mapped[str] = mapped_column(sa.Text, default="")
    quantity: Mapped[Decimal] = mapped_column(QUANTITY, default=Decimal(1))
    price: Mapped[Decimal] = mapped_column(MONEY, default=Decimal(0))
    discount: Mapped[Decimal] = mapped_column(PERCENT, default=Decimal(0))
