"""The web application over a real database, without the rest of a node: no exchange, no jobs, no folder.

async with web_node.serving(db, clock) as office: … await office.get("/api/v1/companies", by=token)
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast

from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer

from node.clock import Clock
from node.db import Database
from node.domain import sessions, users
from node.domain.access import Actor
from node.web import app


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: status, headers, JSON (None where there is none), text."""

    status: int
    headers: Mapping[str, str]
    json: Any
    text: str


@dataclass(frozen=True, slots=True)
class Served:
    """A running application and ways to ask it."""

    client: TestClient[Any, Any]
    db: Database

    async def ask(self, method: str, path: str, *, by: str = "", json: Any = None, **options: Any) -> Answer:
        """One request; `by` is a token. Redirects are not followed."""
        headers = dict(options.pop("headers", {}))
        if by:
            headers["Authorization"] = f"Bearer {by}"
        if json is not None:
            options["json"] = json
        response: ClientResponse
        async with self.client.request(method, path, headers=headers, allow_redirects=False, **options) as response:
            text = await response.text()
            value = await response.json() if response.content_type == "application/json" else None
            return Answer(response.status, response.headers, value, text)

    async def get(self, path: str, *, by: str = "", **options: Any) -> Answer:
        return await self.ask("GET", path, by=by, **options)

    async def post(self, path: str, json: Any = None, *, by: str = "", **options: Any) -> Answer:
        return await self.ask("POST", path, by=by, json=json, **options)

    async def patch(self, path: str, json: Any, *, by: str = "", **options: Any) -> Answer:
        return await self.ask("PATCH", path, by=by, json=json, **options)


@asynccontextmanager
async def serving(db: Database, clock: Clock, *, central: bool = True) -> AsyncIterator[Served]:
    """The application on a free port of this machine."""
    node = SimpleNamespace(
        config=None, db=db, clock=clock, office=db.office, central=central, exchange=None, parts=None, version="test"
    )
    async with TestClient(TestServer(app.build(cast(Any, node)))) as client:
        yield Served(client, db)


def user(db: Database, by: Actor, login: str, role: str, office: str, password_hash: str = "") -> str:
    """A new user of that role and office; gives a token for him."""
    db.write_now(
        users.create_user,
        by,
        login=login,
        name=login.title(),
        role=role,
        office=office,
        password_hash=password_hash,
        by=by,
    )
    return token(db, login)


def token(db: Database, login: str) -> str:
    """A key for the API."""
    return db.write_now(sessions.make_token, login, "test")
