"""What something costs a customer on a day, and what money is worth in another currency.

A price comes from the customer's own list, else from the standard lists (the lowest), else from the product itself.
Every converted figure carries the day and the source of its rate: an office without a line works with the rates that it
has, and says how old they are.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

import sqlalchemy as sa
from sqlalchemy.orm import Session

from node.domain import money, offices, views
from node.domain.catalogue import CurrencyRate, Price, PriceList, Product
from node.domain.customers import Company
from node.errors import NotFound

BASE_CURRENCY = "EUR"  # where neither the company's settings nor head office say another


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """A price that holds from a quantity on. `own`: of the list that was agreed with this customer."""

    price: Decimal
    currency: str
    from_quantity: Decimal
    source: str  # name of the list
    own: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """One unit of `currency` is worth `rate` of the company's currency; `on` is the day that the rate is of."""

    currency: str
    rate: Decimal
    on: date
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """The price of one unit. `source`: name of the price list, empty for the product's own price.

    `listed` and `listed_currency` are what the source says; `rate_on` is the day of the rate if it was converted.
    """

    price: Decimal
    currency: str
    source: str
    listed: Decimal
    listed_currency: str
    rate_on: date | None
    unit: str
    vat_rate: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Converted:
    """An amount in another currency; `as_of` is the day of the older of the rates, None if none was needed."""

    amount: Decimal
    currency: str
    as_of: date | None


# rules


def best(tiers: Iterable[Tier], quantity: Decimal) -> Tier | None:
    """The tier that holds for so many: of the customer's own list if it has one, else the lowest; per list the highest
    `from_quantity` that is reached. Prices of one currency are compared only."""
    reached: dict[tuple[str, bool], Tier] = {}
    for tier in tiers:
        key = (tier.source, tier.own)
        if tier.from_quantity <= quantity and (
            key not in reached or tier.from_quantity > reached[key].from_quantity
        ):
            reached[key] = tier
    own = [t for t in reached.values() if t.own]
    candidates = own or list(reached.values())
    return min(candidates, key=lambda t: (t.price, t.source), default=None)


# queries


def base_currency(s: Session) -> str:
    """The company's currency: the setting `currency`, else head office's."""
    known: str | None = s.info.get("base_currency")
    if known is None:
        head = sa.select(offices.Office.currency).where(offices.Office.central == 1, offices.Office.alive)
        known = str(views.setting(s, "currency") or s.scalar(head) or BASE_CURRENCY)
        s.info["base_currency"] = known
    return known


def rate_on(s: Session, currency: str, on: date) -> Rate | None:
    """The newest rate that is not younger than `on`; None if there is none. The company's own currency is 1."""
    if currency == base_currency(s):
        return Rate(currency=currency, rate=Decimal(1), on=on, source="")
    query = sa.select(CurrencyRate).where(CurrencyRate.alive, CurrencyRate.currency == currency, CurrencyRate.on <= on)
    row = s.scalars(query.order_by(CurrencyRate.on.desc(), CurrencyRate.changed_at.desc()).limit(1)).first()
    return None if row is None or not row.rate else Rate(currency=currency, rate=row.rate, on=row.on, source=row.source)


def convert(s: Session, amount: Decimal, currency: str, into: str, on: date) -> Converted | None:
    """The amount in another currency, rounded to it, by the rates of that day or the newest before. None: no rate."""
    if currency == into:
        return Converted(amount=amount, currency=into, as_of=None)
    source, target = rate_on(s, currency, on), rate_on(s, into, on)
    if source is None or target is None:
        return None
    worth = money.rounded(amount * source.rate / target.rate, into)
    return Converted(amount=worth, currency=into, as_of=min(source.on, target.on))


def best_price(
    s: Session,
    product_id: str,
    *,
    company_id: str | None = None,
    on: date | None = None,
    quantity: Decimal = Decimal(1),
    currency: str | None = None,
) -> Quote:
    """What one unit costs this customer on that day (today) when he takes so many, in `currency` (the source's own).

    A price that cannot be converted for want of a rate stays in its own currency: look at `Quote.currency`.
    Raise NotFound.
    """
    product = s.get(Product, product_id)
    if product is None:
        raise NotFound("There is no such product. Look for it in the catalogue by name or code.", id=product_id)
    on = on or offices.today(s)
    tier = best(_tiers(s, product_id, company_id, on, currency), quantity)
    listed, listed_currency = (tier.price, tier.currency) if tier else (product.price, product.currency)
    into = currency or listed_currency
    converted = convert(s, listed, listed_currency, into, on)
    return Quote(
        price=converted.amount if converted else listed,
        currency=converted.currency if converted else listed_currency,
        source=tier.source if tier else "",
        listed=listed,
        listed_currency=listed_currency,
        rate_on=converted.as_of if converted else None,
        unit=product.unit,
        vat_rate=product.vat_rate,
    )


def _tiers(s: Session, product_id: str, company_id: str | None, on: date, currency: str | None) -> list[Tier]:
    own = s.scalar(sa.select(Company.price_list_id).where(Company.id == company_id)) if company_id else None
    query = (
        sa.select(PriceList, Price)
        .join(Price, Price.price_list_id == PriceList.id)
        .where(
            PriceList.alive,
            Price.alive,
            Price.product_id == product_id,
            sa.or_(PriceList.standard, PriceList.id == own),
            sa.or_(PriceList.valid_from.is_(None), PriceList.valid_from <= on),
            sa.or_(PriceList.valid_until.is_(None), PriceList.valid_until >= on),
        )
    )
    tiers = [
        Tier(price=p.price, currency=pl.currency, from_quantity=p.from_quantity, source=pl.name, own=pl.id == own)
        for pl, p in s.execute(query)
    ]
    # prices of several currencies cannot be compared: those of the wished currency, else of the company's, come first
    for wished in (currency, base_currency(s)):
        of_wished = [t for t in tiers if t.currency == wished]
        if of_wished and not any(t.own for t in tiers):
            return of_wished
    return tiers
