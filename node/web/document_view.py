"""A document of trade in words: its lines, totals, chain, next steps and recipient.

Plain functions of values; the pages of `pages_documents` read the database and call these.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from node.domain import chain
from node.domain.access import Actor, may
from node.domain.concept import CONCEPTS, Concept, Values
from node.domain.documents import LINE_FIELDS
from node.web import forms
from node.web.facts import Fact, fact
from node.web.i18n import _
from node.web.language import Reader
from node.web.record_view import Action, Facts, Line
from node.web.render import Note, Visit
from node.web.visit import address_of

NEXT: Mapping[str, tuple[str, str]] = {  # from: (to, words)
    "offer": ("order", _("Make order")),
    "order": ("invoice", _("Make invoice")),
    "invoice": ("credit", _("Make credit note")),
}


POST_WORDS: Mapping[str, str] = {
    "offer": _("Post offer"), "order": _("Post order"), "invoice": _("Post invoice"), "credit": _("Post credit note"),
}  # fmt: skip


STEPS: Mapping[str, str] = {
    "deals": _("Deal"), "offers": _("Offer"), "orders": _("Order"), "invoices": _("Invoice"),
    "credits": _("Credit note"), "payments": _("Payment"),
}  # fmt: skip


DUE: Mapping[str, str] = {
    "offer": _("valid until"), "order": _("delivery on"), "invoice": _("due on"), "credit": _("due on"),
}  # fmt: skip


KIND_WORDS: Mapping[str, str] = {
    "offer": _("Offer"), "order": _("Order"), "invoice": _("Invoice"), "credit": _("Credit note"),
}  # fmt: skip


LINES_MAX = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of the chain strip. `cls`: ok, part or nothing."""

    label: str
    text: str
    href: str
    here: bool
    cls: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeskLine:
    """One line, in words or as it stands in its fields; `wrong` names the field that cannot be read."""

    id: str = ""
    product: str = ""
    href: str = ""
    code: str = ""
    text: str = ""
    quantity: str = ""
    unit: str = ""
    price: str = ""
    discount: str = ""
    vat_rate: str = ""
    net: str = ""
    wrong: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """The sums under the lines, in words."""

    net: str
    vat: Sequence[tuple[str, str]]
    gross: str
    paid: str = ""
    open: str = ""
    late: bool = False


DRAFTS: Mapping[str, str] = {
    "offer": _("Offer, draft"), "order": _("Order, draft"), "invoice": _("Invoice, draft"),
    "credit": _("Credit note, draft"),
}  # fmt: skip


def line_words(x: Values, item: Values, v: Visit, known: Mapping[str, str], *, raw: bool) -> DeskLine:
    """One line: as it stands in its fields (`raw`), or in words."""
    r, currency = v.reader, str(item["currency"])
    product = str(x.get("product") or "")
    fields = {f.name: f for f in LINE_FIELDS}
    if raw:
        shown = {k: forms.show_raw(fields[k].kind, x.get(k), r) for k in ("quantity", "price", "discount", "vat_rate")}
    else:
        shown = {
            "quantity": r.number(x.get("quantity")),
            "price": r.money(x.get("price")),
            "discount": r.percent(x.get("discount")) if x.get("discount") else "",
            "vat_rate": r.percent(x.get("vat_rate")),
        }
    return DeskLine(
        id=str(x.get("id") or ""),
        product=product,
        href=f"/products/{product}" if product else "",
        code=known.get(f"code:{product}", ""),
        text=str(x.get("text") or known.get(product, "")),
        unit=str(x.get("unit") or ""),
        net=r.money(x.get("net"), currency if raw else ""),
        **shown,
    )


def totals_of(item: Values, r: Reader, text: Any) -> Totals:
    """The sums in words, VAT by rate."""
    currency = str(item["currency"])
    by_rate: dict[Decimal, Decimal] = {}
    for x in item["lines"]:
        by_rate[x["vat_rate"]] = by_rate.get(x["vat_rate"], Decimal(0)) + x["net"]
    rates = sorted(rate for rate in by_rate if rate)
    if len(rates) == 1:
        vat = [(r.percent(rates[0]), r.money(item["vat"], currency))]
    else:
        vat = [(r.percent(rate), r.money(by_rate[rate] * rate / 100, currency)) for rate in rates]
    open_, paid = item.get("open"), item.get("paid")
    posted_ = item["state"] == "posted" and open_ is not None
    return Totals(
        net=r.money(item["net"], currency),
        vat=vat,
        gross=r.money(item["gross"], currency),
        paid=r.money(item["gross"] - open_, currency) if posted_ and (paid or item["gross"] != open_) else "",
        open=r.money(open_, currency) if posted_ and open_ else "",
        late=bool(posted_ and item.get("days_overdue")),
    )


def strip_of(links: Sequence[chain.Link], v: Visit) -> list[Step]:
    """The chain from deal to payment."""
    made = []
    for link in links:
        number = link.title if link.state != "draft" else v.text(_("draft"))
        money = v.reader.money(link.amount, link.currency) if link.concept == "payments" else ""
        day = v.reader.day(link.dated, v.reader.today(v.now)) if link.dated else ""
        text = ", ".join(filter(None, (money or number, day)))
        done = link.state in ("posted", "won") or link.concept == "payments"
        made.append(
            Step(
                label=STEPS.get(link.concept, link.concept),
                text=text,
                href=address_of(CONCEPTS[link.concept], link.id),
                here=link.current,
                cls="ok" if done else "",
            )
        )
    return made if len(made) > 1 else []


