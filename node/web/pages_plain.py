"""Pages that stand outside the business: log-in form, errors, about, the living style page, the exchange pill."""

from __future__ import annotations

import importlib.metadata
import logging
from typing import Any

from aiohttp import web

from node.errors import Forbidden, Invalid, KoggeError, NotFound, Refused, TooManyTries
from node.web.i18n import LANGUAGES, _
from node.web.render import SECURITY_HEADERS, Visit, page, page_text

log = logging.getLogger(__name__)

TITLES: dict[int, str] = {
    400: _("This could not be read"),
    401: _("Please log in"),
    403: _("This is not open to you"),
    404: _("There is no such page"),
    409: _("This cannot be done"),
    412: _("Somebody was faster"),
    413: _("This is too large"),
    422: _("Some fields need another look"),
    429: _("Too many tries"),
    500: _("Something went wrong here"),
    503: _("Not ready yet"),
}
TEXTS: dict[int, str] = {
    403: _("Your role does not allow this. Ask an administrator, or the person who is responsible for the record."),
    404: _("The record may have been deleted or merged, or it belongs to an office whose records you do not see."),
    413: _("Send it in smaller parts."),
    500: _("Nothing of your data was changed. Try again; if it stays, tell the administrator the number below."),
    503: _("The node is starting. Try again in a minute."),
}


def login_form(
    request: web.Request, visit: Visit, *, login: str = "", next_page: str = "/", error: str = "", status: int = 200
) -> web.Response:
    """The log-in page, with what was typed and what went wrong (already a sentence in the visitor's language)."""
    return page(
        request,
        visit,
        "login.html",
        status=status,
        login=login,
        next=next_page,
        error=error,
        languages=list(LANGUAGES.items()),
    )


def error_page(request: web.Request, visit: Visit, error: Exception, reference: str = "") -> web.Response:
    """A page for what went wrong: what it is, why, and the way out. `reference` finds the log entry of a 500."""
    status, sentence = 500, ""
    if isinstance(error, KoggeError):
        status = error.status
        known = isinstance(error, Refused | Invalid | TooManyTries) or type(error) not in (NotFound, Forbidden)
        sentence = visit.text(error.message) if known and status != 500 else ""
    elif isinstance(error, web.HTTPException):
        status = error.status
    title = visit.text(TITLES.get(status, TITLES[500 if status >= 500 else 400]))
    text = sentence or visit.text(TEXTS.get(status, TEXTS[500] if status >= 500 else ""))
    referer = request.headers.get("Referer", "")
    origin = f"{request.scheme}://{request.host}"
    back = referer[len(origin) :] if referer.startswith(origin + "/") else "/"
    if visit.actor is None and status == 401:
        back = "/login"
    words = (
        visit.text(_("Back"))
        if back not in ("/", "/login")
        else visit.text(_("Log in") if back == "/login" else _("My day"))
    )
    return web.Response(
        text=page_text(
            visit,
            "error.html",
            code=status,
            title=title,
            text=text,
            way_out=back,
            way_out_text=words,
            reference=reference,
        ),
        status=status,
        content_type="text/html",
        charset="utf-8",
        headers=dict(SECURITY_HEADERS),
    )


def about(request: web.Request, visit: Visit) -> web.Response:
    """What Kogge is made of, with licences."""
    return page(request, visit, "about.html", parts=parts_used())


def parts_used() -> list[tuple[str, str, str]]:
    """Name, version and licence of every package that is installed with the product."""
    found = {}
    for distribution in importlib.metadata.distributions():
        meta: Any = distribution.metadata
        license_ = (
            meta.get("License-Expression") or _licence_of(meta.get_all("Classifier") or []) or meta.get("License") or ""
        )
        found[meta["Name"].lower()] = (
            meta["Name"],
            distribution.version,
            license_.splitlines()[0][:60] if license_ else "–",
        )
    return [found[name] for name in sorted(found)]


def _licence_of(classifiers: list[str]) -> str:
    return next((c.rpartition(" :: ")[2] for c in classifiers if c.startswith("License ::")), "")


def style(request: web.Request, visit: Visit) -> web.Response:
    """The living style page."""
    return page(request, visit, "design.html")
