"""How names, tax numbers and phone numbers are compared."""

from __future__ import annotations

import pytest

from node.domain import names, phones


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Müller & Söhne G.m.b.H.", "Mueller und Soehne"),
        ("ООО «Ромашка»", "Romashka LLC"),
        ("Иванов", "Iwanow"),
        ("Łódź Sp. ZOO", "lodz sp"),
        ("O’Neill Ltd.", "ONeill"),
    ],
)
def test_one_name_in_two_spellings_has_one_key(one: str, other: str) -> None:
    assert names.name_key(one) == names.name_key(other) != ""


def test_a_name_that_is_only_a_legal_form_is_kept() -> None:
    assert names.name_key("AG") == "ag"
    assert names.name_key("!!!") == ""


def test_tax_numbers_are_compared_without_prefix_and_blanks_never() -> None:
    assert names.tax_key("DE 123 456 789") == names.tax_key("123456789")
    assert names.tax_key("n/a") == names.tax_key("000000000") == names.tax_key("") == ""


def test_a_wrong_tax_number_is_doubted_and_an_unknown_kind_is_not() -> None:
    assert "RU" in names.tax_doubt("RU", "7707083894")
    assert names.tax_doubt("RU", "7707083893") == ""
    assert names.tax_doubt("DE", "DE136695976") == ""
    assert names.tax_doubt("", "anything") == ""


def test_a_number_is_the_same_however_it_is_written() -> None:
    assert phones.normal("0171 1234567", "DE") == phones.normal("+49 (0)171/123-45-67") == "+491711234567"
    assert phones.normal("8 (495) 123-45-67", "RU") == "+74951234567"
    assert phones.normal("extension 12") == "12"
    assert phones.normal("none") == ""


def test_any_end_of_a_number_is_found_by_its_start() -> None:
    ends = phones.suffixes("+491711234567").split()
    assert "491711234567" in ends
    assert "1234567" in ends
    assert phones.looked_for("0171 / 1234") == "1711234"
    assert phones.looked_for("Anna 12") == ""
