"""Reads a table from a file of any of the usual kinds: CSV or text in several code pages, XLSX, XLS, ODS.

The first row that is not empty is the header. What a program on somebody's desk has written does not say which code
page or which delimiter it used, so both are found from the bytes: UTF-8 is certain when it fits, and of the one-byte
pages that one wins whose letters form words. Everything becomes text here; what it means is the profile's business.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from node.imports.errors import NoTable

BYTES_MAX = 256 * 1024 * 1024
ROWS_MAX = 1_000_000
COLUMNS_MAX = 500
CELL_MAX = 1_000_000  # characters
DELIMITERS = ",;\t|"
CODE_PAGES = ("cp1251", "cp866", "cp1252")
_SAMPLE = 200_000  # bytes that code page and delimiter are found from
_SPREADSHEETS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
_OTHERS = {
    b"%PDF": "a PDF document",
    b"\x89PNG": "a picture (PNG)",
    b"\xff\xd8\xff": "a picture (JPEG)",
    b"GIF8": "a picture (GIF)",
    b"\x1f\x8b": "a compressed file (gzip)",
    b"SQLite format 3": "an SQLite database",
    b"<": "XML or HTML",
    b"{": "JSON",
    b"[": "JSON",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """`line` is the place in the file where the row begins, counted from 1 as an editor or spreadsheet does."""

    line: int
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A file as it was read. Rows may be shorter or longer than the header."""

    file: str  # name without folder
    headers: tuple[str, ...]
    rows: tuple[Row, ...]
    encoding: str = ""  # empty: a spreadsheet
    delimiter: str = ""

    def record(self, row: Row) -> dict[str, str]:
        """Header → cell, stripped of blanks; cells that are missing are empty."""
        cells = (*row.cells, *[""] * (len(self.headers) - len(row.cells)))
        return {header: cell.strip() for header, cell in zip(self.headers, cells, strict=False)}


def read_table(path: Path, *, encoding: str = "", delimiter: str = "", sheet: str = "") -> Table:
    """The table in the file. `encoding` and `delimiter` are found where they are not given. Raise NoTable."""
    try:
        if path.stat().st_size > BYTES_MAX:
            raise NoTable(f"{path.name} is larger than {BYTES_MAX >> 20} MB. Split it and import the parts.")
        content = path.read_bytes()
    except OSError as error:
        raise NoTable(f"{path} cannot be read: {error.strerror}. Is it there, and may you read it?") from error
    if content.startswith(_SPREADSHEETS):
        return _spreadsheet(path, sheet)
    return _text(path.name, content, encoding, delimiter)


def _text(name: str, content: bytes, encoding: str, delimiter: str) -> Table:
    head = content[:64].lstrip()
    for start, what in _OTHERS.items():
        if head.startswith(start):
            raise NoTable(f"{name} is no CSV file: it is {what}. Save the table as CSV, XLSX, XLS or ODS.")
    used = encoding or detect_encoding(content)
    if not used:
        raise NoTable(f"{name} is no CSV file: it holds bytes that are no text. Save the table as CSV or XLSX.")
    try:
        text = content.decode(used)
    except (UnicodeDecodeError, LookupError) as error:
        raise NoTable(f"{name} is not in the code page {used}. Leave `encoding` out, or name another.") from error
    if not text.strip():
        raise NoTable(f"{name} is empty.")
    used_delimiter = delimiter or detect_delimiter(text[:_SAMPLE])
    rows = list(_csv_rows(name, text, used_delimiter))
    return _table(name, rows, encoding=used, delimiter=used_delimiter)


def _csv_rows(name: str, text: str, delimiter: str) -> Iterable[Row]:
    csv.field_size_limit(CELL_MAX)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    line = 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield Row(line=line, cells=tuple(cells))
            line = reader.line_num + 1
    except csv.Error as error:
        raise NoTable(f"{name} is no whole CSV file: {error} (the row that begins in line {line}).") from error


