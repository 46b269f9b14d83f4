"""From a template and values to an answer.

A handler hands over a `Visit` (who looks, in which language, with which token against forged forms) and plain values;
everything that every page shows (navigation, exchange pill, toasts) is added here. Templates are compiled once per
language. Files under `/static/` carry a hash of their content in the address, so a browser may keep them for ever.
"""

from __future__ import annotations

import hashlib
import importlib.resources
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import jinja2
from aiohttp import web
from markupsafe import Markup

from node.domain.access import Actor, may
from node.web.language import Reader, reader

HERE = Path(__file__).parent
STATIC = HERE / "static"
TEMPLATES = HERE / "templates"
FOR_EVER = "public, max-age=31536000, immutable"
TOAST_COOKIE = "kogge_toast"
TOAST_MAX = 1500  # characters of JSON in the cookie
SECURITY_HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": (
        "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}

PillState = Literal["sent", "waiting", "running", "down", "conflict", "stopped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pill:
    """What the exchange pill says: state of the line, and when what happened."""

    state: PillState = "sent"
    waiting: int = 0  # changes that have not left this office
    conflicts: int = 0  # that this user may decide
    percent: int | None = None  # of a running exchange
    since: datetime | None = None  # the line is down since
    last_at: datetime | None = None  # the last exchange that went through
    last_sent: int = 0
    last_received: int = 0
    next_at: datetime | None = None
    central: bool = False
    oldest_office: str = ""  # at head office: who has been silent longest
    oldest_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """Who looks at a page, and how he likes it. `actor` is None before the login."""

    actor: Actor | None
    now: datetime
    csrf: str = ""
    language: str = "en"
    theme: str = ""  # light, dark, or empty: as the system
    density: str = ""
    shortcuts: bool = True
    office: str = ""  # code of the node's office
    office_name: str = ""
    company: str = ""  # what the whole company is called
    country: str = ""
    timezone: str = "UTC"
    currency: str = "EUR"
    central: bool = False
    version: str = ""
    path: str = "/"
    pill: Pill = field(default_factory=Pill)
    names: Mapping[str, str] = field(default_factory=dict)  # of offices, by code

    @property
    def reader(self) -> Reader:
        """The visitor's words and number formats."""
        return _reader(self.language, self.timezone, self.country)

    @property
    def who(self) -> Actor:
        """The user; pages that need a login are never reached without one."""
        assert self.actor is not None
        return self.actor

    def text(self, message: str, **values: object) -> str:
        """The message in the visitor's language."""
        return self.reader.text(message, **values)


_reader = lru_cache(maxsize=64)(reader)


@dataclass(frozen=True, slots=True, kw_only=True)
class Toast:
    """A short word after an action; `undo` is the address that takes it back (posted, for 30 seconds)."""

    text: str
    undo: str = ""
    tone: str = ""  # brick: something a person has to look at


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A remark above the table."""

    tone: str
    icon: str
    strong: str
    text: str = ""


def asset_files() -> dict[str, Path]:
    """What is served under /static/: our own files, and htmx from the package it came with."""
    files = {p.relative_to(STATIC).as_posix(): p for p in sorted(STATIC.rglob("*")) if p.is_file()}
    htmx = importlib.resources.files("js_lib_htmx") / "static" / "htmx" / "htmx.min.js"
    files["htmx.min.js"] = Path(str(htmx))
    return files


@lru_cache
def assets() -> dict[str, tuple[str, bytes]]:
    """Name to (address with hash, content)."""
    found = {}
    for name, path in asset_files().items():
        content = path.read_bytes()
        digest = hashlib.blake2b(content, digest_size=6).hexdigest()
        stem, dot, end = name.rpartition(".")
        found[name] = (f"/static/{stem}.{digest}{dot}{end}", content)
    return found


def asset(name: str) -> str:
    """The address of a file of ours; an unknown name is a bug of the template."""
    return assets()[name][0]


_TYPES = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml", "png": "image/png"}


async def static(request: web.Request) -> web.Response:
    """Hand out a file: with its hash in the address for ever, without it freshly each time."""
    wanted = request.match_info["name"]
    plain = re.sub(r"\.[0-9a-f]{12}(?=\.[a-z]+$)", "", wanted)
    if plain not in assets():
        raise web.HTTPNotFound
    address, content = assets()[plain]
    return web.Response(
        body=content,
        content_type=_TYPES.get(plain.rpartition(".")[2], "application/octet-stream"),
        charset="utf-8",
        headers={
            "Cache-Control": FOR_EVER if address == f"/static/{wanted}" else "no-cache",
            "X-Content-Type-Options": "nosniff",
        },
    )


@lru_cache(maxsize=16)
def environment(language: str, timezone: str, country: str) -> jinja2.Environment:
    """The templates for readers of one language at one office."""
    env = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n", "jinja2.ext.do"],
        auto_reload=False,
    )
    r = _reader(language, timezone, country)
    env.install_gettext_translations(r.texts, newstyle=True)  # type: ignore[attr-defined]
    env.globals.update(asset=asset, icon=icon, reader=r)
    env.filters.update(
        day=r.day,
        full_day=r.full_day,
        clock=r.clock,
        moment=r.moment,
        stamp=r.stamp,
        money=r.money,
        number=r.number,
        percent=r.percent,
        size=r.size,
        span=r.span,
        country=r.country_name,
        language_name=r.language_name,
        t=r.text,
        initials=initials,
        sign=r.sign,
    )
    return env


def sums_in_words(sums: Mapping[str, Decimal], v: Visit, *, whole: bool = True) -> str:
    """Sums by currency, the office's own first."""
    if not sums:
        return v.reader.money(0, v.currency, whole=whole)
    ordered = sorted(sums.items(), key=lambda pair: (pair[0] != v.currency, pair[0]))
    return " + ".join(v.reader.money(amount, currency, whole=whole) for currency, amount in ordered)


# what concepts call their drawings → what icons.svg calls them
ALIASES = {"company": "customers", "person": "user", "deal": "deals", "list": "columns", "money": "check"}


def icon(name: str, small: bool = False) -> Markup:
    """One drawing of icons.svg, silent for screen readers: the word beside it speaks."""
    size = "i s" if small else "i"
    return Markup('<svg class="{}" aria-hidden="true"><use href="{}#{}"/></svg>').format(
        size, asset("icons.svg"), ALIASES.get(name, name)
    )


def initials(name: str) -> str:
    """Jonas Thiede → JT."""
    parts = [p for p in re.split(r"[\s.\-]+", name) if p and p[0].isalpha()]
    return "".join(p[0] for p in (parts[:1] + parts[-1:] if len(parts) > 1 else parts)).upper()


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the navigation."""

    href: str
    icon: str
    label: str
    subject: str  # what one must be allowed to read
    prefixes: tuple[str, ...] = ()


def _(message: str) -> str:
    return message


NAVIGATION: tuple[Entry, ...] = (
    Entry("/", "day", _("My day"), ""),
    Entry("/companies", "customers", _("Customers"), "company", ("/companies", "/persons", "/duplicates")),
    Entry("/deals/board", "deals", _("Deals"), "deal", ("/deals",)),
    Entry(
        "/documents",
        "doc",
        _("Documents"),
        "invoice",
        ("/documents", "/offers", "/orders", "/invoices", "/credits", "/payments"),
    ),
    Entry("/tasks", "task", _("Tasks"), "task", ("/tasks", "/activities")),
    Entry("/products", "box", _("Catalogue"), "product", ("/products", "/price-lists", "/stock-movements")),
    Entry("/exchange", "office", _("Offices"), "office", ("/offices", "/exchange")),
)
NEW: tuple[tuple[str, str, str, str], ...] = (  # address, icon, words, subject
    ("/companies/new", "customers", _("Company"), "company"),
    ("/persons/new", "user", _("Person"), "person"),
    ("/deals/new", "deals", _("Deal"), "deal"),
    ("/offers/new", "doc", _("Offer"), "offer"),
    ("/invoices/new", "doc", _("Invoice"), "invoice"),
    ("/tasks/new", "task", _("Task"), "task"),
    ("/activities/new", "note", _("Note or call"), "activity"),
)


def current(path: str) -> str:
    """The navigation line that the page belongs to."""
    best = ""
    for entry in NAVIGATION:
        hit = path == entry.href or any(path == p or path.startswith(p + "/") for p in entry.prefixes)
        best = entry.href if hit else best
    return best


def page_text(visit: Visit, template: str, toasts: tuple[Toast, ...] = (), **context: Any) -> str:
    """The rendered text of a template."""
    env = environment(visit.language, visit.timezone, visit.country)
    actor = visit.actor
    return env.get_template(template).render(
        visit=visit,
        actor=actor,
        toasts=toasts,
        now=visit.now,
        today=visit.reader.today(visit.now),
        pill=visit.pill,
        navigation=[e for e in NAVIGATION if actor is not None and (not e.subject or may(actor, e.subject, "read"))],
        creatable=[n for n in NEW if actor is not None and may(actor, n[3], "create")],
        current=current(visit.path),
        may=lambda subject, verb, row=None: actor is not None and may(actor, subject, verb, row),
        **context,
    )


def page(
    request: web.Request,
    visit: Visit,
    template: str,
    *,
    status: int = 200,
    toasts: tuple[Toast, ...] = (),
    **context: Any,
) -> web.Response:
    """A whole page (or a part of one), with the security headers; shows the toasts that a redirect left behind."""
    left = _toasts_of(request)
    response = web.Response(
        text=page_text(visit, template, left + toasts, **context),
        content_type="text/html",
        charset="utf-8",
        status=status,
        headers=dict(SECURITY_HEADERS),
    )
    if left:
        response.del_cookie(TOAST_COOKIE, path="/")
    return response


def go(address: str, toast: Toast | None = None) -> web.Response:
    """Off to another page after a form (303), with a word about what was done. `address` is one of ours."""
    assert address.startswith("/"), address
    safe = address if not address.startswith(("//", "/\\")) else "/"
    response = web.Response(status=303, headers={"Location": safe, "Cache-Control": "no-store"})
    if toast is not None:
        value = json.dumps({"text": toast.text[:400], "undo": toast.undo[:400], "tone": toast.tone})
        response.set_cookie(
            TOAST_COOKIE, value.encode().hex()[: TOAST_MAX * 2], path="/", httponly=True, samesite="Lax", max_age=60
        )
    return response


def _toasts_of(request: web.Request) -> tuple[Toast, ...]:
    raw = request.cookies.get(TOAST_COOKIE, "")
    if not raw or len(raw) > TOAST_MAX * 2 or request.headers.get("HX-Request"):
        return ()
    try:
        said = json.loads(bytes.fromhex(raw))
        undo = str(said["undo"])
        return (Toast(text=str(said["text"]), undo=undo if undo.startswith("/") else "", tone=str(said["tone"])),)
    except (ValueError, KeyError, TypeError):
        return ()  # somebody else's cookie: say nothing


def back(request: web.Request, default: str) -> str:
    """Where the form came from (`back` in form or query), if it is a page of ours."""
    wish = request.query.get("back", "")
    return wish if wish.startswith("/") and not wish.startswith(("//", "/\\")) else default
