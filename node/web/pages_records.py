"""The page of one record: head, figures, facts, composer and timeline, what belongs to it, and where it stands.

Made from the concept's description; companies, persons and deals have a timeline with a composer, every concept can
say in `RELATED` which other lists belong to one of its records.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any
from urllib.parse import urlencode

from aiohttp import web
from sqlalchemy.orm import Session

from node.domain import receivables, records, tasks, timeline
from node.domain.access import Actor, may
from node.domain.concept import CONCEPTS, Concept, Field, Kind, Values
from node.web import cells, changes
from node.web.i18n import _
from node.web.record_view import (
    RELATED,
    RELATED_ROWS,
    WITH_TIMELINE,
    Parts,
    actions_of,
    facts_of,
    more_of,
    related_of,
    standing_of,
    step_of,
    tags_of,
    tiles_of,
)
from node.web.render import Toast, Visit, go, page
from node.web.timeline_view import change_of, entry_of, told_once, with_days
from node.web.titles import titles_of
from node.web.visit import actor, address_of, concept_of, database, posted, visit

TIMELINE_ROWS = 30
CHANGES_ROWS = 8


# label, concept of the lines, its field that points here
COMPOSER = (
    ("note", "note", _("Note")),
    ("call", "phone", _("Call")),
    ("meeting", "customers", _("Meeting")),
    ("task", "task", _("Task")),
)
SHOWN_KINDS: Mapping[str, tuple[str, tuple[str, ...] | None]] = {
    "all": (_("All"), None),
    "talks": (_("Talks"), ("activity", "task")),
    "documents": (_("Documents"), ("deal", "document", "payment")),
    "changes": (_("Changes"), ("change",)),
}


async def show_record(request: web.Request) -> web.Response:
    """One record's page."""
    concept, by, v = concept_of(request), actor(request), await visit(request)
    return await record_page(request, concept, by, v, request.match_info["id"])


async def record_page(
    request: web.Request, concept: Concept, by: Actor, v: Visit, id: str, template: str = "record.html", **more: Any
) -> web.Response:
    """The page of a record; special pages (a deal, a document) call it with their own template and values."""
    show = request.query.get("show", "all")
    show = show if show in SHOWN_KINDS else "all"
    before = request.query.get("before", "")
    got = await database(request).read(_parts, by, concept, id, SHOWN_KINDS[show][1], before)
    item = got.item
    if item["id"] != id:  # merged into another one
        return go(address_of(concept, str(item["id"])))
    editable = concept.editable and may(by, concept.singular, "edit") and not item.get("posted_at")
    entries = [entry_of(e, concept, v, got.titles) for e in told_once(got.entries[:TIMELINE_ROWS])]
    context: dict[str, Any] = {
        "concept": concept,
        "base": address_of(concept),
        "id": id,
        "item": item,
        "title": cells.title_of(item, v.reader, v.now),
        "table": concept.model.__tablename__,
        "version": got.version,
        "message": "",
        "owner": got.titles.get(str(item.get("owner") or ""), ""),
        "office": v.names.get(str(item.get("office")), ""),
        "tags": tags_of(concept, item, v),
        "step": step_of(item, v.pill, v.office),
        "actions": actions_of(concept, item, by, editable),
        "more": more_of(concept, item, by),
        "notes": [],
        "tiles": tiles_of(concept, got, v),
        "may_edit": editable,
        "facts": facts_of(concept, item, v, got.titles, editable),
        "timeline": concept.name in WITH_TIMELINE,
        "may_note": may(by, "activity", "create"),
        "kinds": COMPOSER,
        "show": show,
        "timeline_kinds": [(code, words) for code, (words, _kinds) in SHOWN_KINDS.items()],
        "timeline_entries": with_days(entries, v),
        "tomorrow": (v.reader.today(v.now) + timedelta(days=1)).isoformat(),
        "older": _older(got.entries, show),
        "related": related_of(concept, item, got, v, by),
        "standing": standing_of(item, v, got.titles),
        "changes": [change_of(c, concept, v, got.titles) for c in got.changes],
    }
    return page(request, v, template, **{**context, **more})


def _older(entries: Sequence[Any], show: str) -> str:
    if len(entries) <= TIMELINE_ROWS:
        return ""
    return "?" + urlencode({"show": show, "before": entries[TIMELINE_ROWS - 1].cursor}) + "#talk"


