"""Duplicates: records that are probably one company or one person.

Looking at all pairs is out of the question, so candidates come from blocks that an index gives: the same phone number,
e-mail address, tax number or birthday, the neighbours in the order of names (the sorted neighbourhood of Hernández and
Stolfo, 1995), and the search index for a rare word. Each candidate is then scored by evidence for and against; a blank
value is no evidence of anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import sqlalchemy as sa
from rapidfuzz import fuzz
from rapidfuzz.distance import DamerauLevenshtein, JaroWinkler
from sqlalchemy.orm import Session

from node.domain import access, contacts, offices, search
from node.domain.access import Actor
from node.domain.concept import OFFICE, Concept, Field, Kind, Values, register
from node.domain.customers import Address, Company, ContactPoint, Duplicate, Person, party_names
from node.domain.finding import found
from node.domain.names import name_key, search_fold, tax_key
from node.errors import Refused
from node.ids import derived

MODELS: dict[str, Any] = {"company": Company, "person": Person}
WARN_FROM = 50  # of 100: shown while somebody types
PAIR_FROM = 70  # of 100: kept as a pair to decide; two of one name in one town are not yet a pair
NEIGHBOURS = 25  # names before and after that are looked at
BLOCK_MAX = 200  # records with one and the same phone number, word, birthday
SHARED_MAX = 20  # a number that more records have says nothing: a switchboard
BATCH = 500
SURE = {"same phone number", "same e-mail address", "same tax number"}  # shown whatever else is typed


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """What a company or person is compared by; all of it folded, empty where unknown."""

    id: str = ""
    first: str = ""  # of a person
    last: str = ""  # of a person; of a company its whole name
    tax: str = ""
    phones: frozenset[str] = frozenset()
    emails: frozenset[str] = frozenset()
    birthday: date | None = None
    streets: frozenset[str] = frozenset()
    zips: frozenset[str] = frozenset()
    cities: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A record that may be the one that is being typed."""

    id: str
    title: str
    score: int  # 0 … 100
    reasons: tuple[str, ...]  # message ids


@dataclass(slots=True)
class _Evidence:
    score: float = 0
    reasons: list[str] = field(default_factory=list)

    def add(self, points: float, reason: str = "") -> None:
        self.score += points
        if reason and points > 0:
            self.reasons.append(reason)


# rules


def score(kind: str, a: Features, b: Features) -> tuple[int, tuple[str, ...]]:
    """How surely the two are one, 0 … 100, and why."""
    e = _Evidence()
    (_persons if kind == "person" else _companies)(e, a, b)
    if a.phones & b.phones:
        e.add(35 if kind == "company" else 30, "same phone number")
    if a.emails & b.emails:
        e.add(40, "same e-mail address")
    return round(max(0, min(100, e.score))), tuple(e.reasons)


def _companies(e: _Evidence, a: Features, b: Features) -> None:
    alike = fuzz.token_sort_ratio(a.last, b.last) if a.last and b.last else 50
    if a.last and a.last == b.last:
        e.add(65, "same name")
    elif alike >= 75:
        e.add(20 + (alike - 75) * 1.8, "similar name")
    elif a.last and b.last and alike < 50:
        e.add(-20)
    if a.tax and b.tax:
        e.add(60, "same tax number") if a.tax == b.tax else e.add(-35)
    _places(e, a, b, street=20, city=15, elsewhere=-15)


def _persons(e: _Evidence, a: Features, b: Features) -> None:
    e.add(_name_points(a, b), "same name" if (a.first, a.last) == (b.first, b.last) else "similar name")
    if a.birthday and b.birthday:
        if a.birthday == b.birthday:
            e.add(35, "same birthday")
        else:
            typos = DamerauLevenshtein.distance(f"{a.birthday:%Y%m%d}", f"{b.birthday:%Y%m%d}")
            e.add(15, "similar birthday") if typos <= 1 else e.add(-20 if typos <= 3 else -35)
    _places(e, a, b, street=30, city=10, elsewhere=-10)


