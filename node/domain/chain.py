"""One document from another: deal → offer → order → invoice → credit note, and the strip that shows the whole chain.

What was made from a document is looked at again each time: an order that was invoiced by half gives an invoice of the
other half, and nothing is invoiced or credited twice by a second click.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from node.domain import access, documents, finding, party
from node.domain.access import Actor
from node.domain.concept import Values
from node.domain.deals import Deal, DealLine
from node.domain.documents import Document, DocumentLine
from node.domain.payments import Allocation, Payment
from node.errors import Invalid, Refused

NEXT: Mapping[str, tuple[str, ...]] = {"offer": ("order",), "order": ("invoice",), "invoice": ("credit",), "credit": ()}
COLLECTION = documents.COLLECTION
CHAIN_MAX = 100  # documents in one strip
_ORDER = ("deals", "offers", "orders", "invoices", "payments", "credits")
_COPIED = ("product_id", "text", "unit", "price", "discount", "vat_rate")  # what makes two lines the same


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One step of the chain. `concept` and `id` make its address; `current` is the one that was asked for."""

    concept: str
    id: str
    title: str
    state: str
    progress: str
    dated: date | None
    amount: Decimal
    currency: str
    office: str
    current: bool


def next_document(
    s: Session, by: Actor, id: str, kind: str, *, quantities: Mapping[str, Decimal] | None = None
) -> Document:
    """A draft of the next kind from a posted document, with what is left of its lines.

    `quantities`: key of a line → how many of it, instead of all that is left. Raise Refused (not posted, nothing left,
    wrong kind), Invalid (more than is left), NotFound, Forbidden.
    """
    source = documents.document(s, by, id)
    if kind not in NEXT[source.kind]:
        ways = " or ".join(NEXT[source.kind]) or "nothing"
        raise Refused(f"From this {source.kind} comes {ways}, not {kind}.")
    if source.state != "posted":
        raise Refused(f"Post this {source.kind} first; a draft may still change.")
    if source.kind == "order" and source.progress == "cancelled":
        raise Refused(f"{source.number} was cancelled. Change its state first if it goes on after all.")
    lines = _chosen(left_lines(s, source, kind), quantities)
    if not lines:
        raise Refused(f"Nothing is left of {source.number} for another {kind}: it was all taken over before.")
    row = documents.draft(
        s,
        by,
        kind,
        company_id=source.company_id,
        lines=lines,
        person_id=source.person_id,
        deal_id=source.deal_id,
        legal_entity_id=source.legal_entity_id,
        origin_id=source.id,
        currency=source.currency,
        owner_id=source.owner_id,
        office=source.office,
    )
    if source.kind == "offer" and source.progress != "accepted" and access.may(by, "offer", "edit", source):
        source.progress = "accepted"
        s.flush()
    return row


def credit_invoice(s: Session, by: Actor, id: str, *, quantities: Mapping[str, Decimal] | None = None) -> Document:
    """A draft credit note of an invoice: the whole of what is left, or so many of the lines named by key."""
    return next_document(s, by, id, "credit", quantities=quantities)


def document_from_deal(s: Session, by: Actor, deal_id: str, kind: str = "offer") -> Document:
    """A draft (offer, order or invoice) for the customer of a deal, with its products."""
    deal = finding.found(s, by, Deal, "deal", deal_id)
    if kind not in ("offer", "order", "invoice"):
        raise Refused("From a deal comes an offer, an order or an invoice.")
    rows = s.scalars(
        sa.select(DealLine).where(DealLine.deal_id == deal.id, DealLine.alive).order_by(DealLine.place, DealLine.id)
    )
    lines: list[Values] = []
    for r in rows:
        line: Values = {"product": r.product_id, "quantity": r.quantity, "price": r.price, "discount": r.discount}
        lines.append({**line, "text": r.text} if r.text else line)
    return documents.draft(
        s,
        by,
        kind,
        company_id=deal.company_id,
        lines=lines,
        person_id=deal.person_id,
        deal_id=deal.id,
        currency=deal.currency,
        owner_id=deal.owner_id,
        office=deal.office,
    )


def copy_document(s: Session, by: Actor, id: str) -> Document:
    """A draft of the same kind with the same lines at today's prices."""
    source = documents.document(s, by, id)
    lines: list[Values] = []
    for r in documents.lines_of(s, source.id):
        line: Values = {"product": r.product_id, "quantity": r.quantity, "discount": r.discount, "text": r.text}
        fixed: Values = {"price": r.price, "vat_rate": r.vat_rate, "unit": r.unit}
        lines.append(line if r.product_id else {**line, **fixed})
    return documents.draft(
        s, by, source.kind, company_id=source.company_id, lines=lines, person_id=source.person_id,
        currency=source.currency, intro=source.intro, closing=source.closing,
    )  # fmt: skip


