"""Tasks and reminders: what somebody has to do, until when."""

from __future__ import annotations

from datetime import date, datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from node.base import Base, Record, optional_key
from node.columns import Day, Flag, Instant
from node.ids import Id


class Task(Base, Record):
    """A task; its author is `created_by`, `owner_id` does it."""

    __tablename__ = "task"

    subject: Mapped[str] = mapped_column(sa.Text)
    text: Mapped[str] = mapped_column(sa.Text, default="")
    kind: Mapped[str] = mapped_column(sa.String(16), default="todo")  # todo call meeting payment
    company_id: Mapped[Id | None] = optional_key()
    person_id: Mapped[Id | None] = optional_key()
    deal_id: Mapped[Id | None] = optional_key()
    document_id: Mapped[Id | None] = optional_key()
    owner_id: Mapped[Id | None] = optional_key()
    due_on: Mapped[date | None] = mapped_column(Day, index=True)
    due_time: Mapped[str] = mapped_column(sa.String(5), default="")  # "14:30", office time; empty: any time that day
    remind_at: Mapped[datetime | None] = mapped_column(Instant)
    priority: Mapped[str] = mapped_column(sa.String(8), default="normal")  # low normal high
    state: Mapped[str] = mapped_column(sa.String(16), default="open", index=True)  # open done cancelled
    done_at: Mapped[datetime | None] = mapped_column(Instant)
    done_by: Mapped[str] = mapped_column(sa.String(16), default="")
    repeat: Mapped[str] = mapped_column(sa.String(16), default="")  # daily weekly monthly yearly
    close_on_payment: Mapped[bool] = mapped_column(Flag, default=False)
    external_code: Mapped[str] = mapped_column(sa.Text, default="", index=True)
