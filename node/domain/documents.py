"""Documents of trade: offer → order → invoice → credit note. What is posted never changes.

Here: the tables, the lines with their sums, and drafts. `posting` gives a document its number and closes it, `chain`
makes the next one from it, `document_concepts` shows the four kinds to the outside.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from node.base import Base, Part, Record, key_column, optional_key
from node.columns import MONEY, PERCENT, QUANTITY, RATE, Day, Instant, Json
from node.domain import access, finding, money, offices, prices, search
from node.domain.access import Actor
from node.domain.catalogue import Product
from node.domain.concept import Field, Kind, Values
from node.domain.customers import Company
from node.domain.parts import RowsOf, stored
from node.errors import Invalid, NotFound, Refused
from node.ids import Id

KINDS = ("offer", "order", "invoice", "credit")
COLLECTION = {"offer": "offers", "order": "orders", "invoice": "invoices", "credit": "credits"}  # kind → concept
FREE = frozenset({"progress", "shipped_on", "notes", "owner"})  # what may still change once a document is posted
PROGRESS: Mapping[str, Mapping[str, str]] = {
    "offer": {"": "", "sent": "Sent", "accepted": "Accepted", "declined": "Declined"},
    "order": {
        "": "",
        "hold": "On hold",
        "in_process": "In process",
        "shipped": "Shipped",
        "resolved": "Resolved",
        "disputed": "Disputed",
        "cancelled": "Cancelled",
    },
    "invoice": {"": "", "sent": "Sent", "reminded": "Reminded"},
    "credit": {"": "", "sent": "Sent"},
}
LINE_FIELDS = (
    Field(name="product", kind=Kind.REF, label="Product", column="product_id", ref="products"),
    Field(name="text", kind=Kind.TEXT, label="Text"),
    Field(name="quantity", kind=Kind.QUANTITY, label="Quantity"),
    Field(name="unit", kind=Kind.TEXT, label="Unit", length_max=16),
    Field(name="price", kind=Kind.MONEY, label="Price"),
    Field(name="discount", kind=Kind.PERCENT, label="Discount"),
    Field(name="vat_rate", kind=Kind.PERCENT, label="VAT rate"),
    Field(name="net", kind=Kind.MONEY, label="Net", read_only=True),
)


class Document(Base, Record):
    """One document. Its number is drawn from the office's own range when it is posted."""

    __tablename__ = "document"

    kind: Mapped[str] = mapped_column(sa.String(16), index=True)  # offer order invoice credit
    number: Mapped[str] = mapped_column(sa.Text, default="", index=True)  # empty while a draft
    state: Mapped[str] = mapped_column(sa.String(16), default="draft", index=True)  # draft posted cancelled
    progress: Mapped[str] = mapped_column(sa.String(16), default="")  # accepted, shipped, …: see PROGRESS
    company_id: Mapped[Id | None] = optional_key()
    person_id: Mapped[Id | None] = optional_key()
    deal_id: Mapped[Id | None] = optional_key()
    legal_entity_id: Mapped[Id | None] = optional_key()  # ours
    origin_id: Mapped[Id | None] = optional_key()  # the document that it was made from
    dated: Mapped[date] = mapped_column(Day, index=True)
    due_on: Mapped[date | None] = mapped_column(Day, index=True)  # payment; offer: valid until; order: delivery
    shipped_on: Mapped[date | None] = mapped_column(Day)
    currency: Mapped[str] = mapped_column(sa.String(3), default="EUR")
    rate: Mapped[Decimal] = mapped_column(RATE, default=Decimal(1))  # into the company's currency, on that day
    net: Mapped[Decimal] = mapped_column(MONEY, default=Decimal(0))
    vat: Mapped[Decimal] = mapped_column(MONEY, default=Decimal(0))
    gross: Mapped[Decimal] = mapped_column(MONEY, default=Decimal(0))
    addressee: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)  # name and address as posted
    intro: Mapped[str] = mapped_column(sa.Text, default="")
    closing: Mapped[str] = mapped_column(sa.Text, default="")
    notes: Mapped[str] = mapped_column(sa.Text, default="")
    owner_id: Mapped[Id | None] = optional_key()
    posted_at: Mapped[datetime | None] = mapped_column(Instant)
    posted_by: Mapped[str] = mapped_column(sa.String(16), default="")
    external_code: Mapped[str] = mapped_column(sa.Text, default="", index=True)


