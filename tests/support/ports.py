"""Free ports on loopback that lie beside one another, for tests that start several processes from one base port."""

from __future__ import annotations

import random
import socket

TRIES = 200


def free_range(width: int) -> int:
    """A port such that it and the `width` - 1 after it are free now; below those that the system hands out."""
    for _ in range(TRIES):
        base = random.randint(10_000, 31_000)
        if all(_free(base + n) for n in range(width)):
            return base
    raise AssertionError(f"no {width} free ports beside one another were found")


def _free(port: int) -> bool:
    with socket.socket() as one:
        try:
            one.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
