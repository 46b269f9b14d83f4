"""From a request to what handlers need: who looks, the database, the posted fields.

The log-in middleware has put the actor into the request; here the rest of a `Visit` is added: the user's own
preferences, the office's name and zone, and what the exchange pill says. Office facts are the same for everybody and
change once a month, so they are remembered for ten seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aiohttp import web
from sqlalchemy.orm import Session

from node.clock import as_datetime
from node.db import Database
from node.domain.access import Actor
from node.domain.concept import CONCEPTS, Concept
from node.domain.offices import office_names, office_of
from node.domain.users import User
from node.domain.views import setting
from node.errors import NotFound
from node.web import i18n
from node.web.render import Pill, Visit

if TYPE_CHECKING:
    from node.app import Node

REMEMBERED_MS = 10_000
LANGUAGE_COOKIE = "kogge_lang"
HIDDEN = ("saved_views",)  # concepts without pages of their own


@dataclass(frozen=True, slots=True, kw_only=True)
class OfficeFacts:
    """What every page of this node says about its office."""

    at_ms: int
    names: Mapping[str, str]
    name: str
    company: str
    country: str
    timezone: str
    currency: str
    language: str


_FACTS = web.AppKey("office_facts", dict)


def remember(app: web.Application) -> None:
    """Make room for the office facts; called once when the application is built."""
    app[_FACTS] = {}


def node_of(request: web.Request) -> Node:
    """The node that answers."""
    from node.web.app import NODE  # the composition root imports the pages

    return request.app[NODE]


def database(request: web.Request) -> Database:
    """The node's database."""
    return node_of(request).db


def actor(request: web.Request) -> Actor:
    """Who is logged in; the middleware lets nobody else through to a page."""
    found: Actor | None = request.get("actor")
    assert found is not None, "a page without log-in must not ask for the actor"
    return found


async def visit(request: web.Request) -> Visit:
    """Everything that a page shows beside its own content."""
    node, by = node_of(request), request.get("actor")
    facts, user = await node.db.read(_facts_and_user, by.user_id if by else "", node, request.app[_FACTS])
    wish = request.query.get("lang") if by is None else None
    language = i18n.choose(
        wish,
        user.get("language"),
        request.cookies.get(LANGUAGE_COOKIE) if by is None else None,
        None if by else request.headers.get("Accept-Language"),
        facts.language,
    )
    return Visit(
        actor=by,
        now=as_datetime(node.clock.now_ms()),
        csrf=str(request.get("csrf", "")),
        language=language,
        theme=user.get("theme", ""),
        density=user.get("density", ""),
        shortcuts=bool(user.get("shortcuts", True)),
        office=node.office,
        office_name=facts.name,
        company=facts.company,
        country=facts.country,
        timezone=facts.timezone,
        currency=facts.currency,
        central=node.central,
        version=node.version,
        path=request.path,
        pill=await pill(request) if by is not None else Pill(central=node.central),
        names=facts.names,
    )


def _facts_and_user(
    s: Session, user_id: str, node: Node, remembered: dict[str, OfficeFacts]
) -> tuple[OfficeFacts, dict[str, Any]]:
    now_ms = node.clock.now_ms()
    facts = remembered.get("facts")
    if facts is None or not 0 <= now_ms - facts.at_ms < REMEMBERED_MS:
        office = office_of(s, node.office)
        names = office_names(s)
        facts = remembered["facts"] = OfficeFacts(
            at_ms=now_ms,
            names=names,
            name=names.get(node.office, node.office),
            company=str(setting(s, "company_name", "") or ""),
            country=office.country if office else "",
            timezone=office.timezone if office else "UTC",
            currency=(office.currency if office else "") or "EUR",
            language=office.language if office else "en",
        )
    row = s.get(User, user_id) if user_id else None
    if row is None:
        return facts, {}
    return facts, {
        "language": row.language, "theme": row.theme, "density": row.density, "shortcuts": row.shortcuts,
    }  # fmt: skip


async def pill(request: web.Request) -> Pill:
    """What the exchange pill says to this user now."""
    node = node_of(request)
    exchange = getattr(node, "exchange", None)
    if exchange is None:
        return Pill(central=node.central)
    return await node.db.read(_pill, exchange, actor(request), node.central)


def _pill(s: Session, exchange: Any, by: Actor, central: bool) -> Pill:
    said = exchange.pill(s, by)
    known = {name: getattr(said, name) for name in Pill.__dataclass_fields__ if hasattr(said, name)}
    return Pill(**{**known, "central": central})


def concept_of(request: web.Request) -> Concept:
    """The concept that the address names; NotFound for any other word."""
    name = request.match_info["collection"].replace("-", "_")
    concept = CONCEPTS.get(name)
    if concept is None or name in HIDDEN:
        raise NotFound("There is no such page. Use the menu or the search.")
    return concept


def address_of(concept: Concept, id: str = "") -> str:
    """The address of the concept's list, or of one record."""
    base = concept.page or f"/{concept.name.replace('_', '-')}"
    return f"{base}/{id}" if id else base


async def posted(request: web.Request) -> dict[str, str]:
    """The text fields of the posted form; the last value where one comes twice (a tick and its hidden 0)."""
    data = await request.post()
    return {key: value for key, value in data.items() if isinstance(value, str)}


def wants_part(request: web.Request) -> bool:
    """Did htmx ask, for a part of a page?"""
    return "HX-Request" in request.headers
