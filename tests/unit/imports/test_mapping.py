"""Profiles and conversions: pure functions from cells to values."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.imports import guess
from node.imports.errors import BadProfile, BadRow, MissingColumn, NoProfile
from node.imports.mapping import convert, country, map_row, number
from node.imports.profile import check_columns, parse_profile


def _nothing(concept: str, by: str, value: str, take: str) -> Any:
    raise LookupError(f"There is no {concept} “{value}”.")


def _profile(fields: Mapping[str, Any], **make: Any) -> Any:
    content = {"file": [{"name": "f.csv", "make": [{"concept": "companies", "key": "id", "fields": fields, **make}]}]}
    return parse_profile(content, "test").sources[0]


def test_a_row_becomes_values_and_parts() -> None:
    source = _profile(
        {
            "name": "title",
            "kind": {"value": "customer"},
            "industry": {"column": "branch", "map": {"A": "Retail"}, "otherwise": "Other"},
            "credit_limit": {"column": "limit", "as": "decimal", "decimal": ","},
            "tags": {"column": "tags", "split": ";"},
            "notes": {"join": ["a", "b"], "with": ", "},
            "phones": [{"value": "tel", "kind": {"value": "phone"}}, {"value": "fax", "kind": {"value": "fax"}}],
            "source": {"column": "empty", "default": "import"},
            "website": "empty",
        }
    )
    row = {"id": "7", "title": "Müller", "branch": "X", "limit": "1.234,50", "tags": "a; b;", "a": "", "b": "x",
           "tel": "030 1", "fax": "", "empty": ""}  # fmt: skip
    mapped = map_row(source, source.makes[0], row, _nothing, lambda *_: [])
    assert mapped.values == {
        "external_code": "7", "name": "Müller", "kind": "customer", "industry": "Other",
        "credit_limit": Decimal("1234.50"), "tags": ["a", "b"], "notes": "x",
        "phones": [{"value": "030 1", "kind": "phone"}], "source": "import",
    }  # fmt: skip


def test_every_bad_cell_of_a_row_is_named() -> None:
    source = _profile({
        "credit_limit": {"column": "limit", "as": "decimal"},
        "owner": {"column": "rep", "lookup": "users"},
        "source": {"column": "since", "as": "date"},
    })  # fmt: skip
    row = {"id": "7", "limit": "abc", "rep": "99", "since": "2026-02-31"}
    with pytest.raises(BadRow) as caught:
        map_row(source, source.makes[0], row, _nothing, lambda *_: [])
    assert [column for column, _ in caught.value.cells] == ["limit", "rep", "since"]
    assert "not a day of the calendar" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "code"),
    [("Germany", "DE"), ("Deutschland", "DE"), ("Германия", "DE"), ("de", "DE"), ("USA", "US"), ("UK", "GB"),
     ("Norway  ", "NO"), ("Hong Kong", "HK"), ("Russia", "RU")],
)  # fmt: skip
def test_countries_are_known_by_name(text: str, code: str) -> None:
    assert country(text) == code


def test_an_unknown_country_is_refused() -> None:
    with pytest.raises(ValueError, match="two letters"):
        country("Atlantis")


@given(st.decimals(min_value=-(10**9), max_value=10**9, places=2))
def test_numbers_survive_either_way_of_writing_them(value: Decimal) -> None:
    english = f"{value:,.2f}"
    german = english.translate(str.maketrans(",.", ".,"))
    assert number(english) == number(german, ",") == number(german, "auto") == value


@pytest.mark.parametrize(
    ("text", "decimal"), [("12,50", "."), ("1.234,5", "."), ("12.50", ","), ("x", "."), ("", "."), ("1e99", ".")]
)
def test_a_number_of_the_other_kind_is_refused_and_not_guessed(text: str, decimal: str) -> None:
    with pytest.raises(ValueError):
        number(text, decimal)


def test_days_are_read_by_their_format() -> None:
    assert convert("24.11.2026", "date") == convert("11/24/26", "date", format="%m/%d/%y") == date(2026, 11, 24)
    with pytest.raises(ValueError, match="name the format in the profile"):
        convert("11/24/2026", "date")


def _making(**changed: Any) -> dict[str, Any]:
    make = {"concept": "companies", "key": "id", "fields": {"name": "x"}, **changed}
    return {"file": [{"name": "a", "make": [{k: v for k, v in make.items() if v is not None}]}]}


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({"file": []}, "names no file"),
        ({"files": []}, "Perhaps “file”"),
        (_making(key=None), "needs `key`"),
        (_making(fields={"name": {"colum": "x"}}), "column"),
        (_making(fields={"name": {"column": "x", "as": "dat"}}), "date"),
        (_making(then=["print"]), "no action “print”"),
    ],
)
def test_a_bad_profile_names_the_entry(content: dict[str, Any], sentence: str) -> None:
    with pytest.raises(BadProfile, match=sentence):
        parse_profile(content, "p.toml")


def test_a_missing_column_is_named_with_the_nearest_ones() -> None:
    source = _profile({"name": "custmerName"})
    with pytest.raises(MissingColumn, match=r"no column “custmerName”.*nearest are: “customerName”"):
        check_columns(source, "f.csv", ["id", "customerName", "phone"], {})


def test_headers_are_recognised_in_three_languages() -> None:
    for headers in (["Customer number", "Company name", "Phone", "Zip", "City"],
                    ["Kundennummer", "Firma", "Telefon", "PLZ", "Ort"],
                    ["Код", "Название", "Телефон", "Индекс", "Город"]):  # fmt: skip
        make = guess.guess("companies", "f.csv", headers).sources[0].makes[0]
        assert make.match == ("external_code",)
        assert set(make.columns()) == set(headers)
        assert {"name", "phones", "addresses"} <= set(make.fields)


def test_a_file_without_a_name_column_is_refused() -> None:
    with pytest.raises(NoProfile, match="no column that looks like the name"):
        guess.guess("companies", "f.csv", ["x", "y"])
    with pytest.raises(NoProfile, match="needs a profile"):
        guess.guess("deals", "f.csv", ["x", "y"])
