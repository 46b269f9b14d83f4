"""Rules of logging in, and pages and filters as values."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from node.db import Database
from node.domain import sessions
from node.domain.access import ROLES
from node.errors import NotLoggedIn, TooManyTries
from node.web.auth import safe_next
from tests.support.nodes import PASSWORD

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_waiting_grows_with_wrong_tries_up_to_an_hour() -> None:
    waits = [sessions.wait_s(tries, 5, NOW, NOW) for tries in (4, 5, 6, 7, 11, 12, 100)]
    assert waits == [0, 60, 120, 240, 3600, 3600, 3600]
    assert sessions.wait_s(5, 5, NOW - timedelta(seconds=61), NOW) == 0


def test_a_hash_fits_its_password_only_and_nobody_has_an_empty_one() -> None:
    hashed = sessions.hash_password("a good sentence")
    assert sessions.is_password(hashed, "a good sentence")
    assert not sessions.is_password(hashed, "another sentence")
    assert not sessions.is_password("", "")


def test_sensitivities_follow_the_role() -> None:
    assert sessions.sensitivities_of(ROLES["sales"][1]) == ("normal", "confidential")
    assert sessions.sensitivities_of(ROLES["manager"][1]) == ("normal", "confidential", "vip")


def test_a_log_in_can_be_taken_back_and_tokens_are_not_stored(db: Database) -> None:
    token = db.write_now(sessions.log_in, "ADMIN ", PASSWORD, "192.0.2.7", "test")
    seat = db.read_now(sessions.actor_of_session, token)
    assert seat is not None
    assert seat.actor.login == "admin"
    assert seat.actor.admin
    dump = b"".join(p.read_bytes() for p in db_files(db))
    assert token.encode() not in dump
    db.write_now(sessions.log_out, token)
    assert db.read_now(sessions.actor_of_session, token) is None
    with pytest.raises(NotLoggedIn):
        db.write_now(sessions.log_in, "admin", "wrong", "192.0.2.7", "test")


def test_the_wait_is_told_in_seconds(db: Database) -> None:
    for _ in range(5):
        db.write_now(sessions.begin_login, "admin", "192.0.2.7")
    with pytest.raises(TooManyTries, match="Wait 60 seconds") as refused:
        db.write_now(sessions.begin_login, "Admin", "192.0.2.8")
    assert refused.value.details["retry_after_s"] == 60


@pytest.mark.parametrize(
    "wish", ["//evil.example", "https://evil.example/", "/\\evil.example", "evil", "/login?next=/x"]
)
def test_after_the_log_in_one_stays_here(wish: str) -> None:
    assert safe_next(wish) == "/"
    assert safe_next("/companies?owner=me") == "/companies?owner=me"


def db_files(db: Database) -> list[Path]:
    path = Path(str(db.url.database))
    return [p for p in (path, path.with_name(path.name + "-wal")) if p.exists()]
