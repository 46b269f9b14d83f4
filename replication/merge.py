"""The rules that decide one cell which two people have written without having seen one another. Pure functions.

All values are those of one cell: a tuple with one value per column of the cell.
"""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass
from enum import Enum
from typing import Any

from replication.travel import Policy

Value = tuple[Any, ...]


class Winner(Enum):
    STORED = "stored"  # what the hub holds
    ARRIVED = "arrived"
    BOTH = "both"  # they could be united: Verdict.value; nothing was lost
    SILENT_STORED = "silent stored"  # as STORED, but nothing is journalled
    SILENT_ARRIVED = "silent arrived"


@dataclass(frozen=True, slots=True)
class Verdict:
    winner: Winner
    value: Value = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One of the two edits. `office` empty: head office."""

    office: str
    life: int
    at: int  # ms since 1970
    value: Value


def decide(policy: Policy, stored: Claim, arrived: Claim, base: Value | None, owner: str | None) -> Verdict:
    """`base`: what both had on screen, None if that is not known; `owner`: the office that owns the row."""
    if policy is Policy.MAX:
        larger = order_of(arrived.value) >= order_of(stored.value)
        return Verdict(Winner.SILENT_ARRIVED if larger else Winner.SILENT_STORED)
    if policy is Policy.TAGS:
        united = unite_tags(stored.value, arrived.value, base)
        if united is not None:
            return Verdict(Winner.BOTH, united)
    if policy is Policy.TEXT:
        merged = merge_text(stored.value[0], arrived.value[0], base[0] if base else None)
        if merged is not None:
            return Verdict(Winner.BOTH, (merged,))
    if policy is Policy.OWNER and owner and (stored.office == owner) != (arrived.office == owner):
        return Verdict(Winner.STORED if stored.office == owner else Winner.ARRIVED)
    if policy is Policy.CENTRE and (stored.office == "") != (arrived.office == ""):
        return Verdict(Winner.STORED if stored.office == "" else Winner.ARRIVED)
    later = (arrived.at, arrived.office, arrived.life) > (stored.at, stored.office, stored.life)
    return Verdict(Winner.ARRIVED if later else Winner.STORED)


def order_of(value: Value) -> tuple[tuple[bool, Any], ...]:
    """Any value compares with None, which is the smallest."""
    return tuple((part is not None, part if part is not None else 0) for part in value)


def unite_tags(stored: Value, arrived: Value, base: Value | None) -> Value | None:
    """The tags of both, without what one has removed from the known base; None if these are no lists of tags."""
    ours, theirs = split_tags(stored[0]), split_tags(arrived[0])
    before = split_tags(base[0]) if base else []
    if ours is None or theirs is None or before is None:
        return None
    kept = [tag for tag in before if tag in ours and tag in theirs]
    added = [tag for tag in [*ours, *theirs] if tag not in before]
    tags = sorted(dict.fromkeys(kept + added))
    is_json = any(isinstance(v, str) and v.lstrip().startswith("[") for v in (stored[0], arrived[0]))
    if is_json:
        return (json.dumps(tags, ensure_ascii=False, separators=(",", ":")),)
    glue = ", " if any(isinstance(v, str) and ", " in v for v in (stored[0], arrived[0])) else ","
    return (glue.join(tags),)


def split_tags(value: Any) -> list[str] | None:
    """A JSON list of texts or a comma-separated text; None: neither."""
    if value is None or value == "":
        return []
    if not isinstance(value, str):
        return None
    if value.lstrip().startswith("["):
        try:
            found = json.loads(value)
        except ValueError:
            return None
        return found if isinstance(found, list) and all(isinstance(tag, str) for tag in found) else None
    return [tag.strip() for tag in value.split(",") if tag.strip()]


TEXT_MAX = 20_000  # characters; a longer text is decided as a whole, because the comparison costs their square


def merge_text(stored: Any, arrived: Any, base: Any) -> str | None:
    """Both edits of a text, line by line, if they touch different lines; None: they overlap, or cannot be compared."""
    texts = (base, stored, arrived)
    if not all(isinstance(text, str) and len(text) <= TEXT_MAX for text in texts):
        return None
    old = base.splitlines(keepends=True)
    edits = sorted([*_edits(old, stored), *_edits(old, arrived)])
    result: list[str] = []
    position = 0
    last: tuple[int, int, list[str]] | None = None
    for begin, end, lines in edits:
        if last == (begin, end, lines):
            continue  # both did the same
        if last is not None and (begin < position or (begin == last[0] and begin == last[1])):
            return None
        result += old[position:begin] + lines
        position, last = end, (begin, end, lines)
    return "".join(result + old[position:])


def _edits(old: list[str], new: str) -> list[tuple[int, int, list[str]]]:
    lines = new.splitlines(keepends=True)
    codes = difflib.SequenceMatcher(None, old, lines, autojunk=False).get_opcodes()
    return [(i1, i2, lines[j1:j2]) for tag, i1, i2, j1, j2 in codes if tag != "equal"]
