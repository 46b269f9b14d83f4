"""Saved views of lists, and the company's settings."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from node.base import Base, Record, optional_key
from node.columns import Flag, Json
from node.domain import access
from node.domain.access import Actor
from node.domain.concept import Concept, Field, Kind, Values, register
from node.domain.finding import found
from node.errors import Invalid, Refused
from node.ids import Id, derived

SHARED = ("mine", "office", "all")
VIEWS_MAX = 100  # of one user for one list


class SavedView(Base, Record):
    """A list as somebody likes to see it: filters, order, columns."""

    __tablename__ = "saved_view"

    concept: Mapped[str] = mapped_column(sa.String(32), index=True)
    name: Mapped[str] = mapped_column(sa.Text)
    query: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    owner_id: Mapped[Id | None] = optional_key()
    shared: Mapped[str] = mapped_column(sa.String(8), default="mine")  # mine office all
    standard: Mapped[bool] = mapped_column(Flag, default=False)
    place: Mapped[int] = mapped_column(sa.SmallInteger, default=0)


class Setting(Base, Record):
    """A decision of the company that holds everywhere; the key of the row is derived from `name`."""

    __tablename__ = "setting"

    name: Mapped[str] = mapped_column(sa.String(64), index=True)
    value: Mapped[Any] = mapped_column(Json)


# queries


def views_of(s: Session, by: Actor, concept: str) -> list[SavedView]:
    """The views of a list that this user has: his own, those of his office, everybody's; in their order."""
    reachable = sa.or_(
        SavedView.owner_id == by.user_id,
        sa.and_(SavedView.shared == "office", SavedView.office == by.office),
        SavedView.shared == "all",
    )
    query = sa.select(SavedView).where(SavedView.alive, SavedView.concept == concept, reachable)
    return list(s.scalars(query.order_by(SavedView.place, SavedView.name, SavedView.id).limit(VIEWS_MAX * 3)))


def standard_view(s: Session, by: Actor, concept: str) -> SavedView | None:
    """The view that this user's list opens with: his own choice."""
    query = sa.select(SavedView).where(
        SavedView.alive, SavedView.concept == concept, SavedView.owner_id == by.user_id, SavedView.standard
    )
    return s.scalars(query.order_by(SavedView.changed_at.desc())).first()


def setting(s: Session, name: str, default: Any = None) -> Any:
    """What the company has decided, or `default`."""
    row = s.get(Setting, derived("setting", name))
    return default if row is None or not row.alive else row.value


# actions


def save_view(
    s: Session,
    by: Actor,
    concept: str,
    name: str,
    query: dict[str, Any],
    *,
    shared: str = "mine",
    standard: bool = False,
) -> SavedView:
    """Keep a list as it is shown; a view of one's own with that name is overwritten. Raise Invalid, Refused."""
    if not name.strip() or len(name) > 80:
        raise Invalid({"name": "Give the view a name of 1 to 80 characters."})
    if shared not in SHARED:
        raise Invalid({"shared": f"A view is for {', '.join(SHARED)}."})
    mine = [v for v in views_of(s, by, concept) if v.owner_id == by.user_id]
    row = next((v for v in mine if v.name == name.strip()), None)
    if row is None:
        if len(mine) >= VIEWS_MAX:
            raise Refused(f"You have {VIEWS_MAX} views of this list. Remove one that you do not use.")
        row = SavedView(concept=concept, name=name.strip(), owner_id=Id(by.user_id), office=by.office)
        s.add(row)
    row.query, row.shared, row.standard = query, shared, standard
    if standard:
        for other in mine:
            if other is not row and other.standard:
                other.standard = False
    s.flush()
    return row


def remove_view(s: Session, by: Actor, id: str) -> None:
    """Only its owner, or an administrator, takes a view away from the others."""
    row = found(s, by, SavedView, "saved_view", id)
    if row.owner_id != by.user_id and not by.admin:
        raise Refused("This view belongs to somebody else. Save it under a name of your own instead.")
    row.alive = False


def put_setting(s: Session, by: Actor, name: str, value: Any) -> None:
    """Decide something for the whole company. `value` is whatever JSON can hold."""
    access.require(by, "administration", "edit")
    row = s.get(Setting, derived("setting", name))
    if row is None:
        s.add(Setting(id=derived("setting", name), name=name, value=value))
    else:
        row.value, row.alive = value, True
    s.flush()


def _check(s: Session, by: Actor, row: SavedView, values: Values, new: bool) -> None:
    if not new and row.owner_id != by.user_id and not by.admin:
        raise Refused("This view belongs to somebody else. Save it under a name of your own instead.")


SAVED_VIEWS = register(
    Concept(
        name="saved_views",
        singular="saved_view",
        model=SavedView,
        label="Saved view",
        label_plural="Saved views",
        icon="list",
        title=lambda r: r.name,
        order=("place", "name"),
        check=_check,
        api=False,
        fields=(
            Field(name="concept", kind=Kind.TEXT, label="List", required=True, fixed=True, listed=True),
            Field(name="name", kind=Kind.TEXT, label="Name", required=True, listed=True, length_max=80),
            Field(name="query", kind=Kind.OBJECT, label="Filter"),
            Field(name="owner", kind=Kind.REF, label="Responsible", column="owner_id", ref="users"),
            Field(name="shared", kind=Kind.CHOICE, label="Shared with", choices=SHARED,
                  choice_labels={"mine": "Only me", "office": "My office", "all": "Everybody"}),
            Field(name="standard", kind=Kind.FLAG, label="Opens first"),
            Field(name="place", kind=Kind.INT, label="Place"),
        ),
    )
)  # fmt: skip
