"""Money arithmetic: nothing is lost, nothing is invented, whatever the amounts."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.domain import money

AMOUNTS = st.decimals(min_value=0, max_value=10**7, places=2)
QUANTITIES = st.decimals(min_value=0, max_value=10**4, places=3)
PRICES = st.decimals(min_value=0, max_value=10**5, places=4)
DISCOUNTS = st.decimals(min_value=0, max_value=100, places=2)
RATES = st.sampled_from([Decimal(0), Decimal("7.00"), Decimal(19), Decimal("19.00"), Decimal("20"), Decimal("5.5")])
CURRENCIES = st.sampled_from(["EUR", "JPY", "KWD"])


@pytest.mark.parametrize(
    ("quantity", "price", "discount", "currency", "net"),
    [
        ("3", "19.99", "0", "EUR", "59.97"),
        ("1", "0.005", "0", "EUR", "0.01"),  # halves go away from zero
        ("1", "0.125", "50", "EUR", "0.06"),
        ("3", "33.5", "0", "JPY", "101"),  # no places
        ("1", "1.2345", "0", "KWD", "1.235"),  # three places
    ],
)
def test_a_line_is_rounded_once_to_its_currency(
    quantity: str, price: str, discount: str, currency: str, net: str
) -> None:
    assert money.line_net(Decimal(quantity), Decimal(price), Decimal(discount), currency) == Decimal(net)


@given(st.lists(st.tuples(QUANTITIES, PRICES, DISCOUNTS, RATES), max_size=30), CURRENCIES)
def test_totals_are_the_sums_of_what_is_printed(
    lines: list[tuple[Decimal, Decimal, Decimal, Decimal]], currency: str
) -> None:
    nets = [money.line_net(q, p, d, currency) for q, p, d, _ in lines]
    total = money.totals(
        (money.Line(net=n, vat_rate=r) for n, (_, _, _, r) in zip(nets, lines, strict=True)), currency
    )
    assert total.net == sum(nets, Decimal(0))
    assert total.vat == sum(total.vat_by_rate.values(), Decimal(0))
    assert total.gross == total.net + total.vat
    assert total.gross == money.rounded(total.gross, currency)
    for rate, vat in total.vat_by_rate.items():  # one rounding per rate, not one per line
        exact = sum((n for n, line in zip(nets, lines, strict=True) if line[3] == rate), Decimal(0)) * rate / 100
        assert abs(vat - exact) <= money.unit(currency) / 2


@given(st.lists(AMOUNTS, max_size=20), AMOUNTS)
def test_a_cap_takes_off_exactly_what_is_over(nets: list[Decimal], most: Decimal) -> None:
    left = money.capped(nets, most)
    assert sum(left, Decimal(0)) == min(sum(nets, Decimal(0)), most)
    assert all(0 <= after <= before for after, before in zip(left, nets, strict=True))


@given(AMOUNTS, st.lists(AMOUNTS, max_size=20))
def test_a_payment_is_shared_out_oldest_first_and_never_more_than_owed(amount: Decimal, owed: list[Decimal]) -> None:
    debts = [(str(place), debt) for place, debt in enumerate(owed)]
    shares = dict(money.allocated(amount, debts))
    assert sum(shares.values(), Decimal(0)) == min(amount, sum(owed, Decimal(0)))
    assert all(0 < share <= owed[int(place)] for place, share in shares.items())
    partly = [p for p, debt in debts if debt and shares.get(p, Decimal(0)) < debt]
    assert all(p not in shares for p in partly[1:])  # who comes after an unpaid rest gets nothing


def test_json_carries_the_places_of_the_currency() -> None:
    assert money.spelled(Decimal("9604190.6100"), "USD") == "9604190.61"
    assert money.spelled(Decimal("5"), "EUR") == "5.00"
    assert money.spelled(Decimal("5.0000"), "JPY") == "5"
    assert money.spelled(Decimal("1.2345"), "EUR") == "1.2345"
    assert money.spelled(Decimal("0"), "EUR") == "0.00"
    assert money.spelled(Decimal("1E+3"), "EUR") == "1000.00"
