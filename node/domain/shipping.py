"""Shipping an order: what goes out is booked as issues of stock, in one go or in parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

import sqlalchemy as sa
from sqlalchemy.orm import Session

from node.domain import access, catalogue, documents, offices
from node.domain.access import Actor
from node.domain.catalogue import Product, StockMovement
from node.domain.documents import Document
from node.errors import Invalid, Refused
from node.ids import Id


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipment:
    """What was booked. `short`: products of which this office's stock is below zero now, a warning and no refusal:
    what is on the lorry is on the lorry, and the stock of this office may simply not be up to date."""

    movements: int
    complete: bool
    short: tuple[str, ...]


def left_to_ship(s: Session, order_id: str) -> dict[str, Decimal]:
    """Product → how many of the order have not gone out yet; goods only, in the order of the lines."""
    ordered: dict[str, Decimal] = {}
    for line in documents.lines_of(s, order_id):
        if line.product_id:
            ordered[line.product_id] = ordered.get(line.product_id, Decimal(0)) + line.quantity
    goods = set(s.scalars(sa.select(Product.id).where(Product.id.in_(ordered), Product.kind == "goods")))
    gone = (
        sa.select(StockMovement.product_id, sa.func.sum(StockMovement.quantity))
        .where(StockMovement.document_id == order_id, StockMovement.kind == "issue", StockMovement.alive)
        .group_by(StockMovement.product_id)
    )
    shipped = dict(s.execute(gone).all())
    return {id: n + shipped.get(Id(id), Decimal(0)) for id, n in ordered.items() if id in goods}


def ship_order(
    s: Session, by: Actor, id: str, quantities: Mapping[str, Decimal] | None = None, on: date | None = None
) -> Shipment:
    """Book what goes out of this office's stock: all that is left, or so many of each product by key.

    The last part makes the order `shipped` on that day (today). Raise Refused, Invalid (more than is left), NotFound,
    Forbidden.
    """
    order = documents.document(s, by, id, "edit")
    access.require(by, "stock_movement", "create")
    if order.kind != "order" or order.state != "posted":
        raise Refused("Only a posted order can be shipped. Post it first.")
    if order.progress == "cancelled":
        raise Refused(f"{order.number} was cancelled. Change its state first if it goes out after all.")
    left = left_to_ship(s, order.id)
    going = {k: v for k, v in (left if quantities is None else quantities).items() if v}
    for product_id, quantity in going.items():
        if not 0 < quantity <= left.get(product_id, Decimal(0)):
            rest = max(left.get(product_id, Decimal(0)), Decimal(0))
            raise Invalid({"lines": f"Only {rest.normalize():f} of this product are left to ship."})
    for product_id, quantity in going.items():
        s.add(
            StockMovement(
                product_id=Id(product_id), kind="issue", quantity=-quantity, at=s.info["now"], document_id=order.id,
                note=order.number, office=s.info["office"],
            )
        )  # fmt: skip
    s.flush()
    complete = not any(v > 0 for v in left_to_ship(s, order.id).values())
    if complete and order.progress != "shipped":
        _shipped(order, on or offices.today(s))
        s.flush()
    levels = catalogue.stock(s, list(going))
    here = s.info["office"]
    short = tuple(p for p in going if (p, here) in levels and levels[p, here].quantity < 0)
    return Shipment(movements=len(going), complete=complete, short=short)


def _shipped(order: Document, on: date) -> None:
    order.progress = "shipped"
    order.shipped_on = order.shipped_on or on
