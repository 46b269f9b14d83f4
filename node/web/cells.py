"""How one value of a record is shown, in a list, on its page, and in an exported file.

`text` gives words for people; `raw` gives the value for a spreadsheet (numbers stay numbers). Both go by the kind of
the field, so what is shown and what is exported cannot drift apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from node.domain.concept import Field, Kind
from node.web.forms import choice_words
from node.web.i18n import _
from node.web.language import DASH as DASH
from node.web.language import Reader

NUMBERS = frozenset({Kind.INT, Kind.MONEY, Kind.QUANTITY, Kind.PERCENT, Kind.RATE})
TEXT_MAX = 120  # characters of a long text in a list


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What values point at: titles of referred records by key, names of offices by code, and the time."""

    titles: Mapping[str, str]
    offices: Mapping[str, str]
    now: datetime | None = None


def text(field: Field, value: Any, r: Reader, known: Known, currency: str = "") -> str:
    """The value in words; a dash where there is none."""
    if value is None or value == "" or value == []:
        return DASH
    match field.kind:
        case Kind.CHOICE:
            return choice_words(field, str(value), r)
        case Kind.REF:
            return known.titles.get(str(value)) or DASH
        case Kind.OFFICE:
            return known.offices.get(str(value), str(value))
        case Kind.COUNTRY:
            return r.country_name(str(value))
        case Kind.LANGUAGE:
            return r.language_name(str(value))
        case Kind.MONEY:
            return r.money(value, currency)
        case Kind.INT | Kind.QUANTITY | Kind.RATE:
            return r.number(value) if isinstance(value, int | float | Decimal) else str(value)
        case Kind.PERCENT:
            return r.percent(value)
        case Kind.DAY:
            today = r.today(known.now) if known.now else None
            return r.day(value, today) if isinstance(value, date) else str(value)
        case Kind.INSTANT:
            return r.moment(value, known.now) if isinstance(value, datetime) else str(value)
        case Kind.FLAG:
            return r.text(_("yes")) if value else r.text(_("no"))
        case Kind.TAGS:
            return ", ".join(str(v) for v in value)
        case Kind.PARTS:
            return "; ".join(filter(None, (part_text(field, p, r, known) for p in value))) or DASH
        case _:
            return str(value)


def short(field: Field, value: Any, r: Reader, known: Known, currency: str = "") -> str:
    """`text`, cut where a list has no room."""
    words = text(field, value, r, known, currency)
    return words if len(words) <= TEXT_MAX else words[: TEXT_MAX - 1].rstrip() + "…"


def title_of(item: Mapping[str, Any], r: Reader, now: datetime | None = None) -> str:
    """What the record is called: its title; a document without a number is a draft of its day."""
    if item.get("state") == "draft" and "number" in item and not item["number"] and isinstance(item.get("dated"), date):
        return r.text(_("Draft of %(day)s"), day=r.day(item["dated"], r.today(now) if now else None))
    return str(item.get("title") or "").strip() or r.text(_("without a name"))


def part_text(field: Field, part: Any, r: Reader, known: Known) -> str:
    """One part (a phone, an address) in a line."""
    if not isinstance(part, Mapping):
        return str(part)
    place = " ".join(str(part[k]) for k in ("zip", "city") if part.get(k)) if "city" in part else ""
    joined = ("zip", "city", "region") if place else ()
    shown = [
        place if p.name == "city" else text(p, part.get(p.name), r, known)
        for p in field.parts
        if p.name not in joined[:1] + joined[2:]
        and part.get(p.name) not in (None, "", False, [])
        and p.kind not in (Kind.FLAG, Kind.OBJECT)
        and not (p.kind is Kind.CHOICE and p.name == "kind")
        and p.name != "place"
    ]
    return ", ".join(w for w in shown if w != DASH)


def raw(
    field: Field, value: Any, r: Reader, known: Known
) -> str | int | float | Decimal | date | datetime | bool | None:
    """The value for a spreadsheet cell: numbers, days and times as such, all else as words."""
    if value is None or value == "" or value == []:
        return None
    if field.kind in NUMBERS and isinstance(value, int | float | Decimal):
        return value
    if field.kind is Kind.DAY and isinstance(value, date):
        return value
    if field.kind is Kind.INSTANT and isinstance(value, datetime):
        return value.astimezone(r.zone).replace(tzinfo=None, microsecond=0)
    return text(field, value, r, Known(titles=known.titles, offices=known.offices))