def _parts(s: Session, by: Actor, concept: Concept, id: str, kinds: tuple[str, ...] | None, before: str) -> Parts:
    row = records.load(s, by, concept, id)
    item = records.item(s, by, concept, row)
    fields = (
        *concept.fields,
        Field(name="created_by", kind=Kind.REF, label="", ref="users"),
        Field(name="changed_by", kind=Kind.REF, label="", ref="users"),
    )
    got = Parts(item=item, version=records.version(concept, item), titles=titles_of(s, by, fields, [item]))
    for label, name, pointing in RELATED.get(concept.name, ()):
        other = CONCEPTS.get(name)
        if other is None or not may(by, other.singular, "read"):
            continue
        filters = [records.Filter(pointing, "eq", row.id)]
        if name == "tasks":
            filters.append(records.Filter("state", "eq", "open"))
        found = records.page(s, by, other, records.Query(filters=tuple(filters), order=other.order, limit=RELATED_ROWS))
        items = list(found.items)
        got.related.append((label, name, items, titles_of(s, by, other.fields, items)))
    if concept.name == "companies" and may(by, "invoice", "read"):
        got.owed = list(receivables.open_items(s, by, company_id=row.id))
    if concept.name in WITH_TIMELINE:
        got.entries = timeline.timeline(
            s, by, concept.name, row.id, kinds, TIMELINE_ROWS + 1, before, history=changes.history_of(s)
        )
        told = [(e.field, e.old, e.new) for e in got.entries if e.kind == "change"]
    else:
        got.changes = changes.of_record(s, concept, row.id, CHANGES_ROWS)
        told = [(c.field, c.old, c.new) for c in got.changes]
    got.titles.update(changes.titles_in(s, by, concept, told))
    return got


async def note(request: web.Request) -> web.Response:
    """The composer: a note, a call, a meeting or a task for this record."""
    concept, by, v, form = concept_of(request), actor(request), await visit(request), await posted(request)
    id = request.match_info["id"]
    await database(request).write(_note, by, concept, id, form, v, by=by)
    return go(f"{address_of(concept, id)}#talk", Toast(text=v.text(_("Saved here. It leaves with the next exchange."))))


def _note(s: Session, by: Actor, concept: Concept, id: str, form: Mapping[str, str], v: Visit) -> None:
    pointing = WITH_TIMELINE[concept.name]
    row = records.load(s, by, concept, id)
    about: Values = {pointing: row.id}
    if concept.name == "deals" and row.company_id:
        about["company"] = row.company_id
    text = form.get("text", "").strip()
    if form.get("kind") == "task":
        first, _sep, rest = text.partition("\n")
        due = form.get("due_on", "")
        values = {**about, "subject": first[:200], "text": rest.strip(), "due_on": due or None, "owner": by.user_id}
        records.create(s, by, CONCEPTS["tasks"], {k: x for k, x in values.items() if x is not None})
        return
    kind = form.get("kind", "note")
    minutes = form.get("minutes", "").strip()
    values = {**about, "kind": kind if kind in ("note", "call", "meeting") else "note", "text": text, "at": v.now}
    if minutes.isdigit():
        values["minutes"] = int(minutes)
    records.create(s, by, CONCEPTS["activities"], values)


async def done(request: web.Request) -> web.Response:
    """A task is done; the toast opens it again."""
    by, v, form = actor(request), await visit(request), await posted(request)
    id = request.match_info["id"]
    await database(request).write(_done, by, id, by=by)
    back = form.get("back", "")
    target = back if back.startswith("/") and not back.startswith("//") else "/"
    return go(target, Toast(text=v.text(_("Done.")), undo=f"/tasks/{id}/reopen"))


def _done(s: Session, by: Actor, id: str) -> None:
    tasks.complete(s, by, id)


async def reopen(request: web.Request) -> web.Response:
    """The task is open again."""
    by, v = actor(request), await visit(request)
    await database(request).write(_reopen, by, request.match_info["id"], by=by)
    return go("/", Toast(text=v.text(_("The task is open again."))))


def _reopen(s: Session, by: Actor, id: str) -> None:
    tasks.reopen(s, by, id)


async def snooze(request: web.Request) -> web.Response:
    """A task can wait until tomorrow."""
    by, v, form = actor(request), await visit(request), await posted(request)
    day = v.reader.today(v.now) + timedelta(days=1)
    await database(request).write(_snooze, by, request.match_info["id"], day, by=by)
    back = form.get("back", "")
    return go(
        back if back.startswith("/") and not back.startswith("//") else "/",
        Toast(text=v.text(_("Comes again tomorrow."))),
    )


def _snooze(s: Session, by: Actor, id: str, day: date) -> None:
    tasks.snooze(s, by, id, day)


_C = "/{collection:[a-z][a-z-]*}"
_R = _C + "/{id:[0-9A-HJKMNP-TV-Z]{16}}"
ROUTES: list[web.RouteDef] = [
    web.get(_R, show_record),
    web.post(_R + "/note", note),
    web.post("/tasks/{id}/done", done),
    web.post("/tasks/{id}/reopen", reopen),
    web.post("/tasks/{id}/snooze", snooze),
]
