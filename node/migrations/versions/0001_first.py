"""The first form: every table of the business, the exchange's own, and the search index.

Until the first release this step makes the tables as the code describes them. From the first release on it is never
touched again, and each change is a step of its own that names columns and types itself: a step must do the same
whatever the code has become since.
"""

from __future__ import annotations

from alembic import op

from node.base import Base
from node.domain import search
from replication import tables

revision = "0001_first"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    conn = op.get_bind()
    # The centre's own mapped tables, if it is loaded, are not ours: see node.upgrade.upgrade(extra=…).
    ours = [m.local_table for m in Base.registry.mappers if m.class_.__module__.startswith("node.")]
    Base.metadata.create_all(conn, tables=ours)  # type: ignore[arg-type]
    tables.create(conn)
    search.create(conn)
