"""Activities: what was said and done with a customer (notes, calls, meetings, letters)."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from node.base import Base, Record, optional_key
from node.columns import Instant
from node.ids import Id


class Activity(Base, Record):
    """One entry of a timeline. The author is `created_by`; `owner_id` is who is answerable."""

    __tablename__ = "activity"

    kind: Mapped[str] = mapped_column(sa.String(16), default="note")  # note call meeting email sms fax
    company_id: Mapped[Id | None] = optional_key()
    person_id: Mapped[Id | None] = optional_key()
    deal_id: Mapped[Id | None] = optional_key()
    document_id: Mapped[Id | None] = optional_key()
    subject: Mapped[str] = mapped_column(sa.Text, default="")
    text: Mapped[str] = mapped_column(sa.Text, default="")
    at: Mapped[datetime] = mapped_column(Instant, index=True)
    minutes: Mapped[int | None] = mapped_column(sa.Integer)
    direction: Mapped[str] = mapped_column(sa.String(8), default="")  # in out
    result: Mapped[str] = mapped_column(sa.Text, default="")
    owner_id: Mapped[Id | None] = optional_key()
    external_code: Mapped[str] = mapped_column(sa.Text, default="", index=True)
