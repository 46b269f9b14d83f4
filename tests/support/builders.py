"""Builders of business records for tests: each makes one believable thing, values say what matters."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from node.domain import access, contacts, records, users
from node.domain.access import SENSITIVITIES, SYSTEM, Actor
from node.domain.activities import Activity
from node.domain.concept import CONCEPTS
from node.domain.customers import Company, Person
from node.domain.tasks import Task
from node.ids import Id


def company(s: Session, name: str = "Nordwind Handel GmbH", by: Actor = SYSTEM, **values: Any) -> Company:
    """A company, made as the API makes it: field names, parts as lists."""
    row: Company = records.create(s, by, CONCEPTS["companies"], {"name": name, **values})
    return row


def person(
    s: Session, last_name: str = "Berger", first_name: str = "Anna", by: Actor = SYSTEM, **values: Any
) -> Person:
    """A person, made as the API makes it."""
    row: Person = records.create(
        s, by, CONCEPTS["persons"], {"last_name": last_name, "first_name": first_name, **values}
    )
    return row


def task(s: Session, subject: str = "Call back", by: Actor = SYSTEM, **values: Any) -> Task:
    """A task, made as the API makes it."""
    row: Task = records.create(s, by, CONCEPTS["tasks"], {"subject": subject, **values})
    return row


def activity(s: Session, text: str = "Asked for an offer", **attributes: Any) -> Activity:
    """A note that lies in the table, at the time of the transaction."""
    row = Activity(kind="note", text=text, **{"at": s.info["now"], **attributes})
    s.add(row)
    s.flush()
    return row


def user(s: Session, login: str, role: str = "sales", office: str = "", **fields: Any) -> Actor:
    """A user, and the actor that he is when he has logged in."""
    row = users.create_user(s, SYSTEM, login=login, name=login.title(), role=role, office=office, **fields)
    return actor(row.id, login, role, row.home_office)


def actor(user_id: str, login: str, role: str, office: str) -> Actor:
    """An actor with the rules that his role starts with."""
    rules = access.ROLES[role][1]
    vip = rules.get("sensitivity", {}).get("vip", "all") != "none"
    return Actor(
        user_id=Id(user_id), login=login, name=login.title(), role=role, office=office, rules=rules,
        sensitivities=SENSITIVITIES if vip else tuple(x for x in SENSITIVITIES if x != "vip"),
    )  # fmt: skip


def phone(s: Session, row: Any, value: str) -> None:
    """Give the record this one number."""
    contacts.PHONES.save(s, row, [value])
    s.flush()