def notes_of(item: Values, kind: str, v: Visit) -> list[Note]:
    """What one should know before one goes on."""
    if item["state"] == "posted":
        text = {
            "invoice": _("For changes make a credit note."),
            "order": _("Differences go under notes, or into a new order."),
            "offer": _("For changes make a new offer."),
            "credit": _("For changes make a new invoice."),
        }[kind]
        return [Note(tone="", icon="lock", strong=v.text(_("This is posted and stays as it is.")), text=v.text(text))]
    if item["state"] == "cancelled":
        return [Note(tone="brass", icon="x", strong=v.text(_("This draft was given up.")))]
    return []


def actions_of(concept: Concept, item: Values, kind: str, by: Actor, may_edit: bool) -> list[Action]:
    """The next step first."""
    here = address_of(concept, str(item["id"]))
    made: list[Action] = []
    if item["state"] == "draft" and may_edit:
        made.append(Action(label=POST_WORDS[kind], href=f"{here}/post", icon="lock", primary=True, post=True))
        made.append(Action(label=_("Edit head"), href=f"{here}/edit", icon="edit", key="e"))
    if item["state"] == "posted" and kind in NEXT and may(by, NEXT[kind][0], "create"):
        to, words = NEXT[kind]
        made.append(Action(label=words, href=f"{here}/next/{to}", icon="doc", primary=kind != "invoice", post=True))
    if kind == "invoice" and item["state"] == "posted" and item.get("open") and may(by, "payment", "create"):
        made.insert(0, Action(label=_("Enter payment"), href=f"{here}/payment", icon="check", primary=True))
    made.append(Action(label=_("Print"), href=f"{here}/print", icon="print"))
    return made


def more_of(concept: Concept, item: Values, kind: str, by: Actor, may_edit: bool) -> list[Action]:
    """What one does now and then."""
    here = address_of(concept, str(item["id"]))
    made: list[Action] = []
    if item["state"] == "posted" and may_edit:
        made.append(Action(label=_("State and notes"), href=f"{here}/edit", icon="edit"))
    if kind != "credit" and may(by, kind, "create"):
        made.append(Action(label=_("Copy into a new draft"), href=f"{here}/copy", icon="doc", post=True))
    if item["state"] == "draft" and may_edit:
        made.append(Action(label=_("Give the draft up"), href=f"{here}/cancel", icon="x", post=True))
    return made


def recipient_of(item: Values, address: Mapping[str, Any], known: Mapping[str, str], r: Reader) -> list[str]:
    """Name and address: as posted, or as they stand today."""
    a = item.get("addressee") or {}
    if a:
        name = [str(a.get(k) or "") for k in ("name", "company", "person")]
        place = a.get("address") if isinstance(a.get("address"), Mapping) else a
        return list(dict.fromkeys(filter(None, [*name, *_place(place or {}, r)])))
    names = [known.get(str(item.get(k) or ""), "") for k in ("company", "person")]
    return [*filter(None, names), *_place(address, r)]


def _place(a: Mapping[str, Any], r: Reader) -> list[str]:
    town = " ".join(filter(None, (str(a.get("zip") or ""), str(a.get("city") or ""))))
    return [x for x in (str(a.get("street") or ""), town, a.get("country") and r.country_name(str(a["country"]))) if x]


def payments_of(links: Sequence[chain.Link], v: Visit) -> list[Line]:
    """The payments of the chain."""
    return [
        Line(
            title=f"{link.title} · {v.reader.day(link.dated, v.reader.today(v.now))}",
            href=address_of(CONCEPTS["payments"], link.id),
            value=v.reader.money(link.amount, link.currency),
        )
        for link in links
        if link.concept == "payments"
    ]


def facts_of(concept: Concept, item: Values, v: Visit, known: Mapping[str, str], may_edit: bool) -> list[Facts]:
    """What is neither head nor lines nor totals."""
    free = ("progress", "shipped_on", "owner")
    rows: list[Fact] = []
    for name in ("progress", "owner", "deal", "origin", "shipped_on", "person", "external_code"):
        f = concept.field(name)
        if f is not None and (item.get(name) not in (None, "") or name in free):
            editable = may_edit and (item["state"] == "draft" or name in free)
            rows.append(fact(f, item, v, known, editable=editable))
    return [Facts(label="", rows=rows)]


def parse_lines(form: Mapping[str, str], r: Reader) -> tuple[list[Values], list[DeskLine], str]:
    """The lines as values and as typed, and a sentence if one cannot be read."""
    numbers = sorted({int(m[1]) for k in form if (m := re.match(r"lines\.(\d{1,3})\.", k))})[:LINES_MAX]
    fields = {f.name: f for f in LINE_FIELDS}
    values: list[Values] = []
    typed: list[DeskLine] = []
    error = ""
    for n in numbers:
        raw = {k: form.get(f"lines.{n}.{k}", "").strip() for k in DeskLine.__dataclass_fields__}
        if not raw["text"] and not raw["product"]:
            continue
        line: Values = {"product": raw["product"] or None, "text": raw["text"], "unit": raw["unit"]}
        if raw["id"]:
            line["id"] = raw["id"]
        wrong = ""
        for name in ("quantity", "price", "discount", "vat_rate"):
            if not raw[name]:
                if name == "discount":
                    line[name] = Decimal(0)
                continue  # nothing said: the catalogue's
            try:
                line[name] = forms.read(fields[name], raw[name], r)
            except forms.Unreadable as unreadable:
                wrong, error = name, error or str(unreadable)
        values.append(line)
        shown = {k: raw[k] for k in ("id", "product", "text", "quantity", "unit", "price", "discount", "vat_rate")}
        typed.append(replace(DeskLine(**shown), wrong=wrong))
    return values, typed, error
