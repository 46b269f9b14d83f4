"""Finding: the search page, the command palette's hits, and the suggestions of fields that hold another record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from aiohttp import web
from sqlalchemy.orm import Session

from node.domain import records, search
from node.domain.access import Actor, may
from node.domain.concept import CONCEPTS
from node.domain.users import colleagues
from node.errors import NotFound
from node.web import forms, render
from node.web.i18n import _
from node.web.language import Reader
from node.web.render import NAVIGATION, page
from node.web.visit import actor, address_of, database, visit

GROUP_ROWS = 8
PALETTE_ROWS = 12
CHOICES_ROWS = 12
ORDER = (
    "companies",
    "persons",
    "deals",
    "offers",
    "orders",
    "invoices",
    "credits",
    "payments",
    "products",
    "tasks",
    "activities",
)


async def search_page(request: web.Request) -> web.Response:
    """Everything that is found, grouped by kind."""
    v, q = await visit(request), request.query.get("q", "").strip()[:200]
    hits = await database(request).read(_search, actor(request), q, 100) if q else []
    grouped = search.grouped(hits)
    names = sorted(grouped, key=lambda n: ORDER.index(n) if n in ORDER else len(ORDER))
    groups = [
        {
            "label": CONCEPTS[name].label_plural,
            "all": f"{address_of(CONCEPTS[name])}?{_q(q)}",
            "hits": [_shown(h) for h in grouped[name][:GROUP_ROWS]],
        }
        for name in names
    ]
    return page(request, v, "search.html", q=q, groups=groups, total=len(hits))


def _q(q: str) -> str:
    return urlencode({"q": q})


def _search(s: Session, by: Actor, q: str, limit: int) -> list[search.Hit]:
    return search.search(s, by, q, limit=limit)


def _shown(hit: search.Hit) -> dict[str, str]:
    return {"href": address_of(CONCEPTS[hit.concept], hit.id), "title": hit.title, "detail": hit.detail}


async def palette(request: web.Request) -> web.Response:
    """JSON for the command palette: `{"items": [{text, detail, href, icon, group}]}`; pages when nothing is typed."""
    v, by, q = await visit(request), actor(request), request.query.get("q", "").strip()[:200]
    r = v.reader
    if not q:
        items = [
            {"text": r.text(e.label), "href": e.href, "icon": e.icon, "group": r.text(_("Go to"))}
            for e in NAVIGATION
            if not e.subject or may(by, e.subject, "read")
        ]
        return web.json_response({"items": items}, headers={"Cache-Control": "no-store"})
    hits = await database(request).read(_search, by, q, PALETTE_ROWS)
    ordered = sorted(hits, key=lambda h: ORDER.index(h.concept) if h.concept in ORDER else len(ORDER))
    found = [
        {
            "text": h.title,
            "detail": h.detail,
            "href": address_of(CONCEPTS[h.concept], h.id),
            "icon": render.ALIASES.get(CONCEPTS[h.concept].icon, CONCEPTS[h.concept].icon),
            "group": r.text(CONCEPTS[h.concept].label_plural),
        }
        for h in ordered
    ]
    return web.json_response({"items": found}, headers={"Cache-Control": "no-store"})


async def choices(request: web.Request) -> web.Response:
    """JSON for a reference field: `{"items": [{id, text, detail, fill}]}`; products bring price and unit along."""
    v, by = await visit(request), actor(request)
    name, q = request.match_info["concept"], request.query.get("q", "").strip()[:100]
    if name not in CONCEPTS:
        raise NotFound("There is nothing of that name to choose from.")
    items = await database(request).read(_choices, by, name, q, v.reader)
    return web.json_response({"items": items}, headers={"Cache-Control": "no-store"})


def _choices(s: Session, by: Actor, name: str, q: str, r: Reader) -> list[dict[str, Any]]:
    if name == "users":
        everybody = colleagues(s)
        return [
            {"id": id, "text": user, "detail": office}
            for id, user, office in everybody
            if not q or q.casefold() in user.casefold()
        ][:CHOICES_ROWS]
    concept = CONCEPTS[name]
    if not may(by, concept.singular, "read"):
        return []
    found = records.page(s, by, concept, records.Query(q=q, limit=CHOICES_ROWS))
    return [{"id": i["id"], "text": _text(i), "detail": _detail(i), "fill": _fill(name, i, r)} for i in found.items]


def _text(item: Mapping[str, Any]) -> str:
    return str(item.get("title") or item.get("name") or item["id"])


def _detail(item: Mapping[str, Any]) -> str:
    city = item.get("city") or item.get("company") or item.get("code") or ""
    return str(city)


def _fill(name: str, item: Mapping[str, Any], r: Reader) -> dict[str, str]:
    if name != "products":
        return {}
    kinds = {f.name: f.kind for f in CONCEPTS[name].fields}
    wished = {k: item.get(k) for k in ("price", "unit", "vat_rate") if k in kinds}
    return {"quantity": "1", **{k: forms.show_raw(kinds[k], x, r) for k, x in wished.items()}}


ROUTES: list[web.RouteDef] = [
    web.get("/search", search_page),
    web.get("/palette", palette),
    web.get("/choices/{concept}", choices),
]
