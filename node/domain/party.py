"""What trade has to know of a customer: his name, who he became by a merge, and how he is addressed on paper."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from node.domain.access import Actor
from node.domain.customers import Address, Company, Person
from node.domain.parts import batches

ALIASES_MAX = 16  # merges in a row that are followed
_ADDRESS_ORDER = ("billing", "main", "delivery")


def company_names(s: Session, ids: Iterable[str | None], by: Actor | None = None) -> dict[str, str]:
    """Key → name. With `by`, only of the companies whose sensitivity he may see; without, the caller guards them."""
    wanted = sorted({i for i in ids if i})
    found: dict[str, str] = {}
    for batch in batches(wanted):
        query = sa.select(Company.id, Company.name).where(Company.id.in_(batch))
        if by is not None:
            query = query.where(Company.sensitivity.in_(by.sensitivities))
        found.update(s.execute(query).all())
    return found


def same_company(s: Session, id: str) -> list[str]:
    """All keys under which records of this company may lie: its own, its survivor's, those of merged duplicates."""
    survivor = id
    for _ in range(ALIASES_MAX):
        into = s.scalar(sa.select(Company.merged_into).where(Company.id == survivor))
        if not into or into == id:
            break
        survivor = into
    keys, newest = [survivor], [survivor]
    for _ in range(ALIASES_MAX):
        newest = [i for i in s.scalars(sa.select(Company.id).where(Company.merged_into.in_(newest))) if i not in keys]
        if not newest:
            break
        keys += newest
    return keys


def survivors(s: Session) -> dict[str, str]:
    """Key of every merged company → key of who it is now."""
    merged = sa.select(Company.id, Company.merged_into).where(Company.merged_into.is_not(None))
    into: dict[str, str] = {id: survivor for id, survivor in s.execute(merged) if survivor}
    result: dict[str, str] = {}
    for id in into:
        at = id
        for _ in range(ALIASES_MAX):
            if at not in into:
                break
            at = into[at]
        result[id] = at
    return result


def addressee(s: Session, company_id: str | None, person_id: str | None) -> dict[str, Any]:
    """Name and address as they go on a document; the billing address where there is one. Empty values are left out."""
    company = s.get(Company, company_id) if company_id else None
    person = s.get(Person, person_id) if person_id else None
    party = company_id or person_id
    rows = list(s.scalars(sa.select(Address).where(Address.party_id == party, Address.alive).order_by(Address.place)))
    rows.sort(key=lambda a: _ADDRESS_ORDER.index(a.kind) if a.kind in _ADDRESS_ORDER else len(_ADDRESS_ORDER))
    address = rows[0] if rows else None
    snapshot = {
        "name": (company.legal_name or company.name) if company else "",
        "tax_number": company.tax_number if company else "",
        "person": f"{person.first_name} {person.last_name}".strip() if person else "",
        **({k: getattr(address, k) for k in ("street", "zip", "city", "region", "country")} if address else {}),
    }
    return {k: v for k, v in snapshot.items() if v}
