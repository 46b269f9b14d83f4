"""A timeline in words: who did what, when, and the day above the first line of each day."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from node.domain import timeline
from node.domain.concept import CONCEPTS, Concept
from node.web import cells, changes
from node.web.i18n import _
from node.web.render import Visit
from node.web.visit import address_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of the timeline as the template draws it."""

    at: datetime
    icon: str
    title: str
    author: str = ""
    text: str = ""
    office: str = ""
    href: str = ""
    cap: str = ""
    tag: str = ""
    tone: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One change of a field: what, when, from what to what, by whom."""

    title: str
    at: datetime
    text: str


ICONS: Mapping[str, str] = {
    "note": "note",
    "call": "phone",
    "meeting": "customers",
    "email": "mail",
    "sms": "sms",
    "fax": "fax",
    "task": "task",
    "deal": "deals",
    "document": "doc",
    "payment": "check",
    "change": "edit",
}


def told_once(entries: Sequence[timeline.Entry]) -> list[timeline.Entry]:
    """Without the drafting of a document that was posted in the same minute: one act, one line."""
    posted_at = {e.id: e.at for e in entries if e.kind == "document" and e.what == "posted"}
    return [
        e
        for e in entries
        if not (
            e.kind == "document"
            and e.what == "created"
            and e.id in posted_at
            and posted_at[e.id] - e.at < timedelta(minutes=1)
        )
    ]


_WHAT: Mapping[tuple[str, str], str] = {
    ("activity", "call"): _("called"),
    ("activity", "meeting"): _("met"),
    ("activity", "note"): _("noted"),
    ("activity", "email"): _("wrote"),
    ("activity", "sms"): _("wrote by SMS"),
    ("activity", "fax"): _("faxed"),
    ("task", "created"): _("set a task"),
    ("task", "done"): _("finished a task"),
    ("deal", "created"): _("opened a deal"),
    ("deal", "stage"): _("moved a deal"),
    ("deal", "won"): _("won a deal"),
    ("deal", "lost"): _("lost a deal"),
    ("document", "created"): _("drafted"),
    ("document", "posted"): _("posted"),
    ("payment", "in"): _("entered a payment"),
    ("payment", "out"): _("entered a payment out"),
    ("change", "changed"): _("changed"),
}


def entry_of(e: timeline.Entry, concept: Concept, v: Visit, known: Mapping[str, str]) -> Entry:
    """A timeline entry of the domain in the reader's words."""
    r = v.reader
    href = address_of(CONCEPTS[e.concept], e.id) if e.concept in CONCEPTS and e.kind != "change" else ""
    title, text, tag = _titled(e, v), e.text, ""
    if e.kind == "change":
        title = r.text(e.field)
        text = changes.words(concept, e.field, e.old, e.new, r, cells.Known(titles=known, offices=v.names, now=v.now))
    elif e.kind == "activity" and text.strip() == title.strip():
        text = ""
    if e.amount is not None:
        tag = r.money(e.amount, e.currency)
    return Entry(
        at=e.at,
        icon=ICONS.get(e.what if e.kind == "activity" else e.kind, "note"),
        title=title,
        author=f"{e.author_name} {r.text(_WHAT.get((e.kind, e.what), ''))}".strip(),
        text=text,
        href=href,
        tag=tag,
        office=v.names.get(e.office, "") if e.office not in ("", v.office) else "",
    )


def _titled(e: timeline.Entry, v: Visit) -> str:
    if e.kind != "document":
        return e.title
    kind, _sep, number = e.title.partition(" ")
    return f"{v.text(_DOCUMENTS.get(kind, kind))} {number}".strip()


_DOCUMENTS = {"offer": _("Offer"), "order": _("Order"), "invoice": _("Invoice"), "credit": _("Credit note")}


def with_days(entries: Sequence[Entry], v: Visit) -> list[Entry]:
    """The entries with a caption above the first of each day."""
    shown: list[Entry] = []
    last: date | None = None
    today = v.reader.today(v.now)
    for e in entries:
        day = e.at.astimezone(v.reader.zone).date()
        cap = ""
        if day != last:
            near = abs((today - day).days) <= 1
            cap = v.reader.day(day, today) if near or day.year != today.year else v.reader.full_day(day)
            cap = cap[:1].upper() + cap[1:]
        last = day
        shown.append(replace(e, cap=cap))
    return shown


def change_of(c: changes.FieldChange, concept: Concept, v: Visit, known: Mapping[str, str]) -> Change:
    """One change of a field in words."""
    shown = cells.Known(titles=known, offices=v.names, now=v.now)
    text = changes.words(concept, c.field, c.old, c.new, v.reader, shown)
    who = ", ".join(filter(None, (c.author_name, v.names.get(c.office, c.office))))
    return Change(title=v.text(c.field), at=c.at, text=f"{text}, {who}" if who else text)
