"""A field as a line of facts on a record's page: its words, and links for what one can call, mail or open."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from node.domain.concept import Field, Kind
from node.web import cells, forms
from node.web.render import Visit


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One line of the facts on a record's page."""

    name: str
    label: str
    text: str = ""
    href: str = ""
    lines: tuple[Mapping[str, str], ...] = ()
    editable: bool = False
    control: forms.Control | None = None
    original: str = ""


def fact(field: Field, item: Mapping[str, Any], v: Visit, known: Mapping[str, str], *, editable: bool) -> Fact:
    """A field as a line of facts: links for what one can call, mail or open."""
    value, r = item.get(field.name), v.reader
    shown = cells.Known(titles=known, offices=v.names, now=v.now)
    if field.kind is Kind.PARTS:
        lines = []
        for part in value or ():
            words = cells.part_text(field, part, r, shown)
            raw = str(part.get("value", "")) if isinstance(part, Mapping) else ""
            lines.append({"text": words, "href": _reach(field.name, raw)})
        return Fact(name=field.name, label=r.text(field.label), lines=tuple(lines), text=cells.DASH)
    text = cells.text(field, value, r, shown, str(item.get("currency") or ""))
    href = ""
    if field.kind is Kind.REF and field.ref != "users" and value and text != cells.DASH:
        href = f"/{field.ref.replace('_', '-')}/{value}"
    elif field.name in ("email", "phone", "website") and value:
        href = _reach(field.name, str(value))
    ok = editable and not field.read_only and not field.fixed and field.in_form and not href
    return Fact(name=field.name, label=r.text(field.label), text=text, href=href, editable=ok)


def _reach(name: str, value: str) -> str:
    if name.startswith("phone") and value:
        return "tel:" + "".join(c for c in value if c.isdigit() or c == "+")
    if name.startswith("email") and "@" in value:
        return f"mailto:{value}"
    if name == "website" and value:
        return value if value.startswith(("https://", "http://")) else f"https://{value}"
    return ""
