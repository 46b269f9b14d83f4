"""The conflict inbox: what two offices wrote without having seen one another, and a person's decision about it.

The exchange has decided already, so work goes on; a person only confirms or corrects. A decision is an ordinary edit of
the record plus a mark in the journal, both of which travel like anything else, and it can be undone for 30 days.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from node.base import Record, touch
from node.clock import as_ms
from node.conflict_view import DERIVED, Conflict, Value, attribute, joinable, models, readable, root_of, typed, views
from node.domain import access, search
from node.domain.access import Actor
from node.domain.customers import ContactPoint
from node.errors import BadInput, Forbidden, Invalid, NotFound, Refused
from node.ids import derived
from node.schema import TRAVELS
from replication import history, journal
from replication.merge import unite_tags

LIMIT_MAX = 500
COUNT_MAX = 1000
UNDO_FOR = timedelta(days=30)
CHOICES = ("winner", "loser", "both", "value")
_ALIASES = {"keep": "winner", "delete": "loser"}  # of conflicts about a removed record
_TRAVEL = {t.name: t for t in TRAVELS}
_c = journal.conflict.c


@dataclass(frozen=True, slots=True, kw_only=True)
class Inbox:
    """Some conflicts, newest first, and where the next ones begin."""

    items: tuple[Conflict, ...]
    next: str | None


class Decided(Refused):
    """Somebody has decided this conflict already."""

    code = "decided"


# queries


def inbox(
    s: Session, by: Actor, state: str | None = "open", limit: int = 50, cursor: str = "", kind: str | None = None
) -> Inbox:
    """The conflicts about records that this user may read. `state`: open, decided or None for all."""
    if state not in (None, journal.OPEN, journal.DECIDED):
        raise BadInput(f"“{state}” is no state of a conflict: open, decided.")
    if kind not in (None, journal.FIELD, journal.DELETE, journal.MERGE):
        raise BadInput(f"“{kind}” is no kind of conflict: field, delete, merge.")
    limit = max(1, min(limit, LIMIT_MAX))
    query = sa.select(journal.conflict).where(readable(by))
    if state is not None:
        query = query.where(_c.state == state)
    if kind is not None:
        query = query.where(_c.kind == kind)
    if cursor:
        revision, id_ = _read_cursor(cursor)
        query = query.where(sa.tuple_(_c.decided_at_revision, _c.id) < sa.tuple_(sa.literal(revision), sa.literal(id_)))
    query = query.order_by(_c.decided_at_revision.desc(), _c.id.desc()).limit(limit + 1)
    rows = [dict(row) for row in s.execute(query).mappings()]
    shown = rows[:limit]
    following = _cursor(shown[-1]) if len(rows) > limit else None
    return Inbox(items=tuple(views(s, by, shown)), next=following)


def conflict(s: Session, by: Actor, id: str) -> Conflict:
    """One conflict. Raise NotFound."""
    return views(s, by, [_row(s, by, id)])[0]


def of_record(s: Session, by: Actor, table: str, id: str) -> list[Conflict]:
    """The open conflicts of one record's row."""
    query = sa.select(journal.conflict).where(
        _c.table_name == table, _c.row_id == id, _c.state == journal.OPEN, readable(by)
    )
    return views(s, by, [dict(row) for row in s.execute(query.order_by(_c.id).limit(LIMIT_MAX)).mappings()])


def open_count(s: Session, by: Actor) -> int:
    """How many open conflicts this user sees; counting stops at a thousand."""
    query = sa.select(_c.id).where(_c.state == journal.OPEN, readable(by)).limit(COUNT_MAX)
    return int(s.scalar(sa.select(sa.func.count()).select_from(query.subquery())) or 0)


def open_total(s: Session) -> int:
    """How many are open at this node."""
    return int(s.scalar(sa.select(sa.func.count()).where(_c.state == journal.OPEN)) or 0)


def open_among(conn: sa.Connection, ids: Sequence[str]) -> int:
    """How many of these are open."""
    total = 0
    for start in range(0, len(ids), LIMIT_MAX):
        part = ids[start : start + LIMIT_MAX]
        query = sa.select(sa.func.count()).where(_c.state == journal.OPEN, _c.id.in_(part))
        total += int(conn.execute(query).scalar_one())
    return total


