"""Making and changing a record: the form of every concept, one field in place, and the page for two who were at it.

A form carries the version it was made from and the values it showed. When somebody else has stored another version
meanwhile and both changed the same field, a page shows three values (when opened, yours, stored) and asks; fields that
do not collide simply go in.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from aiohttp import web
from sqlalchemy.orm import Session

from node.domain import duplicates, records
from node.domain.access import Actor, may, require
from node.domain.concept import Concept, Field, Kind, Values
from node.errors import Invalid, NotFound, Refused, Stale
from node.web import cells, forms
from node.web.i18n import _
from node.web.render import Toast, Visit, go, page
from node.web.titles import titles_of
from node.web.visit import actor, address_of, concept_of, database, posted, visit

ORIGINAL_MAX = 60_000  # characters of the shown values that a form carries
WATCHED = ("companies", "persons")  # concepts whose form warns of duplicates while one types
PREFILLED = ("company", "person", "deal", "document", "pipeline", "stage", "kind", "subject", "expected_on", "due_on")


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One field that two people changed."""

    name: str
    label: str
    original: str
    yours: str
    stored: str


def stored_item(s: Session, by: Actor, concept: Concept, id: str) -> tuple[Values, dict[str, str], str]:
    row = records.load(s, by, concept, id)
    item = records.item(s, by, concept, row)
    return item, titles_of(s, by, concept.fields, [item]), records.version(concept, item)


async def new_form(request: web.Request) -> web.Response:
    """An empty form; the address may fill fields (`?company=…`)."""
    concept, by, v = concept_of(request), actor(request), await visit(request)
    if not concept.creatable:
        raise NotFound("There is no such form.")
    require(by, concept.singular, "create")
    names = {f.name: f for f in concept.fields}
    values: Values = {k: request.query[k] for k in PREFILLED if k in names and request.query.get(k)}
    values = {**_usual(names, by, v, concept.model), **values}
    known = await database(request).read(titles_of, by, concept.fields, [values])
    return _form(request, v, concept, values=values, titles=known, new=True, back=request.query.get("back", ""))


def _usual(names: Mapping[str, Field], by: Actor, v: Visit, model: Any) -> Values:
    """What a new record most often has: the columns' defaults, the user, his office, today."""
    usual: Values = {"office": v.office} if "office" in names else {}
    if "owner" in names:
        usual["owner"] = by.user_id
    if "currency" in names:
        usual["currency"] = v.currency
    if "country" in names:
        usual["country"] = v.country
    for name, field in names.items():
        column = getattr(model, field.attribute).property.columns[0] if hasattr(model, field.attribute) else None
        default = column.default if column is not None else None
        if field.kind in (Kind.CHOICE, Kind.FLAG, Kind.PERCENT) and default is not None and default.is_scalar:
            usual.setdefault(name, default.arg)
        if name in ("dated", "at") and field.kind in (Kind.DAY, Kind.INSTANT):
            usual[name] = v.reader.today(v.now) if field.kind is Kind.DAY else v.now
    return usual


def _form(
    request: web.Request,
    v: Visit,
    concept: Concept,
    *,
    values: Values,
    titles: Mapping[str, str],
    new: bool,
    typed: Mapping[str, str] | None = None,
    errors: Mapping[str, str] | None = None,
    message: str = "",
    id: str = "",
    version: str = "",
    original: str = "",
    back: str = "",
    status: int = 200,
    title: str = "",
) -> web.Response:
    base = address_of(concept)
    groups = forms.controls(
        concept.fields,
        values,
        v.reader,
        typed=typed,
        errors=errors,
        titles=titles,
        offices=list(v.names.items()),
        new=new,
    )
    left = "; ".join(f"{k}: {v.text(t)}" for k, t in (errors or {}).items() if not _shown(concept, k))
    heading = v.text(_("New: %(what)s"), what=v.text(concept.label)) if new else v.text(_("Edit: %(name)s"), name=title)
    return page(
        request,
        v,
        "form.html",
        status=status,
        concept=concept,
        base=base,
        id=id,
        title=title,
        heading=heading,
        groups=groups,
        action=f"{base}/new" if new else f"{base}/{id}/edit",
        version=version,
        original=original,
        message=message or left,
        return_to=back if back.startswith("/") else "",
        hidden=_hidden(concept, values, typed) if new else [],
        similar=new and concept.name in WATCHED,
        similar_html="",
    )


