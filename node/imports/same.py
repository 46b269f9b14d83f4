"""Does a record hold already what the file says? Asked before every update, so that a second import changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from node.domain.concept import Concept, Kind


def same(concept: Concept, name: str, value: Any, stored: Any) -> bool:
    """Is the mapped value (text, or a Python value) what is stored in the field? Parts may leave fields out."""
    field = concept.field(name)
    if field is not None and field.kind is Kind.PARTS:
        return (
            isinstance(stored, list)
            and len(value) == len(stored)
            and all(_same_part(part, there) for part, there in zip(value, stored, strict=True))
        )
    return _same_value(value, stored)


def _same_part(part: Mapping[str, Any], stored: Mapping[str, Any]) -> bool:
    return all(_same_value(value, stored.get(name)) for name, value in part.items())


def _same_value(value: Any, stored: Any) -> bool:
    if stored is None or stored == "":
        return value is None or value == ""
    if isinstance(stored, bool):
        return bool(value) is stored
    if isinstance(stored, Decimal | int):
        try:
            return Decimal(str(value)) == stored
        except InvalidOperation:
            return False
    if isinstance(stored, datetime):
        return bool(value == stored)
    if isinstance(stored, date):
        return str(value) == stored.isoformat()
    if isinstance(stored, str):
        return str(value).replace("\r\n", "\n").strip() == stored.strip()
    return bool(value == stored)
