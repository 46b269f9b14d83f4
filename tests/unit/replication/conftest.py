"""`make_url` makes empty databases of the backend under test; `company` is a hub with two offices on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.support import postgres
from tests.unit.replication.company import Company, Node


@pytest.fixture
def make_url(backend: str, request: pytest.FixtureRequest) -> Callable[[], str]:
    if backend == "sqlite":
        return lambda: "sqlite://"
    server = request.getfixturevalue("postgres_url")
    return lambda: postgres.make_database(server)


@pytest.fixture
def company(make_url: Callable[[], str]) -> Iterator[Company]:
    made = Company(make_url)
    yield made
    made.close()


@pytest.fixture
def node(make_url: Callable[[], str]) -> Iterator[Node]:
    made = Node("north", make_url(), 1)
    yield made
    made.engine.dispose()
