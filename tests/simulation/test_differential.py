"""The engine lives the same random company lives as the model, and after each step both must say the same.

Compared at the hub after every message and at a branch after every answer: all rows; at the hub also all conflicts,
with winner, loser and their values; at the end also the conflicts of every branch that holds everything. To replay a
life that failed: `pytest tests/simulation -k "<feature set> and <seed>"`, or `twin.live(seed, features)`.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import sqlalchemy as sa

from replication import capture
from tests.simulation import twin

SETS = {
    "plain": frozenset[str](),
    "merge": frozenset({"hub users", "groups", "merge"}),
    "buckets": frozenset({"hub users", "groups", "merge", "buckets"}),
}
QUICK, SLOW = 40, 120  # lives per set


@pytest.mark.parametrize("seed", range(1, QUICK + 1))
@pytest.mark.parametrize("features", SETS)
def test_engine_and_model_agree_whatever_is_lost_doubled_late_or_restored(features: str, seed: int) -> None:
    twin.live(seed, SETS[features])


@pytest.mark.slow
@pytest.mark.parametrize("first", range(QUICK + 1, SLOW, 40))
@pytest.mark.parametrize("features", SETS)
def test_engine_and_model_agree_in_many_lives(features: str, first: int) -> None:
    for seed in range(first, first + 40):
        try:
            twin.live(seed, SETS[features])
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error


@pytest.mark.postgres
@pytest.mark.parametrize("everywhere", [False, True], ids=["centre", "everywhere"])
def test_engine_and_model_agree_on_postgresql(make_database: Callable[[], str], everywhere: bool) -> None:
    """Only the centre on PostgreSQL is the usual company; everywhere is the hardest. Nobody restores here."""
    features = SETS["buckets"]
    engines: dict[str, sa.Engine] = {}

    def make(office: str) -> twin.Node:
        if office != "hub" and not everywhere:
            return twin.SqliteNode(features)
        if office not in engines:
            engines[office] = sa.create_engine(make_database())
            capture.attach(engines[office])
            twin.prepare(engines[office], features)
        return twin.PostgresNode(engines[office])

    try:
        for seed in range(1, 13):
            twin.live(seed, features, hub_restores=False, branch_restores=False, make=make)
    finally:
        for engine in engines.values():
            engine.dispose()
