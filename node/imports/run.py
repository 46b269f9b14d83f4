"""Runs an import: files and a profile in, records made by the domain's own actions, and a count of what happened.

Nothing is changed before every file was read and every column that the profile names was found. Then rows go through
in batches of 500, each one transaction; a row that cannot be taken is rolled back alone, counted with its line and
column, and the import goes on (unless told to stop). The record is found again by the profile's key, so importing the
same file twice changes nothing; a record that somebody has deleted stays deleted. A dry run is the whole import in one
transaction that is rolled back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy.exc import StatementError
from sqlalchemy.orm import Session

from node.db import Database
from node.domain import duplicates, posting, records, search
from node.domain.access import Actor
from node.domain.concept import CONCEPTS, Concept
from node.errors import Invalid, KoggeError
from node.imports import guess, profile
from node.imports.errors import BadProfile, BadRow, NoProfile
from node.imports.lookup import Key, Lookups
from node.imports.mapping import Mapped, map_row
from node.imports.profile import Children, Make, Parts, Profile, Rule, Source
from node.imports.reading import Row, Table, read_table
from node.imports.same import same

BATCH = 500  # rows in a transaction: the writer thread is free for users in between
ERRORS_MAX = 1_000  # kept per file; further ones are only counted
FILES_MAX = 100
CAUSE = "import"
Progress = Callable[[str, int, int], None]  # (file, rows done, rows in all)


@dataclass(frozen=True, slots=True, kw_only=True)
class RowError:
    """A cell that was not taken. `line` as in an editor; `column` is empty where the whole row is meant."""

    file: str
    line: int
    column: str
    sentence: str


@dataclass(slots=True, kw_only=True)
class FileResult:
    """What became of one file as one concept."""

    file: str
    concept: str
    read: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    skipped: int = 0  # not wanted by the profile (`when`), or deleted here
    failed: int = 0
    errors: list[RowError] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        counts = ("file", "concept", "read", "created", "updated", "unchanged", "skipped", "failed")
        lines = [{"line": e.line, "column": e.column, "sentence": e.sentence} for e in self.errors]
        return {**{name: getattr(self, name) for name in counts}, "errors": lines}


@dataclass(slots=True, kw_only=True)
class Result:
    """The whole import. `stopped`: ended at a bad row, as was asked for; what was done before that row is kept."""

    profile: str
    dry_run: bool
    files: list[FileResult] = field(default_factory=list)
    ignored_columns: dict[str, list[str]] = field(default_factory=dict)
    stopped: bool = False

    @property
    def errors(self) -> list[RowError]:
        """Of all files."""
        return [error for one in self.files for error in one.errors]

    def total(self, count: str) -> int:
        """The sum of read, created, updated, unchanged, skipped or failed."""
        return sum(getattr(one, count) for one in self.files)

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        counts = ("read", "created", "updated", "unchanged", "skipped", "failed")
        return {
            "profile": self.profile,
            "dry_run": self.dry_run,
            "stopped": self.stopped,
            **{name: self.total(name) for name in counts},
            "files": [one.as_dict() for one in self.files],
            "ignored_columns": self.ignored_columns,
        }


class _Undo(Exception):
    """No error: the end of a dry run, which is rolled back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What will be imported, in order. `children`: file → column → value → rows."""

    profile: Profile
    steps: tuple[tuple[Source, Table], ...]
    children: Mapping[str, Mapping[str, Mapping[str, list[dict[str, str]]]]]
    ignored: Mapping[str, list[str]]


def import_files(
    db: Database,
    by: Actor,
    files: Sequence[Path | str],
    kind: str | None = None,
    profile: Path | str | None = None,
    dry_run: bool = False,
    progress: Progress | None = None,
    *,
    stop_on_error: bool = False,
) -> Result:
    """Import the files as `by`. Not for the event loop's thread. Raise BadInput (NoTable, NoProfile, MissingColumn, …):
    nothing was changed then."""
    plan = make_plan([Path(f) for f in files], kind, None if profile is None else Path(profile))
    result = Result(profile=plan.profile.name, dry_run=dry_run, ignored_columns=dict(plan.ignored))
    running = _Import(by, plan, result, progress or (lambda *_: None), stop_on_error)

    def everything(s: Session) -> None:
        for batch in running.batches():
            batch(s)
        raise _Undo

    try:
        if dry_run:
            db.write_now(everything, by=by, cause=CAUSE)
        else:
            for batch in running.batches():
                db.write_now(batch, by=by, cause=CAUSE)
    except _Undo:
        pass
    return result


def make_plan(files: Sequence[Path], kind: str | None, profile_path: Path | None) -> Plan:
    """Read the files, find the profile, check its columns. Raise BadInput."""
    if not files or len(files) > FILES_MAX:
        raise NoProfile(f"Name between one and {FILES_MAX} files.")
    chosen = _chosen(files, profile_path) if not kind else None
    if chosen is None:
        tables = [read_table(path) for path in files]
        if not kind:
            chosen = _recognised(tables)
        elif len(tables) != 1:
            raise NoProfile("With --kind, import one file at a time; several need a profile.")
        else:
            chosen = guess.guess(kind, tables[0].file, tables[0].headers)
        return _plan(chosen, [(path, table) for path, table in zip(files, tables, strict=True)])
    return _plan(chosen, [(path, None) for path in files])


def _chosen(files: Sequence[Path], given: Path | None) -> Profile | None:
    if given is not None:
        return profile.read_profile(given)
    beside = files[0].parent / profile.BESIDE
    return profile.read_profile(beside) if beside.exists() else None


def _recognised(tables: Sequence[Table]) -> Profile:
    for candidate in profile.shipped():
        if candidate.headers and all(set(candidate.headers) <= set(table.headers) for table in tables):
            return candidate
    raise NoProfile(
        f"Kogge does not know what {tables[0].file} holds. Say --kind {'|'.join(guess.KINDS)}, give --profile FILE, or "
        f"put a profile called {profile.BESIDE} beside the file."
    )


def _plan(chosen: Profile, files: Sequence[tuple[Path, Table | None]]) -> Plan:
    tables: dict[str, Table] = {}
    sources: dict[str, Source] = {}
    for path, read in files:
        source = next((one for one in chosen.sources if one.fits(path.name)), None)
        if source is None:
            names = ", ".join(one.name for one in chosen.sources)
            raise NoProfile(f"The profile {chosen.name} does not name {path.name}. It names: {names}.")
        tables[path.name] = read or read_table(
            path, encoding=source.encoding, delimiter=source.delimiter, sheet=source.sheet
        )
        sources[path.name] = source
    child_headers = {name: table.headers for name, table in tables.items()}
    steps, ignored = [], {}
    for source in chosen.sources:
        for name, table in tables.items():
            if sources[name] is source:
                _check_concepts(source)
                profile.check_columns(source, name, table.headers, child_headers)
                steps.append((source, table))
                if source.makes and chosen.where == "" and (left := guess.unrecognised(chosen, table.headers)):
                    ignored[name] = left
    return Plan(profile=chosen, steps=tuple(steps), children=_children(steps, tables), ignored=ignored)


def _check_concepts(source: Source) -> None:
    for make in source.makes:
        concept = CONCEPTS.get(make.concept)
        if concept is None:
            raise BadProfile(f"There is no concept “{make.concept}”. There are: {', '.join(sorted(CONCEPTS))}.")
        for name in make.fields:
            if concept.field(name) is None:
                near = profile.nearest(name, [f.name for f in concept.fields])
                raise BadProfile(f"{make.concept} have no field “{name}”. Perhaps: {', '.join(near)}.")


def _children(
    steps: Sequence[tuple[Source, Table]], tables: Mapping[str, Table]
) -> dict[str, dict[str, dict[str, list[dict[str, str]]]]]:
    index: dict[str, dict[str, dict[str, list[dict[str, str]]]]] = {}
    for source, table in steps:
        for make in source.makes:
            for rule in make.fields.values():
                if not isinstance(rule, Children):
                    continue
                if rule.file not in tables:
                    raise NoProfile(f"{table.file} needs {rule.file} as well: import both at once.")
                by_value = index.setdefault(rule.file, {}).setdefault(rule.on, {})
                if not by_value:
                    for row in tables[rule.file].rows:
                        record = tables[rule.file].record(row)
                        by_value.setdefault(record[rule.on], []).append(record)
    return index


class _Import:
    """One run: where it is, and what it has counted."""

    def __init__(self, by: Actor, plan: Plan, result: Result, progress: Progress, stop_on_error: bool) -> None:
        self.by, self.plan, self.result = by, plan, result
        self.progress, self.stop_on_error = progress, stop_on_error

    def batches(self) -> Iterator[Callable[[Session], None]]:
        """The work, one function a transaction; ends early at a bad row if that was asked for."""
        for step in self._steps():
            if self.result.stopped:
                return
            yield step

    def _steps(self) -> Iterator[Callable[[Session], None]]:
        for source, table in self.plan.steps:
            for make in source.makes:
                counts = FileResult(file=table.file, concept=make.concept)
                self.result.files.append(counts)
                later: list[tuple[Row, str, dict[str, Rule]]] = []
                for start in range(0, len(table.rows), BATCH):
                    rows = table.rows[start : start + BATCH]
                    yield partial(self._batch, source, table, make, rows, counts, later)
                    self.progress(table.file, min(start + BATCH, len(table.rows)), len(table.rows))
                for start in range(0, len(later), BATCH):
                    part = later[start : start + BATCH]
                    yield partial(self._late, source, table, make, part, counts)

    def _batch(
        self, source: Source, table: Table, make: Make, rows: Sequence[Row],
        counts: FileResult, later: list[tuple[Row, str, dict[str, Rule]]], s: Session,
    ) -> None:  # fmt: skip
        concept = CONCEPTS[make.concept]
        look = Lookups(s)
        records_of_rows = [table.record(row) for row in rows]
        look.prepare(source, make, records_of_rows, self._child_rows)
        mapped: list[tuple[Row, Mapped]] = []
        for row, record in zip(rows, records_of_rows, strict=True):
            if self.result.stopped:
                break  # the rows before it are still taken
            counts.read += 1
            if make.when and not record.get(make.when):
                counts.skipped += 1
                continue
            try:
                mapped.append((row, map_row(source, make, record, look, self._child_rows)))
            except BadRow as bad:
                self._failed(counts, row, bad.cells)
        here = look.existing(concept, make.match, [(m.values, m.once) for _, m in mapped])
        stored = _items(s, self.by, concept, [r for r in here.values() if r.alive])
        with search.together(s):
            self._take(s, concept, make, look, mapped, here, stored, counts, later)

    def _take(
        self, s: Session, concept: Concept, make: Make, look: Lookups, mapped: Sequence[tuple[Row, Mapped]],
        here: dict[Key | None, Any], stored: dict[str, Mapping[str, Any]], counts: FileResult,
        later: list[tuple[Row, str, dict[str, Rule]]],
    ) -> None:  # fmt: skip
        made: list[str] = []
        for row, one in mapped:
            key = look.key(concept, make.match, one.values, one.once)
            there = here.get(key)
            try:
                with s.begin_nested():
                    id = self._row(s, concept, make, one, there, stored, counts, look)
                    if there is None:
                        made.append(id)
                    if there is None and key is not None:
                        here[key] = s.get_one(concept.model, id)  # a second row of the same key updates it
                if one.postponed and id:
                    later.append((row, id, one.postponed))
            except (KoggeError, StatementError) as error:
                self._failed(counts, row, _cells(make, error))
                if self.result.stopped:
                    break
        if concept.singular in ("company", "person"):
            duplicates.find_pairs(s, concept.singular, made)

    def _row(
        self, s: Session, concept: Concept, make: Make, one: Mapped, there: Any,
        stored: dict[str, Mapping[str, Any]], counts: FileResult, look: Lookups,
    ) -> str:  # fmt: skip
        if there is None:
            values = {**one.values, **one.once}
            for name in one.unique:
                values[name] = look.free(concept, name, str(values[name]))
            row = records.create(s, self.by, concept, values)
            if "post" in make.then:
                posting.post(s, self.by, row.id)
            counts.created += 1
            return str(row.id)
        if not there.alive or getattr(there, "merged_into", None):
            counts.skipped += 1
            return ""
        if there.id not in stored:  # made by a row of this batch
            stored.update(_items(s, self.by, concept, [there]))
        changed = {name: v for name, v in one.values.items() if not same(concept, name, v, stored[there.id].get(name))}
        if not changed:
            counts.unchanged += 1
            return str(there.id)
        records.update(s, self.by, concept, there.id, changed)
        counts.updated += 1
        return str(there.id)

    def _late(
        self, source: Source, table: Table, make: Make,
        part: Sequence[tuple[Row, str, Mapping[str, Rule]]], counts: FileResult, s: Session,
    ) -> None:  # fmt: skip
        """Look-ups among the records of this same file, whose rows stood further down."""
        concept = CONCEPTS[make.concept]
        look = Lookups(s)
        rows = [table.record(row) for row, _, _ in part]
        look.prepare(source, make, rows, self._child_rows)
        for (row, id, rules), record in zip(part, rows, strict=True):
            late = Make(concept=make.concept, match=(), fields=dict(rules))
            values = map_row(source, late, record, look, self._child_rows)
            lost = [
                (rules[n].columns[0], f"There is no record “{record[rules[n].columns[0]]}” among the {make.concept}.")
                for n in values.postponed
                if not rules[n].optional
            ]
            if lost:
                self._failed(counts, row, lost, count=False)
            if values.values:
                records.update(s, self.by, concept, id, values.values)

    def _child_rows(self, rule: Children, record: Mapping[str, str]) -> list[dict[str, str]]:
        rows = self.plan.children[rule.file][rule.on].get(record.get(rule.to, ""), [])
        return sorted(rows, key=lambda r: _natural(r[rule.sort])) if rule.sort else rows

    def _failed(self, counts: FileResult, row: Row, cells: Sequence[tuple[str, str]], *, count: bool = True) -> None:
        counts.failed += count
        room = ERRORS_MAX - len(counts.errors)
        counts.errors += [
            RowError(file=counts.file, line=row.line, column=column, sentence=text) for column, text in cells[:room]
        ]
        if self.stop_on_error:
            self.result.stopped = True


def _items(s: Session, by: Actor, concept: Concept, rows: Sequence[Any]) -> dict[str, Mapping[str, Any]]:
    return {item["id"]: item for item in records.items(s, by, concept, rows)} if rows else {}


def _cells(make: Make, error: KoggeError | StatementError) -> list[tuple[str, str]]:
    """The columns behind the fields that an action (or the database itself) did not take."""
    if isinstance(error, StatementError):
        return [("", f"The database does not take this row: {error.orig}.")]
    if not isinstance(error, Invalid):
        return [("", error.message)]
    cells = []
    for name, sentence in error.fields.items():
        rule = make.fields.get(name.split(".")[0].split("[")[0])
        columns: tuple[str, ...] = ()
        if isinstance(rule, Rule):
            columns = rule.columns
        elif isinstance(rule, Parts):
            columns = tuple(c for part in rule.each for r in part.values() for c in r.columns)
        cells.append((", ".join(columns) or name, sentence))
    return cells


def _natural(text: str) -> tuple[int, str]:
    return (int(text), "") if text.isdecimal() else (0, text)


__all__ = ["FileResult", "Plan", "Result", "RowError", "import_files", "make_plan"]
