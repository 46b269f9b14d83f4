"""Who sends a request, and whether he really meant to send it.

A browser has a session cookie (HttpOnly, SameSite=Lax); what it posts must carry the session's token and come from our
own pages. A program has a key in `Authorization: Bearer …`. Both become the same `Actor` in `request["actor"]`; without
one, a page leads to the log-in and the API answers 401.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
from urllib.parse import quote, urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler

from node.domain import sessions
from node.errors import BadInput, Forbidden, KoggeError, NotLoggedIn, TooManyTries
from node.web import i18n, pages_plain, render
from node.web.visit import LANGUAGE_COOKIE, database, node_of, visit

log = logging.getLogger(__name__)

CSRF_FIELD = "csrf"
CSRF_HEADER = "X-CSRF-Token"
READING = ("GET", "HEAD", "OPTIONS")
OPEN = ("/login", "/health", "/api/v1/openapi.json")  # without log-in, and everything under /static/
_NOTES: web.AppKey[dict[int, asyncio.Future[None]]] = web.AppKey("notes_of_use")


def install(app: web.Application) -> None:
    """Keep a place for the notes of use that are being written."""
    app[_NOTES] = {}
    app.on_cleanup.append(_finish)


async def _finish(app: web.Application) -> None:
    if app[_NOTES]:
        await asyncio.wait(app[_NOTES].values(), timeout=5)


def cookie_name(request: web.Request) -> str:
    """Of this office: browsers do not tell ports apart, and somebody may use two nodes on one machine."""
    return f"kogge_session_{node_of(request).office.lower()}"


@web.middleware
async def identify(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Put `actor` and `csrf` into the request, or turn it away."""
    if request.path.startswith("/static/") or request.path == "/health":
        return await handler(request)
    db, bearer = database(request), request.headers.get("Authorization", "")
    if bearer[:7].lower() == "bearer ":
        actor = await db.read(sessions.actor_of_token, bearer[7:].strip()[:200])
        if actor is None:
            raise NotLoggedIn("This key is unknown or has expired. Make a new one with “kogge token”.")
        request["actor"] = actor
        return await handler(request)
    token = request.cookies.get(cookie_name(request), "")[:200]
    seat = await db.read(sessions.actor_of_session, token) if token else None
    if seat is not None:
        request["actor"], request["csrf"] = seat.actor, seat.csrf
        if seat.due:
            note = asyncio.ensure_future(db.write(sessions.note_use, token, seat.at))  # nobody waits for it
            notes = request.app[_NOTES]
            notes[id(note)] = note
            note.add_done_callback(lambda done: notes.pop(id(done), None))
        if request.method not in READING and request.path != "/login":  # that form may be older than the session
            await _meant(request, seat.csrf)
    if seat is None and request.path not in OPEN:
        if request.path.startswith("/api/") or request.method not in READING:
            raise NotLoggedIn("Nobody is logged in here, or the session has ended. Log in, or send a key.")
        return _to_login(request)
    if request.method not in READING:
        _from_here(request)
    return await handler(request)


async def login_page(request: web.Request) -> web.StreamResponse:
    """The form; whoever is logged in already goes on."""
    target = safe_next(request.query.get("next", "/"))
    if request.get("actor") is not None:
        return render.go(target)
    seen = await visit(request)
    response = pages_plain.login_form(request, seen, next_page=target)
    if request.query.get("lang") in i18n.LANGUAGES:
        response.set_cookie(LANGUAGE_COOKIE, request.query["lang"], path="/", samesite="Lax", max_age=365 * 86400)
    return response