def _name_points(a: Features, b: Features) -> float:
    """Up to 55 points for the two names; either order, because people swap them."""

    def one(x: str, y: str) -> float | None:
        return JaroWinkler.similarity(x, y) if x and y else None

    def both(first: float | None, last: float | None) -> float:
        known = [p for p in (first, last) if p is not None]
        if not known:
            return 0
        mean = sum(known) / len(known)
        points = 55 * max(0.0, (mean - 0.6) / 0.4)
        return points * (1 if len(known) == 2 else 0.6)

    straight = both(one(a.first, b.first), one(a.last, b.last))
    crossed = both(one(a.first, b.last), one(a.last, b.first)) - 5
    return max(straight, crossed)


def _places(e: _Evidence, a: Features, b: Features, *, street: float, city: float, elsewhere: float) -> None:
    same_zip = bool(a.zips & b.zips)
    same_city = bool(a.cities & b.cities)
    street_like = max((fuzz.ratio(x, y) for x in a.streets for y in b.streets), default=-1)
    if street_like >= 85:
        e.add(street if same_zip or same_city else street / 2, "same address")
    if same_zip and same_city:
        e.add(city, "" if street_like >= 85 else "same place")
    elif same_zip or same_city:
        e.add(city / 2)
    elif a.cities and b.cities:
        e.add(elsewhere)
    if 0 <= street_like < 60:
        e.add(elsewhere / 2)


# queries


def candidates(s: Session, by: Actor, kind: str, values: Values, limit: int = 5) -> list[Candidate]:
    """Who may be meant, while a new record is typed; the best first, only what the actor may read.

    `kind`: company or person. `values`: name, or first_name and last_name; tax_number, birthday, phones, emails (texts
    or objects with `value`), addresses, and `id` of the record itself if it is there already.
    """
    typed = _typed(s, kind, values)
    ids = _block(s, kind, [typed], by)[typed.id] - {typed.id}
    model = MODELS[kind]
    readable = sa.select(model.id).where(model.id.in_(ids), access.readable(by, model, kind))
    scored = []
    for other in _features(s, kind, list(s.scalars(readable))).values():
        points, reasons = score(kind, typed, other)
        if points >= WARN_FROM or SURE & set(reasons):
            scored.append((points, other.id, reasons))
    scored.sort(key=lambda it: (-it[0], it[1]))
    names = party_names(s, [id for _, id, _ in scored[:limit]])
    return [Candidate(id=id, title=names[id], score=p, reasons=r) for p, id, r in scored[:limit]]


def _typed(s: Session, kind: str, values: Values) -> Features:
    def texts(name: str) -> list[str]:
        return [str(p.get("value", "") if isinstance(p, dict) else p) for p in values.get(name) or ()]

    country = offices.country_of(s, s.info["office"])
    addresses = [a for a in values.get("addresses") or () if isinstance(a, dict)]
    person = kind == "person"
    birthday = values.get("birthday")
    return Features(
        id=str(values.get("id") or ""),
        first=name_key(str(values.get("first_name") or "")) if person else "",
        last=name_key(str(values.get("last_name" if person else "name") or "")),
        tax="" if person else tax_key(str(values.get("tax_number") or "")),
        phones=frozenset(filter(None, (contacts.normal_of("phone", t, country) for t in texts("phones")))),
        emails=frozenset(filter(None, (contacts.normal_of("email", t, "") for t in texts("emails")))),
        birthday=birthday if isinstance(birthday, date) else None,
        streets=_folded(a.get("street") for a in addresses),
        zips=_folded(a.get("zip") for a in addresses),
        cities=_folded(a.get("city") for a in addresses),
    )


def _folded(texts: Iterable[Any]) -> frozenset[str]:
    return frozenset(filter(None, (search_fold(str(t or "")) for t in texts)))


