"""Run: python -m tests.bench.bench_exchange [rows updates]. What measures is production code: replication/bench.py."""

from __future__ import annotations

import json
import sys

from replication.bench import measure

__all__ = ["measure"]

if __name__ == "__main__":
    rows, updates = (int(argument) for argument in (*sys.argv[1:], "100000", "20000")[:2])
    print(json.dumps(measure(rows, updates)))
