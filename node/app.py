"""A node as a process: one folder, one database, one web server, and what it does by itself.

    node = Node(config.read(folder))     an office; central.app.build(…) makes a centre: the same with `parts`
    node.open()                          migrated and ready for actions, without serving (the command line)
    await node.start(); …; await node.stop()        serving
    await serve(node)                    until SIGTERM or Ctrl-C

A stop is graceful: no new requests, those under way are finished, then the exchange, then the database.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
from collections.abc import Callable, Sequence
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol

import sqlalchemy as sa
from aiohttp import web
from sqlalchemy.orm import Session

from node import backup, config, identity, upgrade
from node.clock import Clock, SystemClock
from node.config import Config
from node.db import Database
from node.domain import sessions
from node.errors import Refused
from node.exchange import Exchange, Exchanging
from node.ids import Ids
from node.jobs import Done, Job, Jobs

log = logging.getLogger(__name__)
STOP_S = 10  # for the requests under way


class Parts(Protocol):
    """What a centre has beyond an office; see central.app."""

    @property
    def tables(self) -> Sequence[sa.MetaData]: ...

    def exchange(self, node: Any) -> Exchanging: ...

    async def start(self, node: Any) -> None: ...

    async def stop(self) -> None: ...

    def office_states(self, s: Session) -> Sequence[Any]: ...

    def office_status(self, s: Session, code: str) -> dict[str, Any]: ...

    def as_of(self, s: Session) -> Sequence[Any]: ...


def version() -> str:
    """Of the installed Kogge."""
    try:
        return metadata.version("kogge")
    except metadata.PackageNotFoundError:
        return "0"


class Node:
    """One node. `scheduled`: run the jobs; tests and the command line do that themselves."""

    def __init__(
        self,
        made: Config,
        *,
        clock: Clock | None = None,
        ids: Ids | None = None,
        parts: Parts | None = None,
        scheduled: bool = True,
    ) -> None:
        self.config = made
        self.clock = clock or SystemClock()
        self.ids = ids or Ids(self.clock)
        self.parts = parts
        self.office = made.office
        self.central = made.central
        self.version = version()
        self.db = Database(made.url, clock=self.clock, ids=self.ids, office=made.office)
        self.exchange: Exchanging | None = None  # None: an office that has not joined
        self.upgraded: upgrade.Upgraded | None = None
        self._scheduled = scheduled
        self._jobs: Jobs | None = None
        self._runner: web.AppRunner | None = None
        self._held = contextlib.ExitStack()

    @property
    def url(self) -> str:
        """Where this machine reaches its pages."""
        return url_of(self.config)

    def open(self) -> None:
        """Migrate and repair the database, and make the exchange ready. Raise NewerData, Refused."""
        tables = self.parts.tables if self.parts is not None else ()
        self.upgraded = upgrade.upgrade(self.db, extra=tables, backup=self._backup_before)
        if self.parts is not None:
            self.exchange = self.parts.exchange(self)
        elif identity.load_centre(self.config.keys) is not None:
            self.exchange = Exchange(
                self.db, self.config.dir, clock=self.clock, next_at=lambda: self.next_at("exchange")
            )

    async def start(self) -> None:
        """Open and serve. Raise AlreadyRuns, NewerData, Refused (a port is taken); then nothing is left running."""
        try:
            self._held.enter_context(config.only_process(self.config.dir))
            await asyncio.to_thread(self.open)
            await self._serve()
            if self.parts is not None:
                await self.parts.start(self)
        except BaseException:
            await self.stop()
            raise
        self._write_run_file()
        if self._scheduled:
            self._jobs = Jobs(self.config.dir, self._plan(), clock=self.clock)
            self._jobs.start()
        log.info("office %s runs at %s", self.office, self.url, extra={"version": self.version, "pid": os.getpid()})

    async def stop(self) -> None:
        """Finish what runs and close everything; may be called twice."""
        if self._jobs is not None:
            self._jobs.stop()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
            log.info("office %s stopped", self.office)
        if self.parts is not None:
            await self.parts.stop()
        stop_exchange: Callable[[], Any] | None = getattr(self.exchange, "stop", None)
        if stop_exchange is not None:
            await stop_exchange()
        await asyncio.to_thread(self.db.close)
        with contextlib.suppress(FileNotFoundError):
            found = config.runs(self.config.dir) or {}
            if found.get("pid") == os.getpid():
                (self.config.dir / "run.json").unlink()
        self._held.close()

    def next_at(self, job: str) -> datetime | None:
        """When a job runs next."""
        return self._jobs.next_at(job) if self._jobs is not None else None

    async def _serve(self) -> None:
        from node.web import app  # here, because the pages name this class

        made = self.config
        runner = web.AppRunner(app.build(self), access_log=None, shutdown_timeout=STOP_S, handle_signals=False)
        await runner.setup()
        self._runner = runner
        try:
            await web.TCPSite(runner, made.host, made.port).start()
        except OSError as e:
            raise Refused(
                f"The address {made.host}:{made.port} cannot be opened ({e.strerror or e}). Stop the program that "
                "uses it, or choose another one with --port or in kogge.toml."
            ) from e

    def _write_run_file(self) -> None:
        path = self.config.dir / "run.json"
        made = self.config
        now = {"pid": os.getpid(), "url": self.url, "host": made.host, "port": made.port}
        path.write_text(json.dumps({**now, "exchange_port": made.exchange_port}), encoding="utf-8")

    # --- jobs ---

    def _plan(self) -> list[Job]:
        made = self.config
        jobs = [Job(name="cleaning", run=self._clean, times=("03:40",))]
        if self.exchange is not None and self.parts is None:
            jobs.append(
                Job(
                    name="exchange",
                    run=self._exchange,
                    every_minutes=made.every_minutes,
                    times=made.times,
                    at_start=True,
                )
            )
        if made.backup_hour is not None:
            jobs.append(Job(name="backup", run=self._back_up, times=(f"{made.backup_hour:02}:15",)))
        return jobs

    async def _exchange(self) -> Done:
        assert self.exchange is not None, "the job is planned only with an exchange"
        run = await self.exchange.run()
        said = run.error or f"sent {run.sent}, received {run.received}, conflicts {run.conflicts}"
        return Done(said=said, ok=run.ok, again=run.unreachable)

    async def _back_up(self) -> Done:
        made = await asyncio.to_thread(self.back_up)
        return Done(said=f"{made.file} ({made.bytes:,} bytes), verified")

    async def _clean(self) -> Done:
        ended = await self.db.write(sessions.sweep, cause="cleaning")
        return Done(said=f"{ended} rows of ended sessions")

    def back_up(self, to: Path | None = None) -> backup.Backup:
        """A verified backup, by default in the node's backup folder, of which the oldest go."""
        folder = to or self.config.backups
        made = backup.make(self.config, self.db, folder, at=self.clock.now_ms(), version=self.version)
        if to is None:
            backup.prune(self.config.backups, self.office, self.config.backup_keep)
        return made

    def _backup_before(self) -> Path:
        return self.back_up().file


def url_of(made: Config) -> str:
    """Where the machine itself reaches the pages of a node."""
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "": "127.0.0.1"}.get(made.host, made.host)  # noqa: S104
    return f"http://{host}:{made.port}"


async def serve(node: Node, ready: Callable[[Node], None]) -> None:
    """Run until SIGTERM or Ctrl-C; `ready` is called once it answers."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    await node.start()
    try:
        ready(node)
        await ended.wait()
    finally:
        await node.stop()
