"""What a record's page shows beside its timeline: head, figures, buttons, facts, short lists, where it stands.

Plain functions of values: the page reads the database once, here it is put into words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from node.domain import receivables
from node.domain.access import Actor, may
from node.domain.concept import CONCEPTS, Concept, Kind, Values
from node.web import cells
from node.web.facts import Fact, fact
from node.web.forms import choice_words
from node.web.i18n import _
from node.web.pages_lists import TONED, TONES
from node.web.render import Pill, Visit, sums_in_words
from node.web.visit import address_of

RELATED_ROWS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """A button in the head of a record."""

    label: str
    href: str
    icon: str = "arrow"
    primary: bool = False
    post: bool = False
    key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of a related list."""

    title: str
    href: str = ""
    value: str = ""
    meta: str = ""
    tag: str = ""
    tone: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Related:
    """A short list beside the record."""

    label: str
    lines: Sequence[Line]
    add: str = ""
    all: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Facts under one heading."""

    label: str
    rows: Sequence[Fact]


@dataclass(slots=True, kw_only=True)
class Parts:
    """What one read of the database brings for a record's page."""

    item: Values
    version: str
    titles: dict[str, str]
    related: list[tuple[str, str, list[Values], dict[str, str]]] = field(default_factory=list)
    entries: list[Any] = field(default_factory=list)
    changes: list[Any] = field(default_factory=list)
    owed: list[receivables.OpenItem] = field(default_factory=list)


RELATED: Mapping[str, tuple[tuple[str, str, str], ...]] = {
    "companies": (
        (_("Open tasks"), "tasks", "company"),
        (_("Deals"), "deals", "company"),
        (_("Offers"), "offers", "company"),
        (_("Orders"), "orders", "company"),
        (_("Invoices"), "invoices", "company"),
    ),
    "persons": ((_("Open tasks"), "tasks", "person"), (_("Deals"), "deals", "person")),
    "deals": (
        (_("Open tasks"), "tasks", "deal"),
        (_("Offers"), "offers", "deal"),
        (_("Orders"), "orders", "deal"),
        (_("Invoices"), "invoices", "deal"),
    ),
    "products": ((_("Stock movements"), "stock_movements", "product"),),
}


WITH_TIMELINE: Mapping[str, str] = {"companies": "company", "persons": "person", "deals": "deal"}


SAID_ELSEWHERE = frozenset({"tags", "sensitivity", "name", "title", "subject", "city", "phone", "email", "open_deals",
                            "tax_doubt", "stage_name"})  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """A figure in the head that leads to the list whose sum it is."""

    label: str
    value: str
    href: str
    late: bool = False
    at: datetime | None = None
    place: str = ""


def tiles_of(concept: Concept, got: Parts, v: Visit) -> list[Tile]:
    """What a company owes, and what is on the way with it."""
    if concept.name != "companies":
        return []
    id = str(got.item["id"])
    owed, late = _sums(got.owed), _sums([i for i in got.owed if i.days_overdue])
    made = []
    if got.owed:
        made = [
            Tile(label=v.text(_("Open")), value=sums_in_words(owed, v, whole=False), href=f"/receivables?company={id}"),
            Tile(
                label=v.text(_("Overdue")),
                value=sums_in_words(late, v, whole=False),
                href=f"/receivables?company={id}&late=1",
                late=bool(late),
            ),
        ]
        limit = got.item.get("credit_limit")
        if limit is not None:
            left = limit - owed.get(str(got.item.get("currency") or v.currency), Decimal(0))
            words = v.reader.money(left, str(got.item.get("currency") or v.currency), whole=True)
            made.append(
                Tile(label=v.text(_("Credit left")), value=words, href=f"/receivables?company={id}", late=left < 0)
            )
    if got.item.get("open_deals"):
        number = v.reader.number(got.item["open_deals"])
        made.append(Tile(label=v.text(_("Open deals")), value=number, href=f"/deals?company={id}&state=open"))
    return made


def _sums(items: Sequence[receivables.OpenItem]) -> dict[str, Decimal]:
    sums: dict[str, Decimal] = {}
    for item in items:
        sums[item.currency] = sums.get(item.currency, Decimal(0)) + item.open
    return sums


