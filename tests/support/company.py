"""A company on loopback: a centre with its real HTTPS listener, and offices that joined it by code.

    async with company.centre(tmp_path / "HQ") as hq:
        async with hq.office("BER") as ber:
            … await ber.exchange.run() …
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy.orm import Session

from central import enrolment
from central.endpoint import Endpoint
from central.exchange import CentralExchange
from central.tables import CentralBase
from node import founding, identity, join, upgrade
from node.clock import Clock, ManualClock, as_datetime
from node.config import Config
from node.db import Database
from node.domain.access import Actor
from node.exchange import Exchange
from node.ids import Ids
from node.schema import TRAVELS
from replication.hub import Hub
from tests.support import nodes
from tests.support.postgres import free_port


@dataclass(slots=True, kw_only=True)
class OfficeNode:
    """An office that has joined. `by` is the company's administrator, who may log in everywhere."""

    folder: Path
    config: Config
    db: Database
    exchange: Exchange
    by: Actor


@dataclass(slots=True, kw_only=True)
class CentreNode:
    """The centre. `line_up` and `line_down` open and close its listener."""

    folder: Path
    db: Database
    hub: Hub
    exchange: CentralExchange
    endpoint: Endpoint
    authority: identity.Authority
    clock: Clock
    port: int
    by: Actor
    opened: list[Database] = field(default_factory=list)

    @property
    def urls(self) -> tuple[str, ...]:
        return (f"https://localhost:{self.port}",)

    def invite(self, code: str) -> str:
        """A join code for an office."""

        def action(s: Session) -> str:
            return enrolment.invite(s, code, self.urls, identity.pin(self.authority.root))

        return self.db.write_now(action)

    async def line_down(self) -> None:
        await self.endpoint.stop()

    async def line_up(self) -> None:
        await self.endpoint.start("127.0.0.1", self.port)

    @asynccontextmanager
    async def office(self, code: str, database: str = "") -> AsyncIterator[OfficeNode]:
        """Join as this office, with its first copy."""
        folder = self.folder.parent / code
        made = await join.enrol(folder, self.invite(code), version="test")
        db = nodes.opened(database or made.url, self.clock, code)
        try:
            upgrade.upgrade(db)
            await join.first_copy(db, made, clock=self.clock)
            exchange = Exchange(db, folder, clock=self.clock, back_off_s=())
            yield OfficeNode(folder=folder, config=made, db=db, exchange=exchange, by=nodes.administrator(db))
        finally:
            db.close()


@asynccontextmanager
async def centre(
    folder: Path, *, database: str = "", clock: Clock | None = None, page_rows: int = 50_000
) -> AsyncIterator[CentreNode]:
    """A founded centre that listens."""
    clock, port = clock or ManualClock(), free_port()
    url = database or f"sqlite:///{folder / 'data' / 'kogge.db'}"
    db = Database(url, clock=clock, ids=Ids(clock), office="HQ")
    try:
        upgrade.upgrade(db, extra=(CentralBase.metadata,))
        db.write_now(
            founding.found, code="HQ", name="Head office", central=True, login=nodes.LOGIN, password=nodes.PASSWORD
        )
        keys = folder / "keys"
        authority = identity.ensure_authority(keys, (), as_datetime(clock.now_ms()))
        hub = Hub(TRAVELS, office="HQ", page_rows=page_rows)
        endpoint = Endpoint(
            db,
            hub,
            folder=folder,
            authority=authority,
            key=identity.ensure_node_key(keys),
            clock=clock,
            urls=lambda: (f"https://localhost:{port}",),
        )
        await endpoint.start("127.0.0.1", port)
        try:
            yield CentreNode(
                folder=folder,
                db=db,
                hub=hub,
                exchange=CentralExchange(db, hub, clock=clock),
                endpoint=endpoint,
                authority=authority,
                clock=clock,
                port=port,
                by=nodes.administrator(db),
            )
        finally:
            await endpoint.stop()
    finally:
        db.close()
