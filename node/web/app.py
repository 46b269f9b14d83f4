"""The web application of a node: all routes in one table, and what surrounds every request.

From the outside in: a number for the log and the answer for whatever goes wrong (a page for people, JSON under /api/);
who sends it (`node.web.auth`); the handler. Nothing is decorated or registered by import: what is served is what stands
in `build`.
"""

from __future__ import annotations

import logging
import secrets
import time
from typing import TYPE_CHECKING

from aiohttp import web
from aiohttp.typedefs import Handler
from sqlalchemy.orm import Session

from node.db import Database
from node.errors import KoggeError
from node.web import (
    api,
    auth,
    live,
    pages_conflicts,
    pages_deals,
    pages_documents,
    pages_field,
    pages_forms,
    pages_home,
    pages_lists,
    pages_merging,
    pages_offices,
    pages_plain,
    pages_records,
    pages_search,
    pages_settings,
    pages_trade,
    render,
    visit,
)
from node.web.answers import BODY_BYTES_MAX, answer, error_answer

if TYPE_CHECKING:
    from node.app import Node

log = logging.getLogger("node.web")

NODE: web.AppKey[Node] = web.AppKey("node")
DB: web.AppKey[Database] = web.AppKey("db")
SLOW_MS = 1_000  # requests that take longer are logged as warnings

PAGES = (  # the special before the general
    pages_home, pages_deals, pages_trade, pages_documents, pages_search, pages_settings, pages_offices, pages_conflicts,
    pages_merging, live, pages_lists, pages_forms, pages_field, pages_records,
)  # fmt: skip


def build(node: Node) -> web.Application:
    """The application that serves this node; the caller runs it. The node must outlive it."""
    app = web.Application(client_max_size=BODY_BYTES_MAX, middlewares=[envelope, auth.identify])
    app[NODE], app[DB] = node, node.db
    auth.install(app)
    visit.remember(app)
    live.install(app)
    app.add_routes(routes())
    return app


def routes() -> list[web.RouteDef]:
    """Everything that is served."""
    table = [web.get("/health", health), web.get("/static/{name:.+}", render.static), *auth.ROUTES, *api.routes()]
    for pages in PAGES:
        table += pages.ROUTES
    return table


async def health(request: web.Request) -> web.Response:
    """For whoever watches the process: does it answer, and does its database?"""
    node = request.app[NODE]
    await node.db.read(_alive)
    return answer({"status": "ok", "office": node.office, "version": node.version})


def _alive(s: Session) -> None:
    s.connection().exec_driver_sql("SELECT 1")


@web.middleware
async def envelope(request: web.Request, handler: Handler) -> web.StreamResponse:
    """A number and a log line for the request, an answer for what goes wrong, security headers on everything."""
    number, began = secrets.token_hex(6), time.monotonic()
    request["number"] = number
    try:
        response = await handler(request)
    except web.HTTPException as e:
        response = await _wrong(request, e, "") if e.status >= 400 else e
    except KoggeError as e:
        response = await _wrong(request, e, number)
    except Exception as e:
        log.exception("request %s failed", number, extra={"request": number, "path": request.path})
        response = await _wrong(request, e, number)
    if not response.prepared:
        for name, value in render.SECURITY_HEADERS.items():
            response.headers.setdefault(name, value)
        response.headers["X-Request-Id"] = number
    ms = round((time.monotonic() - began) * 1000)
    actor = request.get("actor")
    quiet = request.path.startswith("/static/") or request.path in ("/live", "/health", "/pill")
    level = logging.WARNING if ms > SLOW_MS and not quiet else logging.DEBUG if quiet else logging.INFO
    log.log(
        level,
        "%s %s %s %d ms",
        request.method,
        request.path,
        response.status,
        ms,
        extra={"request": number, "status": response.status, "ms": ms, "user": actor.login if actor else ""},
    )
    return response


async def _wrong(request: web.Request, error: Exception, number: str) -> web.StreamResponse:
    """The answer to an error: JSON for programs, a page for people."""
    if request.path.startswith("/api/") or request.path == "/health":
        return error_answer(error, number)
    try:
        return pages_plain.error_page(request, await visit.visit(request), error, number)
    except Exception:
        log.exception("the page for an error failed too", extra={"request": number})
        status = getattr(error, "status", 500)
        return web.Response(text=f"Something went wrong. Reference: {number}", status=status)
