"""Keys that every office can draw alone.

A key is 16 characters of Crockford's base 32 (no I, L, O, U: it survives the telephone): 40 bits of time in units of
16 ms and 40 random bits. Keys of one node rise, so new rows lie side by side in an index; two offices that draw in
the same 16 ms still differ with a probability of one in 10^12.
"""

from __future__ import annotations

import hashlib
import random
import threading
from typing import NewType

from node.clock import Clock

Id = NewType("Id", str)

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
LENGTH = 16


class Ids:
    """Draws keys from a clock and a source of randomness; safe to share between threads."""

    def __init__(self, clock: Clock, source: random.Random | None = None) -> None:
        self._clock = clock
        self._source = source or random.SystemRandom()
        self._last = 0
        self._lock = threading.Lock()

    def new(self) -> Id:
        """The next key, greater than all this object has drawn before."""
        with self._lock:
            drawn = (self._clock.now_ms() // 16 << 40) + self._source.getrandbits(40)
            if drawn <= self._last:
                drawn = self._last + 1 + self._source.getrandbits(20)
            self._last = drawn
        return spell(drawn)


def spell(number: int) -> Id:
    """80 bits as 16 characters."""
    return Id("".join(ALPHABET[number >> shift & 31] for shift in range(75, -1, -5)))


def derived(*parts: str) -> Id:
    """The same key for the same parts on every node: for rows that every office would make alike."""
    digest = hashlib.blake2b("\x1f".join(parts).encode(), digest_size=10).digest()
    return spell(int.from_bytes(digest, "big"))


def is_id(text: str) -> bool:
    """Could this be a key? (A cheap look before a database is asked.)"""
    return len(text) == LENGTH and all(c in ALPHABET for c in text)
