"""Trust in the data: at head office all offices with their last contact and lag, at a branch its own exchanges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from aiohttp import web
from sqlalchemy.orm import Session

from node import conflicts, exchange_log
from node.domain import reports
from node.domain.access import Actor, may
from node.domain.offices import Office, zone_of
from node.errors import KoggeError
from node.web import cells
from node.web.i18n import _
from node.web.render import Note, Toast, Visit, go, page, sums_in_words
from node.web.visit import actor, database, node_of, posted, visit

RUNS = 20
SOON_H, LATE_H = 2, 12  # hours of silence after which an office is looked at, after which it is called


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One office of the table, in words."""

    code: str
    name: str
    central: bool
    at: datetime | None
    silent: str
    tone: str
    behind: str
    conflicts: int
    revenue: str
    documents: str
    version: str
    local_time: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sum:
    """The last line of the table, with the oldest stamp and whose it is."""

    at: datetime | None
    place: str
    behind: str
    conflicts: int
    revenue: str
    documents: str


async def offices(request: web.Request) -> web.Response:
    """All offices at head office; the own exchange at a branch."""
    v, by, node = await visit(request), actor(request), node_of(request)
    states = node.parts.office_states if node.parts is not None else None
    got = await database(request).read(_fetch, by, states if node.central else None, v.central)
    lines = [line(o, got, v) for o in got["offices"]] if node.central else []
    total = _total(lines, got, v) if lines else None
    late = [x for x in lines if x.tone == "brick" and not x.central]
    notes: list[Note] = []
    if late and total is not None and total.at is not None:
        when = v.reader.moment(total.at, v.now)
        notes.append(
            Note(
                tone="brass",
                icon="clock",
                strong=v.text(_("Totals are as old as %(office)s: %(when)s."), office=total.place, when=when),
                text=v.text(_("Work goes on there; its changes arrive with its next exchange.")),
            )
        )
    elif any(x.at is None and not x.central for x in lines):
        names = ", ".join(x.name for x in lines if x.at is None and not x.central)
        notes.append(Note(tone="", icon="info", strong=v.text(_("Not joined yet:")), text=names))
    if not v.central and v.pill.state == "down":
        notes.append(
            Note(
                tone="",
                icon="anchor",
                strong=v.text(_("The line is down, work goes on.")),
                text=v.text(_("Everything is saved here and leaves with the next exchange that gets through.")),
            )
        )
    return page(
        request,
        v,
        "offices.html",
        offices=lines,
        total=total,
        notes=notes,
        summary=_summary(lines, v),
        tiles=_tiles(v) if not v.central else [],
        runs=[_run(r, v) for r in got["runs"]],
    )


def _fetch(s: Session, by: Actor, states: Any, central: bool) -> dict[str, Any]:
    found: dict[str, Any] = {"runs": list(exchange_log.recent(s, None if central else "", RUNS))}
    if central:
        found["offices"] = list(s.scalars(sa.select(Office).where(Office.alive).order_by(Office.code)))
        found["states"] = {x.office: x for x in states(s)} if states is not None else {}
        found["conflicts"] = conflicts.open_total(s)
        found["revenue"] = None
        if may(by, "order", "read"):
            found["revenue"] = reports.revenue(s, by, group="office")
    return found


def line(o: Office, got: dict[str, Any], v: Visit) -> Line:
    """One office in words."""
    state = got["states"].get(o.code)
    rows = [r for r in got["revenue"].rows if r.key == o.code] if got["revenue"] else []
    at = getattr(state, "last_contact", None)
    hours = (v.now - at).total_seconds() / 3600 if at else None
    tone = "brick" if hours is None or hours > LATE_H else "brass" if hours > SOON_H else "patina"
    zone: ZoneInfo = zone_of(o.timezone)
    there = v.now.astimezone(zone)
    differs = there.utcoffset() != v.now.astimezone(v.reader.zone).utcoffset()
    return Line(
        code=o.code,
        name=o.name,
        central=bool(o.central),
        at=at,
        silent=v.reader.span(v.now - at) if at else v.text(_("never")),
        tone=tone,
        behind=v.reader.number(getattr(state, "lag", None)) if state else cells.DASH,
        conflicts=int(getattr(state, "conflicts", 0) or 0),
        revenue=sums_in_words({r.currency: r.amount for r in rows}, v) if rows else cells.DASH,
        documents=v.reader.number(sum(r.documents for r in rows)) if rows else cells.DASH,
        version=str(getattr(state, "version", "") or cells.DASH) if not o.central else v.version,
        local_time=f"{there:%H:%M}" if differs else "",
    )


