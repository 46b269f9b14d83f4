"""Lists of every concept: the page, its filter form, column choice, saved views, bulk actions, and export.

All of it is made from the concept's description; what is particular to one concept is the few lines in `SWITCHES`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from aiohttp import web
from sqlalchemy.orm import Session

from node.domain import records, tasks
from node.domain.access import Actor, may, require
from node.domain.concept import Concept, Field, Kind
from node.domain.users import colleagues
from node.domain.views import remove_view, save_view, standard_view, views_of
from node.errors import KoggeError
from node.web import cells, export, lists
from node.web.forms import Unreadable
from node.web.i18n import _
from node.web.language import Reader
from node.web.render import Toast, Visit, go, page
from node.web.titles import titles, titles_of
from node.web.visit import actor, address_of, concept_of, database, posted, visit

SWITCHES: Mapping[str, tuple[tuple[str, str], ...]] = {
    "companies": (("/persons", _("Persons")),),
    "persons": (("/companies", _("Companies")),),
    "deals": (("/deals/board", _("Board")),),
    "products": (("/price-lists", _("Price lists")), ("/stock-movements", _("Stock movements"))),
}
TONES: Mapping[str, str] = {
    "overdue": "brick",
    "lost": "brick",
    "disputed": "brick",
    "part_paid": "brass",
    "part paid": "brass",
    "on_hold": "brass",
    "draft": "brass",
    "paid": "patina",
    "won": "patina",
    "done": "patina",
    "accepted": "patina",
    "shipped": "patina",
    "high": "brick",
    "vip": "brass",
    "confidential": "brass",
}
TONED = frozenset({"state", "progress", "payment_state", "priority", "sensitivity"})
BULK_MAX = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One cell as the template draws it."""

    text: str
    label: str
    number: bool = False
    dash: bool = False
    whole: bool = False  # never broken over two lines
    who: bool = False
    tone: str = ""
    href: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of a list."""

    id: str
    title: str
    href: str
    cells: Sequence[Cell]


def conditions_of(shown: lists.Shown, r: Reader, user_id: str, today: date) -> tuple[list[records.Filter], list[str]]:
    """The filters as the database wants them, and a sentence for each that cannot be read."""
    found, problems = [], []
    for c in shown.conditions:
        try:
            found.append(records.Filter(c.field.name, c.op, lists.value_of(c, r, user_id, today)))
        except Unreadable as unreadable:
            problems.append(str(unreadable))
    return found, problems


def query_of(shown: lists.Shown, v: Visit, limit: int) -> tuple[records.Query, list[str]]:
    """What the database is asked for."""
    filters, problems = conditions_of(shown, v.reader, v.who.user_id, v.reader.today(v.now))
    query = records.Query(
        filters=tuple(filters),
        order=() if shown.order == shown.concept.order else shown.order,
        limit=limit,
        cursor=shown.cursor or None,
        q=shown.q,
        columns=(*(f.name for f in shown.columns), "currency"),
    )
    return query, problems


def _fetch(s: Session, by: Actor, shown: lists.Shown, query: records.Query) -> dict[str, Any]:
    concept = shown.concept
    found = records.page(s, by, concept, query)
    filtered = {c.field.ref: {c.value} for c in shown.conditions if c.field.kind is Kind.REF and c.value != "me"}
    known = titles_of(s, by, shown.columns, found.items)
    for name, keys in filtered.items():
        known.update(titles(s, by, name, keys))
    return {
        "page": found,
        "titles": known,
        "views": [(v.id, v.name, v.query, v.standard, v.owner_id) for v in views_of(s, by, concept.name)],
        "users": [(id, name) for id, name, _office in colleagues(s)],
    }


def _standard(s: Session, by: Actor, concept_name: str) -> tuple[str, dict[str, Any]] | None:
    view = standard_view(s, by, concept_name)
    return (view.id, view.query) if view is not None else None


async def show_list(request: web.Request) -> web.Response:
    """The list that the address describes; without any parameter the user's own standard view."""
    concept, by = concept_of(request), actor(request)
    v, base = await visit(request), address_of(concept)
    require(by, concept.singular, "read")
    if not request.query:
        standard = await database(request).read(_standard, by, concept.name)
        if standard is not None:
            return go(_view_address(concept, standard[0], standard[1]))
    shown = lists.read_address(concept, base, request.query)
    longer = lists.added(shown, request.query)
    if longer is not None:
        return go(longer)
    query, problems = query_of(shown, v, lists.PAGE_ROWS)
    got = await database(request).read(_fetch, by, shown, query)
    found, views = got["page"], got["views"]
    known = cells.Known(titles=got["titles"], offices=v.names, now=v.now)
    current = next((one for one in views if one[0] == shown.view), None)
    fields = [f for f in lists.filterable(concept) if not lists.is_bare_key(concept, f)]
    chips = [(c, lists.value_words(c, v.reader, got["titles"], v.names)) for c in shown.conditions]
    return page(
        request,
        v,
        "list.html",
        concept=concept,
        base=base,
        shown=shown,
        table=concept.model.__tablename__,
        heading=v.text(concept.label_plural),
        rows=[row_of(item, shown, v, known) for item in found.items],
        next=found.next,
        count=found.count,
        count_exact=found.count_is_exact,
        page_rows=lists.PAGE_ROWS,
        at=request.query.get("at", ""),
        problems=[*shown.problems, *problems],
        chips=chips,
        ops=lists.OPS,
        numbers=cells.NUMBERS,
        filter_fields=fields,
        **_filter_parts(fields[0], v, got["users"]),
        column_choice=lists.column_choice(concept, shown.columns),
        users=got["users"],
        bulk=bulk_of(by, concept),
        views=[
            {"id": i, "name": n, "standard": st and o == by.user_id, "address": _view_address(concept, i, q)}
            for i, n, q, st, o in views
        ],
        current_view=current[0] if current else "",
        current_view_name=current[1] if current else "",
        current_view_mine=bool(current and current[4] == by.user_id),
        switches=SWITCHES.get(concept.name, ()),
        may_create=concept.creatable and may(by, concept.singular, "create"),
        may_export=may(by, concept.singular, "export"),
    )