def _hidden(concept: Concept, values: Values, typed: Mapping[str, str] | None) -> list[tuple[str, str]]:
    """What the address has filled and no field shows: the stage of a deal that was begun on the board."""
    silent = [f.name for f in concept.fields if f.name in PREFILLED and not f.in_form and not f.read_only]
    return [(name, str(x)) for name in silent if (x := (typed or values).get(name))]


def _shown(concept: Concept, key: str) -> bool:
    name = key.partition(".")[0]
    return any(f.name == name and f.in_form for f in concept.fields)


def original_of(concept: Concept, item: Mapping[str, Any], v: Visit) -> str:
    """The values that a form shows, as text that travels in it."""
    shown = {
        f.name: forms.show_raw(f.kind, item.get(f.name), v.reader)
        for f in concept.fields
        if f.in_form and f.kind not in (Kind.PARTS, Kind.OBJECT)
    }
    text = json.dumps(shown, ensure_ascii=False, separators=(",", ":"))
    return text if len(text) <= ORIGINAL_MAX else ""


def read_original(text: str) -> dict[str, str]:
    """`original_of` read back; nothing where it was cut or tampered with."""
    try:
        found = json.loads(text[:ORIGINAL_MAX]) if text else {}
    except ValueError:
        return {}
    return {str(k): str(x) for k, x in found.items()} if isinstance(found, dict) else {}


async def create(request: web.Request) -> web.Response:
    """Make the record, or show the form again with what was typed and a sentence at each field."""
    concept, by, v, typed = concept_of(request), actor(request), await visit(request), await posted(request)
    values, errors = forms.parse(concept.fields, typed, v.reader, new=True)
    values |= dict(_hidden(concept, {}, typed))
    message = ""
    if not errors:
        try:
            id = await database(request).write(_create, by, concept, values, by=by)
        except Invalid as invalid:
            errors = invalid.fields
        except Refused as refused:
            message = v.text(refused.message)
        else:
            back = typed.get("back", "")
            target = back if back.startswith("/") and not back.startswith("//") else address_of(concept, id)
            return go(target, Toast(text=v.text(_("Saved here. It leaves with the next exchange."))))
    known = await database(request).read(titles_of, by, concept.fields, [values])
    return _form(
        request,
        v,
        concept,
        values=values,
        titles=known,
        new=True,
        typed=typed,
        errors=errors,
        message=message,
        status=422,
        back=typed.get("back", ""),
    )


def _create(s: Session, by: Actor, concept: Concept, values: Values) -> str:
    row = records.create(s, by, concept, values)
    s.flush()
    return str(row.id)


async def edit_form(request: web.Request) -> web.Response:
    """The form of a record."""
    concept, by, v = concept_of(request), actor(request), await visit(request)
    id = request.match_info["id"]
    item, known, version = await database(request).read(stored_item, by, concept, id)
    if not concept.editable or not may(by, concept.singular, "edit"):
        require(by, concept.singular, "edit")
        raise Refused("This record cannot be changed by hand.")
    return _form(
        request,
        v,
        concept,
        values=item,
        titles=known,
        new=False,
        id=id,
        version=version,
        title=cells.title_of(item, v.reader, v.now),
        original=original_of(concept, item, v),
    )


async def edit(request: web.Request) -> web.Response:
    """Save the form; three values where somebody was faster in the same field."""
    concept, by, v, typed = concept_of(request), actor(request), await visit(request), await posted(request)
    id = request.match_info["id"]
    original = read_original(typed.get("original", ""))
    for key in [k for k in typed if k.startswith("keep.") and typed[k] == "stored"]:
        typed.pop(key[5:], None)  # he wants what is stored: the field is no longer part of his change
        typed.pop(f"{key[5:]}.text", None)
    values, errors = forms.parse(concept.fields, typed, v.reader, new=False)
    values = {k: x for k, x in values.items() if k not in original or _differs(concept, k, x, original[k], v)}
    message = ""
    if not errors:
        try:
            await database(request).write(store, by, concept, id, values, typed.get("version", ""), original, v, by=by)
        except Invalid as invalid:
            errors = invalid.fields
        except Stale:
            return await stale_page(request, v, concept, id, values, typed, original)
        except Refused as refused:
            message = v.text(refused.message)
        else:
            return go(address_of(concept, id), Toast(text=v.text(_("Saved here. It leaves with the next exchange."))))
    item, known, _version = await database(request).read(stored_item, by, concept, id)
    return _form(
        request,
        v,
        concept,
        values={**item, **values},
        titles=known,
        new=False,
        typed=typed,
        errors=errors,
        message=message,
        id=id,
        version=typed.get("version", ""),
        original=typed.get("original", ""),
        title=cells.title_of(item, v.reader, v.now),
        status=422,
    )


