"""The composition root of a centre: a node with three more parts, and nothing else that is different.

`node.app.Node` takes `parts` and calls: `tables` when it migrates, `exchange(node)` when its database is open,
`start(node)` when its pages are served, `stop()` before the database is closed, `office_states`/`office_status` for
pages and API. An ordinary office has no parts.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from central import consolidated, enrolment, offices
from central.consolidated import AsOf
from central.endpoint import Endpoint
from central.exchange import CentralExchange
from central.offices import OfficeStanding
from central.tables import CentralBase
from node import identity
from node.app import Node
from node.clock import Clock, SystemClock, as_datetime
from node.config import Config
from node.db import Database
from node.errors import Refused
from node.identity import Authority
from node.schema import TRAVELS
from replication.hub import Hub


def build(made: Config, *, clock: Clock | None = None, **options: Any) -> Node:
    """The centre of a folder, not yet open."""
    return Node(made, clock=clock or SystemClock(), parts=CentralParts(made, clock or SystemClock()), **options)


def exchange_urls(made: Config) -> tuple[str, ...]:
    """Under which addresses offices reach the exchange listener: the public ones, else this machine's name."""
    hosts = identity.host_names(made.public_urls)
    if not hosts:
        hosts = ("localhost",) if made.host in ("127.0.0.1", "localhost", "::1") else (socket.getfqdn(), "localhost")
    return tuple(f"https://{f'[{host}]' if ':' in host else host}:{made.exchange_port}" for host in hosts)


def authority(made: Config, clock: Clock) -> Authority:
    """The centre's certificates, made or renewed as needed."""
    names = (socket.gethostname(), socket.getfqdn(), *identity.host_names(exchange_urls(made)))
    return identity.ensure_authority(made.keys, names, as_datetime(clock.now_ms()))


def invite(db: Database, made: Config, office: str, *, clock: Clock, name: str = "", made_by: str = "") -> str:
    """A join code for an office (`kogge invite`); works beside a running centre. Raise BadInput, Refused."""
    if not made.central:
        raise Refused(f"{made.dir} is the office {made.office}; join codes are made at head office.")
    pin = identity.pin(authority(made, clock).root)

    def action(s: Session) -> str:
        return enrolment.invite(s, office, exchange_urls(made), pin, name=name, made_by=made_by)

    return db.write_now(action, cause="invite")


class CentralParts:
    """What a centre has that an office has not: the hub, the exchange listener, and how the offices stand."""

    def __init__(self, made: Config, clock: Clock) -> None:
        self._made, self._clock = made, clock
        self.tables: tuple[sa.MetaData, ...] = (CentralBase.metadata,)
        self.hub = Hub(TRAVELS, office=made.office)
        self._endpoint: Endpoint | None = None

    def exchange(self, node: Node) -> CentralExchange:
        """In place of an office's loop."""
        return CentralExchange(node.db, self.hub, clock=self._clock)

    async def start(self, node: Node) -> None:
        """Open the listener for the offices. Raise Refused when its port is taken."""
        made = self._made
        self._endpoint = Endpoint(
            node.db,
            self.hub,
            folder=made.dir,
            authority=authority(made, self._clock),
            key=identity.ensure_node_key(made.keys),
            clock=self._clock,
            urls=lambda: exchange_urls(made),
        )
        assert node.exchange is not None, "open() has made it"
        await node.exchange.run()  # edits of the command line, made while nothing ran
        try:
            await self._endpoint.start(made.host, made.exchange_port)
        except OSError as e:
            raise Refused(
                f"Port {made.exchange_port} for the exchange cannot be opened ({e.strerror}). Stop what uses it, or "
                "name another one in kogge.toml: exchange.port."
            ) from e

    async def stop(self) -> None:
        """Finish the exchanges under way, then close."""
        if self._endpoint is not None:
            await self._endpoint.stop()

    def office_states(self, s: Session) -> Sequence[OfficeStanding]:
        """For the offices page."""
        return offices.standings(s, self.hub)

    def office_status(self, s: Session, code: str) -> dict[str, Any]:
        """For the API. Raise NotFound."""
        return offices.office_status(s, self.hub, code)

    def as_of(self, s: Session) -> Sequence[AsOf]:
        """As of when the consolidated figures are, per office."""
        return consolidated.as_of(s, self.hub)
