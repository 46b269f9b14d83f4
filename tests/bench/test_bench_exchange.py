"""The figures of the exchange have the right size. How good they are, `kogge bench` says on a quiet machine."""

from __future__ import annotations

import pytest

from tests.bench import bench_exchange

KEYS = {
    "hop_share_of_limit",
    "capture_insert",
    "capture_update",
    "wire_bytes_full_row",
    "wire_bytes_one_column",
    "metadata_branch",
    "metadata_centre",
}


@pytest.mark.slow
def test_the_figures_of_the_exchange() -> None:
    figures = bench_exchange.measure(rows=20_000, updates=4_000)
    assert figures.keys() >= KEYS
    assert figures["wire_bytes_full_row"] <= 100
    assert figures["wire_bytes_one_column"] <= 45
    assert figures["metadata_branch"] <= 60
    assert figures["metadata_centre"] <= 130
