"""Catalogue: products, price lists, currency rates, and stock as the sum of its movements.

What is in stock is never a counter that two offices could both set: it is a sum over movements, which are only ever
added. Here are the tables, that sum, and how the concepts look from outside; `prices` says what something costs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from node.base import Base, Part, Record, key_column, optional_key
from node.columns import MONEY, PERCENT, QUANTITY, RATE, Day, Flag, Instant
from node.domain.access import Actor
from node.domain.concept import Concept, Field, Kind, SearchText, Values, register
from node.domain.parts import RowsOf, batches
from node.errors import Invalid, Refused
from node.ids import Id, derived

PRODUCT_KINDS = {"goods": "Goods", "service": "Service"}
MOVEMENTS = {
    "opening": "Opening stock",
    "receipt": "Receipt",
    "issue": "Issue",
    "transfer": "Transfer",
    "correction": "Correction",
}


class Product(Base, Record):
    """Something we sell: goods or a service."""

    __tablename__ = "product"

    code: Mapped[str] = mapped_column(sa.Text, index=True)
    name: Mapped[str] = mapped_column(sa.Text, index=True)
    kind: Mapped[str] = mapped_column(sa.String(8), default="goods")  # goods service
    group: Mapped[str] = mapped_column("product_group", sa.Text, default="", index=True)
    unit: Mapped[str] = mapped_column(sa.String(16), default="pcs")
    vat_rate: Mapped[Decimal] = mapped_column(PERCENT, default=Decimal(0))
    price: Mapped[Decimal] = mapped_column(MONEY, default=Decimal(0))  # where no price list says otherwise
    buy_price: Mapped[Decimal | None] = mapped_column(MONEY)
    currency: Mapped[str] = mapped_column(sa.String(3), default="EUR")
    barcode: Mapped[str] = mapped_column(sa.Text, default="", index=True)
    supplier: Mapped[str] = mapped_column(sa.Text, default="")
    description: Mapped[str] = mapped_column(sa.Text, default="")
    active: Mapped[bool] = mapped_column(Flag, default=True)
    external_code: Mapped[str] = mapped_column(sa.Text, default="", index=True)


class PriceList(Base, Record):
    """Prices for a group of customers, in one currency, for a time."""

    __tablename__ = "price_list"

    name: Mapped[str] = mapped_column(sa.Text)
    currency: Mapped[str] = mapped_column(sa.String(3), default="EUR")
    valid_from: Mapped[date | None] = mapped_column(Day)
    valid_until: Mapped[date | None] = mapped_column(Day)
    standard: Mapped[bool] = mapped_column(Flag, default=False)


class Price(Base, Part):
    """One price of a list, from a quantity on."""

    __tablename__ = "price"

    price_list_id: Mapped[Id] = key_column()
    product_id: Mapped[Id] = key_column()
    from_quantity: Mapped[Decimal] = mapped_column(QUANTITY, default=Decimal(1))
    price: Mapped[Decimal] = mapped_column(MONEY)


class StockMovement(Base, Record):
    """So many came (positive) or went (negative) at an office. Never changed: stock is their sum."""

    __tablename__ = "stock_movement"

    product_id: Mapped[Id] = key_column()
    kind: Mapped[str] = mapped_column(sa.String(16), default="receipt")  # opening receipt issue transfer correction
    quantity: Mapped[Decimal] = mapped_column(QUANTITY)
    at: Mapped[datetime] = mapped_column(Instant)
    document_id: Mapped[Id | None] = optional_key()
    note: Mapped[str] = mapped_column(sa.Text, default="")


class CurrencyRate(Base, Record):
    """What one unit of a currency was worth in the company's currency on a day, and who says so."""

    __tablename__ = "currency_rate"

    currency: Mapped[str] = mapped_column(sa.String(3), index=True)
    on: Mapped[date] = mapped_column("on_day", Day, index=True)
    rate: Mapped[Decimal] = mapped_column(RATE)
    source: Mapped[str] = mapped_column(sa.Text, default="")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stock:
    """How much of a product lies at an office, and how old that knowledge is.

    `as_of`: for this office now; for another one the last exchange with it, or its newest movement that is known here.
    """

    product_id: str
    office: str
    quantity: Decimal
    as_of: datetime


# rules


def signed(kind: str, quantity: Decimal) -> str:
    """A sentence if a movement of this kind cannot have this sign, else empty."""
    if quantity == 0:
        return "A movement moves something: the quantity is not zero."
    if kind == "issue" and quantity > 0:
        return "An issue takes away: write its quantity with a minus."
    if kind == "receipt" and quantity < 0:
        return "A receipt adds: its quantity is not negative. To take away, choose issue."
    return ""


# queries


