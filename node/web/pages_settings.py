"""What somebody may set for himself, and what stands outside the business: about, style page, the pill alone."""

from __future__ import annotations

from datetime import timedelta

from aiohttp import web
from sqlalchemy.orm import Session

from node.domain import finding, sessions, users
from node.domain.access import Actor
from node.domain.concept import Field, Kind
from node.domain.users import User
from node.errors import Invalid
from node.web import forms, pages_plain
from node.web.i18n import LANGUAGES, _
from node.web.render import Pill, Toast, go, page
from node.web.visit import actor, database, posted, visit


async def settings(request: web.Request) -> web.Response:
    """The user's own settings."""
    return await _settings(request)


async def _settings(request: web.Request, error: str = "", status: int = 200) -> web.Response:
    v = await visit(request)
    return page(request, v, "settings.html", status=status, languages=list(LANGUAGES.items()), error=error)


async def save(request: web.Request) -> web.Response:
    """Language, colours, density, keys."""
    form, by = await posted(request), actor(request)
    chosen = {k: form[k] for k in ("language", "theme", "density") if k in form}
    await database(request).write(_save, by, chosen, form.get("shortcuts") == "1", by=by)
    v = await visit(request)
    return go("/settings", Toast(text=v.text(_("Saved."))))


def _save(s: Session, by: Actor, chosen: dict[str, str], shortcuts: bool) -> None:
    users.set_preferences(s, by, **chosen, shortcuts=int(shortcuts))


async def password(request: web.Request) -> web.Response:
    """A new password for oneself; the present one must be known. Hashing happens outside the transaction."""
    form, by, v, db = await posted(request), actor(request), await visit(request), database(request)
    stored = await db.read(_hash_of, by.user_id)
    if not await db.read(lambda _s: sessions.is_password(stored, form.get("old", ""))):
        return await _settings(request, v.text(_("The present password is another one. Try again.")), 422)
    try:
        users.acceptable_password(form.get("new", ""))
    except Invalid as invalid:
        return await _settings(request, v.text(next(iter(invalid.fields.values()))), 422)
    hashed = await db.read(lambda _s: sessions.hash_password(form["new"]))
    await db.write(_set_password, by, hashed, by=by)
    return go("/login", Toast(text=v.text(_("Password changed. Log in with the new one."))))


def _hash_of(s: Session, user_id: str) -> str:
    row = s.get(User, user_id)
    return row.password_hash if row is not None else ""


def _set_password(s: Session, by: Actor, hashed: str) -> None:
    users.set_password(s, by, by.user_id, hashed)


async def user_password(request: web.Request) -> web.Response:
    """The form in which an administrator gives somebody a password."""
    return await _user_password(request)


async def _user_password(request: web.Request, error: str = "", status: int = 200) -> web.Response:
    by, id = actor(request), request.match_info["id"]
    name = await database(request).read(_name_for, by, id)
    return page(request, await visit(request), "password.html", status=status, id=id, name=name, error=error)


def _name_for(s: Session, by: Actor, id: str) -> str:
    row = finding.found(s, by, User, "user", id, "edit")
    return row.name


async def save_user_password(request: web.Request) -> web.Response:
    """Give it; his open sessions at this node end."""
    form, by, v, db = await posted(request), actor(request), await visit(request), database(request)
    id = request.match_info["id"]
    await db.read(_name_for, by, id)
    try:
        users.acceptable_password(form.get("new", ""))
    except Invalid as invalid:
        return await _user_password(request, v.text(next(iter(invalid.fields.values()))), 422)
    hashed = await db.read(lambda _s: sessions.hash_password(form["new"]))
    await db.write(_give_password, by, id, hashed, by=by)
    return go(f"/users/{id}", Toast(text=v.text(_("Password given. Tell it in person, not by mail."))))


def _give_password(s: Session, by: Actor, id: str, hashed: str) -> None:
    users.set_password(s, by, id, hashed)


async def about(request: web.Request) -> web.Response:
    """What Kogge is made of."""
    return pages_plain.about(request, await visit(request))


async def design(request: web.Request) -> web.Response:
    """The living style page: every part in every state."""
    v = await visit(request)
    hour = timedelta(hours=1)
    pills = [
        Pill(state="sent", last_at=v.now),
        Pill(state="waiting", waiting=3, next_at=v.now + hour),
        Pill(state="running", percent=42),
        Pill(state="down", since=v.now - 5 * hour),
        Pill(state="conflict", conflicts=2),
        Pill(state="stopped"),
    ]
    fields = [
        Field(name="name", kind=Kind.TEXT, label=_("Name"), required=True),
        Field(name="due", kind=Kind.DAY, label=_("Day")),
        Field(name="kind", kind=Kind.CHOICE, label=_("Kind"), choices=("offer", "order")),
        Field(name="amount", kind=Kind.MONEY, label=_("Amount")),
        Field(name="active", kind=Kind.FLAG, label=_("Active")),
        Field(name="fixed", kind=Kind.TEXT, label=_("Read only"), read_only=True),
        Field(name="note", kind=Kind.NOTE, label=_("Notes")),
    ]
    wrong = {"amount": _("Write a number such as 1250 or 12.50.")}
    groups = forms.controls(
        fields,
        {"name": "Hansen & Söhne", "fixed": "R-KS-2026-0418"},
        v.reader,
        typed={"amount": "zwölf"},
        errors=wrong,
        new=False,
    )
    controls = [c for g in groups for c in g.controls]
    return page(
        request, v, "design.html", pills=pills, controls=controls, times=[v.now, v.now - 30 * hour, v.now - 120 * hour]
    )


async def pill(request: web.Request) -> web.Response:
    """The exchange pill alone, for pages that are open."""
    v = await visit(request)
    return page(request, v, "pill.html")


ROUTES: list[web.RouteDef] = [
    web.get("/settings", settings),
    web.post("/settings", save),
    web.post("/settings/password", password),
    web.get("/users/{id}/password", user_password),
    web.post("/users/{id}/password", save_user_password),
    web.get("/about", about),
    web.get("/design", design),
    web.get("/pill", pill),
]
