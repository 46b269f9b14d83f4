"""One timeline from all tables: in order, page by page, only what one may read."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest
from sqlalchemy.orm import Session

from node.clock import ManualClock, as_datetime
from node.db import Database
from node.domain import merging, tasks, timeline
from node.domain.access import SYSTEM, Actor
from node.errors import BadInput, NotFound
from tests.support import builders


def test_pages_walk_everything_once_and_newest_first(db: Database, clock: ManualClock) -> None:
    def fill(s: Session) -> str:
        row = builders.company(s)
        for i in range(23):  # three of a time: the cursor must not lose those of the same moment
            at = s.info["now"] - timedelta(minutes=i // 3)
            builders.activity(s, f"Note {i}", company_id=row.id, at=at)
        builders.task(s, "Send price list", company=row.id)
        return str(row.id)

    id = db.write_now(fill)
    seen: list[str] = []
    before, pages = "", 0
    while True:
        page = db.read_now(timeline.timeline, SYSTEM, "companies", id, limit=5, before=before)
        seen += [e.key for e in page]
        pages += 1
        if len(page) < 5:
            break
        before = page[-1].cursor
    assert len(seen) == len(set(seen)) == 24
    assert pages == 5
    entries = db.read_now(timeline.timeline, SYSTEM, "companies", id, limit=200)
    assert [e.at for e in entries] == sorted((e.at for e in entries), reverse=True)
    assert {e.kind for e in db.read_now(timeline.timeline, SYSTEM, "companies", id, ["task"])} == {"task"}


def test_it_tells_tasks_done_field_changes_and_what_was_about_the_merged_one(db: Database, clock: ManualClock) -> None:
    def fill(s: Session) -> tuple[str, str]:
        one, other = builders.company(s, "One"), builders.company(s, "Other")
        builders.activity(s, "About the other", company_id=other.id)
        todo = builders.task(s, "Ring", company=one.id)
        tasks.complete(s, SYSTEM, todo.id, result="Reached him")
        merging.merge(s, SYSTEM, "companies", other.id, one.id)
        return str(one.id), str(other.id)

    one, other = db.write_now(fill)

    def history(table: str, ids: Sequence[str], before: datetime | None, limit: int) -> list[timeline.Change]:
        assert (table, set(ids)) == ("company", {one, other})
        at = as_datetime(clock.now_ms())
        return [
            timeline.Change(table=table, id=one, column=column, old="a", new="b", at=at, actor="anna", office="PAR",
                            cause="exchange")
            for column in ("name", "name_key")
        ]  # fmt: skip

    entries = db.read_now(timeline.timeline, SYSTEM, "companies", other, history=history)
    told = {(e.kind, e.what, e.title) for e in entries}
    assert ("task", "done", "Ring") in told
    assert ("activity", "note", "About the other") in told
    assert [(e.field, e.office, e.cause) for e in entries if e.kind == "change"] == [("Name", "PAR", "exchange")]


def test_a_hidden_customer_has_no_timeline(db: Database) -> None:
    def fill(s: Session) -> tuple[str, Actor]:
        return str(builders.company(s, "Secret", sensitivity="vip").id), builders.user(s, "sally", office="HQ")

    id, sally = db.write_now(fill)
    with pytest.raises(NotFound):
        db.read_now(timeline.timeline, sally, "companies", id)
    with pytest.raises(BadInput, match="given out"):
        db.read_now(timeline.timeline, SYSTEM, "companies", id, before="yesterday")
