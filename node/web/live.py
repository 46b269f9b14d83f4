"""Open pages hear what has changed: one server-sent stream per browser, no polling.

The stream carries table names only, never data: the page fetches itself anew with the rights of its user. Changes
within a quarter of a second go out as one event; a browser that does not keep up misses events, not the server memory.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from aiohttp import web

from node.web.visit import database

GATHER_S = 0.25
HEARTBEAT_S = 25  # proxies close what is silent for a minute
LISTENERS_MAX = 500


class Listeners:
    """The open streams of one application."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._queues: set[asyncio.Queue[frozenset[str]]] = set()

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Events are handed over to this loop; writers call `tell` from their own thread."""
        self._loop = loop

    def tell(self, tables: frozenset[str]) -> None:
        """Some tables have changed. Safe from any thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._spread, tables)

    def _spread(self, tables: frozenset[str]) -> None:
        for queue in self._queues:
            with contextlib.suppress(asyncio.QueueFull):
                queue.put_nowait(tables)

    @contextlib.asynccontextmanager
    async def stream(self) -> AsyncIterator[asyncio.Queue[frozenset[str]]]:
        """A queue that receives every change while the block lasts."""
        queue: asyncio.Queue[frozenset[str]] = asyncio.Queue(50)
        self._queues.add(queue)
        try:
            yield queue
        finally:
            self._queues.discard(queue)

    @property
    def full(self) -> bool:
        """Are there as many streams as we serve?"""
        return len(self._queues) >= LISTENERS_MAX

    def close(self) -> None:
        """Wake all streams up so that they end; called when the node stops."""
        for queue in self._queues:
            with contextlib.suppress(asyncio.QueueFull):
                queue.put_nowait(frozenset({"*"}))


LISTENERS = web.AppKey("live_listeners", Listeners)


def install(app: web.Application) -> None:
    """Give the application its listeners; they follow the database from its start to its end."""
    app[LISTENERS] = Listeners()
    app.on_startup.append(_start)
    app.on_shutdown.append(_stop)


async def _start(app: web.Application) -> None:
    from node.web.app import NODE  # the composition root imports the pages

    app[LISTENERS].attach(asyncio.get_running_loop())
    app[NODE].db.after_write.append(app[LISTENERS].tell)


async def _stop(app: web.Application) -> None:
    app[LISTENERS].close()


async def live(request: web.Request) -> web.StreamResponse:
    """The stream: `changed` with table names, and `pill` when the exchange may say something new."""
    listeners = request.app[LISTENERS]
    if listeners.full:
        raise web.HTTPServiceUnavailable(headers={"Retry-After": "60"})
    assert database(request) is not None
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
    await response.prepare(request)
    async with listeners.stream() as queue:
        with contextlib.suppress(ConnectionError):
            await response.write(b"retry: 5000\n\n")
            while True:
                tables = await _next(queue)
                if tables is None:
                    await response.write(b": still here\n\n")
                    continue
                if "*" in tables:
                    break
                await response.write(f"event: changed\ndata: {' '.join(sorted(tables))}\n\n".encode())
                await response.write(b"event: pill\ndata: 1\n\n")
    return response


async def _next(queue: asyncio.Queue[frozenset[str]]) -> frozenset[str] | None:
    """The next changes, gathered for a moment; None when it is time for a heartbeat."""
    try:
        tables = await asyncio.wait_for(queue.get(), HEARTBEAT_S)
    except TimeoutError:
        return None
    await asyncio.sleep(GATHER_S)
    while not queue.empty():
        tables |= queue.get_nowait()
    return tables


ROUTES: list[web.RouteDef] = [web.get("/live", live)]
