"""Users and their roles. They travel: head office's administrator can log in at every office."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.orm import Mapped, mapped_column

from node.base import Base, Record, optional_key
from node.columns import Flag, Instant, Json
from node.domain import access
from node.domain.access import Actor
from node.domain.concept import Concept, Field, Kind, SearchText, Values, register
from node.domain.finding import found
from node.errors import Forbidden, Invalid, NotFound, Refused
from node.ids import Id, derived

PASSWORD_MIN = 10
PASSWORD_MAX = 200
THEMES = ("light", "dark")
DENSITIES = ("comfortable", "compact")
LANGUAGES = ("en", "de", "ru")


class Role(Base, Record):
    """What its holders may do: `rules` maps object to verb to scope, see `node.domain.access`."""

    __tablename__ = "role"

    code: Mapped[str] = mapped_column(sa.String(32), index=True)
    name: Mapped[str] = mapped_column(sa.Text)
    rules: Mapped[dict[str, Any]] = mapped_column(Json)


class User(Base, Record):
    """A person who works with Kogge. `home_office` is the code of the office that he belongs to."""

    __tablename__ = "user_account"

    login: Mapped[str] = mapped_column(sa.String(64), index=True)  # lower case
    name: Mapped[str] = mapped_column(sa.Text)
    email: Mapped[str] = mapped_column(sa.Text, default="")
    extension: Mapped[str] = mapped_column(sa.String(16), default="")
    job_title: Mapped[str] = mapped_column(sa.Text, default="")
    role: Mapped[str] = mapped_column(sa.String(32), default="sales")  # Role.code
    home_office: Mapped[str] = mapped_column(sa.String(8), default="", index=True)
    manager_id: Mapped[Id | None] = optional_key()
    deputy_id: Mapped[Id | None] = optional_key()
    absent_until: Mapped[datetime | None] = mapped_column(Instant)
    active: Mapped[bool] = mapped_column(Flag, default=True)
    password_hash: Mapped[str] = mapped_column(sa.Text, default="")  # argon2id; empty: cannot log in
    language: Mapped[str] = mapped_column(sa.String(2), default="")  # empty: the office's
    theme: Mapped[str] = mapped_column(sa.String(8), default="")  # light, dark, or empty: the system's
    density: Mapped[str] = mapped_column(sa.String(16), default="")
    shortcuts: Mapped[bool] = mapped_column(Flag, default=True)  # single-letter keys (WCAG 2.1.4)
    external_code: Mapped[str] = mapped_column(sa.Text, default="")


class Session(Base):
    """A browser that is logged in here. Stays at home; the key is the hash of the cookie's token."""

    __tablename__ = "session"

    token_hash: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    user_id: Mapped[Id] = mapped_column(sa.String(16), index=True)
    csrf: Mapped[str] = mapped_column(sa.String(64))
    opened_at: Mapped[datetime] = mapped_column(Instant)
    seen_at: Mapped[datetime] = mapped_column(Instant)
    expires_at: Mapped[datetime] = mapped_column(Instant)
    address: Mapped[str] = mapped_column(sa.Text, default="")
    agent: Mapped[str] = mapped_column(sa.Text, default="")


class ApiToken(Base):
    """A key for programs, bound to a user's rights. Stays at home."""

    __tablename__ = "api_token"

    token_hash: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    user_id: Mapped[Id] = mapped_column(sa.String(16), index=True)
    label: Mapped[str] = mapped_column(sa.Text, default="")
    created_at: Mapped[datetime] = mapped_column(Instant)
    expires_at: Mapped[datetime] = mapped_column(Instant)


class LoginFailure(Base):
    """A wrong password, remembered to slow the next try down. Stays at home."""

    __tablename__ = "login_failure"

    id: Mapped[int] = mapped_column(sa.Integer, primary_key=True, autoincrement=True)
    subject: Mapped[str] = mapped_column(sa.Text, index=True)  # "login:anna" or "address:192.0.2.7"
    at: Mapped[datetime] = mapped_column(Instant, index=True)


# rules


def acceptable_password(text: str) -> None:
    """Raise Invalid unless it is long enough to be guessed by nobody and short enough to be hashed at once."""
    if len(text) < PASSWORD_MIN or not text.strip():
        raise Invalid({"password": f"A password has at least {PASSWORD_MIN} characters; a sentence is a good one."})
    if len(text) > PASSWORD_MAX:
        raise Invalid({"password": f"A password has at most {PASSWORD_MAX} characters."})


def login_of(text: str) -> str:
    """A login as it is stored and compared. Raise Invalid for one that nobody could type."""
    login = text.strip().lower()
    if not login or len(login) > 64 or any(c.isspace() or not c.isprintable() for c in login):
        raise Invalid({"login": "A login is one word of at most 64 characters, for example anna.berger."})
    return login


# queries


