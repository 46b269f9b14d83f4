"""How a company or a person is reached: phone numbers and e-mail addresses as parts of the record.

Both lie in one table, so each of the two fields looks after its own kinds.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from node.domain import offices, phones
from node.domain.concept import Field, Kind, Values
from node.domain.customers import Address, ContactPoint
from node.domain.parts import RowsOf
from node.errors import Invalid

PHONE_KINDS = ("phone", "mobile", "fax")

PHONE_FIELDS = (
    Field(name="value", kind=Kind.TEXT, label="Number", required=True, length_max=60),
    Field(name="kind", kind=Kind.CHOICE, label="Kind", choices=PHONE_KINDS,
          choice_labels={"phone": "Phone", "mobile": "Mobile", "fax": "Fax"}),
    Field(name="label", kind=Kind.TEXT, label="Note", length_max=60),
)  # fmt: skip
EMAIL_FIELDS = (
    Field(name="value", kind=Kind.TEXT, label="E-mail", required=True, length_max=254),
    Field(name="label", kind=Kind.TEXT, label="Note", length_max=60),
)
ADDRESS_FIELDS = (
    Field(name="kind", kind=Kind.CHOICE, label="Kind", choices=("main", "billing", "delivery"),
          choice_labels={"main": "Main", "billing": "Billing", "delivery": "Delivery"}),
    Field(name="street", kind=Kind.TEXT, label="Street"),
    Field(name="zip", kind=Kind.TEXT, label="Postcode", length_max=20),
    Field(name="city", kind=Kind.TEXT, label="City"),
    Field(name="region", kind=Kind.TEXT, label="Region"),
    Field(name="country", kind=Kind.COUNTRY, label="Country"),
)  # fmt: skip


def normal_of(kind: str, value: str, country: str) -> str:
    """A contact point as it is looked for: a number as E.164, anything else in lower case."""
    return phones.normal(value, country or phones.DEFAULT_COUNTRY) if kind in PHONE_KINDS else value.strip().casefold()


def country_for(s: Session, party_id: str, office: str) -> str:
    """The country whose numbers are meant where no country code is written: of the address, else of the office."""
    with s.no_autoflush:
        query = sa.select(Address.country).where(Address.party_id == party_id, Address.alive, Address.country != "")
        own = s.scalars(query.order_by(Address.place, Address.id).limit(1)).first()
    return own or offices.country_of(s, office or s.info["office"])


def _prepare(s: Session, row: Any, point: Any, given: frozenset[str]) -> None:
    """A number is looked for in its full form, whoever wrote it how."""
    value = (point.value or "").strip()
    normal = normal_of(point.kind, value, country_for(s, row.id, row.office) if point.kind in PHONE_KINDS else "")
    for name, it in (("value", value), ("normal", normal)):
        if getattr(point, name) != it:
            setattr(point, name, it)


PHONES = RowsOf(ContactPoint, "party_id", PHONE_FIELDS, kinds=PHONE_KINDS, lone="value", prepare=_prepare)
EMAILS = RowsOf(ContactPoint, "party_id", EMAIL_FIELDS, kinds=("email",), lone="value", prepare=_prepare)


def check_emails(values: Values) -> None:
    """Raise Invalid for what cannot be an e-mail address."""
    for part in values.get("emails") or ():
        text = str(part.get("value", "") if isinstance(part, dict) else part).strip()
        name, _, domain = text.rpartition("@")
        if text and (not name or "." not in domain or any(c.isspace() for c in text)):
            raise Invalid({"emails": f"“{text}” is not an e-mail address; it looks like name@example.com."})