def step_of(item: Mapping[str, Any], pill: Pill, office: str) -> int:
    """How far the record's last change has come: 1 saved here, 2 waiting to send, 4 confirmed."""
    changed = item.get("changed_at")
    if pill.central or not isinstance(changed, datetime):
        return 4
    if pill.last_at is None:
        return 1
    if changed <= pill.last_at:
        return 4
    return 1 if pill.state == "down" else 2


def tags_of(concept: Concept, item: Mapping[str, Any], v: Visit) -> list[tuple[str, str]]:
    """Words with a shape beside the owner: kind, state, class, the record's own tags."""
    found: list[tuple[str, str]] = []
    for f in concept.fields:
        value = item.get(f.name)
        if (
            f.kind is Kind.CHOICE
            and f.name in ("kind", "state", "status", "progress", "priority", "class_abc")
            and value
        ):
            tone = TONES.get(str(value), "") if f.name in TONED else ""
            found.append(
                (choice_words(f, str(value), v.reader), tone or ("sea" if f.name in ("kind", "class_abc") else ""))
            )
        if f.name == "sensitivity" and value not in (None, "", "normal"):
            found.append((choice_words(f, str(value), v.reader), "brass"))
    return found + [(str(t), "") for t in item.get("tags") or ()][:12]


def facts_of(
    concept: Concept, item: Mapping[str, Any], v: Visit, known: Mapping[str, str], editable: bool
) -> list[Facts]:
    """The filled fields first named by their groups; empty ones only where they can be filled in place."""
    groups: dict[str, list[Fact]] = {}
    for f in (*concept.fields, *concept.extra_fields):
        if f.kind is Kind.OBJECT or f.name in SAID_ELSEWHERE or not (f.in_form or f in concept.extra_fields):
            continue
        empty = item.get(f.name) in (None, "", [])
        if empty and (f.kind is Kind.PARTS or f.read_only or f in concept.extra_fields):
            continue
        if f.kind is Kind.PARTS and f.name in ("lines", "positions", "people", "allocations"):
            continue  # they have a place of their own
        groups.setdefault(f.group, []).append(
            fact(f, item, v, known, editable=editable and f not in concept.extra_fields)
        )
    return [Facts(label=v.text(label), rows=rows) for label, rows in groups.items()]


def actions_of(concept: Concept, item: Mapping[str, Any], by: Actor, editable: bool) -> list[Action]:
    """What one does most with such a record."""
    here, id = address_of(concept), str(item["id"])
    made: list[Action] = []
    if concept.name in ("companies", "persons"):
        phone = next((str(p.get("value", "")) for p in item.get("phones") or () if isinstance(p, Mapping)), "")
        mail = next((str(p.get("value", "")) for p in item.get("emails") or () if isinstance(p, Mapping)), "")
        if phone:
            number = "".join(c for c in phone if c.isdigit() or c == "+")
            made.append(Action(label=_("Call"), href=f"tel:{number}", icon="phone", primary=True))
        if mail:
            made.append(Action(label=_("Mail"), href=f"mailto:{mail}", icon="mail"))
        if may(by, "deal", "create"):
            made.append(Action(label=_("New deal"), href=f"/deals/new?{concept.singular}={id}", icon="deals"))
    if concept.name in ("companies", "deals") and may(by, "offer", "create"):
        company = id if concept.name == "companies" else str(item.get("company") or "")
        deal = f"&deal={id}" if concept.name == "deals" else ""
        made.append(Action(label=_("New offer"), href=f"/offers/new?company={company}{deal}", icon="doc"))
    if concept.name == "tasks" and item.get("state") == "open" and editable:
        made.append(Action(label=_("Done"), href=f"/tasks/{id}/done", icon="check", primary=True, post=True))
    if editable:
        made.append(Action(label=_("Edit"), href=f"{here}/{id}/edit", icon="edit", key="e"))
    return made


