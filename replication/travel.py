"""Which tables travel between the nodes, and how their cells are decided when two people typed at once.

The list of `Travel` is all that the exchange knows about an application: everything else (triggers, wire, merge,
digests) is generated from it. A table that is not in the list stays at home.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import sqlalchemy as sa

from replication.errors import BadTravel

ID = "id"
COLUMNS_MAX = 62  # what fits into the change mask, a signed 64-bit integer


class Policy(StrEnum):
    """Who wins a cell that two people have written without having seen one another."""

    LATER = "later"  # the later edit; the default
    OWNER = "owner"  # the office that owns the row (column `Travel.owner`)
    CENTRE = "centre"  # head office
    TEXT = "text"  # three-way merge of the text; what overlaps: the later edit
    TAGS = "tags"  # union of a comma-separated or JSON list
    MAX = "max"  # the larger value, silently: for bookkeeping columns that every edit touches


@dataclass(frozen=True, slots=True, kw_only=True)
class Travel:
    """One travelling table. It has one text primary key column `id` of 16 characters.

    `groups`    cell name -> its columns, which are decided and sent as one; any other column is a cell of its own
    `home`      columns that never leave the node
    `alive`     the column (1/0 or boolean) that says whether the row exists for users; None: rows are never deleted
    `merged`    the column that holds the id of the row that replaced this duplicate
    `bucket`    the column that says which offices hold the row
    `owner`     the column with the code of the office that wins under Policy.OWNER
    `root`      (foreign key column, table) of the aggregate's root
    `policies`  cell name -> Policy
    `order`     parents before children
    """

    table: sa.Table
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    home: frozenset[str] = frozenset()
    alive: str | None = "alive"
    merged: str | None = None
    bucket: str | None = None
    owner: str | None = None
    root: tuple[str, str] | None = None
    policies: Mapping[str, Policy] = field(default_factory=dict)
    order: int

    @property
    def name(self) -> str:
        return self.table.name

    @property
    def columns(self) -> tuple[str, ...]:
        """The travelling columns without `id`, in the order of the table."""
        return tuple(c.name for c in self.table.columns if c.name != ID and c.name not in self.home)

    @property
    def cells(self) -> dict[str, tuple[str, ...]]:
        """Cell name -> its columns, in the order of the table."""
        grouped = {column: cell for cell, columns in self.groups.items() for column in columns}
        result: dict[str, tuple[str, ...]] = {}
        for column in self.columns:
            cell = grouped.get(column, column)
            result[cell] = (*result.get(cell, ()), column)
        return result

    def policy(self, cell: str) -> Policy:
        return self.policies.get(cell, Policy.LATER)


def check(travels: Sequence[Travel]) -> None:
    """Raise BadTravel where the list contradicts the tables."""
    names = {t.name for t in travels}
    if len(names) != len(travels):
        raise BadTravel("A table is listed twice among the travelling tables.")
    for travel in travels:
        _check_one(travel, names)


def _check_one(travel: Travel, names: set[str]) -> None:
    table, columns = travel.table, set(travel.table.columns.keys())
    if [c.name for c in table.primary_key.columns] != [ID]:
        raise BadTravel(f"Table {travel.name}: a travelling table needs the one primary key column `id`.")
    grouped = [column for group in travel.groups.values() for column in group]
    single = [c for c in (travel.alive, travel.merged, travel.bucket, travel.owner) if c is not None]
    named = {*grouped, *single, *travel.home, *([travel.root[0]] if travel.root else [])}
    if named - columns:
        raise BadTravel(f"Table {travel.name} has no column {', '.join(sorted(named - columns))}.")
    if len(set(grouped)) != len(grouped) or set(grouped) & {ID, travel.alive, travel.merged, travel.bucket}:
        raise BadTravel(f"Table {travel.name}: a column belongs to one group, and never id, alive, merged or bucket.")
    if set(travel.groups) & (columns - set(grouped)):
        raise BadTravel(f"Table {travel.name}: a group has the name of a column that is not in it.")
    if set(single) & travel.home or set(grouped) & travel.home:
        raise BadTravel(f"Table {travel.name}: a column cannot both stay at home and decide how the row travels.")
    if set(travel.policies) - set(travel.cells):
        raise BadTravel(
            f"Table {travel.name} has no cell {', '.join(sorted(set(travel.policies) - set(travel.cells)))}."
        )
    if len(travel.columns) > COLUMNS_MAX:
        raise BadTravel(f"Table {travel.name} has more than {COLUMNS_MAX} travelling columns.")
    if travel.root and travel.root[1] not in names:
        raise BadTravel(f"Table {travel.name}: its root {travel.root[1]} does not travel.")


def fingerprint(travels: Iterable[Travel]) -> str:
    """16 hex digits that are equal at two nodes whose travelling tables have the same shape."""
    lines = []
    for travel in sorted(travels, key=lambda t: t.name):
        cells = ";".join(f"{cell}={','.join(cs)}:{travel.policy(cell)}" for cell, cs in sorted(travel.cells.items()))
        marks = ",".join(str(mark) for mark in (travel.alive, travel.merged, travel.bucket, travel.owner, travel.root))
        lines.append(f"{travel.name}|{cells}|{marks}")
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]