def user_by_login(s: orm.Session, login: str) -> User | None:
    """The living user of that login, active or not. Of two (made in two offices with the line down) the older."""
    query = sa.select(User).where(User.login == login.strip().lower(), User.alive)
    return s.scalars(query.order_by(User.created_at, User.id)).first()


def user_names(s: orm.Session, ids: Iterable[str | None] | None = None) -> dict[str, str]:
    """Key → name; of all users, also those who left, unless `ids` narrows it."""
    query = sa.select(User.id, User.name)
    if ids is not None:
        query = query.where(User.id.in_({i for i in ids if i}))
    return dict(s.execute(query).all())


def colleagues(s: orm.Session) -> list[tuple[str, str, str]]:
    """(key, name, code of the office) of everybody who can be responsible for something, by name."""
    query = sa.select(User.id, User.name, User.home_office).where(User.alive, User.active).order_by(User.name, User.id)
    return [(id, name, office) for id, name, office in s.execute(query)]


# actions


def seed_roles(s: orm.Session) -> None:
    """Make the roles that every company starts with, where they are missing; the keys are the same on every node."""
    have = set(s.scalars(sa.select(Role.id)))
    for code, (name, rules) in access.ROLES.items():
        if derived("role", code) not in have:
            s.add(Role(id=derived("role", code), code=code, name=name, rules=rules))
    s.flush()


def create_user(
    s: orm.Session,
    by: Actor,
    *,
    login: str,
    name: str,
    role: str = "sales",
    office: str = "",
    password_hash: str = "",
    **fields: Any,
) -> User:
    """A new user. The password arrives hashed (`sessions.hash_password`): hashing takes long, and a transaction is the
    wrong place for it. Without one he cannot log in until `set_password`. Raise Invalid, Forbidden."""
    access.require(by, "user", "create")
    values = {"login": login, "name": name, "role": role}
    _check(s, by, None, values, True)
    row = User(
        login=login_of(login), name=name.strip(), role=role, password_hash=password_hash,
        home_office=office or s.info["office"], office=office or s.info["office"], **fields,
    )  # fmt: skip
    s.add(row)
    s.flush()
    return row


def create_administrator(s: orm.Session, *, login: str, password_hash: str, office: str, name: str = "") -> User:
    """The first user of a company, made while it is set up: there is nobody yet who could be asked for a right."""
    return create_user(
        s, access.SYSTEM, login=login, name=name or "Administrator", role="administrator", office=office,
        password_hash=password_hash,
    )  # fmt: skip


def set_password(s: orm.Session, by: Actor, id: str, password_hash: str) -> None:
    """Give the user another password (hashed by the caller) and close the sessions that he has at this node."""
    row = s.get(User, id)
    if row is None or not row.alive:
        raise NotFound("There is no such user. Look at the list of users for the login.", id=id)
    if by.user_id != id:
        access.require(by, "user", "edit", row)
    row.password_hash = password_hash
    s.execute(sa.delete(Session).where(Session.user_id == id))


def disable(s: orm.Session, by: Actor, id: str) -> None:
    """He cannot log in any more, here at once and elsewhere after the exchange. What he made stays his."""
    row = found(s, by, User, "user", id, "edit")
    _keep_an_administrator(s, row)
    row.active = False
    s.execute(sa.delete(Session).where(Session.user_id == id))
    s.execute(sa.delete(ApiToken).where(ApiToken.user_id == id))


def enable(s: orm.Session, by: Actor, id: str) -> None:
    """He can log in again."""
    found(s, by, User, "user", id, "edit").active = True


def set_preferences(s: orm.Session, by: Actor, **chosen: Any) -> None:
    """One's own language, theme, density, shortcuts: everybody may, without a right to edit users."""
    allowed = {"language": ("", *LANGUAGES), "theme": ("", *THEMES), "density": ("", *DENSITIES), "shortcuts": (0, 1)}
    wrong = {k: f"This cannot be {v!r}." for k, v in chosen.items() if k not in allowed or v not in allowed[k]}
    if wrong:
        raise Invalid(wrong)
    row = s.get(User, by.user_id)
    if row is None:
        raise NotFound("The system itself has no preferences; log in as a user.")
    for name, value in chosen.items():
        setattr(row, name, value)


def _keep_an_administrator(s: orm.Session, leaving: User) -> None:
    others = sa.select(sa.func.count()).where(
        User.role == "administrator", User.alive, User.active, User.id != leaving.id
    )
    if leaving.role == "administrator" and not s.scalar(others):
        raise Refused(f"{leaving.name} is the last administrator. Make somebody else one first.")


