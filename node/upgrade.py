"""At every start: bring the database to this version's form, and make sure that the capture triggers are whole.

Everything happens in one transaction, so that a failure leaves the data as it was. When there is data and something
must change, a backup is made first. Data of a newer version is refused before anything is touched.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from alembic.config import Config as AlembicConfig
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory

import node.domain.all
import node.exchange_log  # noqa: F401  (registers its table)
from node import migrations
from node.db import Database
from node.errors import NewerData
from node.schema import TRAVELS
from replication import capture

log = logging.getLogger(__name__)
VERSION_TABLE = "kogge_revision"
LOCK = 0x6B6F6767  # advisory, PostgreSQL: of several processes one migrates


@dataclass(frozen=True, slots=True, kw_only=True)
class Upgraded:
    """What was done. `before` is None for a new database; `repaired` are triggers that were missing or wrong."""

    before: str | None
    after: str
    backup: Path | None
    repaired: tuple[str, ...]


def upgrade(
    db: Database,
    *,
    extra: Sequence[sa.MetaData] = (),
    backup: Callable[[], Path] | None = None,
) -> Upgraded:
    """Migrate and repair. `extra`: tables of the centre, which stay there. `backup`: makes one, gives its file.

    Raise NewerData; nothing is changed then.
    """
    script = _script()
    newest = script.get_current_head()
    assert newest is not None, "there is at least the first revision"
    before = current(db)
    if before is not None and not knows(before):
        raise NewerData(
            f"The data was written by a newer version of Kogge (its form is {before}, this version knows {newest} at "
            "most). Install that newer version, or restore a backup that this version has made. Nothing was changed.",
            found=before,
            known=newest,
        )
    made = backup() if backup is not None and before is not None and before != newest else None
    with db.writer.begin() as conn:
        if conn.dialect.name == "postgresql":
            conn.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})
        _migrate(conn, script)
        for metadata in extra:
            metadata.create_all(conn)
        repaired = capture.install(conn, TRAVELS)
    if before is None:
        log.info("database made", extra={"revision": newest})
        return Upgraded(before=None, after=newest, backup=None, repaired=())
    if before != newest:
        log.info("database upgraded", extra={"from": before, "to": newest, "backup": str(made)})
    elif repaired:
        log.warning("capture triggers were missing or changed and are repaired: %s", ", ".join(repaired))
    return Upgraded(before=before, after=newest, backup=made, repaired=repaired if before == newest else ())


def current(db: Database) -> str | None:
    """The revision that the data has; None: an empty database."""
    with db.reader.connect() as conn:
        if not sa.inspect(conn).has_table(VERSION_TABLE):
            return None
        found = conn.execute(sa.text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()  # noqa: S608 (constant)
        return None if found is None else str(found)


def newest() -> str:
    """The revision that this version writes."""
    head = _script().get_current_head()
    assert head is not None
    return head


def knows(revision: str) -> bool:
    """Can this version work with data of that revision (perhaps after an upgrade)?"""
    return revision in {r.revision for r in _script().walk_revisions()}


def _script() -> ScriptDirectory:
    return ScriptDirectory(str(Path(migrations.__file__).parent))


def _migrate(conn: sa.Connection, script: ScriptDirectory) -> None:
    def steps(revision: object, _context: object) -> object:
        return script._upgrade_revs("head", revision)  # type: ignore[arg-type]  # as alembic.command.upgrade does it

    with EnvironmentContext(AlembicConfig(), script, fn=steps) as environment:
        environment.configure(connection=conn, version_table=VERSION_TABLE, transactional_ddl=True)
        with environment.begin_transaction():
            environment.run_migrations()
