"""The rules for one cell, as plain values."""

from __future__ import annotations

from typing import Any

import pytest

from replication.merge import Claim, Value, Winner, decide, merge_text, unite_tags
from replication.travel import Policy


def claim(office: str, at: int, *value: Any) -> Claim:
    return Claim(office=office, life=1, at=at, value=value)


@pytest.mark.parametrize(
    ("policy", "stored", "arrived", "winner"),
    [
        (Policy.LATER, claim("north", 5, "x"), claim("south", 6, "y"), Winner.ARRIVED),
        (Policy.LATER, claim("north", 6, "x"), claim("south", 5, "y"), Winner.STORED),
        (Policy.LATER, claim("north", 5, "x"), claim("south", 5, "y"), Winner.ARRIVED),  # somebody must win everywhere
        (Policy.LATER, claim("south", 5, "x"), claim("north", 5, "y"), Winner.STORED),
        (Policy.CENTRE, claim("", 1, "x"), claim("south", 6, "y"), Winner.STORED),
        (Policy.CENTRE, claim("south", 6, "x"), claim("", 1, "y"), Winner.ARRIVED),
        (Policy.CENTRE, claim("north", 1, "x"), claim("south", 6, "y"), Winner.ARRIVED),
        (Policy.OWNER, claim("north", 1, "x"), claim("south", 6, "y"), Winner.STORED),
        (Policy.OWNER, claim("south", 6, "x"), claim("north", 1, "y"), Winner.ARRIVED),
        (Policy.MAX, claim("north", 1, 5, "x"), claim("south", 6, 4, "y"), Winner.SILENT_STORED),
        (Policy.MAX, claim("north", 1, None), claim("south", 6, 4), Winner.SILENT_ARRIVED),
        (Policy.TEXT, claim("north", 1, 5), claim("south", 6, 4), Winner.ARRIVED),  # no text: as LATER
    ],
)
def test_policy(policy: Policy, stored: Claim, arrived: Claim, winner: Winner) -> None:
    assert decide(policy, stored, arrived, None, "north").winner is winner


@pytest.mark.parametrize(
    ("stored", "arrived", "base", "united"),
    [
        ("a, b", "b, c", None, "a, b, c"),
        ("a,b", "c", "a", "b,c"),
        (None, "x", None, "x"),
        ('["a","b"]', '["b","c"]', '["b"]', '["a","b","c"]'),
        ('["a"]', None, '["a"]', "[]"),
        ("[no list", "x", None, None),
        (5, "x", None, None),
    ],
)
def test_tags_unite_without_what_one_has_removed(stored: Any, arrived: Any, base: Any, united: str | None) -> None:
    known: Value | None = None if base is None else (base,)
    assert unite_tags((stored,), (arrived,), known) == (None if united is None else (united,))


@pytest.mark.parametrize(
    ("stored", "arrived", "merged"),
    [
        ("ONE\ntwo\nthree\n", "one\ntwo\nTHREE\n", "ONE\ntwo\nTHREE\n"),
        ("zero\none\ntwo\nthree\n", "one\ntwo\nthree\nfour\n", "zero\none\ntwo\nthree\nfour\n"),
        ("one\nTWO\nthree\n", "one\nTWO\nthree\n", "one\nTWO\nthree\n"),
        ("one\nzwei\nthree\n", "one\ndeux\nthree\n", None),
        ("one\ntwo\nthree\nleft\n", "one\ntwo\nthree\nright\n", None),
        ("three\n", "one\ntwo\nTHREE\n", "THREE\n"),
        ("x" * 30_000, "one\n", None),
    ],
)
def test_texts_merge_where_they_do_not_touch(stored: str, arrived: str, merged: str | None) -> None:
    base = "one\ntwo\nthree\n"
    assert merge_text(stored, arrived, base) == merged
    assert merge_text(stored, arrived, None) is None
