"""Duplicates are noticed while typing and after an import; nothing is suspected for being blank."""

from __future__ import annotations

import csv
import logging
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from node.db import Database
from node.domain import duplicates
from node.domain.access import SYSTEM
from node.domain.customers import Address, Duplicate, Person
from node.domain.names import name_key
from node.errors import Refused
from tests.support import builders

FEBRL = Path(__file__).parents[4] / "shared" / "data" / "business" / "febrl"


def warned(db: Database, kind: str, **values: object) -> list[str]:
    return [c.title for c in db.read_now(duplicates.candidates, SYSTEM, kind, values)]


def test_typing_what_is_there_already_is_noticed_by_any_mark(db: Database) -> None:
    def fill(s: Session) -> None:
        builders.company(s, "Müller Maschinenbau GmbH", tax_number="DE136695976", phones=["0221 998877"],
                         emails=["post@mueller.example"])  # fmt: skip
        for i in range(60):
            builders.company(s, f"Müller {i:02} Handel")

    db.write_now(fill)
    there = ["Müller Maschinenbau GmbH"]
    assert warned(db, "company", name="Mueller Maschinenbau")[:1] == there
    assert warned(db, "company", name="Muller Machinenbau AG")[:1] == there, "a typing error"
    assert warned(db, "company", phones=["+49 221 99 88 77"]) == there
    assert warned(db, "company", emails=[{"value": "POST@mueller.example"}]) == there
    assert warned(db, "company", name="MM", tax_number="136695976") == there
    assert warned(db, "company", name="Gartenbau Schulz") == []


def test_blanks_are_no_evidence(db: Database) -> None:
    db.write_now(lambda s: [builders.company(s, n).id for n in ("Alpha", "Omega")])
    assert warned(db, "company") == []
    assert warned(db, "company", name="", tax_number="", phones=[""], emails=[""]) == []
    points, reasons = duplicates.score("person", duplicates.Features(), duplicates.Features())
    assert (points, reasons) == (0, ())


def test_pairs_are_kept_once_and_can_be_called_different(db: Database) -> None:
    def fill(s: Session) -> list[str]:
        values: dict[str, Any] = {"phones": ["0171 5550001"], "birthday": date(1980, 2, 1)}
        rows = [builders.person(s, "Berger", "Anna", **values), builders.person(s, "Berger", "Ana", **values)]
        rows.append(builders.person(s, "Berger", "Otto"))
        return [str(r.id) for r in rows]

    ids = db.write_now(fill)
    found = db.write_now(duplicates.find_pairs, "person", ids)
    assert found == [duplicates.pair_id(ids[1], ids[0])]
    assert db.write_now(duplicates.find_pairs, "person", ids) == []
    db.write_now(duplicates.decide, SYSTEM, found[0], "different")
    assert db.read_now(lambda s: s.scalars(sa.select(Duplicate.state)).all()) == ["different"]
    with pytest.raises(Refused, match="merge them"):
        db.write_now(duplicates.decide, SYSTEM, found[0], "merged")


@pytest.mark.parametrize(
    ("file", "precision", "recall"),
    [("dataset1.csv", 0.98, 0.90), pytest.param("dataset3.csv", 0.98, 0.84, marks=pytest.mark.slow)],
)
def test_persons_of_febrl_are_paired(db: Database, file: str, precision: float, recall: float) -> None:
    if not (FEBRL / file).exists():
        pytest.skip(f"the Febrl set {file} is not on this machine")

    def fill(s: Session) -> dict[str, str]:
        entity: dict[str, str] = {}
        with (FEBRL / file).open(newline="", encoding="utf-8") as lines:
            for r in csv.DictReader(lines, skipinitialspace=True):
                day = r["date_of_birth"].strip()
                row = Person(
                    id=s.info["ids"].new(), first_name=r["given_name"], last_name=r["surname"],
                    name_key=name_key(r["surname"], r["given_name"]), birthday=_day(day),
                )  # fmt: skip
                s.add(row)
                street = f"{r['street_number']} {r['address_1']}".strip()
                s.add(Address(party_id=row.id, street=street, zip=r["postcode"], city=r["suburb"], region=r["state"]))
                entity[row.id] = r["rec_id"].split("-")[1]
        s.flush()
        duplicates.find_pairs(s, "person", list(entity))
        return entity

    entity = db.write_now(fill)
    pairs = db.read_now(lambda s: s.execute(sa.select(Duplicate.first_id, Duplicate.second_id)).all())
    sizes: dict[str, int] = {}
    for one in entity.values():
        sizes[one] = sizes.get(one, 0) + 1
    true_pairs = sum(n * (n - 1) // 2 for n in sizes.values())
    right = sum(entity[a] == entity[b] for a, b in pairs)
    logging.getLogger(__name__).info(
        "%s: precision %.4f, recall %.4f of %d pairs", file, right / len(pairs), right / true_pairs, true_pairs
    )
    assert right / len(pairs) >= precision
    assert right / true_pairs >= recall


def _day(text: str) -> date | None:
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:8]))
    except ValueError:
        return None
