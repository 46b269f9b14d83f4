"""Catalogue: products, price lists, currency rates, and stock as the sum of its movements."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from node.base import Base, Part, Record, key_column, optional_key
from node.columns import MONEY, PERCENT, QUANTITY, RATE, Day, Flag, Instant
from node.ids import Id


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
