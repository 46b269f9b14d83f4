"""Tasks, activities and handing over: the work of a day."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from sqlalchemy.orm import Session

from node.clock import ManualClock, as_datetime
from node.db import Database
from node.domain import activities, handover, offices, search, tasks
from node.domain.access import SYSTEM, Actor
from node.domain.tasks import Task
from node.errors import Forbidden, Invalid, NotFound, Refused
from tests.support import builders


@pytest.mark.parametrize(
    ("due", "repeat", "following"),
    [
        (date(2026, 1, 31), "monthly", date(2026, 2, 28)),
        (date(2024, 2, 29), "yearly", date(2025, 2, 28)),
        (date(2026, 12, 31), "daily", date(2027, 1, 1)),
        (date(2026, 12, 31), "weekly", date(2027, 1, 7)),
        (date(2026, 12, 31), "monthly", date(2027, 1, 31)),
        (date(2026, 12, 31), "", None),
    ],
)
def test_a_repeated_task_is_due_again(due: date, repeat: str, following: date | None) -> None:
    assert tasks.next_due(due, repeat) == following


def test_completing_a_repeated_task_makes_the_next_one_once(db: Database, clock: ManualClock) -> None:
    today = as_datetime(clock.now_ms()).date()

    def fill(s: Session) -> str:
        row = builders.company(s)
        return str(builders.task(s, "Ring", kind="call", company=row.id, due_on=today, repeat="weekly").id)

    id = db.write_now(fill)
    following = db.write_now(lambda s: str(tasks.complete(s, SYSTEM, id, result="Wants an offer", minutes=4).id))  # type: ignore[union-attr]
    assert [h.concept for h in db.read_now(search.search, SYSTEM, "wants offer")] == ["activities"]
    with pytest.raises(Refused, match="done already"):
        db.write_now(tasks.complete, SYSTEM, id)
    db.write_now(tasks.reopen, SYSTEM, id)
    assert db.write_now(tasks.complete, SYSTEM, id) is None, "the next one is there"
    row = db.read_now(lambda s: s.get(Task, following))
    assert row is not None
    assert (row.due_on, row.state, row.repeat) == (today + timedelta(days=7), "open", "weekly")


def test_my_day_holds_what_is_due_late_and_rings(db: Database, clock: ManualClock) -> None:
    def fill(s: Session) -> Actor:
        anna = builders.user(s, "anna", office="HQ")
        day = offices.today(s)
        for subject, due in (("late", -3), ("now", 0), ("soon", 5), ("far", 40)):
            builders.task(s, subject, due_on=day + timedelta(days=due), owner=anna.user_id,
                          due_time="09:30" if subject == "now" else "")  # fmt: skip
        builders.task(s, "some day", owner=anna.user_id)
        ring = builders.task(s, "ring", owner=anna.user_id, due_on=day)
        ring.remind_at = s.info["now"]
        activities.note_call(s, anna, "Talked", direction="in")
        return anna

    anna = db.write_now(fill)
    lists = db.read_now(tasks.my_tasks, anna)
    assert [(t.subject, t.days_late) for t in lists.overdue] == [("late", 3)]
    assert [t.subject for t in lists.today] == ["ring", "now"]
    assert [[t.subject for t in group] for group in (lists.week, lists.later, lists.undated)] == [
        ["soon"], ["far"], ["some day"],
    ]  # fmt: skip
    assert [t.subject for t in db.read_now(tasks.reminders_due, anna)] == ["ring"]
    agenda = db.read_now(tasks.agenda, anna)
    assert {i.title for i in agenda} == {"now", "ring", "Talked"}
    assert agenda[0].time == "09:30" or agenda[0].title == "Talked"
    today = db.read_now(offices.today)
    fact = db.read_now(tasks.plan_fact, SYSTEM, today - timedelta(days=7), today)
    assert {(r["kind"], r["planned"], r["entered"]) for r in fact} == {("call", 0, 1), ("todo", 3, 0)}


def test_putting_off_and_giving_away_have_their_rules(db: Database, clock: ManualClock) -> None:
    def fill(s: Session) -> tuple[Actor, Actor, str]:
        anna, boris = builders.user(s, "anna", office="HQ"), builders.user(s, "boris", office="HQ")
        return anna, boris, str(builders.task(s, "Offer", owner=anna.user_id, due_on=offices.today(s)).id)

    anna, boris, id = db.write_now(fill)
    tomorrow = as_datetime(clock.now_ms()).date() + timedelta(days=1)
    db.write_now(tasks.snooze, anna, id, tomorrow, by=anna)
    with pytest.raises(Refused, match="to come"):
        db.write_now(tasks.snooze, anna, id, tomorrow - timedelta(days=9), by=anna)
    with pytest.raises(Forbidden):
        db.write_now(tasks.reassign, boris, id, boris.user_id, by=boris)
    with pytest.raises(Invalid):
        db.write_now(tasks.reassign, anna, id, "0" * 16, by=anna)
    db.write_now(tasks.reassign, anna, id, boris.user_id, by=anna)
    with pytest.raises(NotFound):
        db.write_now(tasks.cancel, boris, "0" * 16, by=boris)
    assert [t.due_on for t in db.read_now(tasks.my_tasks, boris).week] == [tomorrow]


def test_nothing_is_lost_when_somebody_leaves(db: Database) -> None:
    def fill(s: Session) -> tuple[Actor, Actor, Actor]:
        anna, boris = builders.user(s, "anna", office="HQ"), builders.user(s, "boris", office="HQ")
        for i in range(3):
            row = builders.company(s, f"Customer {i}", owner=anna.user_id)
            builders.task(s, f"Visit {i}", owner=anna.user_id, company=row.id)
        tasks.complete(s, SYSTEM, builders.task(s, "Old", owner=anna.user_id).id)
        return anna, boris, builders.user(s, "lena", "viewer", office="HQ")

    anna, boris, lena = db.write_now(fill)
    with pytest.raises(Forbidden):
        db.write_now(handover.hand_over, lena, anna.user_id, boris.user_id, by=lena)
    handed = db.write_now(handover.hand_over, SYSTEM, anna.user_id, boris.user_id, ["companies", "tasks"])
    assert handed == {"companies": 3, "tasks": 3}
    assert len(db.read_now(tasks.my_tasks, boris).undated) == 3
    assert db.write_now(handover.hand_over, SYSTEM, anna.user_id, boris.user_id, ["tasks"]) == {"tasks": 0}