def _differs(concept: Concept, name: str, value: Any, original: str, v: Visit) -> bool:
    field = concept.field(name)
    return field is None or field.kind is Kind.PARTS or forms.show_raw(field.kind, value, v.reader) != original


def store(
    s: Session,
    by: Actor,
    concept: Concept,
    id: str,
    values: Values,
    version: str,
    original: Mapping[str, str],
    v: Visit,
) -> None:
    if not values:
        records.load(s, by, concept, id, "edit")
        return
    # a form shows minutes, the database keeps milliseconds: what was seen of an instant cannot be compared
    fields = [f for f in concept.fields if f.name in values and f.name in original and f.kind is not Kind.INSTANT]
    seen, _errors = forms.parse([replace(f, required=False) for f in fields], original, v.reader, new=False)
    records.update(s, by, concept, id, values, if_match=version or None, original=seen or None)


async def stale_page(
    request: web.Request,
    v: Visit,
    concept: Concept,
    id: str,
    values: Values,
    typed: Mapping[str, str],
    original: Mapping[str, str],
) -> web.Response:
    by = actor(request)
    item, known, version = await database(request).read(stored_item, by, concept, id)
    mine = await database(request).read(titles_of, by, concept.fields, [values])
    shown = cells.Known(titles={**known, **mine}, offices=v.names, now=v.now)
    found = []
    for name, value in values.items():
        field = concept.field(name)
        if field is None:
            continue
        stored = cells.text(field, item.get(name), v.reader, shown)
        yours = cells.text(field, value, v.reader, shown)
        raw = forms.show_raw(field.kind, item.get(name), v.reader)
        untouched = name in original and raw == original[name]  # nobody else changed it: it simply goes in
        if stored != yours and not untouched:
            was = shown.titles.get(original.get(name, ""), original.get(name, "")) or cells.DASH
            found.append(Difference(name=name, label=v.text(field.label), original=was, yours=yours, stored=stored))
    by_whom = (await database(request).read(titles_of, by, [_CHANGED_BY], [item])).get(str(item.get("changed_by")), "")
    return page(
        request,
        v,
        "stale.html",
        status=412,
        concept=concept,
        base=address_of(concept),
        id=id,
        title=cells.title_of(item, v.reader, v.now),
        action=f"{address_of(concept, id)}/edit",
        version=version,
        original=original_of(concept, item, v),
        typed=dict(typed),
        differences=found,
        stored_by=by_whom or v.text(_("Somebody")),
        stored_at=item.get("changed_at"),
    )


_CHANGED_BY = Field(name="changed_by", kind=Kind.REF, label="", ref="users")


async def remove(request: web.Request) -> web.Response:
    """Mark the record as removed; the toast takes it back."""
    concept, by, v = concept_of(request), actor(request), await visit(request)
    id = request.match_info["id"]
    await database(request).write(_remove, by, concept, id, by=by)
    undo = f"{address_of(concept)}/restore?ids={id}"
    return go(address_of(concept) + "?view=all", Toast(text=v.text(_("Deleted.")), undo=undo))


def _remove(s: Session, by: Actor, concept: Concept, id: str) -> None:
    records.remove(s, by, concept, id)


async def similar(request: web.Request) -> web.Response:
    """Who may be meant already, while somebody types a new customer."""
    concept, by, v = concept_of(request), actor(request), await visit(request)
    values, _errors = forms.parse(concept.fields, dict(request.query), v.reader, new=True)
    found = await database(request).read(_similar, by, concept, values) if concept.name in WATCHED else []
    shown = [
        {
            "title": c.title,
            "href": address_of(concept, c.id),
            "score": c.score,
            "reasons": ", ".join(v.text(str(r)) for r in c.reasons),
        }
        for c in found
    ]
    return page(request, v, "similar.html", candidates=shown)


def _similar(s: Session, by: Actor, concept: Concept, values: Values) -> list[Any]:
    return list(duplicates.candidates(s, by, concept.singular, values, limit=5))


_C = "/{collection:[a-z][a-z-]*}"
_R = _C + "/{id:[0-9A-HJKMNP-TV-Z]{16}}"
ROUTES: list[web.RouteDef] = [
    web.get(_C + "/new", new_form),
    web.post(_C + "/new", create),
    web.get(_C + "/similar", similar),
    web.get(_R + "/edit", edit_form),
    web.post(_R + "/edit", edit),
    web.post(_R + "/delete", remove),
]
