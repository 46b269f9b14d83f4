"""Who may do what: one layer under lists, search, export, API, pages and imports.

A role says for each object and verb how far it reaches: `own` (the records whose owner one is), `office` (those of
one's office), `all`, or not at all. Reading a record whose sensitivity the role does not name is refused everywhere
alike, and it does not appear in lists, counts or search.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from node.errors import Forbidden


class Scope(StrEnum):
    """How far a right reaches, from nothing to everything."""

    NONE = "none"
    OWN = "own"
    OFFICE = "office"
    ALL = "all"


VERBS = ("read", "create", "edit", "delete", "export")
SENSITIVITIES = ("normal", "confidential", "vip")
Rules = Mapping[str, Mapping[str, str]]
ANY = "*"  # stands for every object or verb that is not named


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who acts: a user with the rules of his role, or the system itself."""

    user_id: str
    login: str
    name: str
    role: str
    office: str  # code of the office that he belongs to
    rules: Rules = field(default_factory=dict)
    sensitivities: tuple[str, ...] = SENSITIVITIES
    language: str = "en"

    @property
    def admin(self) -> bool:
        """May he change users, roles and the node itself?"""
        return reach(self, "administration", "edit") is Scope.ALL


SYSTEM = Actor(user_id="", login="system", name="Kogge", role="system", office="", rules={ANY: {ANY: "all"}})

# What each role may do until somebody changes it; the role table is made from this at set-up.
ROLES: dict[str, tuple[str, dict[str, Any]]] = {
    "administrator": ("Administrator", {ANY: {ANY: "all"}}),
    "director": (
        "Director",
        {ANY: {ANY: "all"}, "administration": {ANY: "none"}, "user": {"read": "all", ANY: "none"}},
    ),
    "manager": (
        "Branch manager",
        {
            ANY: {"read": "all", "create": "all", "edit": "office", "delete": "office", "export": "office"},
            "administration": {ANY: "none"},
            "user": {"read": "all", ANY: "none"},
            "sensitivity": {"vip": "all"},
        },
    ),
    "sales": (
        "Sales",
        {
            ANY: {"read": "office", "create": "all", "edit": "own", "delete": "own", "export": "own"},
            "company": {"read": "office", "create": "all", "edit": "office", "delete": "own", "export": "own"},
            "person": {"read": "office", "create": "all", "edit": "office", "delete": "own", "export": "own"},
            "product": {"read": "all", ANY: "none"},
            "price_list": {"read": "all", ANY: "none"},
            "currency_rate": {"read": "all", ANY: "none"},
            "pipeline": {"read": "all", ANY: "none"},
            "lost_reason": {"read": "all", ANY: "none"},
            "office": {"read": "all", ANY: "none"},
            "user": {"read": "all", ANY: "none"},
            "administration": {ANY: "none"},
            "sensitivity": {"vip": "none"},
        },
    ),
    "secretary": (
        "Secretary",
        {
            ANY: {"read": "office", "create": "all", "edit": "office", "delete": "none", "export": "none"},
            "product": {"read": "all", ANY: "none"},
            "price_list": {"read": "all", ANY: "none"},
            "currency_rate": {"read": "all", ANY: "none"},
            "pipeline": {"read": "all", ANY: "none"},
            "lost_reason": {"read": "all", ANY: "none"},
            "office": {"read": "all", ANY: "none"},
            "user": {"read": "all", ANY: "none"},
            "administration": {ANY: "none"},
            "sensitivity": {"vip": "none"},
        },
    ),
    "viewer": ("Reader", {ANY: {"read": "all", ANY: "none"}, "administration": {ANY: "none"}}),
}


def reach(actor: Actor, subject: str, verb: str) -> Scope:
    """How far `verb` on `subject` (a concept's singular: company, deal, …) reaches for this actor."""
    rule = actor.rules.get(subject, actor.rules.get(ANY, {}))
    return Scope(rule.get(verb, rule.get(ANY, "none")))


def within(actor: Actor, model: Any, scope: Scope) -> sa.ColumnElement[bool]:
    """The condition that a row of `model` lies within the scope. A model without owner knows no `own`: its office."""
    conditions: list[sa.ColumnElement[bool]] = []
    if hasattr(model, "sensitivity") and set(actor.sensitivities) != set(SENSITIVITIES):
        conditions.append(model.sensitivity.in_(actor.sensitivities))
    if scope is Scope.NONE:
        return sa.false()
    if scope is Scope.OWN and hasattr(model, "owner_id"):
        conditions.append(sa.or_(model.owner_id == actor.user_id, model.created_by == actor.user_id))
    elif scope is not Scope.ALL and hasattr(model, "office"):
        conditions.append(model.office == actor.office)
    return sa.and_(sa.true(), *conditions)


def readable(actor: Actor, model: Any, subject: str, verb: str = "read") -> sa.ColumnElement[bool]:
    """The condition that this actor may `verb` the row."""
    return within(actor, model, reach(actor, subject, verb))


def may(actor: Actor, subject: str, verb: str, row: Any = None) -> bool:
    """May the actor do it, to this row (or, without a row, to any at all)?"""
    scope = reach(actor, subject, verb)
    if scope is Scope.NONE:
        return False
    if row is None:
        return True
    if getattr(row, "sensitivity", "normal") not in actor.sensitivities:
        return False
    if scope is Scope.OWN and hasattr(row, "owner_id"):
        return actor.user_id in (row.owner_id, row.created_by)
    return scope is Scope.ALL or not hasattr(row, "office") or row.office == actor.office


def require(actor: Actor, subject: str, verb: str, row: Any = None) -> None:
    """Raise `Forbidden` unless `may`."""
    if not may(actor, subject, verb, row):
        raise Forbidden(
            f"Your role “{actor.role}” does not allow you to {verb} this {subject.replace('_', ' ')}. "
            "Ask an administrator, or the owner of the record.",
            subject=subject,
            verb=verb,
        )
