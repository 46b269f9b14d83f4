"""What can be wrong with a file or a mapping profile, said so that the person with the file can put it right."""

from __future__ import annotations

from node.errors import BadInput


class NoTable(BadInput):
    """The file cannot be read as a table; save it as CSV, XLSX, XLS or ODS."""

    code = "no_table"
    exit_code = 3


class BadProfile(BadInput):
    """The mapping profile says something that cannot be; correct the entry that is named."""

    code = "bad_profile"
    exit_code = 3


class NoProfile(BadInput):
    """Nobody said what the file holds; give --kind or --profile."""

    code = "no_profile"
    exit_code = 3


class MissingColumn(BadInput):
    """The profile reads a column that the file does not have; correct the header or the profile."""

    code = "missing_column"
    exit_code = 3


class BadRow(Exception):
    """Some cells of one row cannot be taken: (column, sentence) of each. The import counts it and goes on."""

    def __init__(self, cells: list[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{column}: {text}" for column, text in cells))
        self.cells = cells
