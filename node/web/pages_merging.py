"""Two records that are one: the list of pairs, the comparison side by side, the merge and its undo."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from sqlalchemy.orm import Session

from node.domain import duplicates, merging, records
from node.domain.access import Actor
from node.domain.concept import CONCEPTS, Concept, Field, Kind, Values
from node.errors import KoggeError, NotFound
from node.web import cells
from node.web.forms import Control
from node.web.i18n import _
from node.web.render import Toast, Visit, go, page
from node.web.titles import titles_of
from node.web.visit import actor, address_of, concept_of, database, posted, visit

ROWS = 50
JOINED = ("tags", "notes")  # fields in which both values are kept


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One field of both records."""

    name: str
    label: str
    mine: str
    theirs: str
    same: bool
    joined: bool
    prefer_theirs: bool


async def pairs(request: web.Request) -> web.Response:
    """The open pairs, the surest first."""
    v, by = await visit(request), actor(request)
    found = await database(request).read(_pairs, by, request.query.get("cursor") or None)
    return page(request, v, "duplicates.html", pairs=[_pair(i, v) for i in found.items], next=found.next)


def _pairs(s: Session, by: Actor, cursor: str | None) -> records.Page:
    query = records.Query(
        filters=(records.Filter("state", "eq", "open"),), order=("-score",), limit=ROWS, cursor=cursor
    )
    return records.page(s, by, CONCEPTS["duplicates"], query)


def _pair(item: Values, v: Visit) -> dict[str, Any]:
    base = "/companies" if item["kind"] == "company" else "/persons"
    hidden = v.text(_("not open to you"))
    return {
        "id": item["id"],
        "first": item.get("first_title") or hidden,
        "second": item.get("second_title") or hidden,
        "first_href": f"{base}/{item['first']}",
        "second_href": f"{base}/{item['second']}",
        "merge": f"{base}/{item['first']}/merge?with={item['second']}",
        "score": item["score"],
        "reasons": ", ".join(v.text(str(r)) for r in item.get("reasons") or ()),
    }


async def different(request: web.Request) -> web.Response:
    """The two are not one."""
    v, by, id = await visit(request), actor(request), request.match_info["id"]
    await database(request).write(_decide, by, id, "different", by=by)
    return go("/duplicates", Toast(text=v.text(_("Noted as different.")), undo=f"/duplicates/{id}/reopen"))


async def reopen(request: web.Request) -> web.Response:
    """Perhaps they are one after all."""
    by = actor(request)
    await database(request).write(_decide, by, request.match_info["id"], "open", by=by)
    return go("/duplicates")


def _decide(s: Session, by: Actor, id: str, choice: str) -> None:
    duplicates.decide(s, by, id, choice)


def _concept(request: web.Request) -> Concept:
    concept = concept_of(request)
    if concept.name not in merging.MERGEABLE:
        raise NotFound("Such records are not merged.")
    return concept


async def compare(request: web.Request) -> web.Response:
    """Both records side by side; without a second one a field to choose it."""
    concept, v, by = _concept(request), await visit(request), actor(request)
    id, other = request.match_info["id"], request.query.get("with", "")
    got = await database(request).read(_both, by, concept, id, other)
    mine, theirs, known = got
    shown = cells.Known(titles=known, offices=v.names, now=v.now)
    fields = [compared(f, mine, theirs, v, shown) for f in concept.fields if _compares(f)] if theirs else []
    choice = Control(
        name="with",
        id="with",
        label=v.text(_("Which one is the same?")),
        widget="ref",
        source=concept.name,
        length_max=300,
    )
    return page(
        request,
        v,
        "merge.html",
        concept=concept,
        base=address_of(concept),
        id=id,
        title=mine["title"],
        other=theirs["id"] if theirs else "",
        other_title=theirs["title"] if theirs else "",
        choice=choice,
        fields=[f for f in fields if f.mine != cells.DASH or f.theirs != cells.DASH],
    )


def _compares(f: Field) -> bool:
    return f.kind is not Kind.OBJECT and f.name != "office" and (f.in_form or f.kind is Kind.PARTS)


def _both(s: Session, by: Actor, concept: Concept, id: str, other: str) -> tuple[Values, Values, dict[str, str]]:
    mine = records.item(s, by, concept, records.load(s, by, concept, id, "edit"))
    if not other or other == mine["id"]:
        return mine, {}, {}
    theirs = records.item(s, by, concept, records.load(s, by, concept, other, "edit"))
    return mine, theirs, titles_of(s, by, concept.fields, [mine, theirs])


def compared(f: Field, mine: Values, theirs: Values, v: Visit, known: cells.Known) -> Compared:
    """One field of both; a gap is filled from the other side unless somebody says otherwise."""
    a, b = (cells.text(f, i.get(f.name), v.reader, known) for i in (mine, theirs))
    joined = f.kind is Kind.PARTS or f.name in JOINED
    return Compared(
        name=f.name,
        label=v.text(f.label),
        mine=a,
        theirs=b,
        same=a == b,
        joined=joined and a != b,
        prefer_theirs=a == cells.DASH and b != cells.DASH,
    )


async def merge(request: web.Request) -> web.Response:
    """Merge the second into the first; the toast undoes it."""
    concept, v, by, form = _concept(request), await visit(request), actor(request), await posted(request)
    id, other = request.match_info["id"], form.get("with", "")
    choose = {k[7:]: x for k, x in form.items() if k.startswith("choose.") and x in ("loser", "survivor")}
    try:
        await database(request).write(_merge, by, concept, other, id, choose, by=by)
    except KoggeError as no:
        return go(f"{address_of(concept, id)}/merge?with={other}", Toast(text=v.text(no.message), tone="brick"))
    undo = f"{address_of(concept, other)}/unmerge"
    return go(address_of(concept, id), Toast(text=v.text(_("Merged. It can be taken back for 30 days.")), undo=undo))


def _merge(s: Session, by: Actor, concept: Concept, loser: str, survivor: str, choose: Mapping[str, str]) -> None:
    merging.merge(s, by, concept.name, loser, survivor, choose)


async def unmerge(request: web.Request) -> web.Response:
    """Take a merge back."""
    concept, v, by = _concept(request), await visit(request), actor(request)
    new_id = await database(request).write(_unmerge, by, request.match_info["id"], by=by)
    return go(address_of(concept, new_id), Toast(text=v.text(_("The two stand apart again."))))


def _unmerge(s: Session, by: Actor, loser_id: str) -> str:
    return str(merging.undo_merge(s, by, loser_id).id)


_R = "/{collection:companies|persons}/{id:[0-9A-HJKMNP-TV-Z]{16}}"
ROUTES: list[web.RouteDef] = [
    web.get("/duplicates", pairs),
    web.post("/duplicates/{id}/different", different),
    web.post("/duplicates/{id}/reopen", reopen),
    web.get(_R + "/merge", compare),
    web.post(_R + "/merge", merge),
    web.post(_R + "/unmerge", unmerge),
]
