"""Reading tables: code pages, delimiters, spreadsheets, and files that are none."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
import xlsxwriter

from node.imports.errors import NoTable
from node.imports.reading import detect_delimiter, detect_encoding, read_table

RUSSIAN = "Название;Город\r\nООО «Ромашка»;Санкт-Петербург\r\nКофейня «Утро»;Псков\r\n"
GERMAN = "Firma;Ort\r\nBäckerei Müller;Köln\r\nGroßhandel Größe;Gießen\r\n"
FRENCH = "Société;Ville\nCafé Français;Besançon\nL'Été à Genève;Nîmes\n"


@pytest.mark.parametrize(
    ("text", "page"),
    [
        (RUSSIAN, "cp1251"),
        (RUSSIAN.replace("«", '"').replace("»", '"'), "cp866"),
        (GERMAN, "cp1252"),
        (FRENCH, "cp1252"),
        (RUSSIAN, "utf-8-sig"),
        (GERMAN, "utf-16"),
    ],
)
def test_the_code_page_is_found_from_the_letters(text: str, page: str, tmp_path: Path) -> None:
    content = text.encode(page)
    assert detect_encoding(content) == page
    (tmp_path / "f.csv").write_bytes(content)
    table = read_table(tmp_path / "f.csv")
    assert table.delimiter == ";"
    assert table.rows[0].cells == tuple(text.splitlines()[1].replace('"', "").split(";")) or '"' in text


@pytest.mark.parametrize("delimiter", list(",;\t|"))
def test_the_delimiter_is_the_one_that_makes_equal_rows(delimiter: str) -> None:
    other = "," if delimiter != "," else ";"
    rows = [["a", "b", "c"], [f"1{other}2", "x", "y"], [f"1{other}2{other}3", "x", "y"]]
    assert detect_delimiter("\n".join(delimiter.join(row) for row in rows)) == delimiter


def test_lines_are_counted_as_an_editor_does(tmp_path: Path) -> None:
    (tmp_path / "f.csv").write_text('name,notes\nA,"one\ntwo"\n\nB,x\n', "utf-8")
    table = read_table(tmp_path / "f.csv")
    assert [(row.line, row.cells[0]) for row in table.rows] == [(2, "A"), (5, "B")]
    assert table.record(table.rows[0]) == {"name": "A", "notes": "one\ntwo"}


def test_a_spreadsheet_is_read_as_text(tmp_path: Path) -> None:
    content = io.BytesIO()
    book = xlsxwriter.Workbook(content)
    sheet = book.add_worksheet("Kunden")
    for line, row in enumerate([["Nr", "Firma"], [4711, "Müller"], [12.5, None]]):
        sheet.write_row(line, 0, row)
    book.close()
    (tmp_path / "f.xlsx").write_bytes(content.getvalue())
    table = read_table(tmp_path / "f.xlsx", sheet="Kunden")
    assert [row.cells for row in table.rows] == [("4711", "Müller"), ("12.5", "")]
    with pytest.raises(NoTable, match=r"has no sheet “Orte”\. It has: Kunden"):
        read_table(tmp_path / "f.xlsx", sheet="Orte")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"\x89PNG\r\n\x1a\n\x00\x00", "a picture"),
        (b"%PDF-1.7 ...", "a PDF document"),
        (b'{"a": 1}', "JSON"),
        (b"<html><body>", "XML or HTML"),
        (b"a,b\n1,\x00\x01\x02", "no text"),
        (b"  \n", "is empty"),
        (b'a,b\n"unfinished,1\n', "row that begins in line 2"),
        (b"a,a\n1,2\n", "more than once"),
        (b"PK\x03\x04rubbish", "no spreadsheet"),
    ],
)
def test_what_is_no_table_is_said_in_a_sentence(content: bytes, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "f.csv").write_bytes(content)
    with pytest.raises(NoTable, match=sentence):
        read_table(tmp_path / "f.csv")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NoTable, match="Is it there"):
        read_table(tmp_path / "missing.csv")
