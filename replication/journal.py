"""The conflict journal: what lost is kept, with who, where and when, until a person has looked at it.

`conflict` is an ordinary travelling table. The hub writes its rows; to settle one is an ordinary edit of the cell group
`decision` (and of the row concerned), made by the application at any node. The id is a hash of the conflict's identity,
so that a conflict that is found again (doubled message, restored hub) is the same row.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from replication.tables import Whole, metadata
from replication.travel import Travel

FIELD, DELETE, MERGE = "field", "delete", "merge"  # kind
OPEN, DECIDED = "open", "decided"  # state

conflict = sa.Table(
    "conflict",
    metadata,
    sa.Column("id", sa.String(16), primary_key=True),
    sa.Column("table_name", sa.Text, nullable=False),
    sa.Column("row_id", sa.Text, nullable=False),
    sa.Column("cell", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("base", sa.Text, doc="JSON: column -> value that both had on screen; NULL: not known"),
    sa.Column("winner", sa.Text, nullable=False, doc="JSON: column -> value"),
    sa.Column("loser", sa.Text, nullable=False, doc="JSON: column -> value"),
    sa.Column("winner_actor", sa.Text, nullable=False, doc="empty: the hub's rule (an edit beats a delete)"),
    sa.Column("winner_office", sa.Text, nullable=False),
    sa.Column("winner_life", Whole, nullable=False),
    sa.Column("winner_seq", Whole, nullable=False),
    sa.Column("winner_at", Whole, nullable=False, doc="ms since 1970, by the clock of the writer's node"),
    sa.Column("loser_actor", sa.Text, nullable=False),
    sa.Column("loser_office", sa.Text, nullable=False),
    sa.Column("loser_life", Whole, nullable=False),
    sa.Column("loser_seq", Whole, nullable=False),
    sa.Column("loser_at", Whole, nullable=False),
    sa.Column("decided_at_revision", Whole, nullable=False),
    sa.Column("suspicious_clock", sa.Integer, nullable=False, server_default="0", doc="1: do not trust who was later"),
    sa.Column("state", sa.Text, nullable=False, server_default=OPEN),
    sa.Column("choice", sa.Text, doc="what the person chose: winner, loser, other"),
    sa.Column("decided_by", sa.Text),
    sa.Column("decided_at", Whole, doc="ms since 1970"),
    sa.Index("conflict_open", "state", "table_name"),
    sa.Index("conflict_row", "table_name", "row_id"),
)


def travel(order: int = 1000) -> Travel:
    """The journal's own entry in the list of travelling tables. Branch and Hub add it if it is missing."""
    return Travel(
        table=conflict,
        groups={"decision": ("state", "choice", "decided_by", "decided_at")},
        alive=None,
        order=order,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One side of a conflict: what was written, by whom."""

    office: str
    life: int
    seq: int
    actor: str
    at: int
    values: Mapping[str, Any]  # column -> value


def identity(table: str, row: str, cell: str, winner: Side, loser: Side) -> str:
    """16 characters, equal wherever and whenever this conflict is found."""
    parts = (table, row, cell, winner.office, winner.life, winner.seq, loser.office, loser.life, loser.seq)
    digest = hashlib.sha256("\x1f".join(str(part) for part in parts).encode()).digest()
    plain = base64.b32encode(digest[:10]).decode()
    return plain.translate(_CROCKFORD)


_CROCKFORD = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", "0123456789ABCDEFGHJKMNPQRSTVWXYZ")


def base_values(row: Mapping[str, Any]) -> dict[str, Any] | None:
    """Column -> value before both edits, as they came from the database; None: not known."""
    return None if row["base"] is None else from_json(row["base"])


def winner_values(row: Mapping[str, Any]) -> dict[str, Any]:
    return from_json(row["winner"])


def loser_values(row: Mapping[str, Any]) -> dict[str, Any]:
    return from_json(row["loser"])


def to_json(values: Mapping[str, Any]) -> str:
    """Values that JSON lacks are kept as {"$": kind, "v": text}, so that they come back as they were."""
    return json.dumps(values, default=_plain, ensure_ascii=False, sort_keys=True)


def from_json(text: str) -> dict[str, Any]:
    found = json.loads(text, object_hook=_rich)
    assert isinstance(found, dict)
    return found


def _plain(value: object) -> dict[str, str]:
    if isinstance(value, Decimal):
        return {"$": "decimal", "v": str(value)}
    if isinstance(value, dt.datetime):
        return {"$": "datetime", "v": value.isoformat()}
    if isinstance(value, dt.date):
        return {"$": "date", "v": value.isoformat()}
    if isinstance(value, bytes):
        return {"$": "bytes", "v": value.hex()}
    raise TypeError(f"a value of type {type(value).__name__} cannot be kept in the journal")


def _rich(found: dict[str, Any]) -> Any:
    kind = found.get("$")
    if kind is None or found.keys() != {"$", "v"}:
        return found
    text = found["v"]
    if kind == "decimal":
        return Decimal(text)
    if kind == "datetime":
        return dt.datetime.fromisoformat(text)
    if kind == "date":
        return dt.date.fromisoformat(text)
    return bytes.fromhex(text)


def completed(travels: Sequence[Travel]) -> tuple[Travel, ...]:
    """The list with the journal's own entry, which every list needs."""
    return tuple(travels) if any(t.name == conflict.name for t in travels) else (*travels, travel())
