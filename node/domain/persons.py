"""The concept of a person: a human being and his places in companies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from node.domain import contacts
from node.domain.access import Actor
from node.domain.companies import COMPANY_OF, POSITION_FIELDS, SENSITIVITIES
from node.domain.concept import OFFICE, OWNER, Concept, Field, Kind, SearchText, Values, register
from node.domain.customers import Address, Company, ContactPoint, Person, Position, first_points
from node.domain.names import name_key
from node.domain.parts import RowsOf
from node.errors import Invalid


def full_name(row: Person) -> str:
    """First name, last name."""
    return f"{row.first_name or ''} {row.last_name or ''}".strip()


def employers(s: Session, ids: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Key of the person → (key, name) of the company that he works for now; of several, the first."""
    query = (
        sa.select(Position.person_id, Company.id, Company.name)
        .join(Company, Company.id == Position.company_id)
        .where(Position.person_id.in_(ids), Position.alive, Position.left_on.is_(None), Company.alive)
        .order_by(Position.id.desc())
    )
    return {str(person): (str(id), name) for person, id, name in s.execute(query)}


def _derive(s: Session, row: Person) -> None:
    row.name_key = name_key(row.last_name or "", row.first_name or "")


def _check(s: Session, by: Actor, row: Person, values: Values, new: bool) -> None:
    contacts.check_emails(values)
    birthday = values.get("birthday")
    if birthday is not None and birthday > s.info["now"].date():
        raise Invalid({"birthday": "A birthday cannot be in the future."})
    if str(values.get("sensitivity") or "normal") not in by.sensitivities:
        raise Invalid({"sensitivity": "You may not give a record a sensitivity that hides it from yourself."})


def _extra(s: Session, by: Actor, rows: Sequence[Any]) -> dict[str, Values]:
    ids = [r.id for r in rows]
    works = employers(s, ids)
    numbers = first_points(s, ids, contacts.PHONE_KINDS[:2])
    mails = first_points(s, ids, ("email",))
    return {
        id: {"company": works.get(id, ("", ""))[1], "phone": numbers.get(id, ""), "email": mails.get(id, "")}
        for id in ids
    }


def _search(s: Session, rows: Sequence[Person]) -> dict[str, SearchText]:
    ids = [r.id for r in rows]
    works = employers(s, ids)
    mails: dict[str, list[str]] = {}
    numbers: dict[str, list[str]] = {}
    point = sa.select(ContactPoint.party_id, ContactPoint.kind, ContactPoint.value, ContactPoint.normal)
    for it in s.execute(point.where(ContactPoint.party_id.in_(ids), ContactPoint.alive)):
        if it.kind in contacts.PHONE_KINDS:
            numbers.setdefault(it.party_id, []).append(it.normal)
        else:
            mails.setdefault(it.party_id, []).append(it.value)
    return {
        r.id: SearchText(
            title=full_name(r),
            detail=works.get(r.id, ("", ""))[1],
            words=" ".join(
                [full_name(r), works.get(r.id, ("", ""))[1], r.external_code, *r.tags, *mails.get(r.id, [])]
            ),
            digits=" ".join(numbers.get(r.id, [])),
        )
        for r in rows
    }


PERSONS = register(
    Concept(
        name="persons",
        singular="person",
        model=Person,
        label="Person",
        label_plural="Persons",
        icon="person",
        title=full_name,
        derive=_derive,
        check=_check,
        extra=_extra,
        search=_search,
        parts={
            "phones": contacts.PHONES,
            "emails": contacts.EMAILS,
            "addresses": RowsOf(Address, "party_id", contacts.ADDRESS_FIELDS),
            "positions": RowsOf(Position, "person_id", (COMPANY_OF, *POSITION_FIELDS), order_attr="id"),
        },
        extra_fields=(
            Field(name="company", kind=Kind.TEXT, label="Company", listed=True, read_only=True, filterable=False),
            Field(name="phone", kind=Kind.TEXT, label="Phone", listed=True, read_only=True, filterable=False),
            Field(name="email", kind=Kind.TEXT, label="E-mail", listed=True, read_only=True, filterable=False),
        ),
        fields=(
            Field(name="last_name", kind=Kind.TEXT, label="Last name", required=True, listed=True, sortable=True,
                  length_max=200),
            Field(name="first_name", kind=Kind.TEXT, label="First name", listed=True, length_max=200),
            Field(name="salutation", kind=Kind.TEXT, label="Salutation", length_max=60),
            Field(name="phones", kind=Kind.PARTS, label="Phone numbers", parts=contacts.PHONE_FIELDS),
            Field(name="emails", kind=Kind.PARTS, label="E-mail addresses", parts=contacts.EMAIL_FIELDS),
            Field(name="positions", kind=Kind.PARTS, label="Works for", parts=(COMPANY_OF, *POSITION_FIELDS)),
            Field(name="addresses", kind=Kind.PARTS, label="Addresses", parts=contacts.ADDRESS_FIELDS),
            Field(name="birthday", kind=Kind.DAY, label="Birthday"),
            Field(name="language", kind=Kind.LANGUAGE, label="Language"),
            OWNER,
            OFFICE,
            Field(name="tags", kind=Kind.TAGS, label="Tags", group="Classification"),
            Field(name="sensitivity", kind=Kind.CHOICE, label="Sensitivity", choices=tuple(SENSITIVITIES),
                  choice_labels=SENSITIVITIES, group="Classification"),
            Field(name="external_code", kind=Kind.TEXT, label="External code", group="More"),
            Field(name="notes", kind=Kind.NOTE, label="Notes", group="More"),
        ),
    )
)  # fmt: skip
