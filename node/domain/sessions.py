"""Who is it: passwords, browser sessions, keys for programs, and the actor that follows from them.

Passwords are hashed with argon2id (RFC 9106), which costs tens of milliseconds and 19 MB each: at most four at once,
on threads of their own, never in a transaction. A try is counted before the password is looked at, so that a thousand
tries at the same moment are a thousand tries; whoever gets it right has his count taken back. An unknown login costs
the same time as a known one. Tokens are kept as hashes: a stolen backup opens nothing.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import argon2
import sqlalchemy as sa
from sqlalchemy import orm

from node.domain.access import ROLES, SENSITIVITIES, Actor
from node.domain.users import ApiToken, LoginFailure, Role, Session, User, user_by_login
from node.errors import NotFound, NotLoggedIn, TooManyTries
from node.ids import Id

HASHES_AT_ONCE = 4
IDLE = timedelta(hours=12)  # a session that is not used ends
LONGEST = timedelta(days=7)  # and every session ends
SEEN_EVERY = timedelta(minutes=5)  # no write for every click
FREE_TRIES = {"login": 5, "address": 20}  # an office may share one address
FORGOTTEN_AFTER = timedelta(hours=24)
WAIT_S_MAX = 3600
TOKEN_DAYS = 365
TOKEN_PREFIX = "kogge_"  # noqa: S105 (so that a leaked one is recognised by scanners)

_hasher = argon2.PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)  # OWASP, 2024
_gate = threading.BoundedSemaphore(HASHES_AT_ONCE)
_NOBODY = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$Hc2YqcMNZlDGWGmyb5xIRKNxbOVJ0m7LJvYqVkJMq2U"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """A try to log in that is counted already. `user_id` is empty for an unknown login."""

    user_id: str
    password_hash: str
    failures: tuple[int, ...]  # keys of the counted rows, taken back if the password is right


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """A session in use: who, the token that his forms carry, when it was asked for, and whether to note that."""

    actor: Actor
    csrf: str
    user: Preferences
    at: datetime
    due: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Preferences:
    """How the user likes his pages; empty: as the office or the system does."""

    language: str = ""
    theme: str = ""
    density: str = ""
    shortcuts: bool = True


# passwords: slow on purpose, call these on a thread


def hash_password(password: str) -> str:
    """The argon2id hash as it is stored. Whether the password is good enough: `users.acceptable_password`."""
    with _gate:
        return _hasher.hash(password)


def is_password(password_hash: str, password: str) -> bool:
    """Is it the password of that hash? Takes as long where there is no hash."""
    with _gate:
        try:
            _hasher.verify(password_hash or _NOBODY, password[:1000])
        except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
            return False
    return bool(password_hash)


# rules


def wait_s(tries: int, free: int, last: datetime, now: datetime) -> int:
    """Seconds to wait after so many wrong tries: none for the free ones, then a minute, two, four … up to an hour."""
    if tries < free:
        return 0
    wait = min(WAIT_S_MAX, 60 * 2 ** min(tries - free, 10))
    return max(0, int(wait - (now - last).total_seconds() + 0.999))


def token_hash(token: str) -> str:
    """What is stored of a token: it is long and random, so one SHA-256 is enough."""
    return hashlib.sha256(token.encode()).hexdigest()


def sensitivities_of(rules: Mapping[str, Mapping[str, str]]) -> tuple[str, ...]:
    """Which sensitivities the rules show; what they do not name is shown."""
    named = rules.get("sensitivity", {})
    return tuple(kind for kind in SENSITIVITIES if named.get(kind, "all") != "none")


# actions


def begin_login(s: orm.Session, login: str, address: str) -> Attempt:
    """Count a try for the login and the address. Raise TooManyTries, which says how long to wait."""
    now: datetime = s.info["now"]
    rows = []
    for kind, subject in (("login", login.strip().lower()[:64]), ("address", address[:64])):
        name = f"{kind}:{subject}"
        tries, last = s.execute(
            sa.select(sa.func.count(), sa.func.max(LoginFailure.at)).where(
                LoginFailure.subject == name, LoginFailure.at > now - FORGOTTEN_AFTER
            )
        ).one()
        wait = wait_s(tries, FREE_TRIES[kind], last, now) if tries else 0
        if wait:
            span = f"{wait} seconds" if wait < 120 else f"{-(-wait // 60)} minutes"
            raise TooManyTries(f"Too many wrong tries. Wait {span}, then try again.", retry_after_s=wait)
        rows.append(LoginFailure(subject=name, at=now))
    s.add_all(rows)
    s.flush()
    user = user_by_login(s, login)
    may = user is not None and user.active
    return Attempt(
        user_id=user.id if user is not None and may else "",
        password_hash=user.password_hash if user is not None and may else "",
        failures=tuple(row.id for row in rows),
    )


def open_session(s: orm.Session, attempt: Attempt, address: str = "", agent: str = "") -> str:
    """The password was right: forget the tries of this login and give a token for the cookie."""
    user = s.get(User, attempt.user_id)
    if user is None or not user.active or not user.alive or user.password_hash != attempt.password_hash:
        raise NotLoggedIn("This account was changed just now. Log in again.")
    s.execute(sa.delete(LoginFailure).where(
        sa.or_(LoginFailure.id.in_(attempt.failures), LoginFailure.subject == f"login:{user.login}")
    ))  # fmt: skip
    now: datetime = s.info["now"]
    token = secrets.token_urlsafe(32)
    s.add(
        Session(
            token_hash=token_hash(token),
            user_id=user.id,
            csrf=secrets.token_urlsafe(24),
            opened_at=now,
            seen_at=now,
            expires_at=now + LONGEST,
            address=address[:64],
            agent=agent[:200],
        )
    )
    s.flush()
    return token


def log_in(s: orm.Session, login: str, password: str, address: str = "", agent: str = "") -> str:
    """All three steps at once, for code that is not in a hurry (tests, the command line). Raise NotLoggedIn,
    TooManyTries. A node takes the steps apart: the hash does not belong into a transaction."""
    attempt = begin_login(s, login, address)
    if not is_password(attempt.password_hash, password):
        raise wrong_password()
    return open_session(s, attempt, address, agent)


def wrong_password() -> NotLoggedIn:
    """The same words for a wrong login and a wrong password."""
    return NotLoggedIn("The login or the password is wrong. Look at the keyboard's language and try again.")


def actor_of_session(s: orm.Session, token: str) -> Seat | None:
    """Who sits behind a cookie; None if the session has ended or the user may not log in any more."""
    row = s.get(Session, token_hash(token))
    now: datetime = s.info["now"]
    if row is None or now >= row.expires_at or now >= row.seen_at + IDLE:
        return None
    user = s.get(User, row.user_id)
    if user is None or not user.alive or not user.active:
        return None
    return Seat(
        actor=actor_for(s, user),
        csrf=row.csrf,
        user=Preferences(
            language=user.language, theme=user.theme, density=user.density, shortcuts=bool(user.shortcuts)
        ),
        at=now,
        due=now - row.seen_at >= SEEN_EVERY,
    )


def note_use(s: orm.Session, token: str, at: datetime) -> None:
    """Remember that the session was used then, so that it goes on. This may be written later than other uses."""
    mine = sa.update(Session).where(Session.token_hash == token_hash(token), Session.seen_at < at)
    s.execute(mine.values(seen_at=at))


def log_out(s: orm.Session, token: str) -> None:
    """End the session."""
    s.execute(sa.delete(Session).where(Session.token_hash == token_hash(token)))


def actor_of_token(s: orm.Session, token: str) -> Actor | None:
    """Who a program acts for; None if the key is unknown or has expired."""
    row = s.get(ApiToken, token_hash(token))
    if row is None or s.info["now"] >= row.expires_at:
        return None
    user = s.get(User, row.user_id)
    return actor_for(s, user) if user is not None and user.alive and user.active else None


def make_token(s: orm.Session, login: str, label: str = "", days: int = TOKEN_DAYS) -> str:
    """A key for a program that acts with this user's rights. It is shown once and kept as a hash. Raise NotFound."""
    user = user_by_login(s, login)
    if user is None or not user.active:
        raise NotFound(f"There is no user “{login[:64]}” who may log in. Look at the list of users.", login=login)
    token = TOKEN_PREFIX + secrets.token_urlsafe(32)
    now: datetime = s.info["now"]
    s.add(
        ApiToken(
            token_hash=token_hash(token),
            user_id=Id(user.id),
            label=label[:200],
            created_at=now,
            expires_at=now + timedelta(days=max(1, min(days, 3650))),
        )
    )
    s.flush()
    return token


def sweep(s: orm.Session) -> int:
    """Take away what has ended: sessions, keys, old failures. The number of rows that went."""
    now: datetime = s.info["now"]
    ended = 0
    for statement in (
        sa.delete(Session).where(sa.or_(Session.expires_at <= now, Session.seen_at <= now - IDLE)),
        sa.delete(ApiToken).where(ApiToken.expires_at <= now),
        sa.delete(LoginFailure).where(LoginFailure.at <= now - FORGOTTEN_AFTER),
    ):
        ended += getattr(s.execute(statement), "rowcount", 0)
    return ended


def actor_for(s: orm.Session, user: User) -> Actor:
    """The user with the rules of his role; of a role that this node does not know yet, with none."""
    role = s.scalars(sa.select(Role).where(Role.code == user.role, Role.alive).order_by(Role.created_at)).first()
    known = ROLES.get(user.role)
    rules = role.rules if role is not None else known[1] if known is not None else {}
    return Actor(
        user_id=user.id,
        login=user.login,
        name=user.name,
        role=user.role,
        office=user.home_office,
        rules=rules,
        sensitivities=sensitivities_of(rules),
        language=user.language,
    )
