"""Offices: the branches of the company and its head office, as everybody knows them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from node.base import Base, Record
from node.domain.access import Actor
from node.domain.concept import Concept, Field, Kind, SearchText, Values, register
from node.errors import Invalid
from node.ids import derived

CODE = re.compile(r"[A-Z0-9]{2,8}")


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


# rules


def zone_of(name: str) -> ZoneInfo:
    """The time zone of that name; UTC where the machine does not know it."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")


# queries


def office_of(s: Session, code: str) -> Office | None:
    """The living office with that code."""
    return s.scalars(sa.select(Office).where(Office.code == code, Office.alive)).first()


def office_names(s: Session) -> dict[str, str]:
    """Code → name of all living offices, by code."""
    rows = s.execute(sa.select(Office.code, Office.name).where(Office.alive).order_by(Office.code))
    return dict(rows.all())


def country_of(s: Session, code: str) -> str:
    """Two letters of the country that the office is in; empty if unknown. Remembered for the transaction."""
    known: dict[str, str] = s.info.setdefault("countries", {})
    if code not in known:
        with s.no_autoflush:
            known[code] = s.scalar(sa.select(Office.country).where(Office.code == code, Office.alive)) or ""
    return known[code]


def zone(s: Session) -> ZoneInfo:
    """The time zone of this office."""
    return zone_of(s.scalar(sa.select(Office.timezone).where(Office.code == s.info["office"], Office.alive)) or "UTC")


def today(s: Session) -> date:
    """The calendar day at this office."""
    now: datetime = s.info["now"]
    return now.astimezone(zone(s)).date()


# actions


def ensure_office(s: Session, code: str, name: str, *, central: bool = False, **fields: Any) -> Office:
    """The office with that code, made if it is missing; the key is derived from the code, so every node agrees.

    `fields` are further attributes; they are set only where the office is new. Raise Invalid for a bad code.
    """
    _check_code(code)
    row = s.get(Office, derived("office", code))
    if row is None:
        row = Office(id=derived("office", code), code=code, name=name, central=int(central), office=code, **fields)
        s.add(row)
        s.flush()
    return row


def _check_code(code: str) -> None:
    if not CODE.fullmatch(code):
        raise Invalid({"code": "An office's code is 2 to 8 capital letters or digits, for example PAR."})


def _derive(s: Session, row: Office) -> None:
    if not row.id:
        row.id = derived("office", row.code)
        row.office = row.code


def _check(s: Session, by: Actor, row: Office, values: Values, new: bool) -> None:
    if new:
        _check_code(str(values.get("code", "")))
        with s.no_autoflush:
            if s.get(Office, derived("office", values["code"])) is not None:
                raise Invalid({"code": f"There is an office {values['code']} already, or there was one."})
    if values.get("timezone") and zone_of(values["timezone"]).key != values["timezone"]:
        raise Invalid({"timezone": "There is no such time zone; write it like Europe/Berlin."})


def _search(s: Session, rows: Sequence[Office]) -> dict[str, SearchText]:
    return {
        r.id: SearchText(
            title=r.name,
            detail=" ".join(filter(None, (r.code, r.city))),
            words=f"{r.code} {r.name} {r.city} {r.street} {r.zip} {r.territory} {r.email}",
            digits=r.phone,
        )
        for r in rows
    }


OFFICES = register(
    Concept(
        name="offices",
        singular="office",
        model=Office,
        label="Office",
        label_plural="Offices",
        icon="office",
        title=lambda r: r.name,
        order=("code",),
        derive=_derive,
        check=_check,
        search=_search,
        removable=False,
        fields=(
            Field(name="code", kind=Kind.TEXT, label="Code", required=True, fixed=True, listed=True, sortable=True,
                  length_max=8, help="2 to 8 capital letters or digits; part of document numbers"),
            Field(name="name", kind=Kind.TEXT, label="Name", required=True, listed=True, sortable=True),
            Field(name="central", kind=Kind.INT, label="Head office", read_only=True, in_form=False),
            Field(name="phone", kind=Kind.TEXT, label="Phone", listed=True),
            Field(name="email", kind=Kind.TEXT, label="E-mail"),
            Field(name="street", kind=Kind.TEXT, label="Street", group="Address"),
            Field(name="zip", kind=Kind.TEXT, label="Postcode", group="Address"),
            Field(name="city", kind=Kind.TEXT, label="City", group="Address", listed=True, sortable=True),
            Field(name="region", kind=Kind.TEXT, label="Region", group="Address"),
            Field(name="country", kind=Kind.COUNTRY, label="Country", group="Address"),
            Field(name="territory", kind=Kind.TEXT, label="Territory"),
            Field(name="timezone", kind=Kind.TEXT, label="Time zone"),
            Field(name="currency", kind=Kind.CURRENCY, label="Currency"),
            Field(name="language", kind=Kind.LANGUAGE, label="Language"),
            Field(name="external_code", kind=Kind.TEXT, label="External code"),
        ),
    )
)  # fmt: skip
