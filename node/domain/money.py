"""The arithmetic of money: exact decimals, rounded only where a law or a reader sees the figure.

A line is rounded to its currency, VAT is taken per rate from the sum of the lines (EN 16931, BR-CO-17: so that an
invoice of a thousand lines does not gather a thousand roundings), a total is a plain sum. Halves go away from zero, as
merchants do. Pure functions of values.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal

ZERO = Decimal(0)
HUNDRED = Decimal(100)

# ISO 4217, all that have not two decimal places
_NO_PLACES = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
_THREE_PLACES = "BHD IQD JOD KWD LYD OMR TND"
_FOUR_PLACES = "CLF UYW"
PLACES: Mapping[str, int] = {
    **dict.fromkeys(_NO_PLACES.split(), 0),
    **dict.fromkeys(_THREE_PLACES.split(), 3),
    **dict.fromkeys(_FOUR_PLACES.split(), 4),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What the totals need of a line: its rounded net and its VAT rate in percent."""

    net: Decimal
    vat_rate: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Net, VAT and gross of a document; `vat_by_rate`: rate in percent → VAT."""

    net: Decimal
    vat: Decimal
    gross: Decimal
    vat_by_rate: Mapping[Decimal, Decimal] = field(default_factory=dict)


def places(currency: str) -> int:
    """Decimal places of an ISO 4217 currency; two for one that is not known."""
    return PLACES.get(currency.upper(), 2)


def unit(currency: str) -> Decimal:
    """The smallest amount: 0.01 EUR, 1 JPY."""
    return Decimal(1).scaleb(-places(currency))


def rounded(amount: Decimal, currency: str) -> Decimal:
    """The amount in whole units of the currency."""
    return amount.quantize(unit(currency), ROUND_HALF_UP)


def line_net(quantity: Decimal, price: Decimal, discount: Decimal, currency: str) -> Decimal:
    """quantity × price less `discount` percent, rounded once."""
    return rounded(quantity * price * (HUNDRED - discount) / HUNDRED, currency)


def totals(lines: Iterable[Line], currency: str) -> Totals:
    """The totals of a document from its lines."""
    nets: dict[Decimal, Decimal] = {}
    for line in lines:
        rate = line.vat_rate.normalize() if line.vat_rate else ZERO
        nets[rate] = nets.get(rate, ZERO) + line.net
    vat = {rate: rounded(net * rate / HUNDRED, currency) for rate, net in sorted(nets.items())}
    net, tax = sum(nets.values(), ZERO), sum(vat.values(), ZERO)
    return Totals(net=net, vat=tax, gross=net + tax, vat_by_rate=vat)


def capped(nets: Sequence[Decimal], most: Decimal) -> list[Decimal]:
    """The amounts with what they exceed `most` by taken off, from the last one on; none goes below zero by that."""
    result, excess = list(nets), sum(nets, ZERO) - most
    for place in range(len(result) - 1, -1, -1):
        if excess <= 0:
            break
        taken = min(excess, max(result[place], ZERO))
        result[place] -= taken
        excess -= taken
    return result


def allocated(amount: Decimal, open_amounts: Sequence[tuple[str, Decimal]]) -> list[tuple[str, Decimal]]:
    """Share a payment out: each debt in order, the oldest first, gets what is left up to what it is."""
    shares: list[tuple[str, Decimal]] = []
    for id, owed in open_amounts:
        share = min(amount, owed)
        if share <= 0:
            continue
        shares.append((id, share))
        amount -= share
    return shares


def spelled(amount: Decimal, currency: str) -> str:
    """As JSON carries it: "9604190.61", with the places of its currency and more only where there is more."""
    least = places(currency)
    shortest = amount.normalize()
    exponent = shortest.as_tuple().exponent
    assert isinstance(exponent, int), "money is a finite number"
    return f"{amount:.{max(least, -exponent)}f}"
