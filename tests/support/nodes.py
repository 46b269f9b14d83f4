"""Builders of real databases and real nodes.

    db = nodes.seeded(url, clock)                       a migrated database with an administrator
    async with nodes.running(tmp_path, "HQ", central=True) as node: … node.url …
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from node import config, founding, upgrade
from node.app import Node
from node.clock import Clock, SystemClock
from node.db import Database
from node.domain.access import Actor
from node.domain.users import Role, User
from node.ids import Ids
from tests.support.postgres import free_port

OFFICE = "HQ"
LOGIN = "admin"
PASSWORD = "correct horse 7"


def opened(url: str, clock: Clock, office: str = OFFICE) -> Database:
    """A database as a node opens it; the caller closes it."""
    return Database(url, clock=clock, ids=Ids(clock), office=office)


def seeded(url: str, clock: Clock, office: str = OFFICE) -> Database:
    """A migrated database with the rows of `kogge init`."""
    db = opened(url, clock, office)
    upgrade.upgrade(db)
    db.write_now(founding.found, code=office, name="Head office", central=True, login=LOGIN, password=PASSWORD)
    return db


def administrator(db: Database, login: str = LOGIN) -> Actor:
    """That user as an actor."""
    return db.read_now(_actor, login)


def _actor(s: Session, login: str) -> Actor:
    user = s.scalars(sa.select(User).where(User.login == login)).one()
    role = s.scalars(sa.select(Role).where(Role.code == user.role)).one()
    return Actor(
        user_id=user.id, login=user.login, name=user.name, role=user.role, office=user.home_office, rules=role.rules
    )


def folder(path: Path, office: str = OFFICE, *, central: bool = False, database: str = "") -> config.Config:
    """A new node folder on free ports, not yet migrated, with the administrator of `seeded`."""
    made = config.Config(
        dir=path,
        office=office,
        name=office.title(),
        central=central,
        database=database,
        port=free_port(),
        exchange_port=free_port(),
        every_minutes=0,
        backup_hour=None,
    )
    config.write(made)
    return made


@asynccontextmanager
async def running(
    path: Path,
    office: str = OFFICE,
    *,
    central: bool = False,
    database: str = "",
    found: bool = True,
    clock: Clock | None = None,
    **options: Any,
) -> AsyncIterator[Node]:
    """A node that serves on `node.url`, in this process; an existing folder is continued, else one is made.

    `found`: with the rows of `kogge init`; an office that joins gets them from the centre instead.
    """
    known = (path / config.FILE).exists()
    made = config.read(path) if known else folder(path, office, central=central, database=database)
    node = build(made, clock=clock or SystemClock(), **options)
    if found:
        node.open()
        if not node.db.read_now(founding.is_founded):
            node.db.write_now(
                founding.found, code=made.office, name=made.name, central=made.central, login=LOGIN, password=PASSWORD
            )
    await node.start()
    try:
        yield node
    finally:
        await node.stop()


def build(made: config.Config, **options: Any) -> Node:
    """The node of a folder: the centre's with its parts."""
    if made.central:
        from central.app import build as build_centre  # the centre is a node with more parts

        return build_centre(made, **options)
    return Node(made, **options)