def _features(s: Session, kind: str, ids: Sequence[str]) -> dict[str, Features]:
    """What living, unmerged records are compared by, in three queries per batch."""
    result: dict[str, Features] = {}
    model = MODELS[kind]
    for start in range(0, len(ids), BATCH):
        some = ids[start : start + BATCH]
        points: dict[tuple[str, bool], set[str]] = {}
        point = sa.select(ContactPoint.party_id, ContactPoint.kind, ContactPoint.normal)
        for p in s.execute(point.where(ContactPoint.party_id.in_(some), ContactPoint.alive, ContactPoint.normal != "")):
            points.setdefault((p.party_id, p.kind == "email"), set()).add(p.normal)
        places: dict[str, list[Any]] = {}
        address = sa.select(Address.party_id, Address.street, Address.zip, Address.city)
        for a in s.execute(address.where(Address.party_id.in_(some), Address.alive)):
            places.setdefault(a.party_id, []).append(a)
        query = sa.select(model).where(model.id.in_(some), model.alive, model.merged_into.is_(None))
        for row in s.scalars(query):
            at = places.get(row.id, [])
            result[row.id] = Features(
                id=row.id,
                first=name_key(row.first_name) if kind == "person" else "",
                last=name_key(row.last_name) if kind == "person" else row.name_key or name_key(row.name),
                tax="" if kind == "person" else row.tax_key,
                phones=frozenset(points.get((row.id, False), ())),
                emails=frozenset(points.get((row.id, True), ())),
                birthday=row.birthday if kind == "person" else None,
                streets=_folded(a.street for a in at),
                zips=_folded(a.zip for a in at),
                cities=_folded(a.city for a in at),
            )
    return result


def _block(s: Session, kind: str, records: Sequence[Features], by: Actor | None) -> dict[str, set[str]]:
    """Key of each record → keys of those that it is worth comparing with."""
    model = MODELS[kind]
    result: dict[str, set[str]] = {r.id: set() for r in records}
    living = sa.and_(model.alive, model.merged_into.is_(None))

    def same(wanted: Mapping[Any, set[str]], query: sa.Select[Any, Any], most: int) -> None:
        """`wanted`: value → who has it; `query` gives (value, key)."""
        meets: dict[Any, set[str]] = {}
        for value, id in s.execute(query):
            meets.setdefault(value, set()).add(id)
        for value, ids in meets.items():
            if len(ids) <= most:
                for key in wanted[value]:
                    result[key] |= ids

    points = _who(records, lambda r: r.phones | r.emails)
    if points:
        p = ContactPoint
        found = sa.select(p.normal, p.party_id).where(p.normal.in_(points), p.alive)
        same(points, found.limit(BLOCK_MAX * len(points)), SHARED_MAX)
    taxes = _who(records, lambda r: {r.tax} - {""})
    if taxes:
        same(taxes, sa.select(model.tax_key, model.id).where(model.tax_key.in_(taxes), living), BLOCK_MAX)
    if kind == "person":
        days = _who(records, lambda r: {r.birthday} - {None})
        if days:
            same(days, sa.select(model.birthday, model.id).where(model.birthday.in_(days), living), BLOCK_MAX)
    for record in records:
        key = f"{record.last} {record.first}".strip()
        if not key:
            continue
        for side in (
            sa.select(model.id).where(model.name_key >= key, living).order_by(model.name_key),
            sa.select(model.id).where(model.name_key < key, living).order_by(model.name_key.desc()),
        ):
            result[record.id].update(s.scalars(side.limit(NEIGHBOURS)))
        if by is not None and len(key) >= 3:  # one at a time, while typing: afford the search index as well
            plural = "persons" if kind == "person" else "companies"
            for word in sorted(key.split(), key=len, reverse=True)[:2]:
                result[record.id].update(search.matching_ids(s, by, [plural], word, NEIGHBOURS * 2))
    return result


def _who(records: Iterable[Features], values: Any) -> dict[Any, set[str]]:
    result: dict[Any, set[str]] = {}
    for record in records:
        for value in values(record):
            result.setdefault(value, set()).add(record.id)
    return result


# actions


def find_pairs(s: Session, kind: str, ids: Iterable[str]) -> list[str]:
    """Compare these records (after an import or an exchange) with all others; keep the pairs that look like one.

    Returns the keys of new `Duplicate` rows. Everything in such a row follows from the two records, so that two
    offices that find the same pair write the same row and there is nothing to decide between them.
    """
    s.flush()
    made: list[str] = []
    wanted = sorted(set(ids))
    for start in range(0, len(wanted), BATCH):
        records = list(_features(s, kind, wanted[start : start + BATCH]).values())
        blocks = _block(s, kind, records, None)
        others = _features(s, kind, sorted(set().union(*blocks.values()))) if blocks else {}
        pairs: dict[tuple[str, str], tuple[int, tuple[str, ...]]] = {}
        for record in records:
            for id in blocks[record.id] - {record.id}:
                pair = (min(record.id, id), max(record.id, id))
                if id in others and pair not in pairs:
                    points, reasons = score(kind, record, others[id])
                    if points >= PAIR_FROM:
                        pairs[pair] = (points, reasons)
        made += _keep(s, kind, pairs)
    return made


