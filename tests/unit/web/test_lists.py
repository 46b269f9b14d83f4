"""A list is its address: what is filtered, sorted and shown can be mailed, kept and exported."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from io import BytesIO
from urllib.parse import parse_qsl, urlsplit

import pytest
from python_calamine import CalamineWorkbook

import node.domain.all  # noqa: F401 (registers the concepts)
from node.domain.concept import CONCEPTS, Field, Kind
from node.web import export, lists
from node.web.forms import Unreadable
from node.web.language import reader

DE = reader("de", "Europe/Berlin", "DE")
COMPANIES = CONCEPTS["companies"]


def shown(query: str) -> lists.Shown:
    return lists.read_address(COMPANIES, "/companies", dict(parse_qsl(query, keep_blank_values=True)))


def test_an_address_comes_back_as_it_was() -> None:
    address = "/companies?owner=me&class_abc__in=A%2CB&order=-name&cols=name%2Cowner&q=hansen"
    again = shown(urlsplit(address).query)
    assert dict(parse_qsl(urlsplit(again.address()).query)) == dict(parse_qsl(urlsplit(address).query))
    assert [f.name for f in again.columns] == ["name", "owner"]


def test_taking_a_filter_away_or_sorting_starts_at_the_first_page() -> None:
    one = shown("owner=me&kind=customer&cursor=abc")
    assert one.without(one.conditions[0]) == "/companies?kind=customer"
    name = lists.fields_of(COMPANIES)["name"]
    assert "cursor" not in one.sorted_by(name)
    ordered = shown("order=name")
    assert ordered.direction(name) == "ascending"
    assert "order=-name" in ordered.sorted_by(name)


def test_unknown_parts_of_an_address_are_named_and_left_out() -> None:
    odd = shown("password_hash=x&kind__frobs=1&kind=customer")
    assert [c.field.name for c in odd.conditions] == ["kind"]
    assert odd.problems


def test_words_stand_for_people_and_days() -> None:
    due = Field(name="due_on", kind=Kind.DAY, label="Due")
    today = date(2026, 11, 24)
    for text, day in (("today", today), ("-7d", date(2026, 11, 17)), ("24.12.2026", date(2026, 12, 24))):
        assert lists.one(due, text, DE, "U1", today) == day
    owner = lists.fields_of(COMPANIES)["owner"]
    assert lists.one(owner, "me", DE, "U1", today) == "U1"
    with pytest.raises(Unreadable):
        lists.one(due, "soon", DE, "U1", today)


def test_the_filter_form_adds_to_what_is_there() -> None:
    one = shown("kind=customer")
    longer = lists.added(one, {"add.field": "name", "add.op": "contains", "add.value": "hansen"})
    assert longer == "/companies?kind=customer&name__contains=hansen"
    assert lists.added(one, {"add.field": "no_such"}) is None


COLUMNS = [
    (Field(name="name", kind=Kind.TEXT, label="Name"), "Name"),
    (Field(name="amount", kind=Kind.MONEY, label="Amount"), "Amount"),
    (Field(name="on", kind=Kind.DAY, label="On"), "On"),
]


def test_csv_opens_on_the_same_desk_and_runs_no_formula() -> None:
    rows: list[list[export.Cell]] = [
        ["=cmd|' /C calc'!A0", Decimal("1250.50"), date(2026, 11, 24)],
        ["+49 561 7004-0", None, None],
    ]
    text = export.to_csv(COLUMNS, rows, DE).decode("utf-8-sig").splitlines()
    assert text == ["Name;Amount;On", "'=cmd|' /C calc'!A0;1250,50;2026-11-24", "+49 561 7004-0;;"]


def test_the_workbook_keeps_numbers_and_dates() -> None:
    body = export.to_xlsx(COLUMNS, [["Hansen & Söhne", Decimal("1250.5"), date(2026, 11, 24)]], "Firmen: alle?")
    sheet = CalamineWorkbook.from_filelike(BytesIO(body)).get_sheet_by_index(0)
    assert sheet.to_python() == [["Name", "Amount", "On"], ["Hansen & Söhne", 1250.5, date(2026, 11, 24)]]
