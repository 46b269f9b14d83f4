"""The tables that the exchange itself needs, named `exchange_…`. They stay at home; the journal (journal.py) travels.

`tab` is the small number of a table in `exchange_catalogue`, `row` the id of a row, `seen`, `since` and `revision`
are the hub's numbers. Why each table is as it is: DESIGN.md.
"""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData()

Whole = sa.BigInteger().with_variant(sa.Integer(), "sqlite")  # 64 bits on both

INSERTED, UPDATED, RECEIVED = 0, 1, 2  # log.op; RECEIVED: written by the exchange, kept for the history only

catalogue = sa.Table(
    "exchange_catalogue",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("name", sa.Text, nullable=False, unique=True),
    sa.Column("columns", sa.Text, nullable=False, doc="JSON list; the place of a column is its bit in log.mask"),
)

author = sa.Table(
    "exchange_author",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("office", sa.Text, nullable=False, doc="empty: this node"),
    sa.Column("life", Whole, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("cause", sa.Text, nullable=False),
    sa.UniqueConstraint("office", "life", "actor", "cause", name="exchange_author_once"),
)

tx = sa.Table(
    "exchange_tx",
    metadata,
    sa.Column("number", Whole, primary_key=True),
    sa.Column("author", sa.Integer, nullable=False),
    sa.Column("at", Whole, nullable=False, doc="ms since 1970"),
    sa.Column("seen", Whole, nullable=False),
    sqlite_autoincrement=True,
)

log = sa.Table(
    "exchange_log",
    metadata,
    sa.Column("seq", Whole, primary_key=True),
    sa.Column("tx", Whole),
    sa.Column("tab", sa.Integer, nullable=False),
    sa.Column("row", sa.Text, nullable=False),
    sa.Column("op", sa.Integer, nullable=False),
    sa.Column(
        "mask",
        Whole,
        nullable=False,
        doc="changed columns; where op is INSERTED all have, and it says whether `merged` is set",
    ),
    sa.Column("seen", Whole, doc="at the hub, and where op is RECEIVED: the revision"),
    sa.Column("old", sa.Text, doc="bit -> old value of a changed column: stored.py"),
    # The name of this constraint is what a person reads who writes without a context.
    sa.CheckConstraint("tx IS NOT NULL", name="a_write_to_a_travelling_table_needs_capture_begin"),
    sa.Index("exchange_log_history", "row", sqlite_where=sa.text("op <> 0"), postgresql_where=sa.text("op <> 0")),
    sqlite_autoincrement=True,
)

life = sa.Table(
    "exchange_life",
    metadata,
    sa.Column("office", sa.Text, primary_key=True, doc="empty: this node"),
    sa.Column("life", Whole, primary_key=True),
    sa.Column("told", Whole, nullable=False, doc="the highest seq that the hub has; 0: none"),
    sa.Column("written", Whole, nullable=False, server_default="0", doc="the highest seq of it in our log"),
    sa.Column("safe", Whole, nullable=False, server_default="0", doc="the same, in a verified backup of the hub"),
    sa.Column("first_at", Whole, nullable=False, server_default="0"),
)

timeline = sa.Table(
    "exchange_timeline",
    metadata,
    sa.Column("timeline", Whole, primary_key=True),
    sa.Column("revision", Whole, nullable=False, doc="branch: last applied under it; hub: at which it began"),
)

state = sa.Table(
    "exchange_state",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)

hidden = sa.Table(
    "exchange_hidden",
    metadata,
    sa.Column("tab", sa.Integer, primary_key=True),
    sa.Column("row", sa.Text, primary_key=True),
    sa.Column("cell", sa.Text, primary_key=True),
    sa.Column("seen", Whole, nullable=False),
)

unseen = sa.Table(
    "exchange_unseen",
    metadata,
    sa.Column("seq", Whole, primary_key=True),
    sa.Column("cell", sa.Integer, primary_key=True),
    sa.Column("seen", Whole, nullable=False, doc="of this cell the author of this log entry had seen no more"),
)

leaving = sa.Table(
    "exchange_leaving",
    metadata,
    sa.Column("tab", sa.Integer, primary_key=True),
    sa.Column("row", sa.Text, primary_key=True),
    sa.Column("seen", Whole, nullable=False),
)

received = sa.Table(
    "exchange_received",
    metadata,
    sa.Column("number", Whole, primary_key=True),
    sa.Column("least", Whole, nullable=False, doc="the lowest number in the pack"),
    sa.Column("revision", Whole, nullable=False, doc="up to where it brought us"),
    sa.Column("at", Whole, nullable=False),
    sa.Column("pack", sa.LargeBinary, nullable=False, doc="the answer as it came: packed, compressed"),
    sqlite_autoincrement=True,
)

version = sa.Table(
    "exchange_version",
    metadata,
    sa.Column("revision", Whole, primary_key=True, autoincrement=False, doc="the row's newest; so a pull is a range"),
    sa.Column("tab", sa.Integer, nullable=False),
    sa.Column("row", sa.Text, nullable=False),
    sa.Column("pack", sa.LargeBinary, nullable=False, doc="msgpack: see version.py"),
    sa.Index("exchange_version_row", "tab", "row", unique=True),
)

office = sa.Table(
    "exchange_office",
    metadata,
    sa.Column("code", sa.Text, primary_key=True),
    sa.Column("buckets", sa.Text, doc="JSON list; NULL: all"),
    sa.Column("watermark", Whole, nullable=False, server_default="0"),
    sa.Column("last_contact", Whole, doc="ms since 1970"),
    sa.Column("clock_offset", Whole, doc="ms: the office's clock minus ours"),
    sa.Column("waiting", Whole, nullable=False, server_default="0", doc="rows of its last message"),
    sa.Column("schema", sa.Text),
    sa.Column("safe_revision", Whole, nullable=False, server_default="0"),
)


def create(conn: sa.Connection) -> None:
    """Create what is missing."""
    from replication import journal  # noqa: F401  (its table belongs to the same metadata)

    metadata.create_all(conn)
