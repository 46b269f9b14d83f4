"""Activities: what was said and done with a customer (notes, calls, meetings, letters)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from node.base import Base, Record, optional_key
from node.columns import Instant
from node.domain import access, search
from node.domain.access import Actor
from node.domain.concept import OFFICE, OWNER, Concept, Field, Kind, SearchText, register
from node.domain.customers import party_names
from node.errors import Invalid
from node.ids import Id

KINDS = {
    "note": "Note", "call": "Call", "meeting": "Meeting", "email": "E-mail", "sms": "Text message", "fax": "Fax"
}  # fmt: skip
DIRECTIONS = {"": "", "in": "Incoming", "out": "Outgoing"}
TEXT_MAX = 20_000


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


def title_of(row: Activity) -> str:
    """Its subject, else the start of its text, else what kind it is."""
    first = (row.text or "").strip().split("\n")[0]
    return row.subject or (first if len(first) <= 80 else first[:79] + "…") or KINDS.get(row.kind, row.kind)


# actions


def note(s: Session, by: Actor, text: str, **about: Any) -> Activity:
    """Write something down. `about`: company_id, person_id, deal_id, document_id, subject, at, …"""
    return _enter(s, by, "note", text, about)


def note_call(s: Session, by: Actor, text: str = "", *, direction: str = "out", **about: Any) -> Activity:
    """Note a call that was made (out) or came (in). `about` as in `note`, and `minutes`, `result`."""
    if direction not in ("in", "out"):
        raise Invalid({"direction": "A call comes in or goes out: write in or out."})
    return _enter(s, by, "call", text, {**about, "direction": direction})


def enter(s: Session, by: Actor, kind: str, text: str = "", **about: Any) -> Activity:
    """Enter any kind of activity. `about` as in `note`."""
    if kind not in KINDS:
        raise Invalid({"kind": f"An activity is one of {', '.join(KINDS)}."})
    return _enter(s, by, kind, text, about)


def _enter(s: Session, by: Actor, kind: str, text: str, about: dict[str, Any]) -> Activity:
    access.require(by, "activity", "create")
    if len(text) > TEXT_MAX:
        raise Invalid({"text": f"The text is longer than {TEXT_MAX} characters. Shorten it or write two notes."})
    values = {"at": s.info["now"], "owner_id": by.user_id or None, **about}
    row = Activity(kind=kind, text=text.strip(), **values)
    s.add(row)
    s.flush()
    search.note(s, "activities", [row.id])
    return row


def _derive(s: Session, row: Activity) -> None:
    row.at = row.at or s.info["now"]


def _search(s: Session, rows: Sequence[Activity]) -> dict[str, SearchText]:
    names = party_names(s, [r.company_id for r in rows] + [r.person_id for r in rows])
    result: dict[str, SearchText] = {}
    for r in rows:
        about = " · ".join(names[i] for i in (r.company_id, r.person_id) if i and i in names)
        result[r.id] = SearchText(title=title_of(r), detail=about, words=f"{r.subject} {r.text} {r.result} {about}")
    return result


LINKS = (
    Field(name="company", kind=Kind.REF, label="Company", column="company_id", ref="companies", listed=True),
    Field(name="person", kind=Kind.REF, label="Person", column="person_id", ref="persons"),
    Field(name="deal", kind=Kind.REF, label="Deal", column="deal_id", ref="deals"),
)

ACTIVITIES = register(
    Concept(
        name="activities",
        singular="activity",
        model=Activity,
        label="Activity",
        label_plural="Activities",
        icon="note",
        title=title_of,
        order=("-at",),
        derive=_derive,
        search=_search,
        fields=(
            Field(name="kind", kind=Kind.CHOICE, label="Kind", choices=tuple(KINDS), choice_labels=KINDS, listed=True),
            Field(name="subject", kind=Kind.TEXT, label="Subject", listed=True, length_max=300),
            *LINKS,
            Field(name="at", kind=Kind.INSTANT, label="When", listed=True, sortable=True),
            Field(name="minutes", kind=Kind.INT, label="Minutes"),
            Field(name="direction", kind=Kind.CHOICE, label="Direction", choices=tuple(DIRECTIONS),
                  choice_labels=DIRECTIONS),
            Field(name="text", kind=Kind.NOTE, label="Text", length_max=TEXT_MAX),
            Field(name="result", kind=Kind.TEXT, label="Result"),
            OWNER,
            OFFICE,
            Field(name="external_code", kind=Kind.TEXT, label="External code", in_form=False),
        ),
    )
)  # fmt: skip
