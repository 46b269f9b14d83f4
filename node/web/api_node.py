"""The API of the node itself: how it stands, its exchange, its conflicts, search and totals."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from aiohttp import web
from sqlalchemy.orm import Session

from node import conflicts, upgrade
from node.domain import access, reports, search, taking
from node.domain.concept import CONCEPTS, Kind, Values
from node.domain.offices import office_names
from node.errors import BadInput, Invalid, NotFound, Refused, Unreachable
from node.web import openapi
from node.web.answers import answer, body_of, only, whole
from node.web.openapi import ROOT, Route
from node.web.visit import actor, database, node_of

CHOICES = ("winner", "loser", "both", "value")


async def status(request: web.Request) -> web.StreamResponse:
    """This node: office, role, version, what waits, the last exchange."""
    only(request)
    return answer(await database(request).read(_status, request))


def _status(s: Session, request: web.Request) -> Values:
    node = node_of(request)
    exchange: Values = node.exchange.status(s) if node.exchange is not None else {}
    return {
        "office": node.office,
        "name": office_names(s).get(node.office, node.office),
        "role": "central" if node.central else "branch",
        "version": node.version,
        "schema": upgrade.newest(),
        "watermark": 0,
        "waiting": 0,
        "last_exchange": None,
        **exchange,
        "conflicts": conflicts.open_count(s, actor(request)),
    }


async def office_status(request: web.Request) -> web.StreamResponse:
    """At head office any office; elsewhere only one's own: nobody else is told how the others stand."""
    only(request)
    node, code = node_of(request), request.match_info["code"].upper()
    access.require(actor(request), "office", "read")
    if node.parts is not None:
        return answer(await node.db.read(node.parts.office_status, code))
    if code != node.office:
        raise NotFound(f"How {code} stands is known at head office. Ask its node.", code=code)
    return answer(await node.db.read(_status, request))


async def exchange_now(request: web.Request) -> web.StreamResponse:
    """Exchange with head office now, and wait for it."""
    only(request)
    await body_of(request, ())
    exchange = node_of(request).exchange
    if exchange is None:
        raise Refused("This node has nobody to exchange with: it has not joined a company.")
    run = await exchange.run()
    if not run.ok:
        raise Unreachable(run.error, code=run.code) if run.unreachable else Refused(run.error, code=run.code)
    return answer(asdict(run))


async def found(request: web.Request) -> web.StreamResponse:
    """Full text over everything that the user may read."""
    given = only(request, "q", "limit", "concept")
    limit, name = whole(given, "limit", 20, 100), given.get("concept", "").replace("-", "_")
    if name and name not in CONCEPTS:
        raise Invalid({"concept": "There is no such collection."})
    q = given.get("q", "").strip()[:200]
    if not q:
        raise Invalid({"q": "What shall be looked for?"})
    hits = await database(request).read(search.search, actor(request), q, [name] if name else None, limit)
    items = [{"concept": h.concept, "id": h.id, "title": h.title, "detail": h.detail} for h in hits]
    return answer({"items": items, "next": None})


async def revenue(request: web.Request) -> web.StreamResponse:
    """Revenue per office, month, owner, product group or company."""
    given = only(request, "by", "kind", "since", "until")
    group, kind = given.get("by", "office"), given.get("kind", "order")
    days: Values = {}
    for name in ("since", "until"):
        try:
            days[name] = taking.one_of(Kind.DAY, given[name]) if given.get(name) else None
        except taking.Wrong as e:
            raise Invalid({name: str(e)}) from None

    def read(s: Session) -> Values:
        report = reports.revenue(s, actor(request), group, kind=kind, heard=_heard(s, request), **days)
        return reports.as_json(report)

    return answer(await database(request).read(read))


async def payments_total(request: web.Request) -> web.StreamResponse:
    """Payments per office, month, owner or company."""
    group = only(request, "by").get("by", "office")

    def read(s: Session) -> Values:
        return reports.as_json(reports.payments_total(s, actor(request), group, heard=_heard(s, request)))

    return answer(await database(request).read(read))