def _keep(s: Session, kind: str, pairs: Mapping[tuple[str, str], tuple[int, tuple[str, ...]]]) -> list[str]:
    model = MODELS[kind]
    keys = {pair_id(*pair): pair for pair in pairs}
    have = set(s.scalars(sa.select(Duplicate.id).where(Duplicate.id.in_(keys))))
    new = {key: pair for key, pair in keys.items() if key not in have}
    stamp = sa.select(model.id, model.created_at, model.created_by, model.office)
    rows = {r.id: r for r in s.execute(stamp.where(model.id.in_({id for pair in new.values() for id in pair})))}
    for key, pair in new.items():
        later = max((rows[id] for id in pair), key=lambda r: (r.created_at, r.id))
        points, reasons = pairs[pair]
        s.add(
            Duplicate(
                id=key, kind=kind, first_id=pair[0], second_id=pair[1], score=points, reasons=list(reasons),
                state="open", office=later.office, created_at=later.created_at, created_by=later.created_by or "system",
                changed_at=later.created_at, changed_by=later.created_by or "system",
            )
        )  # fmt: skip
    s.flush()
    return sorted(new)


def pair_id(one: str, other: str) -> str:
    """The key of the pair, whichever comes first."""
    return derived("duplicate", min(one, other), max(one, other))


def decide(s: Session, by: Actor, id: str, choice: str) -> None:
    """Say that the two are `different`, or take that back: `open`. (`merged` is said by merging them.)"""
    row = found(s, by, Duplicate, "duplicate", id, "edit")
    if choice not in ("different", "open"):
        raise Refused("A pair is decided as different, or opened again. To make one of the two, merge them.")
    if row.state == "merged":
        raise Refused("These two have been merged. Undo the merge first.")
    row.state, row.decided_by = choice, by.user_id if choice == "different" else ""


def _extra(s: Session, by: Actor, rows: Sequence[Any]) -> dict[str, Values]:
    titles: dict[str, str] = {}
    for kind, model in MODELS.items():
        ids = [i for r in rows if r.kind == kind for i in (r.first_id, r.second_id)]
        seen = list(s.scalars(sa.select(model.id).where(model.id.in_(ids), access.readable(by, model, kind))))
        titles.update(party_names(s, seen))
    return {
        r.id: {"first_title": titles.get(r.first_id, ""), "second_title": titles.get(r.second_id, "")} for r in rows
    }


DUPLICATES = register(
    Concept(
        name="duplicates",
        singular="duplicate",
        model=Duplicate,
        label="Duplicate",
        label_plural="Duplicates",
        icon="merge",
        title=lambda r: f"{r.first_id} = {r.second_id}",
        order=("-score",),
        extra=_extra,
        creatable=False,
        editable=False,
        removable=False,
        fields=(
            Field(name="kind", kind=Kind.CHOICE, label="Kind", choices=tuple(MODELS), listed=True, read_only=True),
            Field(name="first", kind=Kind.TEXT, label="First", column="first_id", read_only=True),
            Field(name="second", kind=Kind.TEXT, label="Second", column="second_id", read_only=True),
            Field(name="score", kind=Kind.INT, label="Likeness", listed=True, read_only=True, sortable=True),
            Field(name="reasons", kind=Kind.OBJECT, label="Reasons", listed=True, read_only=True),
            Field(name="state", kind=Kind.CHOICE, label="State", choices=("open", "merged", "different"), listed=True,
                  read_only=True),
            Field(name="decided_by", kind=Kind.TEXT, label="Decided by", read_only=True),
            OFFICE,
        ),
        extra_fields=(
            Field(name="first_title", kind=Kind.TEXT, label="First", listed=True, read_only=True, filterable=False),
            Field(name="second_title", kind=Kind.TEXT, label="Second", listed=True, read_only=True, filterable=False),
        ),
    )
)  # fmt: skip