def _view_address(concept: Concept, id: str, query: Mapping[str, Any]) -> str:
    shown = lists.read_address(concept, address_of(concept), {k: str(x) for k, x in query.items()})
    return shown.address(view=id)


def row_of(item: Mapping[str, Any], shown: lists.Shown, v: Visit, known: cells.Known) -> Row:
    """One line; its first cell is the record's title and leads to the record."""
    concept, id = shown.concept, str(item["id"])
    made = [cell_of(f, item, v.reader, known) for f in shown.columns[1:]]
    title = cells.title_of(item, v.reader, v.now)
    return Row(id=id, title=title, href=address_of(concept, id), cells=made)


def cell_of(field: Field, item: Mapping[str, Any], r: Reader, known: cells.Known) -> Cell:
    """One value of a line."""
    value = item.get(field.name)
    words = cells.short(field, value, r, known, str(item.get("currency") or ""))
    return Cell(
        text=words,
        label=r.text(field.label),
        number=field.kind in cells.NUMBERS,
        dash=words == cells.DASH,
        whole=field.kind in (Kind.DAY, Kind.INSTANT),
        who=field.kind is Kind.REF and field.ref == "users" and words != cells.DASH,
        tone=TONES.get(str(value), "") if field.name in TONED else "",
        href=address_of_ref(field, value) if words != cells.DASH else "",
    )


def address_of_ref(field: Field, value: Any) -> str:
    """Where a reference leads; nowhere for users."""
    return (
        f"/{field.ref.replace('_', '-')}/{value}" if field.kind is Kind.REF and field.ref != "users" and value else ""
    )


def bulk_of(by: Actor, concept: Concept) -> tuple[str, ...]:
    """What this user may do to many records at once."""
    wishes = []
    names = {f.name for f in concept.fields}
    edit = concept.editable and may(by, concept.singular, "edit")
    if edit and "owner" in names:
        wishes.append("assign")
    if edit and "tags" in names:
        wishes.append("tag")
    if may(by, concept.singular, "export"):
        wishes.append("export")
    if edit and concept.name in ("companies", "persons"):
        wishes.append("merge")
    if edit and concept.name == "tasks":
        wishes.append("done")
    if concept.removable and may(by, concept.singular, "delete"):
        wishes.append("remove")
    return tuple(wishes)