def stock(
    s: Session, product_ids: Sequence[str], heard: Mapping[str, datetime] | None = None
) -> dict[tuple[str, str], Stock]:
    """(product, office) → stock, for every office that has moved the product.

    `heard`: office → when this node last had its news by the exchange.
    """
    found: dict[tuple[str, str], Stock] = {}
    for batch in batches(list(product_ids)):
        query = (
            sa.select(
                StockMovement.product_id,
                StockMovement.office,
                sa.func.sum(StockMovement.quantity),
                sa.func.max(StockMovement.created_at),
            )
            .where(StockMovement.product_id.in_(batch), StockMovement.alive)
            .group_by(StockMovement.product_id, StockMovement.office)
            .order_by(StockMovement.office)
        )
        for product_id, office, quantity, newest in s.execute(query):
            as_of = s.info["now"] if office == s.info["office"] else (heard or {}).get(office, newest)
            found[product_id, office] = Stock(product_id=product_id, office=office, quantity=quantity, as_of=as_of)
    return found


def product_groups(s: Session) -> list[str]:
    """The groups that products are in, by name."""
    query = sa.select(Product.group).where(Product.alive, Product.group != "").distinct().order_by(Product.group)
    return list(s.scalars(query))


def _product_extra(s: Session, by: Actor, rows: Sequence[Product]) -> dict[str, Values]:
    levels = stock(s, [r.id for r in rows if r.kind == "goods"])
    result: dict[str, Values] = {}
    for r in rows:
        of = [level for (product_id, _), level in levels.items() if product_id == r.id] if len(rows) < 2 else None
        here = levels.get((r.id, s.info["office"]))
        result[r.id] = {
            "stock": here.quantity if here else (Decimal(0) if r.kind == "goods" else None),
            "stock_by_office": None
            if of is None
            else [
                {"office": x.office, "quantity": f"{x.quantity.normalize():f}", "as_of": x.as_of.isoformat()}
                for x in of
            ],
        }
    return result


def _check_product(s: Session, by: Actor, row: Product, values: Values, new: bool) -> None:
    wrong: dict[str, str] = {}
    if "code" in values:
        query = sa.select(Product.id).where(Product.code == values["code"], Product.alive, Product.id != (row.id or ""))
        if s.scalars(query.limit(1)).first():
            wrong["code"] = f"There is a product {values['code']} already. Choose another code."
    for name in ("price", "buy_price"):
        if (values.get(name) or 0) < 0:
            wrong[name] = "A price is not negative."
    if not 0 <= (values.get("vat_rate") or 0) <= 100:
        wrong["vat_rate"] = "A VAT rate is between 0 and 100 percent."
    if wrong:
        raise Invalid(wrong)


def _check_price_list(s: Session, by: Actor, row: PriceList, values: Values, new: bool) -> None:
    since = values.get("valid_from", row.valid_from)
    until = values.get("valid_until", row.valid_until)
    if since and until and until < since:
        raise Invalid({"valid_until": f"This day lies before the first one ({since.isoformat()})."})
    if any((p.get("price") or 0) < 0 for p in values.get("prices") or ()):
        raise Invalid({"prices": "A price is not negative."})


def _check_movement(s: Session, by: Actor, row: StockMovement, values: Values, new: bool) -> None:
    if not new:
        raise Refused("A movement does not change any more. Add a correction instead.")
    fault = signed(values.get("kind") or "receipt", values.get("quantity") or Decimal(0))
    if fault:
        raise Invalid({"quantity": fault})


def _derive_movement(s: Session, row: StockMovement) -> None:
    row.kind = row.kind or "receipt"
    row.at = row.at or s.info["now"]


def _check_rate(s: Session, by: Actor, row: CurrencyRate, values: Values, new: bool) -> None:
    if "rate" in values and (values["rate"] or 0) <= 0:
        raise Invalid({"rate": "A rate is more than nothing: what one unit is worth in the company's currency."})
    if new and s.get(CurrencyRate, derived("rate", values["currency"], values["on"].isoformat())) is not None:
        raise Invalid({"on": f"There is a rate of {values['currency']} for this day already. Change that one."})


def _derive_rate(s: Session, row: CurrencyRate) -> None:
    row.id = row.id or derived("rate", row.currency, row.on.isoformat())  # one row for a day, whoever typed it


def _search_products(s: Session, rows: Sequence[Product]) -> dict[str, SearchText]:
    return {
        r.id: SearchText(
            title=r.name,
            detail=" ".join(filter(None, (r.code, r.group))),
            words=f"{r.code} {r.name} {r.group} {r.supplier} {r.external_code}",
            digits=f"{r.code} {r.barcode} {r.external_code}",
        )
        for r in rows
    }


def _search_lists(s: Session, rows: Sequence[PriceList]) -> dict[str, SearchText]:
    return {r.id: SearchText(title=r.name, detail=r.currency, words=r.name) for r in rows}


def _movement_title(row: Any) -> str:
    return f"{row.quantity.normalize():+f}"


PRICE_FIELDS = (
    Field(name="product", kind=Kind.REF, label="Product", column="product_id", ref="products", required=True),
    Field(name="from_quantity", kind=Kind.QUANTITY, label="From quantity"),
    Field(name="price", kind=Kind.MONEY, label="Price", required=True),
)
PRICES = RowsOf(Price, "price_list_id", PRICE_FIELDS)

