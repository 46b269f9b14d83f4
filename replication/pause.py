"""No search for cyclic garbage while one batch is at work.

A batch makes some hundred thousand small objects, none of them in a cycle; Python's collector walks through all of
them again and again, which is a sixth of the time of an exchange. It is paused for one batch (a second at most), not
for a whole message. Two threads that pause at once do no harm: the first to end resumes for both.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_collection() -> Iterator[None]:
    """Pause the collector; leave it as it was found."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