def as_json(found: Conflict) -> dict[str, Any]:
    """A conflict for the API and `--json`; values as in the record's own JSON."""

    def side(author: Any, name: str) -> dict[str, Any]:
        return {
            "values": {v.column: _plain(getattr(v, name)) for v in found.values if v.column not in DERIVED},
            "author": author.name,
            "author_id": author.user_id,
            "office": author.office,
            "at": _plain(author.at),
        }

    shown = [v for v in found.values if v.column not in DERIVED]
    return {
        "id": found.id,
        "kind": found.kind,
        "state": found.state,
        "concept": found.concept,
        "record": found.record_id,
        "record_title": found.record_title,
        "table": found.table,
        "row": found.row_id,
        "cell": found.cell,
        "label": found.label,
        "base": {v.column: _plain(v.base) for v in shown} if found.base_known else None,
        "winner": side(found.winner, "winner"),
        "loser": side(found.loser, "loser"),
        "mine": found.mine,
        "suspicious_clock": found.suspicious_clock,
        "choices": list(choices(found)),
        "choice": found.choice or None,
        "decided_by": found.decided_by or None,
        "decided_at": _plain(found.decided_at),
    }


def choices(found: Conflict) -> tuple[str, ...]:
    """What can be chosen."""
    if found.kind != journal.FIELD:
        return ("winner", "loser")
    return tuple(c for c in CHOICES if c != "both" or found.both_possible)


# actions


def decide(s: Session, by: Actor, id: str, choice: str, value: Any = None) -> Conflict:
    """Settle a conflict: `winner` (stays as it is), `loser`, `both`, or `value` (one value, or a map by column).

    Of a removed record `keep` and `delete` are other words for winner and loser. Raise NotFound, Forbidden, Decided,
    BadInput, Invalid, Refused.
    """
    row = _row(s, by, id)
    found = views(s, by, [row])[0]
    choice = _ALIASES.get(choice, choice)
    if choice not in choices(found):
        raise BadInput(f"“{choice}” cannot be chosen here. Possible are: {', '.join(choices(found))}.")
    if found.state != journal.OPEN:
        raise Decided(
            f"{found.decided_by or 'Somebody'} has decided this already. Undo that decision first, or edit the record.",
            choice=found.choice,
        )
    live, root = _editable(s, by, found)
    _write(s, live, root, found, choice, value, row)
    _settle(s, id, journal.OPEN, state=journal.DECIDED, choice=choice, decided_by=by.user_id or by.login,
            decided_at=as_ms(s.info["now"]))  # fmt: skip
    return conflict(s, by, id)


def undo(s: Session, by: Actor, id: str) -> Conflict:
    """Take a decision back, within 30 days, unless the field was changed since. Raise NotFound, Forbidden, Refused."""
    row = _row(s, by, id)
    found = views(s, by, [row])[0]
    if found.state != journal.DECIDED or found.decided_at is None:
        raise Refused("This conflict is not decided, so there is nothing to undo.")
    if s.info["now"] - found.decided_at > UNDO_FOR:
        raise Refused("A decision can be undone for 30 days, and this one is older. Edit the record instead.")
    live, root = _editable(s, by, found)
    _write_back(s, live, root, found, int(row["decided_at"]))
    _settle(s, id, journal.DECIDED, state=journal.OPEN, choice=None, decided_by=None, decided_at=None)
    return conflict(s, by, id)


def _editable(s: Session, by: Actor, found: Conflict) -> tuple[Any, Any]:
    """The contested row and its record. Raise Forbidden, Refused."""
    model = models().get(found.table)
    live = s.get(model, found.row_id) if model is not None else None
    root = root_of(s, live) if live is not None else None
    if live is None or root is None:
        raise Refused("The record of this conflict is not at this office. Decide it at head office.")
    if not access.may(by, found.singular, "edit", root):
        raise Forbidden(
            f"You may read this {found.singular.replace('_', ' ')} but not change it. Ask its owner, or an "
            "administrator, to decide."
        )
    return live, root


def _write(
    s: Session, live: Any, root: Any, found: Conflict, choice: str, value: Any, row: Mapping[str, Any]
) -> None:
    if choice == "winner":
        wanted = {} if found.kind != journal.DELETE else typed(s, found.table, journal.winner_values(row))
    elif choice == "loser":
        wanted = typed(s, found.table, journal.loser_values(row))
    elif choice == "value":
        wanted = _given(found, value)
    else:
        wanted = _both(s, live, found)
    changed = False
    for column, new in wanted.items():
        name = attribute(type(live), column)
        if getattr(live, name) != new:
            setattr(live, name, new)
            changed = True
    if changed:
        _changed(s, live, root)


def _changed(s: Session, live: Any, root: Any) -> None:
    if root is not live and isinstance(root, Record):
        touch(s, root)
    s.flush()
    search.touched(s, {live.__tablename__: [live.id]})


