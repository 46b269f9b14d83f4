"""Saved views of lists, and the company's settings."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from node.base import Base, Record, optional_key
from node.columns import Flag, Json
from node.ids import Id


class SavedView(Base, Record):
    """A list as somebody likes to see it: filters, order, columns."""

    __tablename__ = "saved_view"

    concept: Mapped[str] = mapped_column(sa.String(32), index=True)
    name: Mapped[str] = mapped_column(sa.Text)
    query: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    owner_id: Mapped[Id | None] = optional_key()
    shared: Mapped[str] = mapped_column(sa.String(8), default="mine")  # mine office all
    standard: Mapped[bool] = mapped_column(Flag, default=False)
    place: Mapped[int] = mapped_column(sa.SmallInteger, default=0)


class Setting(Base, Record):
    """A decision of the company that holds everywhere; the key of the row is derived from `name`."""

    __tablename__ = "setting"

    name: Mapped[str] = mapped_column(sa.String(64), index=True)
    value: Mapped[Any] = mapped_column(Json)
