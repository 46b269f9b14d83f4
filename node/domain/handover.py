"""Handing over: when somebody leaves, all that he is responsible for gets another name, and nothing is lost (F-015)."""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa
from sqlalchemy.orm import Session

from node.domain import access, search
from node.domain.access import Actor
from node.domain.concept import CONCEPTS
from node.domain.users import User
from node.errors import BadInput, Invalid

CONCEPTS_HANDED = ("companies", "persons", "deals", "tasks", "offers", "orders", "invoices")
BATCH = 1000


def hand_over(
    s: Session, by: Actor, from_user: str, to_user: str, concepts: Iterable[str] = CONCEPTS_HANDED
) -> dict[str, int]:
    """Give everything open of one user to another; how many per concept. Of tasks and deals only the open ones.

    Only what the actor may edit changes hands. Raise Invalid, BadInput, Forbidden.
    """
    successor = s.get(User, to_user)
    if successor is None or not successor.alive or not successor.active:
        raise Invalid({"to_user": "There is no such user, or he cannot log in any more. Choose somebody else."})
    if from_user == to_user:
        raise Invalid({"to_user": "Choose somebody other than who hands over."})
    handed: dict[str, int] = {}
    for name in concepts:
        concept = CONCEPTS.get(name)
        if concept is None or not hasattr(concept.model, "owner_id"):
            raise BadInput(f"“{name}” has nobody who is responsible. There are: {', '.join(CONCEPTS_HANDED)}.")
        access.require(by, concept.singular, "edit")
        model = concept.model
        where = [model.owner_id == from_user, model.alive, access.readable(by, model, concept.singular, "edit")]
        if concept.where is not None:
            where.append(concept.where())
        if name in ("tasks", "deals"):
            where.append(model.state == "open")
        ids = list(s.scalars(sa.select(model.id).where(*where)))
        for start in range(0, len(ids), BATCH):
            some = ids[start : start + BATCH]
            new = {"owner_id": to_user, "changed_at": s.info["now"], "changed_by": s.info["actor_id"]}
            s.execute(sa.update(model).where(model.id.in_(some)).values(**new))
            search.note(s, name, some)
        if ids:
            s.info.setdefault("changed", set()).add(model.__tablename__)
        handed[name] = len(ids)
    return handed
