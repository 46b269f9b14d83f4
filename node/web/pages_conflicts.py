"""The conflict inbox as pages: what two offices wrote, side by side, and the buttons that settle it."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aiohttp import web
from sqlalchemy.orm import Session

from node import conflicts
from node.conflict_view import DERIVED, Author, Conflict, Value
from node.domain.access import Actor
from node.domain.concept import CONCEPTS, Field, Kind
from node.errors import KoggeError
from node.web import cells, forms
from node.web.i18n import _
from node.web.render import Toast, Visit, go, page
from node.web.titles import titles
from node.web.visit import actor, address_of, database, posted, visit

ROWS = 30
DIFF_MAX = 400  # characters; longer texts are marked as a whole


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One value with the part that is new marked: bits of text, and whether they differ from before."""

    label: str
    text: str
    bits: Sequence[tuple[str, bool]] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """What one office wrote. `choice` is what its button posts; `holds`: this is what stands in the record now."""

    heading: str
    button: str
    choice: str
    author: str
    at: datetime | None
    holds: bool
    vals: Sequence[Shown]


async def inbox(request: web.Request) -> web.Response:
    """The list, with one conflict open beside it."""
    return await _inbox(request, request.match_info.get("id", ""))


async def _inbox(request: web.Request, id: str) -> web.Response:
    v, by = await visit(request), actor(request)
    show = request.query.get("show", "open")
    show = show if show in ("open", "decided", "merged") else "open"
    got = await database(request).read(_fetch, by, show, request.query.get("cursor", ""), id)
    items, chosen = got["items"], got["chosen"]
    rest = [c for c in items if chosen is None or c.id != chosen.id]
    names = got["names"]
    return page(
        request,
        v,
        "conflicts.html",
        show=show,
        automatic=hasattr(conflicts, "merged_automatically"),  # only where the exchange keeps what came together
        items=[summary(c, v) for c in items],
        next=got["next"],
        open_count=got["open"],
        merged=[merged_row(m, v) for m in got["merged"]],
        chosen=detail(chosen, v, names) if chosen is not None else None,
        later=f"/conflicts/{rest[0].id}" if rest and show == "open" else "",
    )


def _fetch(s: Session, by: Actor, show: str, cursor: str, id: str) -> dict[str, Any]:
    state = "decided" if show == "decided" else "open"
    found = conflicts.inbox(s, by, state, ROWS, cursor)
    chosen = conflicts.conflict(s, by, id) if id else next(iter(found.items), None)
    names: dict[str, str] = {}
    if chosen is not None:
        for value in chosen.values:
            if value.field is not None and value.field.kind is Kind.REF:
                keys = [str(x) for x in (value.base, value.winner, value.loser, value.now) if x]
                names.update(titles(s, by, value.field.ref, keys))
    automatic = getattr(conflicts, "merged_automatically", None)
    merged = list(automatic(s, by, limit=100)) if automatic is not None and show == "merged" else []
    return {
        "items": found.items,
        "next": found.next,
        "chosen": chosen,
        "open": conflicts.open_count(s, by),
        "names": names,
        "merged": merged,
    }


def summary(c: Conflict, v: Visit) -> dict[str, Any]:
    """One line of the list."""
    places = dict.fromkeys(v.names.get(o, o) for o in (c.winner.office, c.loser.office) if o)
    return {
        "id": c.id,
        "title": c.record_title or v.text(_("without a name")),
        "what": _what(c, v),
        "offices": v.text(_(" and ")).join(places),
        "at": max((a.at for a in (c.winner, c.loser) if a.at is not None), default=v.now),
    }


def _what(c: Conflict, v: Visit) -> str:
    if c.kind == "delete":
        return v.text(_("Deleted here, changed there"))
    return v.text(_("Merged twice")) if c.kind == "merge" else v.text(c.label)


def detail(c: Conflict, v: Visit, names: Mapping[str, str]) -> dict[str, Any]:
    """The open conflict: the value before, one side per office (ours first), and what can be done."""
    known = cells.Known(titles=names, offices=v.names, now=v.now)
    values = [x for x in c.values if x.column not in DERIVED]
    several = len(values) > 1
    base = [_value(x, x.base, v, known, several) for x in values] if c.base_known else []
    mine_first = ("loser", "winner") if c.mine == "loser" else ("winner", "loser")
    sides = [_side(c, name, values, v, known, several) for name in mine_first]
    one = values[0] if len(values) == 1 else None
    concept = CONCEPTS.get(c.concept)
    return {
        "id": c.id,
        "kind": c.kind,
        "state": c.state,
        "title": c.record_title or v.text(_("without a name")),
        "what": _what(c, v) if c.kind != "delete" else "",
        "href": address_of(concept, c.record_id) if concept else "",
        "place": v.text(_("%(office)s owns the record"), office=v.names.get(c.owner_office, c.owner_office)),
        "base": base or [Shown(label="", text=cells.DASH)],
        "sides": sides,
        "may_decide": c.may_decide,
        "both": c.both_possible,
        "current": _raw(one, v) if one else "",
        "suggestion": _suggestion(c, v),
        "choice": _choice(c, v),
        "decided_by": c.decided_by,
        "decided_at": c.decided_at,
        "undoable": c.state == "decided"
        and c.may_decide
        and c.decided_at is not None
        and v.now - c.decided_at <= conflicts.UNDO_FOR,
    }


def _choice(c: Conflict, v: Visit) -> str:
    words = {
        "winner": _office(c.winner, v),
        "loser": _office(c.loser, v),
        "both": v.text(_("both values")),
        "value": v.text(_("another value")),
    }
    return words.get(c.choice, c.choice)


def _office(a: Author, v: Visit) -> str:
    return v.names.get(a.office, a.office) or v.text(_("Somebody"))