def _given(found: Conflict, value: Any) -> dict[str, Any]:
    """The value that the person wrote: of one column, or a map by column."""
    columns = {v.column: v for v in found.values if v.column not in DERIVED}
    given = value if isinstance(value, Mapping) else {next(iter(columns)): value} if len(columns) == 1 else None
    if given is None or not given:
        raise Invalid({"value": f"Give a value for each of: {', '.join(columns)}."})
    unknown = [name for name in given if name not in columns]
    if unknown:
        raise Invalid(dict.fromkeys(unknown, "is not part of this conflict"))
    result: dict[str, Any] = {}
    for name, new in given.items():
        result[name] = _fitting(name, columns[name], new)
    return result


def _fitting(name: str, column: Value, new: Any) -> Any:
    """The value if it is of the kind that stands there; text is turned into it where that is plain."""
    sample = next((v for v in (column.winner, column.loser, column.base) if v is not None), None)
    if new is None or sample is None or type(new) is type(sample):
        return new
    if isinstance(new, str | int | float) and not isinstance(new, bool):
        kind = type(sample)
        try:
            if hasattr(kind, "fromisoformat"):
                return kind.fromisoformat(str(new))
            if kind is not bool and not isinstance(sample, list | dict):
                return kind(str(new).strip())
        except (ValueError, ArithmeticError):
            pass
    raise Invalid({name: f"“{new}” does not fit here; for example: {_plain(sample)}"})


def _both(s: Session, live: Any, found: Conflict) -> dict[str, Any]:
    """Both values, where the field can hold both."""
    how = joinable(_TRAVEL.get(found.table), found.cell, live)
    if how == "second":
        loser = {v.column: v.loser for v in found.values}
        s.add(
            ContactPoint(
                id=derived("conflict", found.id),
                party_id=live.party_id,
                label=live.label,
                place=live.place + 1,
                **loser,
            )
        )
        return {}
    one = found.values[0]
    if how == "tags":
        base = [] if one.base is None else one.base
        joined = unite_tags((_words(one.winner),), (_words(one.loser),), (_words(base),))
        assert joined is not None, "tags are lists"
        return {one.column: [word for word in str(joined[0]).split(",") if word]}
    return {one.column: "\n".join(dict.fromkeys(filter(None, (one.winner, one.loser))))}


def _words(tags: Any) -> str:
    return ",".join(tags or ())


def _write_back(s: Session, live: Any, root: Any, found: Conflict, decided_at: int) -> None:
    """What the decision had changed, as it was before."""
    if found.choice == "both" and joinable(_TRAVEL.get(found.table), found.cell, live) == "second":
        second = s.get(ContactPoint, derived("conflict", found.id))
        if second is not None:
            second.alive = False
            _changed(s, second, root)
        return
    columns = {v.column for v in found.values}
    entries = history.history(s.connection(), TRAVELS, found.table, found.row_id)
    before: dict[str, Any] = {}
    for entry in reversed(entries):
        if entry.column not in columns or entry.at < decided_at:
            continue
        if entry.at > decided_at:
            raise Refused(
                "The field was changed again after this decision, so undoing would overwrite that. Edit the record."
            )
        before.setdefault(entry.column, entry.old)
    for column, old in before.items():
        setattr(live, attribute(type(live), column), old)
    if before:
        _changed(s, live, root)


def _settle(s: Session, id: str, before: str, **values: Any) -> None:
    change = sa.update(journal.conflict).where(_c.id == id, _c.state == before).values(**values)
    if s.execute(change).rowcount != 1:  # type: ignore[attr-defined]
        raise Decided("Somebody else has just decided this conflict. Look at it again.")
    s.info["changed"].add(journal.conflict.name)


def _row(s: Session, by: Actor, id: str) -> Mapping[str, Any]:
    row = s.execute(sa.select(journal.conflict).where(_c.id == id, readable(by))).mappings().one_or_none()
    if row is None:
        raise NotFound("There is no such conflict, or none that you may see.", id=id)
    return dict(row)


def _plain(value: Any) -> Any:
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return value if value is None or isinstance(value, bool | int | float | str | list | dict) else str(value)


def _cursor(row: Mapping[str, Any]) -> str:
    return base64.urlsafe_b64encode(f"{row['decided_at_revision']}.{row['id']}".encode()).decode()


def _read_cursor(cursor: str) -> tuple[int, str]:
    try:
        revision, id_ = base64.urlsafe_b64decode(cursor.encode()).decode().split(".", 1)
        return int(revision), id_
    except (ValueError, binascii.Error, UnicodeDecodeError):
        raise BadInput("The cursor is damaged. Begin again without it.") from None