def _total(lines: Sequence[Line], got: dict[str, Any], v: Visit) -> Sum:
    heard = [x for x in lines if not x.central and x.at is not None]
    oldest = min(heard, key=lambda x: x.at or v.now, default=None)
    revenue: reports.Report | None = got["revenue"]
    return Sum(
        at=oldest.at if oldest else None,
        place=oldest.name if oldest else "",
        behind=v.reader.number(sum(int(getattr(x, "lag", 0) or 0) for x in got["states"].values())),
        conflicts=got["conflicts"],
        revenue=v.reader.money(revenue.total, revenue.currency, whole=True) if revenue else cells.DASH,
        documents=v.reader.number(revenue.documents) if revenue else cells.DASH,
    )


def _summary(lines: Sequence[Line], v: Visit) -> str:
    if not v.central:
        return v.text(_("How this office stands with head office."))
    others = [x for x in lines if not x.central]
    late = [x.name for x in others if x.tone == "brick"]
    good = len(others) - len(late)
    text = v.reader.count(
        "%(num)s of %(all)s office is in time.",
        "%(num)s of %(all)s offices are in time.",
        good,
        all=v.reader.number(len(others)),
    )
    return text + (" " + v.text(_("Silent: %(names)s."), names=", ".join(late)) if late else "")


def _tiles(v: Visit) -> list[dict[str, str]]:
    p, r = v.pill, v.reader
    return [
        {
            "label": _("Last exchange"),
            "value": r.moment(p.last_at, v.now) if p.last_at else v.text(_("none yet")),
            "text": v.text(
                _("%(sent)s out, %(received)s in"), sent=r.number(p.last_sent), received=r.number(p.last_received)
            ),
        },
        {"label": _("Waiting to send"), "value": r.number(p.waiting), "text": r.count("change", "changes", p.waiting)},
        {
            "label": _("Next exchange"),
            "value": r.clock(p.next_at) if p.next_at else cells.DASH,
            "text": v.text(_("by plan")) if p.next_at else v.text(_("when somebody asks for it")),
        },
        {"label": _("Conflicts"), "value": r.number(p.conflicts), "text": v.text(_("need a decision"))},
    ]


def _run(r: Any, v: Visit) -> dict[str, Any]:
    return {
        "at": r.ended,
        "office": v.names.get(r.office, r.office or v.office),
        "error": v.text(r.error) if r.code else "",
        "sent": r.sent,
        "received": r.received,
        "conflicts": r.conflicts,
        "bytes": r.bytes_out + r.bytes_in,
        "ms": r.ms,
    }


async def exchange_now(request: web.Request) -> web.Response:
    """Exchange at once and say what came of it; a line that is down is a normal day."""
    v, form, node = await visit(request), await posted(request), node_of(request)
    back = form.get("back", "")
    target = back if back.startswith("/") and not back.startswith("//") else "/exchange"
    if node.exchange is None:
        return go(target, Toast(text=v.text(_("This node has no exchange yet. Join it to a head office first."))))
    try:
        run = await node.exchange.run()
    except KoggeError as no:
        return go(target, Toast(text=v.text(no.message)))
    if run.code:
        text = v.text(_("Head office is not reached. What you did is saved here and leaves with the next exchange."))
        return go(target, Toast(text=text if run.unreachable else v.text(run.error)))
    r = v.reader
    text = v.text(
        _("Exchanged: %(sent)s out, %(received)s in."), sent=r.number(run.sent), received=r.number(run.received)
    )
    if run.conflicts:
        text += " " + r.count("%(num)s conflict needs you.", "%(num)s conflicts need you.", run.conflicts)
    return go(target, Toast(text=text))


ROUTES: list[web.RouteDef] = [
    web.post("/exchange/now", exchange_now),
    web.get("/exchange", offices),
]