class DocumentLine(Base, Part):
    """One line; `net` is quantity × price less discount, rounded to the currency's places."""

    __tablename__ = "document_line"

    document_id: Mapped[Id] = key_column()
    place: Mapped[int] = mapped_column(sa.SmallInteger, default=0)
    product_id: Mapped[Id | None] = optional_key()
    text: Mapped[str] = mapped_column(sa.Text, default="")
    quantity: Mapped[Decimal] = mapped_column(QUANTITY, default=Decimal(1))
    unit: Mapped[str] = mapped_column(sa.String(16), default="")
    price: Mapped[Decimal] = mapped_column(MONEY, default=Decimal(0))
    discount: Mapped[Decimal] = mapped_column(PERCENT, default=Decimal(0))
    vat_rate: Mapped[Decimal] = mapped_column(PERCENT, default=Decimal(0))
    net: Mapped[Decimal] = mapped_column(MONEY, default=Decimal(0))


class NumberRange(Base):
    """The next number of a kind and year at this office. Stays at home; what exists is looked at as well."""

    __tablename__ = "number_range"

    kind: Mapped[str] = mapped_column(sa.String(16), primary_key=True)
    year: Mapped[int] = mapped_column(sa.Integer, primary_key=True)
    next: Mapped[int] = mapped_column(sa.Integer, default=1)


# rules


def line_faults(lines: Sequence[Any]) -> str:
    """A sentence about the first line that cannot be, or empty."""
    for place, line in enumerate(lines, 1):
        if line.quantity < 0:
            return f"Line {place}: a quantity is not negative. To take something back, make a credit note."
        if not 0 <= line.discount <= 100:
            return f"Line {place}: a discount is between 0 and 100 percent."
        if not 0 <= line.vat_rate <= 100:
            return f"Line {place}: a VAT rate is between 0 and 100 percent."
    return ""


def sums(lines: Sequence[DocumentLine], currency: str) -> money.Totals:
    """The totals of a document from its lines as they stand."""
    return money.totals((money.Line(net=line.net, vat_rate=line.vat_rate) for line in lines), currency)


def way_out(kind: str, number: str) -> str:
    """What to do instead of changing a posted document."""
    ways = {
        "offer": "Copy it into a new offer instead.",
        "order": "Note the difference under notes, or set its state to cancelled and make a new order.",
        "invoice": "Make a credit note for it instead, and a new invoice.",
        "credit": "Make a new invoice for the difference instead.",
    }
    return f"{number} is posted and does not change any more. {ways.get(kind, '')}".strip()


# queries


def document(s: Session, by: Actor, id: str, verb: str = "read") -> Document:
    """The living document of any kind. Raise NotFound, Forbidden."""
    row = s.get(Document, id)
    if row is None:
        raise NotFound("There is no such document, or none that you may see.", id=id)
    return finding.found(s, by, Document, row.kind, id, verb)


def lines_of(s: Session, id: str) -> list[DocumentLine]:
    """The living lines of a document, in order."""
    return ROWS.rows(s, id)


# actions


def draft(
    s: Session, by: Actor, kind: str, *, lines: Sequence[Values], company_id: str | None, **attributes: Any
) -> Document:
    """A new draft. `lines` are values by the names of LINE_FIELDS: a price, text, unit or VAT rate that is not named
    comes from the catalogue. `attributes` are those of `Document`. Raise Invalid, Forbidden."""
    assert kind in KINDS, kind
    access.require(by, kind, "create")
    row = Document(kind=kind, company_id=Id(company_id) if company_id else None, **attributes)
    if not row.owner_id and by.user_id:
        row.owner_id = Id(by.user_id)
    with s.no_autoflush:
        complete(s, row)
    s.add(row)
    s.flush()
    LINES.save(s, row, lines)
    search.note(s, COLLECTION[kind], [row.id])
    return row


