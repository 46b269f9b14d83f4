"""The first rows of a company: its office, roles, pipelines and an administrator, as `kogge init` makes them.

All but the administrator have derived keys, so that an office which was set up alone and joins later has the same
roles and pipelines as everybody else instead of a second set.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Session

from node.domain import deals, offices, sessions, users


def found(s: Session, *, code: str, name: str, central: bool, login: str, password: str) -> None:
    """The office itself, the roles, the pipelines, and an administrator who can log in. Raise Invalid."""
    users.acceptable_password(password)
    offices.ensure_office(s, code, name, central=central)
    users.seed_roles(s)
    deals.seed_pipelines(s)
    users.create_administrator(s, login=login, password_hash=sessions.hash_password(password), office=code)


def is_founded(s: Session) -> bool:
    """Is there a company in this (migrated) database already?"""
    return s.scalar(sa.select(users.User.id).limit(1)) is not None