def _spreadsheet(path: Path, sheet: str) -> Table:
    from python_calamine import CalamineError, CalamineWorkbook

    try:
        book = CalamineWorkbook.from_path(str(path))
        names = [sheet] if sheet else book.sheet_names
        for one in names:
            if one not in book.sheet_names:
                raise NoTable(f"{path.name} has no sheet “{one}”. It has: {', '.join(book.sheet_names)}.")
            rows = [
                Row(line=line, cells=tuple(map(_cell, cells)))
                for line, cells in enumerate(book.get_sheet_by_name(one).to_python(skip_empty_area=False), 1)
            ]
            rows = [row for row in rows if any(row.cells)]
            if rows:
                return _table(path.name, rows)
    except CalamineError as error:
        raise NoTable(f"{path.name} is no spreadsheet that can be read ({error}). Save it as XLSX or CSV.") from error
    raise NoTable(f"{path.name} has no sheet with anything in it.")


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, float):  # a spreadsheet knows no whole numbers: 4711.0 is an account number
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time() else value.isoformat()
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return str(value)
    return str(value)


def _table(name: str, rows: list[Row], *, encoding: str = "", delimiter: str = "") -> Table:
    if len(rows) > ROWS_MAX:
        raise NoTable(f"{name} has more than {ROWS_MAX:,} rows. Split it and import the parts.")
    headers = [cell.strip() for cell in rows[0].cells]
    while headers and not headers[-1]:
        headers.pop()
    if len(headers) > COLUMNS_MAX:
        raise NoTable(f"{name} has more than {COLUMNS_MAX} columns.")
    named = [h for h in headers if h]
    twice = sorted({h for h in named if named.count(h) > 1})
    if twice:
        raise NoTable(f"{name} has the column “{twice[0]}” more than once. Give every column a name of its own.")
    return Table(file=name, headers=tuple(headers), rows=tuple(rows[1:]), encoding=encoding, delimiter=delimiter)


# rules


def detect_encoding(content: bytes) -> str:
    """`utf-8-sig`, `utf-16`, or one of CODE_PAGES; empty if it cannot be text at all."""
    sample = content[:_SAMPLE]
    if sample.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if b"\0" in sample:
        return ""
    if sum(byte < 32 and byte not in b"\t\n\r\f\x1a" for byte in sample) > len(sample) // 200:
        return ""
    try:
        content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return max(CODE_PAGES, key=lambda page: _plausible(sample.decode(page, "replace")))
    return "utf-8-sig"


def detect_delimiter(text: str) -> str:
    """The character of DELIMITERS at which the rows fall into the most equal parts; a comma if there is none."""
    lines = text.splitlines(keepends=True)[:60]

    def score(delimiter: str) -> tuple[float, int]:
        try:
            widths = [len(row) for row in csv.reader(lines, delimiter=delimiter) if row]
        except csv.Error:
            return (0.0, 0)
        if not widths or widths[0] < 2:
            return (0.0, 0)
        return (sum(w == widths[0] for w in widths) / len(widths), widths[0])

    return max(DELIMITERS, key=score)


def _plausible(text: str) -> int:
    """How much the letters beyond ASCII look like words: Russian ones stand together, German and French ones among
    Latin letters; frames, symbols and capitals in the middle of a word are signs of the wrong page."""
    points = 0
    for before, here, after in zip(" " + text, text, text[1:] + " ", strict=False):
        if here < "\x80":
            continue
        if "а" <= here.lower() <= "я" or here in "ёЁіїєґІЇЄҐ":
            foreign = any(c.isascii() and c.isalpha() for c in (before, after))
            odd_capital = here.isupper() and before.islower()
            common = here in "оеаинтсрвл"
            points += -2 if foreign or odd_capital else 2 + common
        elif here in "äöüßÄÖÜéèêëàâçñíóúáôîïøåæœÉ":
            points += 2 if before.isascii() and after.isascii() and (before + after).strip() else -1
        elif here in "«»№–—„“”‘’€°§ ":
            points += 0
        else:
            points -= 3
    return points