def complete(s: Session, row: Document) -> None:
    """Fill what nobody has said: the day, the currency; and the sums of a draft from its lines."""
    row.dated = row.dated or offices.today(s)
    if not row.currency:
        company = s.get(Company, row.company_id) if row.company_id else None
        row.currency = (company.currency if company else "") or prices.base_currency(s)
    row.state = row.state or "draft"
    if row.id and row.state == "draft":
        recompute(s, row)


def recompute(s: Session, row: Document) -> None:
    """Net of each line and the totals of a draft; assigns only what differs."""
    lines = lines_of(s, row.id)
    for line in lines:
        net = money.line_net(line.quantity, line.price, line.discount, row.currency)
        if line.net != net:
            line.net = net
    total = sums(lines, row.currency)
    for name, value in (("net", total.net), ("vat", total.vat), ("gross", total.gross)):
        if getattr(row, name) != value:
            setattr(row, name, value)


def check(s: Session, by: Actor, row: Document, values: Values, new: bool) -> None:
    """Refuse what a document of this kind and state cannot take. `values` are by field name."""
    state = "draft" if new else stored(row, "state")
    if state != "draft" and set(values) - FREE:
        number = row.number or f"This {row.kind}"
        if state == "cancelled":
            raise Refused(f"{number} was cancelled as a draft. Make a new {row.kind} instead.")
        raise Refused(way_out(row.kind, number), fields=sorted(set(values) - FREE))
    progress = values.get("progress") or ""
    if progress not in PROGRESS[row.kind]:
        raise Invalid({"progress": f"It can be: {', '.join(p for p in PROGRESS[row.kind] if p)}."})
    dated, due = values.get("dated", row.dated), values.get("due_on", row.due_on)
    if dated and due and due < dated and ("due_on" in values or "dated" in values):
        raise Invalid({"due_on": f"This day lies before the document's own ({dated.isoformat()})."})


class Lines:
    """The lines of a document: stored by `RowsOf`, refused once it is posted, and summed up."""

    def load(self, s: Session, ids: Sequence[str]) -> Mapping[str, list[Values]]:
        return ROWS.load(s, ids)

    def save(self, s: Session, row: Document, parts: Sequence[Values | str]) -> None:
        """Raise Refused for a posted document, Invalid for a line that cannot be."""
        if (row.state or "draft") != "draft":
            raise Refused(way_out(row.kind, row.number or f"This {row.kind}"), fields=["lines"])
        ROWS.save(s, row, parts)
        fault = line_faults(lines_of(s, row.id))
        if fault:
            raise Invalid({"lines": fault})
        recompute(s, row)
        s.flush()


def _from_catalogue(s: Session, row: Document, line: DocumentLine, named: frozenset[str]) -> None:
    """Text, unit, VAT rate and price of a line whose product was named and these were not."""
    product = s.get(Product, line.product_id) if line.product_id else None
    if product is None:
        return
    anew = not line.id or "id" not in named or stored(line, "product_id") != line.product_id
    if not line.text or (anew and "text" not in named):
        line.text = product.name
    if not line.unit or (anew and "unit" not in named):
        line.unit = product.unit
    if anew and "vat_rate" not in named:
        line.vat_rate = product.vat_rate
    if anew and "price" not in named:
        quote = prices.best_price(
            s, product.id, company_id=row.company_id, on=row.dated, quantity=line.quantity, currency=row.currency
        )
        if quote.currency != row.currency:
            raise Invalid(
                {"lines": f"{product.name}: there is no rate for {quote.currency} into {row.currency}. Give the price."}
            )
        line.price = quote.price


ROWS = RowsOf(DocumentLine, "document_id", LINE_FIELDS, prepare=_from_catalogue)
LINES = Lines()
