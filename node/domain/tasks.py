"""Tasks and reminders: what somebody has to do, until when."""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from node.base import Base, Record, optional_key
from node.columns import Day, Flag, Instant
from node.domain import access, activities, offices, search
from node.domain.access import Actor
from node.domain.activities import LINKS, Activity
from node.domain.concept import OFFICE, OWNER, Concept, Field, Kind, SearchText, Values, register
from node.domain.customers import party_names
from node.domain.finding import found
from node.domain.users import User
from node.errors import Invalid, Refused
from node.ids import Id, derived

KINDS = {"todo": "To do", "call": "Call", "meeting": "Meeting", "payment": "Payment"}
PRIORITIES = {"low": "Low", "normal": "Normal", "high": "High"}
STATES = {"open": "Open", "done": "Done", "cancelled": "Cancelled"}
REPEATS = {"": "Once", "daily": "Daily", "weekly": "Weekly", "monthly": "Monthly", "yearly": "Yearly"}
LIST_MAX = 500  # tasks shown at once


class Task(Base, Record):
    """A task; its author is `created_by`, `owner_id` does it."""

    __tablename__ = "task"
    __table_args__ = (sa.Index("ix_task_owner_state_due", "owner_id", "state", "due_on"),)

    subject: Mapped[str] = mapped_column(sa.Text)
    text: Mapped[str] = mapped_column(sa.Text, default="")
    kind: Mapped[str] = mapped_column(sa.String(16), default="todo")  # todo call meeting payment
    company_id: Mapped[Id | None] = optional_key()
    person_id: Mapped[Id | None] = optional_key()
    deal_id: Mapped[Id | None] = optional_key()
    document_id: Mapped[Id | None] = optional_key()
    owner_id: Mapped[Id | None] = optional_key()
    due_on: Mapped[date | None] = mapped_column(Day, index=True)
    due_time: Mapped[str] = mapped_column(sa.String(5), default="")  # "14:30", office time; empty: any time that day
    remind_at: Mapped[datetime | None] = mapped_column(Instant)
    priority: Mapped[str] = mapped_column(sa.String(8), default="normal")  # low normal high
    state: Mapped[str] = mapped_column(sa.String(16), default="open", index=True)  # open done cancelled
    done_at: Mapped[datetime | None] = mapped_column(Instant)
    done_by: Mapped[str] = mapped_column(sa.String(16), default="")
    repeat: Mapped[str] = mapped_column(sa.String(16), default="")  # daily weekly monthly yearly
    close_on_payment: Mapped[bool] = mapped_column(Flag, default=False)
    external_code: Mapped[str] = mapped_column(sa.Text, default="", index=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskItem:
    """A task as lists show it."""

    id: str
    subject: str
    kind: str
    due_on: date | None
    due_time: str
    priority: str
    state: str
    owner_id: str | None
    company_id: str | None
    company: str
    person_id: str | None
    person: str
    days_late: int  # 0: not late


@dataclass(slots=True)
class TaskLists:
    """Open tasks by when they are due."""

    overdue: list[TaskItem] = field(default_factory=list)
    today: list[TaskItem] = field(default_factory=list)
    week: list[TaskItem] = field(default_factory=list)  # the next seven days
    later: list[TaskItem] = field(default_factory=list)
    undated: list[TaskItem] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class AgendaItem:
    """One line of a day: a task that is due or an activity that is entered for it."""

    time: str  # "14:30", office time; empty: any time
    concept: str  # tasks activities
    id: str
    kind: str
    title: str
    party: str
    done: bool


# rules


def next_due(due: date, repeat: str) -> date | None:
    """The day on which a repeated task is due again; None if it is not repeated. 31 January → 28 February."""
    if repeat in ("daily", "weekly"):
        return due + timedelta(days=1 if repeat == "daily" else 7)
    if repeat not in ("monthly", "yearly"):
        return None
    months = due.month + (1 if repeat == "monthly" else 12)
    year, month = due.year + (months - 1) // 12, (months - 1) % 12 + 1
    return date(year, month, min(due.day, calendar.monthrange(year, month)[1]))


# queries


def my_tasks(s: Session, by: Actor, owner_id: str = "") -> TaskLists:
    """The open tasks of the actor (or of a colleague whose tasks he may read), by when they are due."""
    owner, today = owner_id or by.user_id, offices.today(s)
    query = sa.select(Task).where(Task.alive, Task.owner_id == owner, Task.state == "open")
    if owner != by.user_id:
        query = query.where(access.readable(by, Task, "task"))
    rows = s.scalars(query.order_by(Task.due_on.is_(None), Task.due_on, Task.due_time, Task.id).limit(LIST_MAX))
    lists = TaskLists()
    for item in _items(s, list(rows), today):
        if item.due_on is None:
            lists.undated.append(item)
        elif item.due_on < today:
            lists.overdue.append(item)
        elif item.due_on == today:
            lists.today.append(item)
        else:
            (lists.week if item.due_on <= today + timedelta(days=7) else lists.later).append(item)
    return lists


def reminders_due(s: Session, by: Actor) -> list[TaskItem]:
    """Open tasks of the actor whose reminder has rung."""
    query = sa.select(Task).where(
        Task.alive, Task.owner_id == by.user_id, Task.state == "open", Task.remind_at <= s.info["now"]
    )
    return _items(s, list(s.scalars(query.order_by(Task.remind_at, Task.id).limit(LIST_MAX))), offices.today(s))


def agenda(s: Session, by: Actor, day: date | None = None) -> list[AgendaItem]:
    """The actor's day in order: what is due then, done or not, and what was or will be done then."""
    day, zone = day or offices.today(s), offices.zone(s)
    start = datetime.combine(day, time(), zone)
    tasks = list(
        s.scalars(
            sa.select(Task)
            .where(Task.alive, Task.owner_id == by.user_id, Task.due_on == day, Task.state != "cancelled")
            .limit(LIST_MAX)
        )
    )
    entered = list(
        s.scalars(
            sa.select(Activity)
            .where(
                Activity.alive, Activity.owner_id == by.user_id, Activity.at >= start,
                Activity.at < datetime.combine(day + timedelta(days=1), time(), zone),
            )
            .limit(LIST_MAX)
        )
    )  # fmt: skip
    rows: list[Task | Activity] = [*tasks, *entered]
    names = party_names(s, [i for r in rows for i in (r.company_id, r.person_id)])

    def party(row: Task | Activity) -> str:
        return names.get(row.company_id or "", "") or names.get(row.person_id or "", "")

    items = [
        AgendaItem(time=t.due_time, concept="tasks", id=t.id, kind=t.kind, title=t.subject, party=party(t),
                   done=t.state == "done")
        for t in tasks
    ] + [
        AgendaItem(time=f"{a.at.astimezone(zone):%H:%M}", concept="activities", id=a.id, kind=a.kind,
                   title=activities.title_of(a), party=party(a), done=a.at <= s.info["now"])
        for a in entered
    ]  # fmt: skip
    return sorted(items, key=lambda i: (i.time or "99", i.title, i.id))


def plan_fact(s: Session, by: Actor, since: date, until: date) -> list[Values]:
    """What was planned and what was done from `since` to `until`, both included: one row per user and kind, with
    `planned` (tasks due), `done` (of those) and `entered` (activities of that kind)."""
    zone, table = offices.zone(s), {}
    planned = (
        sa.select(Task.owner_id, Task.kind, sa.func.count(), sa.func.sum(sa.case((Task.state == "done", 1), else_=0)))
        .where(Task.alive, Task.due_on >= since, Task.due_on <= until, Task.state != "cancelled")
        .where(access.readable(by, Task, "task"))
        .group_by(Task.owner_id, Task.kind)
    )
    for owner, kind, count, done in s.execute(planned):
        table[owner, kind] = {"owner": owner, "kind": kind, "planned": count, "done": int(done), "entered": 0}
    entered = (
        sa.select(Activity.owner_id, Activity.kind, sa.func.count())
        .where(Activity.alive, Activity.at >= datetime.combine(since, time(), zone))
        .where(Activity.at < datetime.combine(until + timedelta(days=1), time(), zone))
        .where(access.readable(by, Activity, "activity"))
        .group_by(Activity.owner_id, Activity.kind)
    )
    for owner, kind, count in s.execute(entered):
        row = table.setdefault((owner, kind), {"owner": owner, "kind": kind, "planned": 0, "done": 0, "entered": 0})
        row["entered"] = count
    return [table[key] for key in sorted(table, key=lambda k: (k[0] or "", k[1]))]


def _items(s: Session, rows: Sequence[Task], today: date) -> list[TaskItem]:
    names = party_names(s, [i for r in rows for i in (r.company_id, r.person_id)])
    return [
        TaskItem(
            id=r.id, subject=r.subject, kind=r.kind, due_on=r.due_on, due_time=r.due_time, priority=r.priority,
            state=r.state, owner_id=r.owner_id, company_id=r.company_id, company=names.get(r.company_id or "", ""),
            person_id=r.person_id, person=names.get(r.person_id or "", ""),
            days_late=max(0, (today - r.due_on).days) if r.due_on and r.state == "open" else 0,
        )
        for r in rows
    ]  # fmt: skip


# actions


def complete(s: Session, by: Actor, id: str, result: str = "", minutes: int | None = None) -> Task | None:
    """It is done; the next one, if it is repeated. A `result` becomes an activity of the customer.

    The next one's key is derived, so that two offices that tick the same task off make one next task, not two.
    """
    row = found(s, by, Task, "task", id, "edit")
    if row.state != "open":
        raise Refused(f"This task is {STATES[row.state].lower()} already.")
    row.state, row.done_at, row.done_by = "done", s.info["now"], by.user_id
    if result.strip():
        kind = row.kind if row.kind in activities.KINDS else "note"
        activities.enter(
            s, by, kind, result, subject=row.subject, minutes=minutes, company_id=row.company_id,
            person_id=row.person_id, deal_id=row.deal_id, document_id=row.document_id,
        )  # fmt: skip
    due = next_due(row.due_on, row.repeat) if row.due_on else None
    key = derived("task", row.id, due.isoformat()) if due else None
    following = None
    if due and row.due_on and key and s.get(Task, key) is None:
        following = Task(
            id=key, subject=row.subject, text=row.text, kind=row.kind, company_id=row.company_id,
            person_id=row.person_id, deal_id=row.deal_id, document_id=row.document_id, owner_id=row.owner_id,
            due_on=due, due_time=row.due_time, priority=row.priority, repeat=row.repeat, office=row.office,
            remind_at=row.remind_at + (due - row.due_on) if row.remind_at else None,
            close_on_payment=row.close_on_payment,
        )  # fmt: skip
        s.add(following)
    s.flush()
    search.note(s, "tasks", [row.id, *([following.id] if following else [])])
    return following


def reopen(s: Session, by: Actor, id: str) -> None:
    """It was not done after all."""
    row = found(s, by, Task, "task", id, "edit")
    row.state, row.done_at, row.done_by = "open", None, ""


def cancel(s: Session, by: Actor, id: str) -> None:
    """It need not be done any more."""
    found(s, by, Task, "task", id, "edit").state = "cancelled"


def snooze(s: Session, by: Actor, id: str, until: datetime | date) -> None:
    """Put it off: to another day, or (a datetime) only its reminder. Raise Refused for the past."""
    row = found(s, by, Task, "task", id, "edit")
    if isinstance(until, datetime):
        if until <= s.info["now"]:
            raise Refused("A reminder can only be put off to a time to come.")
        row.remind_at = until
        return
    if until < offices.today(s):
        raise Refused("A task can only be put off to a day to come.")
    if row.remind_at and row.due_on:
        row.remind_at += until - row.due_on
    row.due_on = until


def reassign(s: Session, by: Actor, id: str, owner_id: str) -> None:
    """Somebody else does it."""
    row = found(s, by, Task, "task", id, "edit")
    user = s.get(User, owner_id)
    if user is None or not user.alive or not user.active:
        raise Invalid({"owner": "There is no such user, or he cannot log in any more. Choose somebody else."})
    row.owner_id = user.id
    s.flush()
    search.note(s, "tasks", [row.id])


def _check(s: Session, by: Actor, row: Task, values: Values, new: bool) -> None:
    text = values.get("due_time")
    if text and not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", str(text)):
        raise Invalid({"due_time": "A time is written as hours and minutes, for example 14:30."})
    if values.get("repeat") and not (values.get("due_on") or row.due_on):
        raise Invalid({"due_on": "A task that is repeated needs a day on which it is due first."})


def _derive(s: Session, row: Task) -> None:
    if not row.id and not row.owner_id:
        row.owner_id = Id(s.info["actor_id"]) if s.info["actor_id"] else None
    if row.state == "done" and row.done_at is None:
        row.done_at, row.done_by = s.info["now"], s.info["actor_id"]
    elif row.state == "open" and row.done_at is not None:
        row.done_at, row.done_by = None, ""


def _search(s: Session, rows: Iterable[Any]) -> dict[str, SearchText]:
    names = party_names(s, [i for r in rows for i in (r.company_id, r.person_id)])
    result: dict[str, SearchText] = {}
    for r in rows:
        about = " · ".join(names[i] for i in (r.company_id, r.person_id) if i and i in names)
        result[r.id] = SearchText(title=r.subject, detail=about, words=f"{r.subject} {r.text} {about}")
    return result


TASKS = register(
    Concept(
        name="tasks",
        singular="task",
        model=Task,
        label="Task",
        label_plural="Tasks",
        icon="task",
        title=lambda r: r.subject,
        order=("due_on",),
        check=_check,
        derive=_derive,
        search=_search,
        fields=(
            Field(name="subject", kind=Kind.TEXT, label="Subject", required=True, listed=True, length_max=300),
            Field(name="kind", kind=Kind.CHOICE, label="Kind", choices=tuple(KINDS), choice_labels=KINDS, listed=True),
            Field(name="due_on", kind=Kind.DAY, label="Due", listed=True, sortable=True),
            Field(name="due_time", kind=Kind.TIME, label="Time"),
            Field(name="remind_at", kind=Kind.INSTANT, label="Remind at"),
            Field(name="repeat", kind=Kind.CHOICE, label="Repeats", choices=tuple(REPEATS), choice_labels=REPEATS),
            Field(name="priority", kind=Kind.CHOICE, label="Priority", choices=tuple(PRIORITIES),
                  choice_labels=PRIORITIES),
            Field(name="state", kind=Kind.CHOICE, label="State", choices=tuple(STATES), choice_labels=STATES,
                  listed=True),
            *LINKS,
            OWNER,
            OFFICE,
            Field(name="text", kind=Kind.NOTE, label="Text"),
            Field(name="close_on_payment", kind=Kind.FLAG, label="Done when the invoice is paid"),
            Field(name="done_at", kind=Kind.INSTANT, label="Done at", read_only=True, in_form=False),
            Field(name="external_code", kind=Kind.TEXT, label="External code", in_form=False),
        ),
    )
)  # fmt: skip
