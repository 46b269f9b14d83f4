"""A list as a file: exactly the rows and columns that are shown, as CSV or as an Excel workbook.

CSV is UTF-8 with a byte order mark and semicolons where the reader's decimal sign is a comma, because that is what the
spreadsheet on the same desk opens without questions. A text that a spreadsheet would run as a formula gets an
apostrophe in front of it.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import xlsxwriter

from node.domain.concept import Field, Kind
from node.web.language import Reader

Cell = str | int | float | Decimal | date | datetime | bool | None
_FORMULA = re.compile(r"^[=+\-@\t\r]")
_NUMBER = re.compile(r"^[+\-]?[\d\s().,/\-]+$")  # a phone number is no formula that does any harm


def to_csv(columns: Sequence[tuple[Field, str]], rows: Iterable[Sequence[Cell]], r: Reader) -> bytes:
    """The rows under their headings (field and heading per column)."""
    comma = r.locale.number_symbols.get("latn", r.locale.number_symbols).get("decimal", ".") == ","
    out = io.StringIO()
    writer = csv.writer(out, delimiter=";" if comma else ",", lineterminator="\r\n")
    writer.writerow([heading for _field, heading in columns])
    for row in rows:
        writer.writerow([_plain(cell, comma) for cell in row])
    return "\ufeff".encode() + out.getvalue().encode()


def _plain(cell: Cell, comma: bool) -> str:
    match cell:
        case None:
            return ""
        case bool():
            return "1" if cell else "0"
        case Decimal() | float():
            number = f"{cell:f}" if isinstance(cell, Decimal) else repr(cell)
            return number.replace(".", ",") if comma else number
        case datetime():
            return cell.isoformat(" ", "minutes")
        case date():
            return cell.isoformat()
        case str():
            return guarded(cell)
        case _:
            return str(cell)


def guarded(text: str) -> str:
    """A text that no spreadsheet takes for a formula."""
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.match(text) else text


def to_xlsx(columns: Sequence[tuple[Field, str]], rows: Iterable[Sequence[Cell]], title: str) -> bytes:
    """One sheet with a fixed heading row, filters, and numbers and dates that are such."""
    out = io.BytesIO()
    options = {"constant_memory": True, "default_date_format": "yyyy-mm-dd", "strings_to_formulas": False,
               "strings_to_urls": False, "strings_to_numbers": False}  # fmt: skip
    with xlsxwriter.Workbook(out, options) as book:
        sheet = book.add_worksheet(re.sub(r"[\[\]:*?/\\']", " ", title)[:31] or "Kogge")
        head = book.add_format({"bold": True, "bottom": 1})
        formats = [_format(book, field.kind) for field, _heading in columns]
        for n, (field, heading) in enumerate(columns):
            sheet.write_string(0, n, heading, head)
            sheet.set_column(n, n, 32 if field.kind in (Kind.NOTE, Kind.PARTS) or n == 0 else 16)
        sheet.freeze_panes(1, 1)
        last = 0
        for last, row in enumerate(rows, start=1):
            for n, cell in enumerate(row):
                _write(sheet, last, n, cell, formats[n])
        sheet.autofilter(0, 0, max(last, 1), max(len(columns) - 1, 0))
    return out.getvalue()


def _format(book: Any, kind: Kind) -> Any:
    return {
        Kind.MONEY: book.add_format({"num_format": "#,##0.00"}),
        Kind.DAY: book.add_format({"num_format": "yyyy-mm-dd"}),
        Kind.INSTANT: book.add_format({"num_format": "yyyy-mm-dd hh:mm"}),
    }.get(kind)


def _write(sheet: Any, row: int, column: int, cell: Cell, form: Any) -> None:
    match cell:
        case None:
            pass
        case bool():
            sheet.write_boolean(row, column, cell)
        case datetime() | date():
            sheet.write_datetime(row, column, cell, form)
        case int() | float() | Decimal():
            sheet.write_number(row, column, float(cell), form)
        case _:
            sheet.write_string(row, column, str(cell)[:32_000], form)