def _filter_parts(field: Field, v: Visit, users: Sequence[tuple[str, str]]) -> dict[str, Any]:
    offices = list(v.names.items())
    return {
        "filter_field": field,
        "filter_ops": lists.ops_of(field),
        "filter_choices": lists.choices_for(field, v.reader, offices, users),
    }


async def filter_form(request: web.Request) -> web.Response:
    """The part of the filter form that depends on the field."""
    concept, v = concept_of(request), await visit(request)
    fields = lists.filterable(concept)
    field = next((f for f in fields if f.name == request.query.get("add.field")), fields[0])
    users = [(id, name) for id, name, _office in await database(request).read(colleagues)]
    return page(request, v, "filter.html", ops=lists.OPS, **_filter_parts(field, v, users))


def shown_of(concept: Concept, address: str) -> lists.Shown:
    """The list of an address that a form sent along; anything else is the plain list."""
    parts = urlsplit(address)
    query = dict(parse_qsl(parts.query)[:60]) if parts.path == address_of(concept) and not parts.netloc else {}
    return lists.read_address(concept, address_of(concept), query)


async def choose_columns(request: web.Request) -> web.Response:
    """The columns in the order in which the form holds them."""
    concept, form = concept_of(request), await posted(request)
    shown = shown_of(concept, form.get("address", ""))
    fields = lists.fields_of(concept)
    wished = tuple(fields[k[4:]] for k in form if k.startswith("col.") and k[4:] in fields)
    return go(shown.address(columns=wished, own_columns=bool(wished)))


async def keep_view(request: web.Request) -> web.Response:
    """Save the list as a view."""
    concept, form, by = concept_of(request), await posted(request), actor(request)
    shown = shown_of(concept, form.get("address", ""))
    v = await visit(request)
    id = await database(request).write(
        _keep_view,
        by,
        concept.name,
        form.get("name", ""),
        shown.query(),
        form.get("shared", "mine"),
        bool(form.get("standard")),
        by=by,
    )
    return go(shown.address(view=id), Toast(text=v.text(_("View saved."))))


def _keep_view(
    s: Session, by: Actor, concept: str, name: str, query: dict[str, Any], shared: str, standard: bool
) -> str:
    return save_view(s, by, concept, name, query, shared=shared, standard=standard).id


async def drop_view(request: web.Request) -> web.Response:
    """Take a view away."""
    concept, by, v = concept_of(request), actor(request), await visit(request)
    await database(request).write(remove_view, by, request.match_info["id"], by=by)
    return go(f"{address_of(concept)}?view=all", Toast(text=v.text(_("View removed."))))


async def bulk(request: web.Request) -> web.Response:
    """Do one thing to all marked lines, and say for how many it worked."""
    concept, by, v = concept_of(request), actor(request), await visit(request)
    data = await request.post()
    ids = tuple(dict.fromkeys(x for x in data.getall("id", []) if isinstance(x, str)))[:BULK_MAX]
    form = {k: x for k, x in data.items() if isinstance(x, str)}
    back = shown_of(concept, form.get("back", "")).address()
    wish = form.get("do", "")
    if not ids or wish not in bulk_of(by, concept):
        return go(back, Toast(text=v.text(_("Mark lines first, then choose what to do with them."))))
    if wish == "export":
        return await _export_ids(request, concept, ids, shown_of(concept, form.get("back", "")), v)
    if wish == "merge":
        if len(ids) != 2:
            return go(back, Toast(text=v.text(_("Mark exactly two lines to merge them."))))
        return go(f"{address_of(concept, ids[0])}/merge?with={ids[1]}")
    done, refused = await database(request).write(_bulk, by, concept, ids, wish, form, by=by)
    text = v.reader.count("Done for %(num)s record.", "Done for %(num)s records.", done)
    if refused:
        text += " " + v.text(_("The others were refused: %(reasons)s"), reasons=" ".join(map(v.text, refused[:3])))
    undo = f"{address_of(concept)}/restore?ids={','.join(ids[:40])}" if wish == "remove" and done else ""
    return go(
        back, Toast(text=text, undo=undo if len(undo) < 400 or len(ids) <= 20 else "", tone="brick" if refused else "")
    )


