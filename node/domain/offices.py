"""Offices: the branches of the company and its head office, as everybody knows them."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from node.base import Base, Record


class Office(Base, Record):
    """One office. Its `code` is in document numbers and in the exchange; it never changes."""

    __tablename__ = "office"

    code: Mapped[str] = mapped_column(sa.String(8), index=True)
    name: Mapped[str] = mapped_column(sa.Text)
    central: Mapped[int] = mapped_column(sa.SmallInteger, default=0)  # 1: head office
    phone: Mapped[str] = mapped_column(sa.Text, default="")
    email: Mapped[str] = mapped_column(sa.Text, default="")
    street: Mapped[str] = mapped_column(sa.Text, default="")
    zip: Mapped[str] = mapped_column(sa.Text, default="")
    city: Mapped[str] = mapped_column(sa.Text, default="")
    region: Mapped[str] = mapped_column(sa.Text, default="")
    country: Mapped[str] = mapped_column(sa.String(2), default="")
    territory: Mapped[str] = mapped_column(sa.Text, default="")
    timezone: Mapped[str] = mapped_column(sa.Text, default="Europe/Berlin")
    currency: Mapped[str] = mapped_column(sa.String(3), default="EUR")
    language: Mapped[str] = mapped_column(sa.String(2), default="en")
    external_code: Mapped[str] = mapped_column(sa.Text, default="")
