"""The HTTP API: one table of routes for every concept, from which the server and its OpenAPI document are both made.

GET    /api/v1/companies?owner=anna&order=name&limit=50&cursor=…   {"items": […], "next": …, "count": …}
POST   /api/v1/companies            201, Location, ETag
GET    /api/v1/companies/{id}       ETag; 304 with If-None-Match
PATCH  /api/v1/companies/{id}       changes only what it names; with If-Match 412 if somebody was faster
DELETE /api/v1/companies/{id}       204
GET    /api/v1/companies/{id}/history, …/timeline
POST   /api/v1/companies/bulk, …/{id}/restore, …/{id}/<action>
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from aiohttp import web
from sqlalchemy.orm import Session

from node.clock import as_datetime
from node.domain import all as _all  # registers every concept before the table is made
from node.domain import records, timeline
from node.domain.access import Actor
from node.domain.concept import CONCEPTS, RECORD_FIELDS, Concept, Values
from node.domain.users import user_names
from node.errors import BadInput, Invalid
from node.schema import TRAVELS
from node.web import api_actions, api_node, openapi
from node.web.answers import answer, body_of, only, whole
from node.web.changes import history_of
from node.web.openapi import ROOT, Route
from node.web.visit import actor, database
from replication.history import history

HISTORY_MAX = 200
_Handler = Callable[..., Awaitable[web.StreamResponse]]
BULK_SCHEMA = {
    "type": "object",
    "required": ["ids", "action"],
    "additionalProperties": False,
    "properties": {
        "ids": {"type": "array", "items": {"type": "string"}, "maxItems": records.BULK_MAX},
        "action": {"enum": list(records.BULK_ACTIONS)},
        "value": {"type": ["string", "null"], "description": "assign: a user; tag, untag: a word"},
    },
}


def table() -> list[Route]:
    """Every route of the API."""
    assert _all is not None
    found: list[Route] = list(api_node.ROUTES)
    for concept in CONCEPTS.values():
        if concept.api:
            found += _routes_of(concept)
            found += api_actions.routes_of(concept)
    return found


def routes() -> list[web.RouteDef]:
    """The table as the server takes it, and the document about it."""
    known = table()
    document = openapi.document(known)

    async def described(request: web.Request) -> web.Response:
        return answer(document)

    return [
        web.get(f"{ROOT}/openapi.json", described),
        *(web.route(r.method, r.path, r.handler) for r in known),
        web.route("*", "/api/{rest:.*}", _nothing),
    ]


async def _nothing(request: web.Request) -> web.Response:
    """No such address, or none with that method: the pages' general addresses must not answer for the API."""
    allowed: set[str] = set()
    for resource in request.app.router.resources():
        if resource.canonical.startswith(ROOT):
            allowed |= (await resource.resolve(request))[1]
    if allowed:
        raise web.HTTPMethodNotAllowed(request.method, allowed)
    raise web.HTTPNotFound


def _routes_of(concept: Concept) -> list[Route]:
    base, name, one = f"{ROOT}/{concept.name.replace('_', '-')}", concept.label_plural, concept.label.lower()
    item: Values = {"$ref": f"#/components/schemas/{openapi.schema_name(concept)}"}
    write: Values = {"$ref": f"#/components/schemas/{openapi.schema_name(concept)}Write"}

    def route(method: str, path: str, handler: _Handler, title: str, **more: Any) -> Route:
        return Route(method=method, path=path, handler=partial(handler, concept), title=title, tag=concept.name, **more)

    found = [
        route("GET", base, list_, f"List {name.lower()}", lists=concept, answer=openapi.page_of(item)),
        route("GET", base + "/{id}", get, f"One {one}", answer=item, etag=True),
        route("GET", base + "/{id}/history", field_history, f"Who changed which field of the {one}", query=("limit",)),
    ]
    found.append(
        route("GET", base + "/{id}/timeline", show_timeline, f"What happened around the {one}, newest first",
              query=("limit", "cursor", "kinds"))
    )  # fmt: skip
    if concept.creatable:
        found.append(route("POST", base, create, f"Make a {one}", body=write, answer=item, status=201))
    if concept.editable:
        found.append(
            route(
                "PATCH",
                base + "/{id}",
                patch,
                f"Change only what is named of a {one}",
                body=write,
                answer=item,
                etag=True,
            )
        )
        found.append(route("POST", base + "/bulk", bulk, f"Do the same to many {name.lower()}", body=BULK_SCHEMA))
    if concept.removable:
        found.append(route("DELETE", base + "/{id}", delete, f"Remove the {one}", status=204, etag=True))
        found.append(route("POST", base + "/{id}/restore", restore, f"Take the removal of the {one} back", answer=item))
    return found


async def list_(concept: Concept, request: web.Request) -> web.StreamResponse:
    query = records.query_from(concept, request.query.items())

    def read(s: Session) -> Values:
        page = records.page(s, actor(request), concept, query)
        return {
            "items": [records.to_json(concept, item) for item in page.items],
            "next": page.next,
            "count": page.count,
            "count_is_exact": page.count_is_exact,
        }

    return answer(await database(request).read(read))


