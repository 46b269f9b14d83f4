"""Full-text search over everything: one table of what records are found by, and the index of the database above it.

`search_entry` stays at home; every node makes its own from the concepts' `search` functions. Words lie in it folded
(`names.search_fold`), so Cyrillic and Latin, accents and German spellings meet; numbers lie with all their ends, so
that any part of a phone number finds it. Above it is FTS5 on SQLite and tsvector with GIN on PostgreSQL: `_match` and
`_index` are all that tells them apart. An entry carries what the rights ask for, and the strictest sensitivity of the
customer it is about, so nobody learns from the search what he may not open.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import Connection
from sqlalchemy.orm import Mapped, Session, mapped_column

from node.base import Base
from node.domain import access, phones
from node.domain.access import SENSITIVITIES, Actor, Scope
from node.domain.concept import CONCEPTS, Concept, SearchText
from node.domain.customers import Company, Person
from node.domain.names import search_fold

WORDS_MAX = 8  # of a query; the rest is not looked at
CANDIDATES = 300  # looked at per tier before ranking
BATCH = 1000  # rows that `rebuild` and `note` take at a time
WORDS_BYTES_MAX = 4000  # of an entry
DEPENDENTS_MAX = 5000  # entries written again because their customer has another name
FIRST = frozenset({"companies", "persons", "products"})  # never crowded out by the many entries about them
# part of a record → the attribute with the key of its root
ROOTS = {"contact_point": ("party_id",), "address": ("party_id",), "position": ("company_id", "person_id")}


class SearchEntry(Base):
    """What one record is found by. Stays at home."""

    __tablename__ = "search_entry"

    number: Mapped[int] = mapped_column(sa.Integer, primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(sa.String(16), unique=True)
    concept: Mapped[str] = mapped_column(sa.String(32))
    title: Mapped[str] = mapped_column(sa.Text, default="")
    detail: Mapped[str] = mapped_column(sa.Text, default="")
    words: Mapped[str] = mapped_column(sa.Text, default="")
    digits: Mapped[str] = mapped_column(sa.Text, default="")
    office: Mapped[str] = mapped_column(sa.String(8), default="")
    owner_id: Mapped[str | None] = mapped_column(sa.String(16))
    sensitivity: Mapped[str] = mapped_column(sa.String(16), default="normal")
    created_by: Mapped[str] = mapped_column(sa.String(16), default="")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """One record that was found."""

    concept: str
    id: str
    title: str
    detail: str


# the index


def create(conn: Connection) -> None:
    """Make table and index where they are missing; for migrations. Making the table alone also makes the index."""
    SearchEntry.__table__.create(conn, checkfirst=True)  # type: ignore[attr-defined]
    _create_index(SearchEntry.__table__, conn)


@event.listens_for(SearchEntry.__table__, "after_create")
def _create_index(_table: Any, conn: Connection, **_: Any) -> None:
    if conn.dialect.name == "sqlite":
        conn.exec_driver_sql(
            "CREATE VIRTUAL TABLE IF NOT EXISTS search_index USING fts5(words, digits, content='search_entry', "
            "content_rowid='number', tokenize='unicode61 remove_diacritics 2', prefix='2 3 4')"
        )
        return
    conn.exec_driver_sql(
        "ALTER TABLE search_entry ADD COLUMN IF NOT EXISTS lexemes tsvector GENERATED ALWAYS AS ("
        "setweight(to_tsvector('simple'::regconfig, words), 'A') || "
        "setweight(to_tsvector('simple'::regconfig, digits), 'D')) STORED"
    )
    conn.exec_driver_sql("CREATE INDEX IF NOT EXISTS ix_search_entry_lexemes ON search_entry USING gin (lexemes)")


def _match(s: Session, words: Sequence[str], number: str, whole: bool) -> sa.ColumnElement[bool]:
    """The condition that an entry has all the words (or starts of words), or a number with an end that starts so."""
    if s.get_bind().dialect.name == "sqlite":
        star = "" if whole else "*"
        said = " AND ".join(f'words : "{w}"{star}' for w in words)
        if number:
            said = f'({said}) OR digits : "{number}"*' if said else f'digits : "{number}"*'
        found = sa.text("SELECT rowid FROM search_index WHERE search_index MATCH :said").bindparams(said=said)
        return SearchEntry.number.in_(found.columns(sa.column("rowid", sa.Integer)).subquery().select())
    said = " & ".join(f"'{w}':{'' if whole else '*'}A" for w in words)
    if number:
        said = f"({said}) | '{number}':*D" if said else f"'{number}':*D"
    query = sa.func.to_tsquery(sa.literal_column("'simple'::regconfig"), said)
    return sa.literal_column("search_entry.lexemes").op("@@")(query)


# queries


def search(s: Session, by: Actor, q: str, concepts: Iterable[str] | None = None, limit: int = 20) -> list[Hit]:
    """The best `limit` records that the actor may read; customers and products first, then what is about them.

    `q`: starts of words in any order and either alphabet, part of a phone number, a tax number, a document's number.
    """
    words, number = _terms(q)
    if not words and not number:
        return []
    wanted = [c for c in CONCEPTS.values() if c.search and (concepts is None or c.name in set(concepts))]
    rows: dict[str, Any] = {}
    e = SearchEntry
    for tier in ([c for c in wanted if c.name in FIRST], [c for c in wanted if c.name not in FIRST]):
        allowed = _allowed(by, tier)
        if allowed is None:
            continue
        for whole in (True, False):
            if whole and not words:
                continue
            query = sa.select(e.number, e.id, e.concept, e.title, e.detail).where(
                _match(s, words, "" if whole else number, whole), allowed
            )
            for row in s.execute(query.limit(CANDIDATES)):
                rows.setdefault(row.id, (row, whole, len(rows)))
    ranked = sorted(rows.values(), key=lambda it: _rank(it[0], words, it[1], it[2]))
    return [Hit(concept=r.concept, id=r.id, title=r.title, detail=r.detail) for r, _, _ in ranked[:limit]]


def grouped(hits: Iterable[Hit]) -> dict[str, list[Hit]]:
    """The hits by concept, the concept of the best hit first."""
    groups: dict[str, list[Hit]] = {}
    for hit in hits:
        groups.setdefault(hit.concept, []).append(hit)
    return groups


def matching(s: Session, by: Actor, concept_names: Iterable[str], q: str) -> sa.Select[Any]:
    """A query for the keys of all records that are found, to narrow a list by: `Model.id.in_(matching(…))`."""
    words, number = _terms(q)
    allowed = _allowed(by, [CONCEPTS[name] for name in concept_names])
    if allowed is None or not (words or number):
        return sa.select(SearchEntry.id).where(sa.false())
    return sa.select(SearchEntry.id).where(_match(s, words, number, False), allowed)


def matching_ids(s: Session, by: Actor, concept_names: Iterable[str], q: str, limit: int = 1000) -> list[str]:
    """At most `limit` keys of records that are found."""
    return list(s.scalars(matching(s, by, concept_names, q).limit(limit)))


def _terms(q: str) -> tuple[list[str], str]:
    number = phones.looked_for(q.strip()[:80])
    return search_fold(q[:400]).split()[:WORDS_MAX], number if len(number) >= 3 else ""


def _rank(row: Any, words: Sequence[str], whole: bool, order: int) -> tuple[Any, ...]:
    title = search_fold(row.title)
    starts = bool(words) and title.startswith(words[0])
    in_title = sum(1 for w in words if f" {w}" in f" {title}")
    return (row.concept not in FIRST, title != " ".join(words), -in_title, not starts, not whole, order)


def _allowed(by: Actor, concepts: Sequence[Concept]) -> sa.ColumnElement[bool] | None:
    """The condition that the actor may read an entry of these concepts; None: not a single one."""
    reaches: dict[Scope, list[str]] = {}
    for concept in concepts:
        scope = access.reach(by, concept.singular, "read")
        if scope is Scope.OWN and not hasattr(concept.model, "owner_id"):
            scope = Scope.OFFICE  # as `access.within` has it
        if scope is not Scope.NONE:
            reaches.setdefault(scope, []).append(concept.name)
    if not reaches:
        return None
    e = SearchEntry
    return sa.or_(*(sa.and_(e.concept.in_(names), access.within(by, e, scope)) for scope, names in reaches.items()))


# actions


def note(s: Session, concept_name: str, ids: Iterable[str]) -> None:
    """Write the entries of these records again, now: they were made, changed, removed or merged."""
    held: dict[str, dict[str, None]] | None = s.info.get("search_held")
    if held is not None:
        held.setdefault(concept_name, {}).update(dict.fromkeys(ids))
        return
    _note(s, CONCEPTS[concept_name].model, list(dict.fromkeys(ids)), deeper=True)


@contextmanager
def together(s: Session) -> Iterator[None]:
    """Hold back what `note` is told inside and write it at once at the end: for imports of thousands of records."""
    held: dict[str, dict[str, None]] = {}
    s.info["search_held"] = held
    try:
        yield
    finally:
        del s.info["search_held"]
    for concept_name, ids in held.items():
        note(s, concept_name, ids)


def touched(s: Session, tables: Mapping[str, Iterable[str]]) -> None:
    """Write entries again after an exchange: table name → keys of changed rows; parts count for their roots."""
    models = {c.model.__tablename__: c.model for c in CONCEPTS.values() if c.search}
    mapped = {m.class_.__tablename__: m.class_ for m in Base.registry.mappers}
    wanted: dict[str, set[str]] = {}
    for table, ids in tables.items():
        if table in models:
            wanted.setdefault(table, set()).update(ids)
        for attribute in ROOTS.get(table, ()):
            part = mapped[table]
            for some in _batches(list(ids)):
                roots = set(s.scalars(sa.select(getattr(part, attribute)).where(part.id.in_(some))))
                for root in (Company, Person):
                    wanted.setdefault(root.__tablename__, set()).update(
                        s.scalars(sa.select(root.id).where(root.id.in_(roots)))
                    )
    for table, keys in wanted.items():
        _note(s, models[table], sorted(keys), deeper=True)


def rebuild(s: Session) -> int:
    """Make the whole index anew; the number of entries. A session of its own reads, so memory stays flat."""
    s.flush()
    conn = s.connection()
    if conn.dialect.name == "sqlite":
        conn.exec_driver_sql("INSERT INTO search_index(search_index) VALUES ('delete-all')")
    conn.execute(sa.delete(SearchEntry))
    made = 0
    for model in dict.fromkeys(c.model for c in CONCEPTS.values() if c.search):
        last = ""
        while True:
            ids = list(conn.scalars(sa.select(model.id).where(model.id > last).order_by(model.id).limit(BATCH)))
            if not ids:
                break
            last = ids[-1]
            with Session(conn) as reader:
                reader.info.update(s.info)
                entries = _entries(reader, model, ids)
            if entries:
                conn.execute(sa.insert(SearchEntry), list(entries.values()))
                made += len(entries)
    if conn.dialect.name == "sqlite":
        conn.exec_driver_sql("INSERT INTO search_index(search_index) VALUES ('rebuild')")
    return made


def _note(s: Session, model: Any, ids: list[str], *, deeper: bool) -> None:
    s.flush()
    renamed: list[str] = []
    for some in _batches(ids):
        before = {
            r.id: (r.title, r.sensitivity)
            for r in s.execute(
                sa.select(SearchEntry.id, SearchEntry.title, SearchEntry.sensitivity).where(SearchEntry.id.in_(some))
            )
        }
        entries = _entries(s, model, some)
        _index(s, some, list(entries.values()))
        for id, (title, sensitivity) in before.items():
            now = entries.get(id)
            if now is not None and (now["title"], now["sensitivity"]) != (title, sensitivity):
                renamed.append(id)
    if deeper and renamed and model in (Company, Person):
        _note_dependents(s, "company_id" if model is Company else "person_id", renamed)


def _note_dependents(s: Session, attribute: str, ids: list[str]) -> None:
    for model in dict.fromkeys(c.model for c in CONCEPTS.values() if c.search and hasattr(c.model, attribute)):
        about = sa.select(model.id).where(getattr(model, attribute).in_(ids)).limit(DEPENDENTS_MAX)
        _note(s, model, list(s.scalars(about)), deeper=False)


def _index(s: Session, ids: Sequence[str], entries: list[dict[str, Any]]) -> None:
    """Replace the entries of these keys. FTS5 forgets a row only if it is told what it had said."""
    e, sqlite = SearchEntry, s.get_bind().dialect.name == "sqlite"
    index = sa.table("search_index", sa.column("search_index"), *map(sa.column, ("rowid", "words", "digits")))
    if sqlite:
        old = sa.select(sa.literal("delete"), e.number, e.words, e.digits).where(e.id.in_(ids))
        s.execute(sa.insert(index).from_select(["search_index", "rowid", "words", "digits"], old))
    s.execute(sa.delete(e).where(e.id.in_(ids)).execution_options(synchronize_session=False))
    if entries:
        s.connection().execute(sa.insert(e), entries)
        if sqlite:
            new = sa.select(e.number, e.words, e.digits).where(e.id.in_(ids))
            s.execute(sa.insert(index).from_select(["rowid", "words", "digits"], new))


def _entries(s: Session, model: Any, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Key → the values of its entry, for those that are alive and not merged."""
    result: dict[str, dict[str, Any]] = {}
    for concept in CONCEPTS.values():
        if concept.model is not model or concept.search is None:
            continue
        query = sa.select(model).where(model.id.in_(ids), model.alive)
        if hasattr(model, "merged_into"):
            query = query.where(model.merged_into.is_(None))
        if concept.where is not None:
            query = query.where(concept.where())
        rows = list(s.scalars(query))
        if not rows:
            continue
        texts = concept.search(s, rows)
        strictest = _strictest(s, rows)
        for row in rows:
            result[row.id] = _entry(concept.name, row, texts[row.id], strictest[row.id])
    return result


