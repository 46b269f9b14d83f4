"""All documents at a glance, and the open invoices behind the figures of the desktop and of a company."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from aiohttp import web
from sqlalchemy.orm import Session

from node.domain import receivables, records
from node.domain.access import Actor, may, require
from node.domain.concept import CONCEPTS
from node.domain.users import colleagues
from node.web import cells
from node.web.i18n import _
from node.web.record_view import line_of
from node.web.render import Visit, page, sums_in_words
from node.web.titles import titles, titles_of
from node.web.visit import actor, address_of, database, visit

DESK_ROWS = 6


async def overview(request: web.Request) -> web.Response:
    """All kinds of documents at a glance: drafts, what is open, what is overdue, and the newest of each kind."""
    v, by = await visit(request), actor(request)
    got = await database(request).read(_overview, by, v.reader.today(v.now))
    groups = [
        {
            "label": CONCEPTS[name].label_plural,
            "all": address_of(CONCEPTS[name]),
            "lines": [line_of(CONCEPTS[name], i, v, known, about=True) for i in items],
        }
        for name, items, known in got["groups"]
    ]
    today = v.reader.today(v.now).isoformat()
    tiles = [
        {"label": _("Drafts"), "value": _count(got["drafts"], v), "href": "/invoices?state=draft", "late": False,
         "text": v.text(_("invoices not posted yet"))},
        {"label": _("Offers out"), "value": _count(got["offers"], v), "href": "/offers?state=posted&progress__in=,sent",
         "late": False, "text": v.text(_("without an answer"))},
        {"label": _("Orders to ship"), "value": _count(got["orders"], v),
         "href": "/orders?state=posted&progress=in_process", "late": False, "text": v.text(_("in process"))},
        {"label": _("Past their day"), "value": _count(got["late"], v),
         "href": f"/invoices?state=posted&due_on__lt={today}", "late": False,
         "text": v.text(_("invoices; paid ones too"))},
    ]  # fmt: skip
    news = [("/offers/new", _("New offer"), "offer"), ("/orders/new", _("New order"), "order"),
            ("/invoices/new", _("New invoice"), "invoice")]  # fmt: skip
    return page(request, v, "documents.html", tiles=tiles, groups=groups, news=news)


def _count(found: records.Page | None, v: Visit) -> str:
    if found is None:
        return cells.DASH
    return ("" if found.count_is_exact else "≥ ") + v.reader.number(found.count)


def _overview(s: Session, by: Actor, today: Any) -> dict[str, Any]:
    f = records.Filter
    groups = []
    for name in (*COLLECTIONS, "payments"):
        concept = CONCEPTS[name]
        if may(by, concept.singular, "read"):
            items = list(records.page(s, by, concept, records.Query(order=("-dated",), limit=DESK_ROWS)).items)
            groups.append((name, items, titles_of(s, by, concept.fields, items)))

    def some(name: str, *filters: records.Filter) -> records.Page | None:
        if not may(by, CONCEPTS[name].singular, "read"):
            return None
        return records.page(s, by, CONCEPTS[name], records.Query(filters=filters, limit=1))

    return {
        "groups": groups,
        "drafts": some("invoices", f("state", "eq", "draft")),
        "offers": some("offers", f("state", "eq", "posted"), f("progress", "in", ("", "sent"))),
        "orders": some("orders", f("state", "eq", "posted"), f("progress", "eq", "in_process")),
        "late": some("invoices", f("state", "eq", "posted"), f("due_on", "lt", today)),
    }


async def open_invoices(request: web.Request) -> web.Response:
    """Open invoices, narrowed to a company, a responsible person, an office, or to what is overdue."""
    v, by, query = await visit(request), actor(request), request.query
    require(by, "invoice", "read")
    owner, company, office, late = (query.get(k, "") for k in ("owner", "company", "office", "late"))
    items, names, users = await database(request).read(
        _fetch, by, by.user_id if owner == "me" else owner, company, office, bool(late)
    )
    sums: dict[str, Decimal] = {}
    for item in items:
        sums[item.currency] = sums.get(item.currency, Decimal(0)) + item.open
    return page(
        request,
        v,
        "receivables.html",
        items=items,
        total=sums_in_words(sums, v, whole=False),
        owner=owner,
        office=office,
        late=bool(late),
        company=company,
        company_name=names.get(company, ""),
        users=users,
        offices=list(v.names.items()),
        capped=len(items) >= receivables.ITEMS_MAX,
    )


def _fetch(
    s: Session, by: Actor, owner: str, company: str, office: str, late: bool
) -> tuple[list[receivables.OpenItem], dict[str, str], list[tuple[str, str]]]:
    items = receivables.open_items(
        s, by, company_id=company or None, owner_id=owner or None, office=office or None, overdue=late
    )
    names = titles(s, by, "companies", [company]) if company else {}
    return list(items), names, [(id, name) for id, name, _office in colleagues(s)]


COLLECTIONS = ("offers", "orders", "invoices", "credits")
ROUTES: list[web.RouteDef] = [
    web.get("/documents", overview),
    web.get("/receivables", open_invoices),
]
