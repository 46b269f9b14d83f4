"""One field in place: click it, change it, Enter; without a script the same address leads to the form."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from aiohttp import web

from node.domain.concept import Concept, Field, Kind
from node.errors import Invalid, NotFound, Refused, Stale
from node.web import forms
from node.web.facts import Fact, fact
from node.web.i18n import _
from node.web.pages_forms import read_original, stale_page, store, stored_item
from node.web.render import Toast, Visit, go, page
from node.web.visit import actor, address_of, concept_of, database, posted, visit, wants_part


async def field_form(request: web.Request) -> web.Response:
    """One field in place: its little form, or its text again after `?cancel=1`."""
    concept, by, v = concept_of(request), actor(request), await visit(request)
    id, field = request.match_info["id"], _field(concept, request.match_info["field"])
    if not wants_part(request):
        return go(f"{address_of(concept, id)}/edit#f-{field.name}")
    item, known, version = await database(request).read(stored_item, by, concept, id)
    if request.query.get("cancel"):
        return _fact(request, v, concept, id, fact(field, item, v, known, editable=True), version)
    control = forms.control(
        field, item.get(field.name), v.reader, titles=known, offices=list(v.names.items()), new=False
    )
    return _fact(request, v, concept, id, _open(field, control, item, v), version)


def _open(field: Field, control: forms.Control, item: Mapping[str, Any], v: Visit) -> Fact:
    raw = json.dumps({field.name: forms.show_raw(field.kind, item.get(field.name), v.reader)}, ensure_ascii=False)
    return Fact(name=field.name, label=v.text(field.label), control=control, original=raw)


async def field_save(request: web.Request) -> web.Response:
    """Save one field; the answer is its text, with a toast that takes it back."""
    concept, by, v, typed = concept_of(request), actor(request), await visit(request), await posted(request)
    id, field = request.match_info["id"], _field(concept, request.match_info["field"])
    original = read_original(typed.get("original", ""))
    values, errors = forms.parse([field], typed, v.reader, new=False)
    message = ""
    try:
        if not errors:
            await database(request).write(store, by, concept, id, values, typed.get("version", ""), original, v, by=by)
    except Invalid as invalid:
        errors = invalid.fields
    except Stale:
        if not wants_part(request):
            return await stale_page(request, v, concept, id, values, typed, original)
        message = v.text(_("Somebody else changed this field meanwhile. Close it to see the new value."))
    except Refused as refused:
        message = v.text(refused.message)
    if not wants_part(request) and not (errors or message):
        return go(address_of(concept, id), Toast(text=v.text(_("Saved here. It leaves with the next exchange."))))
    item, known, version = await database(request).read(stored_item, by, concept, id)
    if errors or message:
        control = forms.control(
            field, None, v.reader, typed=typed, errors=errors, titles=known, offices=list(v.names.items()), new=False
        )
        kept = replace(_open(field, control, item, v), original=typed.get("original", ""))
        return _fact(request, v, concept, id, kept, typed.get("version", ""), message=message, status=422)
    toast = v.text(_("%(field)s saved."), field=v.text(field.label))
    return _fact(
        request,
        v,
        concept,
        id,
        fact(field, item, v, known, editable=True),
        version,
        toast=toast,
        undo=original.get(field.name),
    )


def _field(concept: Concept, name: str) -> Field:
    field = next((f for f in concept.fields if f.name == name), None)
    if field is None or field.read_only or field.fixed or field.kind in (Kind.PARTS, Kind.OBJECT):
        raise NotFound("This field cannot be changed in place.")
    return field


def _fact(
    request: web.Request,
    v: Visit,
    concept: Concept,
    id: str,
    f: Fact,
    version: str,
    *,
    message: str = "",
    status: int = 200,
    toast: str = "",
    undo: str | None = None,
) -> web.Response:
    return page(
        request,
        v,
        "fact_part.html",
        status=status,
        base=address_of(concept),
        id=id,
        f=f,
        version=version,
        message=message,
        toast=toast,
        undo=undo,
    )


_R = "/{collection:[a-z][a-z-]*}/{id:[0-9A-HJKMNP-TV-Z]{16}}"
ROUTES: list[web.RouteDef] = [
    web.get(_R + "/field/{field}", field_form),
    web.post(_R + "/field/{field}", field_save),
]
