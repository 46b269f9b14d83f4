"""Fixtures that all tests share.

`db` is a migrated, seeded database of head office (code HQ) with an administrator, `by` acts as him. A test that is
marked `postgres` and asks for `db` or `database_url` runs twice: on SQLite and on PostgreSQL.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from node.clock import ManualClock
from node.db import Database
from node.domain.access import Actor
from tests.support import nodes, postgres

BACKENDS = ("sqlite", "postgresql")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "backend" in metafunc.fixturenames and metafunc.definition.get_closest_marker("postgres"):
        metafunc.parametrize("backend", BACKENDS, indirect=True)


@pytest.fixture
def backend(request: pytest.FixtureRequest) -> str:
    """`sqlite`, and in tests marked `postgres` also `postgresql`."""
    return str(getattr(request, "param", "sqlite"))


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The URL of a PostgreSQL server for this session: that of KOGGE_TEST_POSTGRES, or one of our own."""
    given = os.environ.get("KOGGE_TEST_POSTGRES")
    if given:
        yield given
        return
    try:
        context = postgres.server()
        url = context.__enter__()
    except postgres.Absent as absent:
        pytest.skip(str(absent))
    os.environ["KOGGE_TEST_POSTGRES"] = url
    try:
        yield url
    finally:
        del os.environ["KOGGE_TEST_POSTGRES"]
        context.__exit__(None, None, None)


@pytest.fixture
def make_database(postgres_url: str) -> Callable[[], str]:
    """Makes an empty PostgreSQL database and gives its URL."""
    return lambda: postgres.make_database(postgres_url)


@pytest.fixture
def database_url(backend: str, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """The URL of an empty database of this backend."""
    if backend == "sqlite":
        return f"sqlite:///{tmp_path / 'kogge.db'}"
    return postgres.make_database(request.getfixturevalue("postgres_url"))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A seeded database file, made once and copied for every test."""
    path = tmp_path_factory.mktemp("template") / "kogge.db"
    nodes.seeded(f"sqlite:///{path}", ManualClock()).close()
    return path


@pytest.fixture(scope="session")
def postgres_template(postgres_url: str) -> str:
    """The same on PostgreSQL: the name of a seeded database."""
    url = postgres.make_database(postgres_url)
    nodes.seeded(url, ManualClock()).close()
    return url.rsplit("/", 1)[1]


@pytest.fixture
def db(backend: str, tmp_path: Path, clock: ManualClock, request: pytest.FixtureRequest) -> Iterator[Database]:
    """A database of head office with roles, pipelines and the administrator `admin` (password `nodes.PASSWORD`)."""
    if backend == "sqlite":
        path = tmp_path / "kogge.db"
        path.write_bytes(request.getfixturevalue("sqlite_template").read_bytes())
        url = f"sqlite:///{path}"
    else:
        url = postgres.make_database(
            request.getfixturevalue("postgres_url"), request.getfixturevalue("postgres_template")
        )
    database = nodes.opened(url, clock)
    yield database
    database.close()


@pytest.fixture
def by(db: Database) -> Actor:
    """The administrator of `db`."""
    return nodes.administrator(db)
