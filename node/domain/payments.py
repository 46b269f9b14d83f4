"""Payments: money that came or went, and which invoices it settles."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from node.base import Base, Part, Record, key_column, optional_key
from node.columns import MONEY, Day
from node.ids import Id


class Payment(Base, Record):
    """One payment. Never changed once it is there; a wrong one is cancelled by its opposite."""

    __tablename__ = "payment"

    number: Mapped[str] = mapped_column(sa.Text, default="", index=True)
    direction: Mapped[str] = mapped_column(sa.String(8), default="in")  # in out
    company_id: Mapped[Id | None] = optional_key()
    dated: Mapped[date] = mapped_column(Day, index=True)
    amount: Mapped[Decimal] = mapped_column(MONEY)
    currency: Mapped[str] = mapped_column(sa.String(3), default="EUR")
    method: Mapped[str] = mapped_column(sa.String(16), default="transfer")  # transfer cash card cheque
    reference: Mapped[str] = mapped_column(sa.Text, default="")
    notes: Mapped[str] = mapped_column(sa.Text, default="")
    owner_id: Mapped[Id | None] = optional_key()
    reverses_id: Mapped[Id | None] = optional_key()
    external_code: Mapped[str] = mapped_column(sa.Text, default="", index=True)


class Allocation(Base, Part):
    """So much of a payment settles this invoice."""

    __tablename__ = "allocation"

    payment_id: Mapped[Id] = key_column()
    document_id: Mapped[Id] = key_column()
    amount: Mapped[Decimal] = mapped_column(MONEY)