async def get(concept: Concept, request: web.Request) -> web.StreamResponse:
    only(request)
    item, version = await database(request).read(_whole, actor(request), concept, request.match_info["id"])
    etag = f'"{version}"'
    if request.headers.get("If-None-Match", "") == etag:
        return web.Response(status=304, headers={"ETag": etag})
    return answer(item, headers={"ETag": etag})


async def create(concept: Concept, request: web.Request) -> web.StreamResponse:
    only(request)
    values, by = await body_of(request), actor(request)

    def write(s: Session) -> tuple[Values, str]:
        return shown(s, by, concept, records.create(s, by, concept, values))

    item, version = await database(request).write(write, by=by, cause="api")
    return answer(item, status=201, headers={"ETag": f'"{version}"', "Location": f"{request.path}/{item['id']}"})


async def patch(concept: Concept, request: web.Request) -> web.StreamResponse:
    only(request)
    values, by, id = await body_of(request), actor(request), request.match_info["id"]
    if_match = _if_match(request)

    def write(s: Session) -> tuple[Values, str]:
        return shown(s, by, concept, records.update(s, by, concept, id, values, if_match=if_match))

    item, version = await database(request).write(write, by=by, cause="api")
    return answer(item, headers={"ETag": f'"{version}"'})


async def delete(concept: Concept, request: web.Request) -> web.StreamResponse:
    only(request)
    by, id, if_match = actor(request), request.match_info["id"], _if_match(request)
    await database(request).write(records.remove, by, concept, id, if_match=if_match, by=by, cause="api")
    return web.Response(status=204)


async def restore(concept: Concept, request: web.Request) -> web.StreamResponse:
    only(request)
    await body_of(request, ())
    by = actor(request)

    def write(s: Session) -> tuple[Values, str]:
        return shown(s, by, concept, records.restore(s, by, concept, request.match_info["id"]))

    item, version = await database(request).write(write, by=by, cause="api")
    return answer(item, headers={"ETag": f'"{version}"'})


async def bulk(concept: Concept, request: web.Request) -> web.StreamResponse:
    only(request)
    body, by = await body_of(request, ("ids", "action", "value")), actor(request)
    ids = body.get("ids")
    if not isinstance(ids, list) or not all(isinstance(i, str) for i in ids):
        raise Invalid({"ids": "A list of keys."})
    outcomes = await database(request).write(
        records.bulk, by, concept, ids, str(body.get("action", "")), body.get("value"), by=by, cause="api"
    )
    return answer({"items": [{"id": o.id, "ok": o.ok, "message": o.message} for o in outcomes]})


async def field_history(concept: Concept, request: web.Request) -> web.StreamResponse:
    limit = whole(only(request, "limit"), "limit", 50, HISTORY_MAX)
    found = await database(request).read(_history, actor(request), concept, request.match_info["id"], limit)
    return answer({"items": found})


async def show_timeline(concept: Concept, request: web.Request) -> web.StreamResponse:
    given = only(request, "limit", "cursor", "kinds")
    limit = whole(given, "limit", 50, 200)
    kinds = [k for k in given.get("kinds", "").split(",") if k] or None

    def read(s: Session) -> Values:
        by = actor(request)
        row = records.load(s, by, concept, request.match_info["id"])
        entries = timeline.timeline(
            s, by, concept.name, row.id, kinds, limit, given.get("cursor", ""), history=history_of(s)
        )
        more = entries[-1].cursor if len(entries) == limit else None
        return {"items": [{n: getattr(e, n) for n in e.__slots__} for e in entries], "next": more}

    return answer(await database(request).read(read))


def shown(s: Session, by: Actor, concept: Concept, row: Any) -> tuple[Values, str]:
    """The JSON of a row and its version."""
    s.flush()
    item = records.item(s, by, concept, row)
    return records.to_json(concept, item), records.version(concept, item)


def _whole(s: Session, by: Actor, concept: Concept, id: str) -> tuple[Values, str]:
    return shown(s, by, concept, records.load(s, by, concept, id))


def _history(s: Session, by: Actor, concept: Concept, id: str, limit: int) -> list[Values]:
    """Changes of the record's own fields: other columns (a password's hash) are nobody's business."""
    row = records.load(s, by, concept, id)
    named = {}
    for field in (*concept.fields, *RECORD_FIELDS):
        attribute = getattr(concept.model, field.attribute, None)
        if attribute is not None and field not in RECORD_FIELDS:
            named[attribute.property.columns[0].name] = field
    entries = history(s.connection(), TRAVELS, concept.model.__tablename__, row.id, HISTORY_MAX)
    entries = [e for e in entries if e.column in named or e.column == "alive"][:limit]
    names = user_names(s, {e.actor for e in entries})
    return [
        {
            "field": named[e.column].name if e.column in named else "alive",
            "old": records.json_value(named[e.column], e.old) if e.column in named else records.plain(e.old),
            "new": records.json_value(named[e.column], e.new) if e.column in named else records.plain(e.new),
            "at": as_datetime(e.at),
            "by": e.actor,
            "by_name": names.get(e.actor, e.actor),
            "office": e.office,
            "cause": e.cause,
        }
        for e in entries
    ]


def _if_match(request: web.Request) -> str | None:
    given = request.headers.get("If-Match")
    if given is None:
        return None
    if len(given) > 100 or "," in given or given.startswith("W/"):
        raise BadInput("If-Match holds one ETag as it was sent, in its quotes.")
    return given.strip()