def _bulk(
    s: Session, by: Actor, concept: Concept, ids: tuple[str, ...], wish: str, form: Mapping[str, str]
) -> tuple[int, list[str]]:
    if wish == "done":
        outcomes = [_done(s, by, id) for id in ids]
    else:
        value = {"assign": form.get("owner"), "tag": form.get("tag")}.get(wish)
        outcomes = records.bulk(s, by, concept, ids, wish, value)
    return sum(o.ok for o in outcomes), list(dict.fromkeys(o.message for o in outcomes if not o.ok))


def _done(s: Session, by: Actor, id: str) -> records.Outcome:
    try:
        with s.begin_nested():
            tasks.complete(s, by, id)
    except KoggeError as no:
        return records.Outcome(id=id, ok=False, message=no.message)
    return records.Outcome(id=id, ok=True)


async def restore(request: web.Request) -> web.Response:
    """Take a removal back (the toast's undo)."""
    concept, by, v = concept_of(request), actor(request), await visit(request)
    ids = [i for i in request.query.get("ids", "").split(",") if i][:BULK_MAX]
    await database(request).write(_restore, by, concept, ids, by=by)
    address = address_of(concept, ids[0]) if len(ids) == 1 else address_of(concept)
    return go(address, Toast(text=v.text(_("It is there again."))))


def _restore(s: Session, by: Actor, concept: Concept, ids: list[str]) -> None:
    for id in ids:
        records.restore(s, by, concept, id)


async def export_list(request: web.Request) -> web.Response:
    """Exactly the rows and columns that the address shows, as a file."""
    concept, v = concept_of(request), await visit(request)
    shown = lists.read_address(concept, address_of(concept), request.query)
    return await _file(request, concept, shown, v, request.match_info["kind"], ())


async def _export_ids(
    request: web.Request, concept: Concept, ids: tuple[str, ...], shown: lists.Shown, v: Visit
) -> web.Response:
    return await _file(request, concept, shown, v, "xlsx", ids)


async def _file(
    request: web.Request, concept: Concept, shown: lists.Shown, v: Visit, kind: str, ids: tuple[str, ...]
) -> web.Response:
    by = actor(request)
    require(by, concept.singular, "export")
    query, _problems = query_of(shown, v, 500)
    body = await database(request).read(_export, by, shown, query, v, kind, ids)
    types = {"csv": "text/csv", "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"}
    name = f"{concept.name}-{v.office}-{v.reader.today(v.now).isoformat()}.{kind}"
    return web.Response(
        body=body,
        content_type=types[kind],
        headers={"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"},
    )


def _export(
    s: Session, by: Actor, shown: lists.Shown, query: records.Query, v: Visit, kind: str, ids: tuple[str, ...]
) -> bytes:
    concept, r = shown.concept, v.reader
    columns = [(f, r.text(f.label)) for f in shown.columns]
    rows: list[list[export.Cell]] = []
    wanted = set(ids)
    while len(rows) < lists.EXPORT_ROWS_MAX:
        found = records.page(s, by, concept, query, "export")
        chosen = [i for i in found.items if not wanted or i["id"] in wanted]
        known = cells.Known(titles=titles_of(s, by, shown.columns, chosen), offices=v.names)
        rows += [[cells.raw(f, item.get(f.name), r, known) for f in shown.columns] for item in chosen]
        if found.next is None or (wanted and len(rows) >= len(wanted)):
            break
        query = replace(query, cursor=found.next)
    if kind == "csv":
        return export.to_csv(columns, rows, r)
    return export.to_xlsx(columns, rows, r.text(concept.label_plural))


COLLECTION = "/{collection:[a-z][a-z-]*}"
ROUTES: list[web.RouteDef] = [
    web.get(COLLECTION, show_list),
    web.get(COLLECTION + "/filter", filter_form),
    web.get(COLLECTION + "/export.{kind:csv|xlsx}", export_list),
    web.post(COLLECTION + "/columns", choose_columns),
    web.post(COLLECTION + "/views", keep_view),
    web.post(COLLECTION + "/views/{id}/delete", drop_view),
    web.post(COLLECTION + "/bulk", bulk),
    web.post(COLLECTION + "/restore", restore),
]