def more_of(concept: Concept, item: Mapping[str, Any], by: Actor) -> list[Action]:
    """What one does now and then."""
    here, id = address_of(concept), str(item["id"])
    made: list[Action] = []
    if concept.name in ("companies", "persons") and may(by, concept.singular, "edit"):
        made.append(Action(label=_("Merge with another one"), href=f"{here}/{id}/merge", icon="merge"))
    if concept.name in WITH_TIMELINE and may(by, "task", "create"):
        made.append(Action(label=_("New task"), href=f"/tasks/new?{concept.singular}={id}", icon="task"))
    if concept.name == "users" and may(by, "user", "edit"):
        made.append(Action(label=_("Give a password"), href=f"{here}/{id}/password", icon="key"))
    if concept.removable and may(by, concept.singular, "delete") and not item.get("posted_at"):
        made.append(Action(label=_("Delete"), href=f"{here}/{id}/delete", icon="x", post=True))
    return made


def related_of(concept: Concept, item: Mapping[str, Any], got: Parts, v: Visit, by: Actor) -> list[Related]:
    """The short lists beside the record."""
    made = [people_of(concept, item, got.titles, v)] if concept.name in ("companies", "persons") else []
    for label, name, items, known in got.related:
        pointing = next(p for _l, n, p in RELATED[concept.name] if n == name)
        other = CONCEPTS[name]
        new = f"{address_of(other)}/new?{pointing}={item['id']}&back={address_of(concept, str(item['id']))}"
        state = "&state=open" if name == "tasks" else ""
        made.append(
            Related(
                label=label,
                lines=[line_of(other, i, v, known) for i in items],
                add=new if other.creatable and may(by, other.singular, "create") else "",
                all=f"{address_of(other)}?{pointing}={item['id']}{state}" if len(items) == RELATED_ROWS else "",
            )
        )
    return [r for r in made if r.lines or r.add]


def people_of(concept: Concept, item: Mapping[str, Any], known: Mapping[str, str], v: Visit) -> Related:
    """Who works where."""
    other = "person" if concept.name == "companies" else "company"
    rows = item.get("positions") or item.get("people") or ()
    lines = []
    for part in rows:
        key = str(part.get(other) or "")
        if key and part.get("left_on") is None:
            where = "persons" if other == "person" else "companies"
            meta = ", ".join(filter(None, (str(part.get("role") or ""), v.text(str(part.get("influence") or "")))))
            lines.append(Line(title=known.get(key, v.text(_("not open to you"))), href=f"/{where}/{key}", meta=meta))
    label = _("People") if concept.name == "companies" else _("Works for")
    return Related(label=label, lines=lines, add=f"{address_of(concept, str(item['id']))}/edit")


def line_of(
    concept: Concept, item: Mapping[str, Any], v: Visit, known: Mapping[str, str], *, about: bool = False
) -> Line:
    """One record in a short list: title, amount or state, and what one asks next; `about`: of which company."""
    shown = cells.Known(titles=known, offices=v.names, now=v.now)
    currency = str(item.get("currency") or v.currency)
    amount = item.get("gross") if "gross" in item else item.get("amount")
    state = concept.field("payment_state") or concept.field("state")
    words = cells.text(state, item.get(state.name), v.reader, shown) if state and item.get(state.name) else ""
    company = known.get(str(item.get("company") or ""), "") if about else ""
    meta = [company or words]
    for name in ("stage_name", "due_on", "expected_on", "dated", "at"):
        f = concept.field(name)
        if f is not None and item.get(name):
            meta.append(cells.text(f, item[name], v.reader, shown))
            break
    tone = TONES.get(str(item.get(state.name)), "") if state else ""
    money = v.reader.money(amount, currency) if amount is not None else ""
    return Line(
        title=cells.title_of(item, v.reader, v.now),
        href=address_of(concept, str(item["id"])),
        value=money,
        meta=" · ".join(filter(None, meta if not tone else meta[1:])),
        tag=words if tone and not money else "",
        tone=tone,
    )


def standing_of(item: Mapping[str, Any], v: Visit, known: Mapping[str, str]) -> list[tuple[str, str]]:
    """Office, author, times."""
    r = v.reader
    rows = [(r.text(_("Office")), v.names.get(str(item.get("office")), str(item.get("office") or cells.DASH)))]
    for label, at, who in ((_("Created"), "created_at", "created_by"), (_("Changed"), "changed_at", "changed_by")):
        if item.get(at):
            name = known.get(str(item.get(who) or ""), "")
            rows.append((r.text(label), r.moment(item[at], v.now) + (f", {name}" if name else "")))
    return rows
