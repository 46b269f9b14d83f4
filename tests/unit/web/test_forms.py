"""What people type becomes values, or a sentence at the field; nothing typed is lost."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.domain.concept import Field, Kind
from node.web import forms
from node.web.language import reader

DE, EN = reader("de", "Europe/Berlin", "DE"), reader("en", "Europe/London", "GB")
AMOUNT = Field(name="amount", kind=Kind.MONEY, label="Amount", required=True)
PHONES = Field(
    name="phones",
    kind=Kind.PARTS,
    label="Phones",
    parts=(
        Field(name="kind", kind=Kind.CHOICE, label="Kind", choices=("phone", "fax")),
        Field(name="value", kind=Kind.TEXT, label="Number", required=True),
    ),
)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("31.240,00", "31240.00"), ("31.240", "31240"), ("1,5", "1.5"), ("12.50", "12.50"), ("1.234.567", "1234567"),
        ("-3,20 €", "-3.20"), ("1 250", "1250"), ("31,240.00", "31240.00"),
    ],
)  # fmt: skip
def test_a_german_types_numbers_as_at_home(text: str, number: str) -> None:
    assert forms.read_number(text, DE) == Decimal(number)


def test_the_same_digits_mean_what_the_reader_means() -> None:
    assert forms.read_number("1.250", DE) == Decimal(1250)
    assert forms.read_number("1.250", EN) == Decimal("1.250")
    assert forms.read_number("1,250", EN) == Decimal(1250)


@given(st.decimals(min_value=-(10**9), max_value=10**9, places=4))
def test_a_shown_amount_is_read_back_exactly(amount: Decimal) -> None:
    for r in (DE, EN, reader("ru", "Europe/Moscow", "RU")):
        assert forms.read(AMOUNT, forms.show_raw(Kind.MONEY, amount, r), r) == amount


@pytest.mark.parametrize("text", ["zwölf", "1e500", "--1", "99999999999999", "NaN"])
def test_what_is_no_amount_gets_a_sentence(text: str) -> None:
    with pytest.raises(forms.Unreadable):
        forms.read_number(text, DE)


def test_days_are_read_both_ways_and_impossible_ones_named() -> None:
    assert forms.read_day("24.11.2026") == forms.read_day("2026-11-24") == date(2026, 11, 24)
    with pytest.raises(forms.Unreadable, match="no such day"):
        forms.read_day("31.02.2026")
    with pytest.raises(forms.Unreadable, match="Write a date"):
        forms.read_day("next Tuesday")


def test_a_time_is_the_offices() -> None:
    at = forms.read_instant("2026-07-01T14:05", ZoneInfo("Europe/Berlin"))
    assert at.astimezone(UTC) == datetime(2026, 7, 1, 12, 5, tzinfo=UTC)


def test_a_wrong_field_keeps_what_was_typed_and_names_itself() -> None:
    typed = {"amount": "zwölf"}
    values, errors = forms.parse([AMOUNT], typed, DE, new=True)
    assert values == {}
    assert list(errors) == ["amount"]
    made = forms.controls([AMOUNT], values, DE, typed=typed, errors=errors)[0].controls[0]
    assert made.value == "zwölf"
    assert made.error == "Schreiben Sie eine Zahl wie 1250 oder 12,50."


def test_parts_keep_their_keys_and_empty_lines_are_left_out() -> None:
    form = {
        "phones.0.id": "K1", "phones.0.kind": "phone", "phones.0.value": "0561 7004-0",
        "phones.1.id": "", "phones.1.kind": "fax", "phones.1.value": "  ",
        "phones.2.id": "", "phones.2.kind": "fax", "phones.2.value": "0561 7004-99",
    }  # fmt: skip
    values, errors = forms.parse([PHONES], form, DE, new=True)
    assert errors == {}
    assert values["phones"] == [
        {"kind": "phone", "value": "0561 7004-0", "id": "K1"},
        {"kind": "fax", "value": "0561 7004-99"},
    ]


def test_a_reference_that_is_only_typed_is_asked_for() -> None:
    owner = Field(name="owner", kind=Kind.REF, label="Responsible", ref="users")
    _values, errors = forms.parse([owner], {"owner": "", "owner.text": "Anna"}, DE, new=True)
    assert "owner" in errors
    values, errors = forms.parse([owner], {"owner": "K1", "owner.text": ""}, DE, new=True)
    assert values == {"owner": None}
    assert errors == {}
