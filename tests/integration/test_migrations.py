"""A database comes to this version's form at every start, and is left alone where that is not possible."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from node import upgrade
from node.clock import ManualClock
from node.db import Database
from node.domain.customers import Company
from node.errors import NewerData
from node.schema import STAYS_HOME, TRAVELS
from tests.support import nodes

pytestmark = pytest.mark.postgres


def test_an_empty_database_gets_every_table_and_trigger_and_a_second_start_changes_nothing(
    database_url: str, clock: ManualClock
) -> None:
    db = nodes.opened(database_url, clock)
    first = upgrade.upgrade(db)
    assert (first.before, first.after, first.repaired) == (None, upgrade.newest(), ())
    with db.reader.connect() as conn:
        there = set(sa.inspect(conn).get_table_names())
    assert {t.name for t in TRAVELS} | STAYS_HOME <= there
    again = upgrade.upgrade(db, backup=lambda: pytest.fail("nothing changes: no backup is needed"))
    assert (again.before, again.backup, again.repaired) == (upgrade.newest(), None, ())
    db.close()


def test_triggers_that_somebody_dropped_are_back_after_a_start(db: Database) -> None:
    name = "exchange_capture_company_update"
    with db.writer.begin() as conn:
        conn.exec_driver_sql(f"DROP TRIGGER {name}" + ("" if db.sqlite else " ON company"))
    assert upgrade.upgrade(db).repaired == (name,)
    assert upgrade.upgrade(db).repaired == ()


def test_data_of_a_newer_version_is_refused_with_a_sentence_and_not_touched(db: Database) -> None:
    db.write_now(lambda s: s.add(Company(name="Hansen", name_key="hansen")))
    with db.writer.begin() as conn:
        conn.exec_driver_sql(f"UPDATE {upgrade.VERSION_TABLE} SET version_num = '0999_later'")
        conn.exec_driver_sql("DROP TRIGGER exchange_capture_company_update" + ("" if db.sqlite else " ON company"))
    with pytest.raises(NewerData, match="newer version of Kogge") as refused:
        upgrade.upgrade(db, backup=lambda: pytest.fail("nothing may be written"))
    assert "Nothing was changed" in refused.value.message
    assert upgrade.current(db) == "0999_later"
    with db.reader.connect() as conn:  # not even the trigger was repaired
        query = "SELECT count(*) FROM sqlite_master WHERE name = 'exchange_capture_company_update'"
        if not db.sqlite:
            query = "SELECT count(*) FROM pg_trigger WHERE tgname = 'exchange_capture_company_update'"
        assert conn.exec_driver_sql(query).scalar() == 0


def test_older_data_is_backed_up_before_it_is_upgraded(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    real = upgrade._script()
    monkeypatch.setattr(upgrade, "current", lambda _: "0000_older")
    monkeypatch.setattr(upgrade, "_script", lambda: real)
    monkeypatch.setattr(upgrade, "knows", lambda _: True)
    monkeypatch.setattr(upgrade, "_migrate", lambda *_: made.append("migrated"))

    def backup() -> Path:
        made.append("backup")
        return Path("older.kogge")

    assert upgrade.upgrade(db, backup=backup).backup == Path("older.kogge")
    assert made == ["backup", "migrated"]