def _side(c: Conflict, name: str, values: Sequence[Value], v: Visit, known: cells.Known, several: bool) -> Side:
    author: Author = c.winner if name == "winner" else c.loser
    office = _office(author, v)
    yours = c.mine == name
    heading = v.text(_("%(office)s, yours"), office=office) if yours else v.text(_("%(office)s, theirs"), office=office)
    if c.kind == "delete":
        button = v.text(_("Keep the record")) if name == "winner" else v.text(_("Delete everywhere"))
        words = v.text(_("changed")) if name == "winner" else v.text(_("deleted"))
        vals: list[Shown] = [Shown(label="", text=words, bits=[(words, False)])]
    else:
        button = v.text(_("Keep %(office)s"), office=office)
        vals = [_value(x, getattr(x, name), v, known, several, x.base) for x in values]
    if not c.mine:
        heading = office
    return Side(
        heading=heading,
        button=button,
        choice=name,
        author=", ".join(filter(None, (author.name, office))),
        at=author.at,
        holds=name == "winner" and c.state == "open",
        vals=vals,
    )


_PLAIN = Field(name="", kind=Kind.TEXT, label="")


def _value(x: Value, value: Any, v: Visit, known: cells.Known, several: bool, base: Any = None) -> Shown:
    field = x.field or _PLAIN
    if x.field is None and isinstance(value, list):
        value = ", ".join(map(str, value))
    words = cells.text(field, value, v.reader, known)
    before = cells.text(field, base, v.reader, known)
    return Shown(label=v.text(x.label) if several else "", text=words, bits=marked(before, words))


def marked(before: str, after: str) -> list[tuple[str, bool]]:
    """The new text in bits, each with whether it is new compared with the old one."""
    if before in ("", cells.DASH) or max(len(before), len(after)) > DIFF_MAX:
        return [(after, before != after)]
    match = difflib.SequenceMatcher(None, before, after, autojunk=False)
    if match.ratio() < 0.6:
        return [(after, True)]
    bits: list[tuple[str, bool]] = []
    gap = False  # something was taken out here: the next letter shows where
    for tag, _a1, _a2, b1, b2 in match.get_opcodes():
        if gap and tag == "equal":
            bits.append((after[b1 : b1 + 1], True))
            b1 += 1
        gap = tag == "delete"
        if b2 > b1:
            bits.append((after[b1:b2], tag != "equal"))
    return bits


def _raw(x: Value, v: Visit) -> str:
    return forms.show_raw((x.field or _PLAIN).kind, x.now, v.reader)


def _suggestion(c: Conflict, v: Visit) -> str:
    if c.state != "open" or c.kind == "delete":
        return ""
    office = _office(c.winner, v)
    if c.suspicious_clock:
        return v.text(_("the clock of one office was wrong, so the times say little. Look twice."))
    if c.winner.office == c.owner_office:
        return v.text(_("%(office)s holds for now: it owns the record."), office=office)
    return v.text(_("%(office)s holds for now: its change is the newer one."), office=office)


def merged_row(m: Any, v: Visit) -> dict[str, Any]:
    """One line of what came together by itself."""
    return {
        "title": m.record_title,
        "href": address_of(CONCEPTS[m.concept], m.record_id) if m.concept in CONCEPTS else "#",
        "field": v.text(m.label),
        "was": m.old or cells.DASH,
        "now": m.new or cells.DASH,
        "author": m.author,
        "office": v.names.get(m.office, m.office),
        "at": m.at,
    }


async def decide(request: web.Request) -> web.Response:
    """Settle it, and go on to the next one; the toast takes the decision back."""
    v, by, form, id = await visit(request), actor(request), await posted(request), request.match_info["id"]
    choice = form.get("choice", "")
    try:
        done, following = await database(request).write(_decide, by, id, choice, form.get("value"), v, by=by)
    except KoggeError as no:
        return go(f"/conflicts/{id}", Toast(text=v.text(no.message), tone="brick"))
    when = v.pill.next_at
    text = v.text(_("Decided: %(record)s, %(choice)s."), record=done.record_title, choice=_choice(done, v))
    text += " " + (
        v.text(_("Waits for %(time)s."), time=v.reader.clock(when)) if when else v.text(_("Waits for the exchange."))
    )
    return go(f"/conflicts/{following}" if following else "/conflicts", Toast(text=text, undo=f"/conflicts/{id}/undo"))


def _decide(s: Session, by: Actor, id: str, choice: str, text: str | None, v: Visit) -> tuple[Conflict, str]:
    value: Any = None
    if choice == "value":
        found = conflicts.conflict(s, by, id)
        one = next((x for x in found.values if x.column not in DERIVED), None)
        value = text
        if one is not None and one.field is not None:
            value = forms.read(one.field, text or "", v.reader)
    done = conflicts.decide(s, by, id, choice, value)
    rest = [c.id for c in conflicts.inbox(s, by, "open", 2).items if c.id != id]
    return done, rest[0] if rest else ""


async def undo(request: web.Request) -> web.Response:
    """Take a decision back."""
    v, by, id = await visit(request), actor(request), request.match_info["id"]
    try:
        await database(request).write(_undo, by, id, by=by)
    except KoggeError as no:
        return go(f"/conflicts/{id}?show=decided", Toast(text=v.text(no.message), tone="brick"))
    return go(f"/conflicts/{id}", Toast(text=v.text(_("The decision is taken back; the conflict is open again."))))


def _undo(s: Session, by: Actor, id: str) -> None:
    conflicts.undo(s, by, id)


ROUTES: list[web.RouteDef] = [
    web.get("/conflicts", inbox),
    web.get("/conflicts/{id}", inbox),
    web.post("/conflicts/{id}/decide", decide),
    web.post("/conflicts/{id}/undo", undo),
]
