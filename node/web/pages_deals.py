"""The board of deals: stages side by side; a card moves by mouse, by its menu or by a key; losing needs a reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from aiohttp import web
from sqlalchemy.orm import Session

from node.domain import board, deals, finding
from node.domain.access import Actor, may, require
from node.domain.concept import CONCEPTS
from node.domain.deals import Deal, Stage
from node.domain.users import colleagues
from node.errors import Invalid, KoggeError
from node.web.i18n import _
from node.web.pages_records import record_page
from node.web.render import Toast, Visit, go, page, sums_in_words
from node.web.visit import actor, database, posted, visit

CARDS = 40  # shown per stage
ROTTEN_FACTOR = 1.5  # times the days that a stage allows


@dataclass(frozen=True, slots=True, kw_only=True)
class CardShown:
    """One deal in words. `age`: old, rot or nothing."""

    id: str
    title: str
    who: str
    amount: str
    days: str
    age: str
    owner: str
    movable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """One stage in words."""

    id: str
    name: str
    count: int
    sum: str
    weighted: str
    open: bool
    deals: tuple[CardShown, ...]


async def show_board(request: web.Request) -> web.Response:
    """The board of one pipeline, narrowed to a person or an office."""
    v, by = await visit(request), actor(request)
    require(by, "deal", "read")
    query = request.query
    owner, office = query.get("owner", ""), query.get("office", "")
    narrow = board.Narrow(owner_id=(by.user_id if owner == "me" else owner) or None, office=office or None)
    got = await database(request).read(_fetch, by, query.get("pipeline") or None, narrow)
    b: board.Board = got["board"]
    back = "/deals/board?" + urlencode({k: query[k] for k in ("pipeline", "owner", "office") if query.get(k)})
    return page(
        request,
        v,
        "board.html",
        pipeline_id=b.pipeline_id,
        pipeline_name=b.name,
        pipelines=got["pipelines"],
        lanes=[lane(c, got["limits"], v, by) for c in b.columns],
        forecast=sums_in_words(b.weighted, v),
        owner=owner,
        office=office,
        offices=list(v.names.items()),
        users=got["users"],
        back=back.rstrip("?"),
    )


def _fetch(s: Session, by: Actor, pipeline_id: str | None, narrow: board.Narrow) -> dict[str, Any]:
    found = board.board(s, by, pipeline_id, narrow, CARDS)
    return {
        "board": found,
        "pipelines": [(p.id, p.name) for p in deals.pipelines(s)],
        "users": [(id, name) for id, name, _office in colleagues(s)],
        "limits": {x.id: x.rots_after_days for x in deals.stages(s, found.pipeline_id)},
    }


def lane(c: board.Column, limits: Mapping[str, int | None], v: Visit, by: Actor) -> Lane:
    """One stage in words."""
    limit = limits.get(c.stage_id)
    return Lane(
        id=c.stage_id,
        name=c.name,
        count=c.count,
        sum=sums_in_words(c.sums, v),
        weighted=sums_in_words(c.weighted, v) if c.state == "open" else "",
        open=c.state == "open",
        deals=tuple(card(d, limit, v, by) for d in c.cards),
    )


def card(d: board.Card, limit: int | None, v: Visit, by: Actor) -> CardShown:
    """One deal in words."""
    age = ""
    if d.rotting and limit:
        age = "rot" if d.days_in_stage > limit * ROTTEN_FACTOR else "old"
    return CardShown(
        id=d.id,
        title=d.title,
        who=d.company,
        amount=v.reader.money(d.amount, d.currency, whole=True),
        days=v.reader.count("%(num)s day", "%(num)s days", d.days_in_stage),
        age=age,
        owner=d.owner,
        movable=may(by, "deal", "edit", Deal(owner_id=d.owner_id, created_by=d.owner_id or "", office=d.office)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class StageShown:
    """One stage of the strip on a deal's page."""

    id: str
    name: str
    here: bool
    passed: bool
    text: str


async def show_deal(request: web.Request) -> web.Response:
    """A deal's page: like any record's, with the stages as a strip that moves it."""
    v, by, id = await visit(request), actor(request), request.match_info["id"]
    stages = await database(request).read(_strip, by, id, v)
    return await record_page(request, CONCEPTS["deals"], by, v, id, "deal.html", stages=stages)


def _strip(s: Session, by: Actor, id: str, v: Visit) -> list[StageShown]:
    row = finding.found(s, by, Deal, "deal", id)
    steps = deals.stages(s, row.pipeline_id)
    at = next((n for n, x in enumerate(steps) if x.id == row.stage_id), -1)
    days = v.reader.count("%(num)s day", "%(num)s days", max(0, (v.now - row.stage_since).days))
    return [
        StageShown(
            id=x.id,
            name=deals.stage_name(x, v.language),
            here=n == at,
            passed=n < at and row.state != "lost",
            text=days if n == at else v.reader.percent(x.probability),
        )
        for n, x in enumerate(steps)
    ]


async def move(request: web.Request) -> web.Response:
    """Move the card; a lost one is asked for its reason first."""
    v, by, form, id = await visit(request), actor(request), await posted(request), request.match_info["id"]
    stage, reason = form.get("stage", ""), form.get("reason", "")
    back = form.get("back", "")
    back = back if back.startswith("/") and not back.startswith("//") else "/deals/board"
    try:
        before, name, title = await database(request).write(_move, by, id, stage, reason or None, by=by)
    except Invalid as invalid:
        if "lost_reason" not in invalid.fields:
            return go(back, Toast(text=v.text(invalid.message), tone="brick"))
        got = await database(request).read(_reasons, by, id)
        error = v.text(invalid.fields["lost_reason"]) if reason else ""
        return page(
            request, v, "lost.html", status=422 if reason else 200, id=id, stage=stage, back=back, error=error, **got
        )
    except KoggeError as no:
        return go(back, Toast(text=v.text(no.message), tone="brick"))
    text = v.text(_("%(title)s is now in %(stage)s."), title=title, stage=name)
    return go(back, Toast(text=text, undo=f"/deals/{id}/move-back/{before}"))


def _move(s: Session, by: Actor, id: str, stage_id: str, reason: str | None) -> tuple[str, str, str]:
    row = finding.found(s, by, Deal, "deal", id, "edit")
    before = row.stage_id
    deals.move_deal(s, by, id, stage_id, reason)
    stage = s.get(Stage, row.stage_id)
    return before, deals.stage_name(stage, by.language) if stage else "", row.title


def _reasons(s: Session, by: Actor, id: str) -> dict[str, Any]:
    row = finding.found(s, by, Deal, "deal", id)
    return {"title": row.title, "reasons": [(r.id, r.name) for r in deals.lost_reasons(s)]}


async def move_back(request: web.Request) -> web.Response:
    """Undo a move."""
    v, by = await visit(request), actor(request)
    await database(request).write(_move, by, request.match_info["id"], request.match_info["stage"], None, by=by)
    return go("/deals/board", Toast(text=v.text(_("Moved back."))))


ROUTES: list[web.RouteDef] = [
    web.get("/deals/board", show_board),
    web.get("/deals/{id:[0-9A-HJKMNP-TV-Z]{16}}", show_deal),
    web.post("/deals/{id}/move", move),
    web.post("/deals/{id}/move-back/{stage}", move_back),
]