def _heard(s: Session, request: web.Request) -> Any:
    """As of when the figures of each office are; known at head office only."""
    parts = node_of(request).parts
    return {a.office: a.at for a in parts.as_of(s) if a.at is not None} if parts is not None else None


async def list_conflicts(request: web.Request) -> web.StreamResponse:
    """The conflict inbox."""
    given = only(request, "state", "kind", "limit", "cursor")
    state = given.get("state", "open")
    if state not in ("open", "decided", "all"):
        raise Invalid({"state": "open, decided or all."})

    def read(s: Session) -> Values:
        inbox = conflicts.inbox(
            s,
            actor(request),
            None if state == "all" else state,
            whole(given, "limit", 50, 200),
            given.get("cursor", ""),
            given.get("kind") or None,
        )
        return {"items": [conflicts.as_json(c) for c in inbox.items], "next": inbox.next}

    return answer(await database(request).read(read))


async def one_conflict(request: web.Request) -> web.StreamResponse:
    """One conflict with base, winner and loser."""
    only(request)
    seen = await database(request).read(conflicts.conflict, actor(request), request.match_info["id"])
    return answer(conflicts.as_json(seen))


async def decide(request: web.Request) -> web.StreamResponse:
    """Settle a conflict: winner, loser, both, or another value."""
    only(request)
    body, by = await body_of(request, ("choice", "value")), actor(request)
    choice = str(body.get("choice", ""))
    if choice not in CHOICES:
        raise Invalid({"choice": f"One of {', '.join(CHOICES)}."})
    if choice == "value" and "value" not in body:
        raise BadInput('Which value? Send {"choice": "value", "value": …}.')
    done = await database(request).write(
        lambda s: conflicts.as_json(conflicts.decide(s, by, request.match_info["id"], choice, body.get("value"))),
        by=by,
        cause="conflict",
    )
    return answer(done)


async def undo(request: web.Request) -> web.StreamResponse:
    """Take a decision back."""
    only(request)
    await body_of(request, ())
    by = actor(request)
    done = await database(request).write(
        lambda s: conflicts.as_json(conflicts.undo(s, by, request.match_info["id"])), by=by, cause="conflict"
    )
    return answer(done)


def _page() -> Values:
    return openapi.page_of({"type": "object"})


ROUTES: tuple[Route, ...] = (
    Route(method="GET", path=f"{ROOT}/status", handler=status, title="How this node stands", tag="node"),
    Route(method="GET", path=f"{ROOT}/offices/{{code}}/status", handler=office_status, title="How an office stands",
          tag="node"),
    Route(method="POST", path=f"{ROOT}/exchange", handler=exchange_now, title="Exchange with head office now",
          tag="node"),
    Route(method="GET", path=f"{ROOT}/search", handler=found, title="Full text over everything", tag="search",
          query=("q", "limit", "concept"), answer=_page()),
    Route(method="GET", path=f"{ROOT}/totals/revenue", handler=revenue, title="Revenue per office, month, …",
          tag="totals", query=("by", "kind", "since", "until")),
    Route(method="GET", path=f"{ROOT}/totals/payments", handler=payments_total, title="Payments per office, month, …",
          tag="totals", query=("by",)),
    Route(method="GET", path=f"{ROOT}/conflicts", handler=list_conflicts, title="The conflict inbox", tag="conflicts",
          query=("state", "kind", "limit", "cursor"), answer=_page()),
    Route(method="GET", path=f"{ROOT}/conflicts/{{id}}", handler=one_conflict, title="One conflict", tag="conflicts"),
    Route(method="POST", path=f"{ROOT}/conflicts/{{id}}/decide", handler=decide, title="Settle a conflict",
          tag="conflicts", body={"type": "object", "required": ["choice"], "additionalProperties": False,
                                 "properties": {"choice": {"enum": list(CHOICES)}, "value": {}}}),
    Route(method="POST", path=f"{ROOT}/conflicts/{{id}}/undo", handler=undo, title="Take the decision back",
          tag="conflicts"),
)  # fmt: skip
