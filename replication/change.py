"""The vocabulary of the exchange: what a branch asks and what the hub answers.

Rows travel in columns: a `Block` holds rows of one table of which the same columns are sent, one list per column. That
is how they are packed on the wire and how they are written. A `Part` is at most ROWS_MAX rows, so that neither side
needs memory for more, however much has gathered.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, NamedTuple

ROWS_MAX = 10_000

Author = tuple[str, int, str, str]  # office, life, actor, cause
History = tuple[tuple[int, int], ...]  # (timeline, last revision applied under it), oldest first


class Kind(IntEnum):
    """What the rows of a block are."""

    INSERT = 0  # all cells of rows that are new
    UPDATE = 1
    WHOLE = 2  # these cells are the row
    EVICT = 3  # the row is no longer in the branch's scope; no values


class Other(NamedTuple):
    """A cell of a row that has other numbers than the row. `origin`: the row it was typed into, if another."""

    column: str  # the first of the cell's columns
    number: int
    author: int
    seq: int
    at: int
    origin: str | None


@dataclass(slots=True, kw_only=True)
class Block:
    """`numbers`: of a change what its author had seen; of news and echoes the hub's revision."""

    table: str
    kind: Kind
    columns: tuple[str, ...]
    ids: list[str] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    seqs: list[int] = field(default_factory=list)
    authors: list[int] = field(default_factory=list)  # index into Part.authors
    ats: list[int] = field(default_factory=list)  # ms since 1970
    values: list[list[Any]] = field(default_factory=list)  # one list per column
    others: dict[int, list[Other]] = field(default_factory=dict)  # index of the row -> cells
    agreed: int | None = None  # of echoes that have outlived a timeline: up to where it was like the hub's


@dataclass(slots=True, kw_only=True)
class Part:
    blocks: list[Block]
    authors: list[Author]
    echo: bool = False  # not the sender's changes, but what a lost timeline had told him

    @property
    def rows(self) -> int:
        return sum(len(block.ids) for block in self.blocks)


@dataclass(slots=True, kw_only=True)
class Message:
    """What a branch has not been answered, netted per cell. `parts` may be walked once."""

    office: str
    life: int  # of the process that asks
    schema: str
    at: int  # ms since 1970, by the office's clock
    history: History
    page: int  # the revision up to which the rows of an unfinished answer are here; not less than the watermark
    written: dict[int, int]  # what the branch has in its log, per life
    acked: dict[int, int]  # what the branch believes the hub has
    recovering: int = 0  # the timeline that has asked for it
    waiting: int = 0  # log entries that are not answered
    parts: Iterable[Part] = ()

    @property
    def watermark(self) -> int:
        return self.history[-1][1]


@dataclass(slots=True, kw_only=True)
class Reply:
    """`watermark`: up to where the branch has all once it has applied this; `page`: up to where the rows are sent."""

    life: int  # of the process that asked
    history: History  # that it had when it asked
    recovering: int  # likewise
    timeline: int
    acked: dict[int, int]
    watermark: int
    page: int
    asked_page: int
    schema: str
    at: int  # ms since 1970, by the hub's clock
    more: bool = False  # ask again
    remaining: int = 0  # rows after this page, about
    recover: bool = False  # the hub went back in time, both agree up to `watermark`: recover, ask again
    safe_revision: int = 0  # contained in a verified backup of the hub
    safe_acked: dict[int, int] = field(default_factory=dict)
    parts: Iterable[Part] = ()