async def login(request: web.Request) -> web.StreamResponse:
    """Look at login and password: count the try, hash on a thread of its own, open the session."""
    form = await request.post()
    typed, password = str(form.get("login", "")).strip()[:64], str(form.get("password", ""))
    target = safe_next(str(form.get("next", "/")))
    db, address = database(request), request.remote or ""
    try:
        attempt = await db.write(sessions.begin_login, typed, address)
        if not await asyncio.to_thread(sessions.is_password, attempt.password_hash, password):
            raise sessions.wrong_password()
        token = await db.write(
            sessions.open_session, attempt, address, request.headers.get("User-Agent", ""), cause="login"
        )
    except (NotLoggedIn, TooManyTries) as e:
        log.warning("log-in refused", extra={"login": typed, "address": address, "code": e.code})
        seen = await visit(request)
        error = _words(seen, e)
        response = pages_plain.login_form(request, seen, login=typed, next_page=target, error=error, status=e.status)
        if isinstance(e, TooManyTries):
            response.headers["Retry-After"] = str(e.details["retry_after_s"])
        return response
    log.info("logged in", extra={"login": typed, "address": address})
    answer = render.go(target)
    answer.set_cookie(
        cookie_name(request),
        token,
        path="/",
        httponly=True,
        samesite="Lax",
        secure=is_https(request),
        max_age=int(sessions.LONGEST.total_seconds()),
    )
    return answer


def _words(seen: render.Visit, error: KoggeError) -> str:
    if isinstance(error, TooManyTries):
        minutes = -(-int(error.details["retry_after_s"]) // 60)
        return seen.text(i18n._("Too many wrong tries. Wait %(minutes)s min, then try again."), minutes=minutes)
    return seen.text(error.message)


async def logout(request: web.Request) -> web.StreamResponse:
    """End the session here."""
    await database(request).write(sessions.log_out, request.cookies.get(cookie_name(request), "")[:200])
    answer = render.go("/login")
    answer.del_cookie(cookie_name(request), path="/")
    return answer


def safe_next(wish: str) -> str:
    """Where to go after the log-in: a page of ours, whatever somebody put into the address."""
    parts = urlsplit(wish)
    ours = wish.startswith("/") and not parts.scheme and not parts.netloc and "\\" not in wish and wish.isprintable()
    return wish if ours and not wish.startswith(("//", "/login", "/logout")) and len(wish) <= 2000 else "/"


def is_https(request: web.Request) -> bool:
    """Does the browser speak HTTPS (also with a proxy before us)?"""
    return request.scheme == "https" or request.headers.get("X-Forwarded-Proto", "").lower() == "https"


def _to_login(request: web.Request) -> web.Response:
    address = f"/login?next={quote(safe_next(request.path_qs), safe='/')}" if request.path != "/" else "/login"
    if "HX-Request" in request.headers:  # a part of a page cannot be a log-in form: take the whole page there
        return web.Response(status=401, headers={"HX-Redirect": "/login", "Cache-Control": "no-store"})
    return web.Response(status=303, headers={"Location": address, "Cache-Control": "no-store"})


async def _meant(request: web.Request, csrf: str) -> None:
    """Raise Forbidden unless the request carries the session's token."""
    given = request.headers.get(CSRF_HEADER, "")
    if not given and request.content_type in ("application/x-www-form-urlencoded", "multipart/form-data"):
        try:
            given = str((await request.post()).get(CSRF_FIELD, ""))
        except ValueError as e:
            raise BadInput("The form cannot be read. Reload the page and try again.") from e
    if not hmac.compare_digest(given.encode(), csrf.encode()):
        raise Forbidden("This form is too old or comes from elsewhere. Reload the page and send it again.")


def _from_here(request: web.Request) -> None:
    origin, site = request.headers.get("Origin", ""), request.headers.get("Sec-Fetch-Site", "")
    foreign = bool(origin) and urlsplit(origin).netloc != request.host
    if foreign or site not in ("", "same-origin", "none"):
        raise Forbidden("This form comes from another website; nothing was changed.")


ROUTES: list[web.RouteDef] = [
    web.get("/login", login_page),
    web.post("/login", login),
    web.post("/logout", logout),
]