PRODUCTS = register(
    Concept(
        name="products",
        singular="product",
        model=Product,
        label="Product",
        label_plural="Products",
        icon="box",
        title=lambda r: r.name,
        order=("code",),
        check=_check_product,
        extra=_product_extra,
        search=_search_products,
        extra_fields=(
            Field(name="stock", kind=Kind.QUANTITY, label="Stock here", read_only=True, listed=True),
            Field(name="stock_by_office", kind=Kind.OBJECT, label="Stock per office", read_only=True,
                  filterable=False),
        ),
        fields=(
            Field(name="code", kind=Kind.TEXT, label="Code", required=True, listed=True, sortable=True, length_max=64),
            Field(name="name", kind=Kind.TEXT, label="Name", required=True, listed=True, sortable=True),
            Field(name="kind", kind=Kind.CHOICE, label="Kind", choices=tuple(PRODUCT_KINDS),
                  choice_labels=PRODUCT_KINDS),
            Field(name="group", kind=Kind.TEXT, label="Group", listed=True, sortable=True),
            Field(name="unit", kind=Kind.TEXT, label="Unit", length_max=16),
            Field(name="price", kind=Kind.MONEY, label="Price", listed=True, sortable=True),
            Field(name="currency", kind=Kind.CURRENCY, label="Currency", listed=True),
            Field(name="vat_rate", kind=Kind.PERCENT, label="VAT rate"),
            Field(name="buy_price", kind=Kind.MONEY, label="Purchase price"),
            Field(name="barcode", kind=Kind.TEXT, label="Barcode", length_max=64),
            Field(name="supplier", kind=Kind.TEXT, label="Supplier"),
            Field(name="description", kind=Kind.NOTE, label="Description"),
            Field(name="active", kind=Kind.FLAG, label="On sale"),
            Field(name="external_code", kind=Kind.TEXT, label="External code"),
        ),
    )
)  # fmt: skip

PRICE_LISTS = register(
    Concept(
        name="price_lists",
        singular="price_list",
        model=PriceList,
        label="Price list",
        label_plural="Price lists",
        icon="list",
        title=lambda r: r.name,
        order=("name",),
        check=_check_price_list,
        search=_search_lists,
        parts={"prices": PRICES},
        fields=(
            Field(name="name", kind=Kind.TEXT, label="Name", required=True, listed=True, sortable=True),
            Field(name="currency", kind=Kind.CURRENCY, label="Currency", listed=True),
            Field(name="valid_from", kind=Kind.DAY, label="Valid from", listed=True, sortable=True),
            Field(name="valid_until", kind=Kind.DAY, label="Valid until", listed=True, sortable=True),
            Field(name="standard", kind=Kind.FLAG, label="For everybody", listed=True,
                  help="Otherwise only for customers who have this list"),
            Field(name="prices", kind=Kind.PARTS, label="Prices", parts=PRICE_FIELDS),
        ),
    )
)  # fmt: skip

STOCK_MOVEMENTS = register(
    Concept(
        name="stock_movements",
        singular="stock_movement",
        model=StockMovement,
        label="Stock movement",
        label_plural="Stock movements",
        icon="box",
        title=_movement_title,
        order=("-at",),
        check=_check_movement,
        derive=_derive_movement,
        editable=False,
        removable=False,
        fields=(
            Field(name="product", kind=Kind.REF, label="Product", column="product_id", ref="products", required=True,
                  listed=True),
            Field(name="kind", kind=Kind.CHOICE, label="Kind", listed=True, choices=tuple(MOVEMENTS),
                  choice_labels=MOVEMENTS),
            Field(name="quantity", kind=Kind.QUANTITY, label="Quantity", required=True, listed=True, sortable=True),
            Field(name="at", kind=Kind.INSTANT, label="Time", listed=True, sortable=True),
            Field(name="document", kind=Kind.REF, label="Order", column="document_id", ref="orders"),
            Field(name="note", kind=Kind.TEXT, label="Note"),
            Field(name="office", kind=Kind.OFFICE, label="Office", listed=True, sortable=True),
        ),
    )
)  # fmt: skip

CURRENCY_RATES = register(
    Concept(
        name="currency_rates",
        singular="currency_rate",
        model=CurrencyRate,
        label="Currency rate",
        label_plural="Currency rates",
        icon="money",
        title=lambda r: f"{r.currency} {r.on.isoformat()}",
        order=("-on",),
        check=_check_rate,
        derive=_derive_rate,
        fields=(
            Field(name="currency", kind=Kind.CURRENCY, label="Currency", required=True, fixed=True, listed=True),
            Field(name="on", kind=Kind.DAY, label="Day", required=True, fixed=True, listed=True, sortable=True),
            Field(name="rate", kind=Kind.RATE, label="Rate", required=True, listed=True,
                  help="What one unit is worth in the company's currency"),
            Field(name="source", kind=Kind.TEXT, label="Source", listed=True),
        ),
    )
)  # fmt: skip