def _entry(concept: str, row: Any, text: SearchText, sensitivity: str) -> dict[str, Any]:
    return {
        "id": row.id,
        "concept": concept,
        "title": text.title,
        "detail": text.detail,
        "words": search_fold(text.words or text.title)[:WORDS_BYTES_MAX],
        "digits": phones.suffixes(text.digits),
        "office": row.office,
        "owner_id": getattr(row, "owner_id", None),
        "sensitivity": sensitivity,
        "created_by": row.created_by,
    }


def _strictest(s: Session, rows: Sequence[Any]) -> dict[str, str]:
    """Key → the strictest sensitivity of the row and of the customers that it is about."""
    grades = {name: grade for grade, name in enumerate(SENSITIVITIES)}
    about: dict[str, str] = {}
    for model, attribute in ((Company, "company_id"), (Person, "person_id")):
        keys = {getattr(r, attribute, None) for r in rows} - {None}
        if keys:
            query = sa.select(model.id, model.sensitivity).where(model.id.in_(keys), model.sensitivity != "normal")
            about.update(s.execute(query).all())
    result = {}
    for row in rows:
        found = [getattr(row, "sensitivity", "normal")]
        found += [about.get(getattr(row, a, None) or "", "normal") for a in ("company_id", "person_id")]
        result[row.id] = max(found, key=lambda name: grades.get(name, 0))
    return result


def _batches(ids: Sequence[str]) -> Iterable[Sequence[str]]:
    for start in range(0, len(ids), BATCH):
        yield ids[start : start + BATCH]