def _check(s: orm.Session, by: Actor, row: User | None, values: Values, new: bool) -> None:
    with s.no_autoflush:
        if "login" in values:
            there = user_by_login(s, login_of(str(values["login"])))
            if there is not None and (row is None or new or there.id != row.id):
                raise Invalid({"login": f"The login “{there.login}” is taken by {there.name}. Choose another one."})
        if "role" in values:
            if not by.admin and (new or row is None or values["role"] != row.role):
                raise Forbidden("Only an administrator gives roles, or somebody could give himself any.")
            have = set(s.scalars(sa.select(Role.code).where(Role.alive))) or set(access.ROLES)
            if values["role"] not in have:
                raise Invalid({"role": f"There is no role “{values['role']}”. There are: {', '.join(sorted(have))}."})
        if row is not None and not new and row.id:
            stored = s.execute(sa.select(User.role, User.active).where(User.id == row.id)).first()
            loses = values.get("active") is False or values.get("role", "administrator") != "administrator"
            if stored and stored.role == "administrator" and stored.active and loses:
                others = sa.select(sa.func.count()).where(
                    User.role == "administrator", User.alive, User.active, User.id != row.id
                )
                if not s.scalar(others):
                    raise Refused("This is the last administrator. Make somebody else one first.")


def _derive(s: orm.Session, row: User) -> None:
    row.login = login_of(row.login)
    row.home_office = row.home_office or s.info["office"]
    row.office = row.home_office  # rights of the reach “office” go by where somebody works


def _search(s: orm.Session, rows: Sequence[User]) -> dict[str, SearchText]:
    return {
        r.id: SearchText(
            title=r.name,
            detail=" ".join(filter(None, (r.job_title, r.home_office))),
            words=f"{r.name} {r.login} {r.email} {r.job_title} {r.home_office}",
            digits=r.extension,
        )
        for r in rows
    }


def _check_role(s: orm.Session, by: Actor, row: Role, values: Values, new: bool) -> None:
    if not by.admin:
        raise Forbidden("Only an administrator may change roles.")
    for subject, verbs in dict(values.get("rules") or {}).items():
        for verb, scope in dict(verbs).items():
            if scope not in tuple(access.Scope):
                raise Invalid({"rules": f"{subject}.{verb} cannot be “{scope}”: write none, own, office or all."})


def _derive_role(s: orm.Session, row: Role) -> None:
    if not row.id:
        row.id = derived("role", row.code)


ROLES = register(
    Concept(
        name="roles",
        singular="role",
        model=Role,
        label="Role",
        label_plural="Roles",
        icon="lock",
        title=lambda r: r.name,
        order=("code",),
        check=_check_role,
        derive=_derive_role,
        api=False,
        fields=(
            Field(name="code", kind=Kind.TEXT, label="Code", required=True, fixed=True, listed=True, length_max=32),
            Field(name="name", kind=Kind.TEXT, label="Name", required=True, listed=True),
            Field(name="rules", kind=Kind.OBJECT, label="Rules"),
        ),
    )
)

USERS = register(
    Concept(
        name="users",
        singular="user",
        model=User,
        label="User",
        label_plural="Users",
        icon="user",
        title=lambda r: r.name,
        order=("name",),
        check=_check,
        derive=_derive,
        search=_search,
        removable=False,  # the author of old entries must keep his name: `disable`
        fields=(
            Field(name="login", kind=Kind.TEXT, label="Login", required=True, listed=True, sortable=True,
                  length_max=64),
            Field(name="name", kind=Kind.TEXT, label="Name", required=True, listed=True, sortable=True),
            Field(name="email", kind=Kind.TEXT, label="E-mail", listed=True),
            Field(name="extension", kind=Kind.TEXT, label="Extension", length_max=16),
            Field(name="job_title", kind=Kind.TEXT, label="Job title", listed=True),
            Field(name="role", kind=Kind.CHOICE, label="Role", listed=True, choices=tuple(access.ROLES),
                  choice_labels={code: name for code, (name, _) in access.ROLES.items()}),
            Field(name="office", kind=Kind.OFFICE, label="Office", column="home_office", listed=True, sortable=True),
            Field(name="manager", kind=Kind.REF, label="Superior", column="manager_id", ref="users"),
            Field(name="deputy", kind=Kind.REF, label="Deputy", column="deputy_id", ref="users"),
            Field(name="absent_until", kind=Kind.INSTANT, label="Absent until"),
            Field(name="active", kind=Kind.FLAG, label="May log in", listed=True),
            Field(name="language", kind=Kind.CHOICE, label="Language", choices=("", *LANGUAGES)),
            Field(name="theme", kind=Kind.CHOICE, label="Appearance", choices=("", *THEMES)),
            Field(name="density", kind=Kind.CHOICE, label="Density", choices=("", *DENSITIES)),
            Field(name="shortcuts", kind=Kind.FLAG, label="Single-letter shortcuts"),
            Field(name="external_code", kind=Kind.TEXT, label="External code"),
        ),
    )
)  # fmt: skip
