"""My day: what to do next, four figures that lead to their lists, and what is new. Nobody needs the menu to start."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from aiohttp import web
from sqlalchemy.orm import Session

from node.domain import board, records, reports, tasks
from node.domain.access import Actor, may
from node.domain.concept import CONCEPTS, Values
from node.domain.tasks import TaskItem
from node.web.i18n import _
from node.web.record_view import Line
from node.web.render import Visit, page, sums_in_words
from node.web.titles import titles_of
from node.web.visit import actor, address_of, database, visit

AGENDA_ROWS = 12
SHORT_ROWS = 4
BAR_WIDTH = 84  # of the longest bar, in units of the drawing


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """A figure that leads to the list behind it; `at` None: it is this office's own and of now."""

    label: str
    value: str
    href: str
    late: bool = False
    at: datetime | None = None
    place: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """One task of the agenda in words."""

    id: str
    title: str
    href: str
    when: str
    about: str
    about_href: str
    late: bool
    phone: str
    phone_href: str
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One stage of the small funnel."""

    label: str
    value: str
    short: str
    width: int


async def home(request: web.Request) -> web.Response:
    """The first page of the day."""
    v, by = await visit(request), actor(request)
    today = v.reader.today(v.now)
    got = await database(request).read(_fetch, by)
    lists: tasks.TaskLists = got["tasks"]
    groups = [(_("Overdue"), lists.overdue), (_("Today"), lists.today), (_("Coming up"), lists.week + lists.later)]
    ordered = [t for _label, rows in groups for t in rows]
    agenda, left = [], AGENDA_ROWS
    for label, rows in groups:
        shown = [due_of(t, got["phones"], v, today) for t in rows[:left]]
        left -= len(shown)
        if shown:
            agenda.append((label, shown))
    first = next((t for t in [*lists.overdue, *lists.today]), None)
    return page(
        request,
        v,
        "home.html",
        greeting=greeting(v),
        next=due_of(first, got["phones"], v, today) if first else None,
        tiles=tiles_of(got["figures"], v),
        agenda=agenda,
        open_count=len(ordered) + len(lists.undated),
        late_count=len(lists.overdue),
        newcomers=newcomers_of(got["newcomers"], got["titles"], v),
        funnel=bars_of(got["board"], v),
        notes=notes_of(got["notes"], got["titles"], v),
    )


def greeting(v: Visit) -> str:
    """By the hour of the office."""
    hour = v.now.astimezone(v.reader.zone).hour
    words = (
        _("Good morning, %(name)s")
        if hour < 11
        else _("Good afternoon, %(name)s")
        if hour < 18
        else _("Good evening, %(name)s")
    )
    return v.text(words, name=v.who.name.split(" ")[0])


def _fetch(s: Session, by: Actor) -> dict[str, Any]:
    lists = tasks.my_tasks(s, by)
    first = [*lists.overdue, *lists.today, *lists.week][:AGENDA_ROWS]
    newcomers = _latest(s, by, "companies", ("-created_at",))
    notes = _latest(s, by, "activities", ("-at",))
    known = titles_of(s, by, (*CONCEPTS["companies"].fields, *CONCEPTS["activities"].fields), [*newcomers, *notes])
    return {
        "tasks": lists,
        "phones": _phones(s, by, first),
        "newcomers": newcomers,
        "notes": notes,
        "titles": known,
        "figures": reports.home(s, by),
        "board": board.board(s, by, None, board.Narrow(owner_id=by.user_id), 0) if may(by, "deal", "read") else None,
    }


def _latest(s: Session, by: Actor, name: str, order: tuple[str, ...]) -> list[Values]:
    concept = CONCEPTS[name]
    if not may(by, concept.singular, "read"):
        return []
    return list(records.page(s, by, concept, records.Query(order=order, limit=SHORT_ROWS)).items)


def _phones(s: Session, by: Actor, due: Sequence[TaskItem]) -> dict[str, str]:
    """The first phone number of everybody whom the tasks are about."""
    found: dict[str, str] = {}
    for name, keys in (("persons", [t.person_id for t in due]), ("companies", [t.company_id for t in due])):
        concept = CONCEPTS[name]
        wanted = tuple({k for k in keys if k})
        if wanted and may(by, concept.singular, "read"):
            query = records.Query(filters=(records.Filter("id", "in", wanted),), columns=("phones",), limit=len(wanted))
            for item in records.page(s, by, concept, query).items:
                numbers = [str(p.get("value", "")) for p in item.get("phones") or () if p.get("kind") != "fax"]
                if numbers:
                    found[str(item["id"])] = numbers[0]
    return found


def due_of(t: TaskItem, phones: dict[str, str], v: Visit, today: date) -> Due:
    """A task in words."""
    phone = phones.get(t.person_id or "", "") or phones.get(t.company_id or "", "")
    about = ", ".join(filter(None, (t.company, t.person)))
    href = f"/companies/{t.company_id}" if t.company_id else f"/persons/{t.person_id}" if t.person_id else ""
    when = t.due_time if t.due_time and t.due_on == today else v.reader.day(t.due_on, today)
    if t.days_late:
        when = v.reader.day(t.due_on, today)
    return Due(
        id=t.id,
        title=t.subject,
        href=f"/tasks/{t.id}",
        when=when,
        about=about,
        about_href=href,
        late=t.days_late > 0,
        phone=phone,
        phone_href="".join(c for c in phone if c.isdigit() or c == "+"),
    )


def tiles_of(f: reports.Home, v: Visit) -> list[Tile]:
    """Four figures, each with the list whose sum it is."""
    month = v.reader.today(v.now).replace(day=1).isoformat()
    return [
        Tile(
            label=_("Overdue, my customers"),
            value=sums_in_words(f.overdue_sums, v),
            late=f.overdue_count > 0,
            href="/receivables?owner=me&late=1",
        ),
        Tile(label=_("My open deals"), value=sums_in_words(f.open_sums, v), href="/deals?owner=me&state=open"),
        Tile(
            label=_("Won this month"),
            value=sums_in_words(f.won_sums, v),
            href=f"/deals?owner=me&state=won&closed_on__gte={month}",
        ),
        Tile(label=_("My drafts"), value=v.reader.number(f.drafts), href="/documents"),
    ]


def bars_of(b: board.Board | None, v: Visit) -> list[Bar]:
    """The small funnel: one bar per open stage in the office's currency (or the commonest), the longest as wide as
    there is room."""
    if b is None or not b.open_sums:
        return []
    currency = v.currency if v.currency in b.open_sums else max(b.open_sums, key=lambda c: b.open_sums[c])
    stages = [(c.name, c.sums.get(currency, Decimal(0))) for c in b.columns if c.state == "open"]
    most = max((amount for _name, amount in stages), default=Decimal(0))
    if not most:
        return []
    return [
        Bar(
            label=name,
            value=v.reader.money(amount, currency, whole=True),
            short=_thousands(amount, currency, v),
            width=max(2, round(BAR_WIDTH * float(amount / most))),
        )
        for name, amount in stages
    ]


def _thousands(amount: Decimal, currency: str, v: Visit) -> str:
    if abs(amount) < 10_000:
        return v.reader.money(amount, currency, whole=True)
    return v.text(_("%(number)s k%(sign)s"), number=v.reader.number(round(amount / 1000)), sign=v.reader.sign(currency))


def newcomers_of(items: Sequence[Values], known: dict[str, str], v: Visit) -> list[Line]:
    """The newest companies."""
    return [
        Line(
            title=str(i["title"]),
            href=address_of(CONCEPTS["companies"], str(i["id"])),
            value=v.reader.day(i["created_at"].astimezone(v.reader.zone).date(), v.reader.today(v.now)),
            meta=", ".join(filter(None, (str(i.get("city") or ""), known.get(str(i.get("owner") or ""), "")))),
        )
        for i in items
    ]


def notes_of(items: Sequence[Values], known: dict[str, str], v: Visit) -> list[Line]:
    """The newest notes and calls."""
    made = []
    for i in items:
        about = known.get(str(i.get("company") or ""), "") or known.get(str(i.get("person") or ""), "")
        made.append(
            Line(
                title=about or str(i["title"]),
                href=address_of(CONCEPTS["activities"], str(i["id"])),
                value=v.reader.day(i["at"].astimezone(v.reader.zone).date(), v.reader.today(v.now)),
                meta=str(i["title"]) if about else "",
            )
        )
    return made


ROUTES: list[web.RouteDef] = [web.get("/", home)]
