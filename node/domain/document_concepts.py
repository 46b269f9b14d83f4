"""Offers, orders, invoices and credit notes as everybody outside sees them: one table, four concepts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from node.domain import documents, party, payments
from node.domain.access import Actor
from node.domain.concept import OWNER, Concept, Field, Kind, SearchText, Values, register
from node.domain.documents import LINE_FIELDS, LINES, PROGRESS, Document

STATES = {"draft": "Draft", "posted": "Posted", "cancelled": "Cancelled"}
_DUE = {"offer": "Valid until", "order": "Delivery on", "invoice": "Due on", "credit": "Due on"}
_ORIGIN = {"offer": "offers", "order": "offers", "invoice": "orders", "credit": "invoices"}


def title(row: Any) -> str:
    """The number; a draft is called by its day."""
    return row.number or f"Draft {row.dated.isoformat()}"


def _settled(s: Session, by: Actor, rows: Sequence[Document]) -> dict[str, Values]:
    return {
        id: {"open": it.open, "paid": it.paid, "settled": it.state, "days_overdue": it.days_overdue}
        for id, it in payments.settlements(s, rows).items()
    }


def _search(s: Session, rows: Sequence[Document]) -> dict[str, SearchText]:
    names = party.company_names(s, (r.company_id for r in rows))
    return {
        r.id: SearchText(
            title=title(r),
            detail=names.get(r.company_id or "", ""),
            words=f"{r.number} {names.get(r.company_id or '', '')} {r.external_code}",
            digits=f"{r.number} {r.external_code}",
        )
        for r in rows
    }


def _fields(kind: str) -> tuple[Field, ...]:
    progress = PROGRESS[kind]
    fields = (
        Field(name="number", kind=Kind.TEXT, label="Number", read_only=True, listed=True, sortable=True),
        Field(name="state", kind=Kind.CHOICE, label="Document state", read_only=True, listed=True,
              choices=tuple(STATES), choice_labels=STATES),
        Field(name="progress", kind=Kind.CHOICE, label="Progress", listed=kind in ("offer", "order"),
              choices=tuple(progress), choice_labels=progress),
        Field(name="company", kind=Kind.REF, label="Company", column="company_id", ref="companies", required=True,
              listed=True),
        Field(name="person", kind=Kind.REF, label="Person", column="person_id", ref="persons"),
        Field(name="deal", kind=Kind.REF, label="Deal", column="deal_id", ref="deals"),
        Field(name="legal_entity", kind=Kind.REF, label="Our legal entity", column="legal_entity_id",
              ref="legal_entities"),
        Field(name="origin", kind=Kind.REF, label="Made from", column="origin_id", ref=_ORIGIN[kind], read_only=True,
              in_form=False),
        Field(name="dated", kind=Kind.DAY, label="Date", listed=True, sortable=True),
        Field(name="due_on", kind=Kind.DAY, label=_DUE[kind], listed=kind != "credit", sortable=True),
        *((Field(name="shipped_on", kind=Kind.DAY, label="Shipped on"),) if kind == "order" else ()),
        Field(name="currency", kind=Kind.CURRENCY, label="Currency"),
        Field(name="rate", kind=Kind.RATE, label="Rate", read_only=True, in_form=False),
        Field(name="net", kind=Kind.MONEY, label="Net", read_only=True, sortable=True),
        Field(name="vat", kind=Kind.MONEY, label="VAT", read_only=True),
        Field(name="gross", kind=Kind.MONEY, label="Gross", read_only=True, listed=True, sortable=True),
        Field(name="addressee", kind=Kind.OBJECT, label="Addressee", read_only=True, in_form=False, filterable=False),
        Field(name="intro", kind=Kind.NOTE, label="Introduction"),
        Field(name="closing", kind=Kind.NOTE, label="Closing"),
        Field(name="notes", kind=Kind.NOTE, label="Notes"),
        OWNER,
        Field(name="office", kind=Kind.OFFICE, label="Office", listed=True, sortable=True),
        Field(name="posted_at", kind=Kind.INSTANT, label="Posted", read_only=True, in_form=False, sortable=True),
        Field(name="posted_by", kind=Kind.REF, label="Posted by", ref="users", read_only=True, in_form=False),
        Field(name="external_code", kind=Kind.TEXT, label="External code"),
        Field(name="lines", kind=Kind.PARTS, label="Lines", parts=LINE_FIELDS),
    )  # fmt: skip
    return fields


_SETTLED_FIELDS = (
    Field(name="open", kind=Kind.MONEY, label="Open amount", read_only=True, listed=True),
    Field(name="paid", kind=Kind.MONEY, label="Paid", read_only=True),
    Field(name="settled", kind=Kind.CHOICE, label="Payment", read_only=True, listed=True,
          choices=tuple(payments.SETTLED), choice_labels=payments.SETTLED),
    Field(name="days_overdue", kind=Kind.INT, label="Days overdue", read_only=True),
)  # fmt: skip


def _is(kind: str) -> sa.ColumnElement[bool]:
    return Document.kind == kind


def _concept(name: str, kind: str, label: str, label_plural: str) -> Concept:
    invoice = kind == "invoice"
    return register(
        Concept(
            name=name,
            singular=kind,
            model=Document,
            label=label,
            label_plural=label_plural,
            icon="doc",
            title=title,
            order=("-dated",),
            where=lambda: _is(kind),
            preset={"kind": kind},
            derive=documents.complete,
            check=documents.check,
            extra=_settled if invoice else None,
            extra_fields=_SETTLED_FIELDS if invoice else (),
            search=_search,
            parts={"lines": LINES},
            creatable=kind != "credit",  # from an invoice: `chain.credit_invoice`
            removable=False,  # a draft is cancelled: `posting.cancel_draft`
            fields=_fields(kind),
        )
    )


OFFERS = _concept("offers", "offer", "Offer", "Offers")
ORDERS = _concept("orders", "order", "Order", "Orders")
INVOICES = _concept("invoices", "invoice", "Invoice", "Invoices")
CREDITS = _concept("credits", "credit", "Credit note", "Credit notes")