def copy_last_order(s: Session, by: Actor, company_id: str) -> Document:
    """The customer wants the same again: his newest order as a draft, at today's prices. Raise Refused if none."""
    query = (
        sa.select(Document.id)
        .where(
            Document.kind == "order",
            Document.state == "posted",
            Document.alive,
            Document.company_id.in_(party.same_company(s, company_id)),
            access.readable(by, Document, "order"),
        )
        .order_by(Document.dated.desc(), Document.number.desc(), Document.id.desc())
        .limit(1)
    )
    last = s.scalar(query)
    if last is None:
        raise Refused("There is no order of this customer yet that could be copied. Start an empty one.")
    return copy_document(s, by, last)


def left_lines(s: Session, source: Document, kind: str) -> list[Values]:
    """The lines of a document less what drafts and posted documents of `kind` have taken over, with `line_id`."""
    taken: dict[tuple[Any, ...], Decimal] = {}
    query = (
        sa.select(DocumentLine)
        .join(Document, Document.id == DocumentLine.document_id)
        .where(
            Document.origin_id == source.id,
            Document.kind == kind,
            Document.state != "cancelled",
            Document.alive,
            DocumentLine.alive,
        )
    )
    for line in s.scalars(query):
        taken[_same(line)] = taken.get(_same(line), Decimal(0)) + line.quantity
    left: list[Values] = []
    for line in documents.lines_of(s, source.id):
        used = min(taken.get(_same(line), Decimal(0)), line.quantity)
        taken[_same(line)] = taken.get(_same(line), Decimal(0)) - used
        if line.quantity > used:
            values = {name.removesuffix("_id"): getattr(line, name) for name in _COPIED}
            left.append({"line_id": line.id, **values, "quantity": line.quantity - used})
    return left


def chain(s: Session, by: Actor, id: str) -> list[Link]:
    """All documents that hang together with this one (at most CHAIN_MAX), its deal, and the payments of its invoices;
    in the order of trade. What the actor may not read is left out."""
    row = documents.document(s, by, id)
    top = row
    for _ in range(len(documents.KINDS)):
        above = s.get(Document, top.origin_id) if top.origin_id else None
        if above is None or not above.alive:
            break
        top = above
    found, newest = {top.id: top}, [top.id]
    while newest and len(found) < CHAIN_MAX:
        query = sa.select(Document).where(Document.origin_id.in_(newest), Document.alive).limit(CHAIN_MAX)
        below = [r for r in s.scalars(query) if r.id not in found]
        found.update({r.id: r for r in below})
        newest = [r.id for r in below]
    links = [_link(r, r.id == id) for r in found.values() if access.may(by, r.kind, "read", r)]
    deal = s.get(Deal, row.deal_id) if row.deal_id else None
    if deal is not None and deal.alive and access.may(by, "deal", "read", deal):
        links.append(_deal_link(deal))
    invoices = [r.id for r in found.values() if r.kind == "invoice"]
    paying = sa.select(Allocation.payment_id).where(Allocation.document_id.in_(invoices), Allocation.alive)
    payments = sa.select(Payment).where(Payment.id.in_(paying), Payment.alive).limit(CHAIN_MAX)
    links += [_payment_link(p) for p in s.scalars(payments) if access.may(by, "payment", "read", p)]
    return sorted(links, key=lambda link: (_ORDER.index(link.concept), link.dated or date.min, link.title, link.id))


def _same(line: DocumentLine) -> tuple[Any, ...]:
    return tuple(getattr(line, name) for name in _COPIED)


def _chosen(left: Sequence[Values], quantities: Mapping[str, Decimal] | None) -> list[Values]:
    if quantities is not None:
        have = {line["line_id"]: line["quantity"] for line in left}
        for line_id, quantity in quantities.items():
            if quantity < 0 or quantity > have.get(line_id, Decimal(0)):
                raise Invalid({"lines": f"Only {have.get(line_id, Decimal(0)).normalize():f} of this line are left."})
        left = [{**ln, "quantity": quantities.get(ln["line_id"], Decimal(0))} for ln in left]
    return [{k: v for k, v in line.items() if k != "line_id"} for line in left if line["quantity"] > 0]


def _link(r: Document, current: bool) -> Link:
    return Link(
        concept=COLLECTION[r.kind], id=r.id, title=r.number, state=r.state, progress=r.progress, dated=r.dated,
        amount=r.gross, currency=r.currency, office=r.office, current=current,
    )  # fmt: skip


def _deal_link(r: Deal) -> Link:
    return Link(
        concept="deals", id=r.id, title=r.title, state=r.state, progress="", dated=r.created_at.date(),
        amount=r.amount, currency=r.currency, office=r.office, current=False,
    )  # fmt: skip


def _payment_link(r: Payment) -> Link:
    return Link(
        concept="payments", id=r.id, title=r.number, state=r.direction, progress="", dated=r.dated, amount=r.amount,
        currency=r.currency, office=r.office, current=False,
    )  # fmt: skip
