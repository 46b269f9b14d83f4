"""Executable model of the Kogge exchange: what a branch and the hub must agree on.

A model, not an implementation: rows are dicts, the network is a function call.
It fixes the *rules*; storage, wire format and speed are the project's.

The rules, in one breath
------------------------
* A branch logs every local change as (life, seq, row, {column: (old, new)}, seen, at).
  `seen` is the hub revision the branch had applied when the user typed. A *life* is
  a random number drawn each time a process opens the database: a copy restored from
  a backup, or cloned, can therefore never use a (life, seq) for the second time.
* A branch sends what is not yet acknowledged; the hub gives each accepted change
  the next *revision* and answers with the newest revision of every cell above the
  branch's watermark, except what the branch says it has written itself. Both sides
  commit data and position in one transaction, so any message may be lost, repeated
  or late.
* A branch's successive edits of one cell within a message count as one, which has
  seen no more than the first of them had.
* Two edits of one cell are in conflict when the later-arriving one had not seen
  the other: cell.since > seen, and the cell was written by somebody else.
  Clocks never *detect* a conflict, they only help to decide one.
* A cell has two numbers: `since`, the revision that brought its value, says who has seen
  it; `revision`, the last that carried it, says whom it must still be sent. To send a
  cell again does not make it news: who overwrites what was on screen never loses to it.
* An edit beats a delete that had not seen it, whichever arrives first: a delete (or a
  merge) is informed only if its author had seen every cell of the row.
* A field group (street and town) *is* one cell: a change of one of its columns carries
  all of them, as they stood on screen. So it is decided, journalled and sent as one.
* The hub's own users edit the hub's database. Their edits become revisions before any
  message is looked at; so they had seen everything. Their life is the hub's timeline.
* The loser is written to the conflict journal, which travels like any other table.
  Whatever the hub decides, even that both typed the same, gets a fresh revision,
  so that the office that had not seen it learns it.
* A branch never overwrites a cell that it has changed and not yet had answered;
  further edits of such a cell have seen no more than the first one had, nor the
  news that was thus kept from the screen.
* A hub that was restored from a backup starts a new *timeline*. It tells a branch
  that knows more how far both still agree. The branch then offers again what it had
  sent since, and *echoes* what it had received from others since; the hub answers
  every row that was mentioned. A branch may forget what it sent and received only
  up to what the hub has declared *safe*: contained in a verified backup.

Buckets: which rows an office holds
-----------------------------------
* A row's bucket is a cell; an office has a set of buckets. The hub alone filters, by the
  bucket that it holds now. Where not everybody holds a row, its key is drawn once.
* Whenever the bucket of a row is decided, the row is sent *whole* to everybody below that
  revision: all its cells, also those the office wrote itself (it may have evicted them),
  and its conflicts; or, out of scope, nothing, which means: evict it.
* An office evicts a row when none of its edits of it is unanswered. Until then it stays on
  screen, and what is typed into it has seen only what had arrived before it left.
* An office's edit of a row out of its scope counts and is checked like any other.
* An eviction is echoed as well: a restored hub may never have heard of the move. The hub
  answers every row that was mentioned, whole. What an office has echoed of rows that it
  does not get back, it keeps until it is safe, with what both agreed on at that time: the
  hub may go back in time once more, and nobody else may know it.

Duplicates
----------
* To merge a row into another replaces it by an alias, which is in everybody's scope and
  permanent: the first one stays. Rows that anybody has called the same become one: a
  later merge of the same row merges the survivors; a merge of the same is answered whole.
* References are not rewritten: who follows one follows the aliases. So a late child of a
  merged row is the survivor's on every node.
* What the merging user had not seen, and every edit that comes later, *lands* on the
  survivor, blind: its author had another row on screen. A landed cell remembers its origin:
  it is not its author's own there (it is sent to him, and he has not seen it).
* A merge that is only echoed lands everything: nobody knows what its author had seen.

Left to the engine: quarantine of aggregates, a change of an office's buckets.

This copy differs from the design's. A branch remembers what it has written even of lives that are safe and forgotten,
so its own old edit is never news to it. And three things change no rule: cells of a merged row land, and echoed cells
are taken, in a fixed order (existence first, then by name; merges after all else); an edit that changes nothing is none
(triggers do not see it); and `simulate` tells a `Mirror` what happens, so that the real engine can live the same life.

Run: python3 -m tests.simulation.exchange_model [runs] [first_seed] [features, comma separated, or none]
"""

from __future__ import annotations

import copy
import itertools
import random
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeVar

ALIVE = "_alive"  # existence of a row is a cell like any other
BUCKET = "_bucket"  # so is what decides which offices hold it
MERGED = "_merged"  # so is the row that a duplicate was merged into
GROUPS = {"street": "address", "town": "address"}  # columns that are one cell
Key = tuple[str, str]
Life = int
Writer = tuple[str, Life]
HUB: Writer = ("hub", 0)  # of what the hub itself decides


@dataclass(frozen=True)
class Change:
    """One local change of one row: columns map to (old, new)."""

    life: Life
    seq: int
    key: Key
    columns: dict[str, tuple[Any, Any]]
    seen: int
    at: int
    edit: int  # ground truth for the checker only; not part of the protocol


@dataclass(frozen=True)
class Cell:
    value: Any
    since: int  # the revision that brought this value: who has seen less has not seen it
    revision: int  # the last one that carried it: whose watermark is lower is sent it
    writer: Writer
    seq: int
    at: int
    edit: int
    origin: Key  # the row that it was typed into: another one, if that has been merged into this


@dataclass(frozen=True)
class Revision:
    """What the hub has accepted or decided."""

    number: int
    key: Key
    cells: dict[str, Cell]
    whole: bool = False  # these cells are the row; none: it is no longer in the branch's scope
    agreed: int = sys.maxsize  # of what a branch had from a lost timeline: up to where it was like this one


@dataclass(frozen=True)
class Conflict:
    revision: int  # at which it was decided
    key: Key
    column: str
    winner: Cell
    loser: Cell

    @property
    def identity(self) -> tuple[Key, str, Writer, int, Writer, int]:
        """Both a hub and a branch that remembers another timeline name it alike."""
        return self.key, self.column, self.winner.writer, self.winner.seq, self.loser.writer, self.loser.seq


@dataclass(frozen=True)
class Safe:
    """Contained in a verified backup of the hub: may be forgotten by the branch."""

    revision: int = 0
    acked: dict[Life, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Message:
    node: str
    history: tuple[tuple[int, int], ...]  # (timeline, last revision applied under it), oldest first
    written: dict[Life, int]  # what the branch has in its log, per life
    acked: dict[Life, int]  # what the branch believes the hub has
    changes: tuple[Change, ...]
    recovering: int = 0  # the timeline that has asked for it
    echoes: tuple[Revision, ...] = ()  # only then: what others had told us since
    conflicts: tuple[Conflict, ...] = ()  # likewise

    @property
    def watermark(self) -> int:
        return self.history[-1][1]


@dataclass(frozen=True)
class Reply:
    life: Life  # of the process that asked
    history: tuple[tuple[int, int], ...]  # that it had when it asked
    recovering: int  # likewise
    timeline: int
    acked: dict[Life, int]
    watermark: int
    recover: bool = False  # the hub went back in time, both agree up to `watermark`: recover, ask again
    revisions: tuple[Revision, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    safe: Safe = Safe()


def net(changes: list[Change]) -> list[Change]:
    """Collapse a branch's successive edits of one cell: the last value, the least seen."""
    seen: dict[tuple[Key, str], int] = {}
    last: dict[tuple[Key, str], tuple[int, Change]] = {}
    for position, change in enumerate(changes):
        for column in change.columns:
            cell = (change.key, column)
            seen[cell] = min(seen.get(cell, change.seen), change.seen)
            last[cell] = (position, change)
    merged: dict[tuple[int, int], Change] = {}
    for (key, column), (position, change) in last.items():
        part = (position, seen[key, column])
        columns = merged[part].columns if part in merged else {}
        merged[part] = replace(change, seen=part[1], columns=columns | {column: change.columns[column]})
    return [merged[part] for part in sorted(merged)]


def newest(revisions: list[Revision]) -> list[Revision]:
    """Each cell's newest revision only, in order."""
    result, done = [], set()
    for r in reversed(revisions):
        cells = {c: cell for c, cell in r.cells.items() if (r.key, c) not in done}
        done |= {(r.key, c) for c in cells}
        if cells or r.whole:
            result.append(replace(r, cells=cells))
    return result[::-1]


def as_cells(values: dict[str, Any], screen: dict[str, tuple[Any, int]]) -> dict[str, Any]:
    """What a user has typed, per cell: a group with all its columns, as they stood on screen."""
    cells: dict[str, Any] = {}
    for column, value in values.items():
        group = GROUPS.get(column)
        if group:
            cells[group] = {**screen.get(group, ({}, 0))[0], **cells.get(group, {}), column: value}
        else:
            cells[column] = value
    return cells


def in_order(cells: dict[str, Cell]) -> list[tuple[str, Cell]]:
    return sorted(cells.items(), key=lambda c: (c[0] != ALIVE, c[0]))


Informed = Callable[[Change, Cell], bool]


def echo_informed(column: str, cell: Cell, agreed: int) -> Informed:
    """Nobody knows what the author of a merge that is only echoed had seen."""

    def informed(_: Change, now: Cell) -> bool:
        return column != MERGED and (now.since <= agreed or (now.writer, now.origin) == (cell.writer, cell.origin))

    return informed


@dataclass
class Hub:
    timelines: list[tuple[int, int]] = field(default_factory=lambda: [(1, 0)])  # (timeline, revision it began at)
    cells: dict[Key, dict[str, Cell]] = field(default_factory=dict)
    log: list[Revision] = field(default_factory=list)
    whole: dict[Key, int] = field(default_factory=dict)  # the revision at which a row last changed its bucket
    told: dict[Writer, int] = field(default_factory=dict)  # the last seq that each life of an office has told us
    drafts: list[Change] = field(default_factory=list)  # our own users' edits, not yet revisions
    scopes: dict[str, frozenset[str]] = field(default_factory=dict)  # the buckets of an office; all, if it is not named
    safe: dict[str, Safe] = field(default_factory=dict)
    journal: list[Conflict] = field(default_factory=list)
    agreed: dict[tuple[int, str], int] = field(default_factory=dict)  # for the checker: both typed the same

    def screen(self, key: Key) -> dict[str, tuple[Any, int]]:
        row = {c: (cell.value, cell.edit) for c, cell in self.cells.get(key, {}).items()}
        for draft in self.drafts:
            if draft.key == key:
                row |= {c: (new, draft.edit) for c, (_, new) in draft.columns.items()}
        return row

    def edit(self, key: Key, values: dict[str, Any], at: int, edit: int) -> dict[str, int]:
        """Apply an edit by one of the hub's own users; return the edits it replaced, per column."""
        row, life = self.screen(key), self.timelines[-1][0]
        seq = max([self.told.get(("hub", life), 0)] + [d.seq for d in self.drafts if d.life == life]) + 1
        columns = {c: (row.get(c, (None, 0))[0], new) for c, new in values.items()}
        self.drafts.append(Change(life, seq, key, columns, len(self.log), at, edit))
        return {c: row[c][1] for c in values if c in row}

    def _fold(self) -> None:
        for draft in self.drafts:
            self._apply(draft, ("hub", draft.life), lambda *_: True)
            self.told["hub", draft.life] = draft.seq
        self.drafts.clear()

    def exchange(self, message: Message) -> Reply:
        self._fold()
        node, timeline = message.node, self.timelines[-1][0]
        acked = {life: self.told.get((node, life), 0) for life in message.written}
        asked = (list(message.written)[-1], message.history, message.recovering, timeline, acked)
        agreed = self._agreed(message)
        ahead = agreed < message.watermark or any(seq > acked.get(life, 0) for life, seq in message.acked.items())
        recovering = message.recovering == timeline
        if ahead and not recovering:
            return Reply(*asked, agreed, recover=True)

        heard: dict[tuple[Key, Writer, int], int] = {}
        for echo in sorted(message.echoes, key=lambda e: (MERGED in e.cells, e.key)):
            self._hear(echo, min(agreed, echo.agreed))
            heard |= {(echo.key, cell.writer, cell.seq): echo.number for cell in echo.cells.values()}
        known = {c.identity for c in self.journal}
        for conflict in message.conflicts:
            if conflict.identity not in known:
                self._note(conflict.key, conflict.column, conflict.winner, conflict.loser)

        def own(key: Key, cell: Cell) -> bool:
            return cell.origin == key and cell.writer[0] == node and cell.seq <= message.written.get(cell.writer[1], 0)

        def informed(change: Change, cell: Cell) -> bool:
            """Had the author of the change seen what the cell holds now?"""
            echoed = heard.get((change.key, cell.writer, cell.seq), change.seen + 1) <= change.seen
            return own(change.key, cell) or echoed or cell.since <= min(change.seen, agreed)

        for change in net([c for c in message.changes if c.seq > acked[c.life]]):
            self._apply(change, (node, change.life), informed)
        for change in message.changes:
            acked[change.life] = max(acked[change.life], change.seq)
        self.told |= {(node, life): seq for life, seq in acked.items()}

        whole = {key: at for key, at in self.whole.items() if at > agreed}
        if recovering:  # it may hold what is no more, or lack what is again
            whole |= {key: len(self.log) for key in [e.key for e in message.echoes] + [c.key for c in message.changes]}
        news = []
        for key, at in whole.items():
            cells = dict(self.cells.get(key, {})) if self.in_scope(node, key) else {}
            news.append(Revision(max([at] + [cell.revision for cell in cells.values()]), key, cells, whole=True))
        for r in newest(self.log[agreed:]):
            cells = {c: cell for c, cell in r.cells.items() if recovering or not own(r.key, cell)}
            if cells and r.key not in whole and self.in_scope(node, r.key):
                news.append(replace(r, cells=cells))
        conflicts = [c for c in self.journal if (c.revision > agreed or c.key in whole) and self.in_scope(node, c.key)]
        return Reply(*asked, len(self.log), False, tuple(news), tuple(conflicts), self.safe.get(node, Safe()))

    def in_scope(self, node: str, key: Key) -> bool:
        bucket = self.cells.get(key, {}).get(BUCKET)
        return bucket is None or node not in self.scopes or bucket.value in self.scopes[node]

    def _agreed(self, message: Message) -> int:
        """The last revision at which the branch's past and ours are the same."""
        begins = [at for _, at in self.timelines[1:]] + [len(self.log)]
        ends = dict(zip([t for t, _ in self.timelines], begins, strict=True))
        for timeline, revision in reversed(message.history):
            if timeline in ends:
                return min(revision, ends[timeline])
        return 0

    def _hear(self, echo: Revision, agreed: int) -> None:
        """Take from a third party what a lost timeline had accepted, unless its writer has told us."""
        row = self.cells.get(echo.key, {})
        for column, cell in in_order(echo.cells):
            if cell.seq > self.told.get(cell.writer, 0) or row.keys().isdisjoint({column, MERGED}):
                columns = {column: (None, cell.value)}
                change = Change(cell.writer[1], cell.seq, echo.key, columns, agreed, cell.at, cell.edit)
                self._apply(change, cell.writer, echo_informed(column, cell, agreed), cell.origin)

    def resolve(self, key: Key) -> Key:
        while MERGED in self.cells.get(key, {}):
            key = self.cells[key][MERGED].value
        return key

    def _merge(self, change: Change, writer: Writer, informed: Informed, origin: Key) -> None:
        """All rows that anybody has called the same become one; the first alias of a row stays."""
        loser, survivor = self.resolve(change.key), self.resolve(change.columns[MERGED][1])
        if loser == survivor:
            self.agreed[change.edit, MERGED] = change.edit
        else:
            for column, cell in in_order(self.cells.pop(loser, {})):
                if loser != change.key or not informed(change, cell):  # who merged them had not seen it
                    columns = {column: (None, cell.value)}
                    late = Change(cell.writer[1], cell.seq, survivor, columns, 0, cell.at, cell.edit)
                    self._apply(late, cell.writer, lambda *_: False, cell.origin)
            number = len(self.log) + 1
            alias = Cell(survivor, number, number, writer, change.seq, change.at, change.edit, origin)
            self.cells[loser] = {MERGED: alias}
            self.log.append(Revision(number, loser, {MERGED: alias}))
        self.log.append(Revision(len(self.log) + 1, change.key, {}))
        self.whole |= {change.key: len(self.log), loser: len(self.log)}

    def _apply(self, change: Change, writer: Writer, informed: Informed, origin: Key | None = None) -> None:
        origin = origin or change.key
        if MERGED in change.columns:
            return self._merge(change, writer, informed, origin)
        if self.resolve(change.key) != change.key:  # it lands on the survivor, which its author had not on screen
            change = replace(change, key=self.resolve(change.key))
            typed = origin

            def same(_: Change, cell: Cell) -> bool:
                return cell.writer == writer and cell.origin == typed

            informed = same
        row = self.cells.setdefault(change.key, {})
        mine = Cell(None, 0, 0, writer, change.seq, change.at, change.edit, origin)
        touched: set[str] = set()
        deletes = change.columns.get(ALIVE, (None, True))[1] is False
        alive = row.get(ALIVE)
        if alive and not alive.value and ALIVE not in change.columns and not informed(change, alive):
            # edited here, deleted there, neither saw the other: the edit keeps the row
            row[ALIVE] = replace(mine, value=True, writer=HUB, seq=0)
            self._note(change.key, ALIVE, row[ALIVE], alive)
            touched |= row.keys()
        if deletes and (not alive or alive.value) and not all(informed(change, cell) for cell in row.values()):
            row[ALIVE] = replace(alive or mine, value=True, writer=HUB, seq=0)  # likewise, the other way round
            self._note(change.key, ALIVE, row[ALIVE], replace(mine, value=False))
            touched |= row.keys()
            change = replace(change, columns={c: v for c, v in change.columns.items() if c != ALIVE})
        for column, (_, new) in change.columns.items():
            cell = row.get(column)
            if cell and cell.writer == writer and cell.seq >= change.seq and cell.origin == origin:
                continue  # heard from somebody else already
            if cell is None or informed(change, cell):
                row[column] = replace(mine, value=new)
                touched.add(column)
            elif cell.value == new:
                self.agreed[change.edit, column] = cell.edit
                touched.add(column)
            else:
                wins = bool(new) if column == ALIVE else (change.at, writer) > (cell.at, cell.writer)
                winner, loser = (replace(mine, value=new), cell) if wins else (cell, replace(mine, value=new))
                self._note(change.key, column, winner, loser)
                row[column] = winner
                touched |= row.keys() if column == ALIVE and winner.value else {column}
        if touched:
            number = len(self.log) + 1
            row |= {c: replace(row[c], since=row[c].since or number, revision=number) for c in touched}
            self.log.append(Revision(number, change.key, {c: row[c] for c in touched}))
            if BUCKET in touched:
                self.whole[change.key] = number

    def _note(self, key: Key, column: str, winner: Cell, loser: Cell) -> None:
        self.journal.append(Conflict(len(self.log) + 1, key, column, winner, loser))
        self.log.append(Revision(len(self.log) + 1, key, {}))


@dataclass
class Branch:
    name: str
    life: Life
    seq: int = 0
    history: list[tuple[int, int]] = field(default_factory=lambda: [(1, 0)])
    acked: dict[Life, int] = field(default_factory=dict)
    rows: dict[Key, dict[str, tuple[Any, int]]] = field(default_factory=dict)  # column -> (value, edit)
    log: list[Change] = field(default_factory=list)  # everything not yet safe
    received: list[Revision] = field(default_factory=list)  # everything not yet safe
    journal: list[Conflict] = field(default_factory=list)
    hidden: dict[tuple[Key, str], int] = field(default_factory=dict)  # cells whose news was not shown: last seen
    leaving: dict[Key, int] = field(default_factory=dict)  # rows to evict once our edits are answered: last seen
    recovering: int = 0
    agreed: int = 0
    wrote: dict[Life, int] = field(default_factory=dict)  # the last seq of each life, also of what is forgotten

    @property
    def watermark(self) -> int:
        return self.history[-1][1]

    @property
    def pending(self) -> list[Change]:
        return [c for c in self.log if c.seq > self.acked.get(c.life, 0)]

    def screen(self, key: Key) -> dict[str, tuple[Any, int]]:
        return self.rows.get(key, {})

    def edit(self, key: Key, values: dict[str, Any], at: int, edit: int) -> dict[str, int]:
        """Apply a user's edit; return the edits it replaced, per column."""
        row, shown = self.rows.setdefault(key, {}), self.leaving.get(key, self.watermark)
        if values.get(ALIVE) is False or MERGED in values:  # who removes a row must have seen all of it
            shown = min([shown] + [seen for (k, _), seen in self.hidden.items() if k == key])
        replaced = {c: row[c][1] for c in values if c in row}
        parts: dict[int, dict[str, tuple[Any, Any]]] = {}
        for column, new in values.items():
            seen = min([p.seen for p in self.pending if p.key == key and column in p.columns], default=shown)
            seen = min(seen, shown, self.hidden.get((key, column), seen))
            parts.setdefault(seen, {})[column] = (row.get(column, (None, 0))[0], new)
            row[column] = (new, edit)
        for seen, columns in parts.items():
            self.seq += 1
            self.wrote[self.life] = self.seq
            self.log.append(Change(self.life, self.seq, key, columns, seen, at, edit))
        if MERGED in values:  # the alias is all that remains
            self.rows[key] = {MERGED: row[MERGED]}
        return replaced

    def message(self) -> Message:
        written = {life: seq for life, seq in self.wrote.items() if life != self.life} | {self.life: self.seq}
        acked = {life: seq for life, seq in self.acked.items() if life in written}
        message = Message(self.name, tuple(self.history), written, acked, tuple(self.pending))
        if not self.recovering:
            return message
        echoes = newest([r for r in self.received if r.number > self.agreed])
        conflicts = [c for c in self.journal if c.revision > self.agreed]
        return replace(message, recovering=self.recovering, echoes=tuple(echoes), conflicts=tuple(conflicts))

    def apply(self, reply: Reply) -> None:
        timeline = self.history[-1][0]
        if reply.life != self.life or reply.timeline < max(timeline, self.recovering):
            return  # an answer to a process, or from a timeline, that is no more
        if reply.timeline > timeline:
            if reply.history != tuple(self.history):
                return  # we have moved since we asked
            if reply.recover:
                self.recovering, self.agreed, self.acked = reply.timeline, reply.watermark, dict(reply.acked)
            elif reply.recovering == self.recovering:
                self._take(reply)
        elif reply.watermark >= self.watermark and not reply.recover:
            self._take(reply)

    def _take(self, reply: Reply) -> None:
        travelled = reply.timeline > self.history[-1][0]
        if travelled:
            agreed = self.agreed if self.recovering else self.watermark  # it went back, but not behind us
            # what we have echoed of rows that are not ours now, nobody tells us again: keep it until it is safe
            told = {r.key for r in reply.revisions if r.cells}
            echoed = [
                replace(r, number=reply.watermark, agreed=min(r.agreed, agreed))
                for r in self.received
                if r.number > agreed and r.key not in told
            ]
            self.received = [r for r in self.received if r.number <= agreed] + echoed
            self.journal = [c if c.revision <= agreed else replace(c, revision=reply.watermark) for c in self.journal]
            self.log = [replace(c, seen=min(c.seen, agreed)) for c in self.log]
            self.hidden = {cell: min(seen, agreed) for cell, seen in self.hidden.items()}
            self.leaving = {key: min(seen, agreed) for key, seen in self.leaving.items()}
            self.history = [(t, min(r, agreed)) for t, r in self.history] + [(reply.timeline, agreed)]
            self.recovering = 0
        for life, seq in reply.acked.items():
            self.acked[life] = max(self.acked.get(life, 0), seq)
        known = {c.identity for c in self.journal}
        self.journal += [c for c in reply.conflicts if c.identity not in known]
        for revision in reply.revisions:
            if revision.number > self.watermark or travelled:
                self._show(revision)
                self.received.append(revision)
        for key in self.leaving.keys() - {p.key for p in self.pending}:
            del self.leaving[key]
            row = self.rows.pop(key)
            if MERGED in row:
                self.rows[key] = {MERGED: row[MERGED]}
            self.hidden = {cell: seen for cell, seen in self.hidden.items() if cell[0] != key}
        self.history[-1] = (reply.timeline, reply.watermark)
        self.received = [r for r in self.received if r.number > reply.safe.revision]
        self.log = [c for c in self.log if c.seq > min(reply.safe.acked.get(c.life, 0), self.acked.get(c.life, 0))]

    def _show(self, news: Revision) -> None:
        row = self.rows.setdefault(news.key, {})
        seen = self.leaving.pop(news.key, self.watermark)
        busy = {c for p in self.pending if p.key == news.key for c in p.columns}
        if news.whole:
            evicted = not news.cells
            for column in ({MERGED} if evicted else row.keys()) - news.cells.keys() - busy:
                row.pop(column, None)
            if evicted or MERGED in news.cells:
                self.leaving[news.key] = seen
        for column, cell in news.cells.items():
            if column in busy:
                self.hidden.setdefault((news.key, column), seen)
            else:
                row[column] = (cell.value, cell.edit)
                self.hidden.pop((news.key, column), None)

    def reopen(self, life: Life) -> None:
        self.life, self.seq = life, 0


class Mirror(Protocol):
    """Whoever lives the same life. A branch is named by its office; messages and replies are named by numbers."""

    def start(self, lives: dict[str, Life], scopes: dict[str, frozenset[str]]) -> None: ...
    def edit(self, office: str, key: Key, values: dict[str, Any], at: int, edit: int) -> None: ...
    def ask(self, office: str) -> int: ...
    def exchange(self, message: int, hub: Hub) -> int: ...
    def apply(self, office: str, reply: int, branch: Branch) -> None: ...
    def backup(self, office: str) -> None: ...
    def reopen(self, office: str, life: Life) -> None: ...
    def restore(self, office: str, life: Life) -> None: ...
    def backup_hub(self) -> None: ...
    def restore_hub(self, timeline: int) -> None: ...


class Alone:
    """Nobody does."""

    def start(self, lives: dict[str, Life], scopes: dict[str, frozenset[str]]) -> None: ...
    def edit(self, office: str, key: Key, values: dict[str, Any], at: int, edit: int) -> None: ...

    def ask(self, office: str) -> int:
        return 0

    def exchange(self, message: int, hub: Hub) -> int:
        return 0

    def apply(self, office: str, reply: int, branch: Branch) -> None: ...
    def backup(self, office: str) -> None: ...
    def reopen(self, office: str, life: Life) -> None: ...
    def restore(self, office: str, life: Life) -> None: ...
    def backup_hub(self) -> None: ...
    def restore_hub(self, timeline: int) -> None: ...


FEATURES = frozenset({"hub users", "groups", "buckets", "merge"})


Node = TypeVar("Node", Hub, Branch)


def backup(node: Node) -> Node:
    """A copy to restore from: only the containers, what they hold never changes."""
    twin = copy.copy(node)
    for name, value in vars(node).items():
        if isinstance(value, dict):
            setattr(twin, name, {k: dict(v) if isinstance(v, dict) else v for k, v in value.items()})
        elif isinstance(value, list):
            setattr(twin, name, list(value))
    return twin


def held_by(hub: Hub) -> set[int]:
    return {cell.edit for r in hub.log for cell in r.cells.values()} | {draft.edit for draft in hub.drafts}


def received_by(branch: Branch) -> set[int]:
    return {cell.edit for revision in branch.received for cell in revision.cells.values()}


def simulate(
    seed: int,
    disasters: bool = True,
    features: frozenset[str] = FEATURES,
    mirror: Mirror | None = None,
    restores: bool = True,
) -> tuple[Hub, list[Branch], dict[str, int]]:
    """One random life of a company; raise AssertionError where a promise is broken."""
    twin = mirror or Alone()
    rng = random.Random(seed)
    hub = Hub()
    lives = itertools.count(1)
    branches = [Branch(f"office-{i}", next(lives)) for i in range(rng.randint(2, 5))]
    skew = {b.name: rng.choice([0, 0, 0, -10_000, 10_000, 40_000]) for b in branches}
    keys = [("customer", f"c{i}") for i in range(rng.randint(1, 6))]
    columns = ["name", "street", "town"] if "groups" in features else ["name", "phone", "city"]
    buckets = ["shared"] + [b.name for b in branches]
    if "buckets" in features:
        for b in branches:
            hub.scopes[b.name] = frozenset({"shared", b.name} | set(rng.sample(buckets, rng.randint(0, 1))))
    twin.start({b.name: b.life for b in branches}, hub.scopes)
    edits = 0
    drawn: set[Key] = set()  # where a row is not everywhere, its key is drawn once
    addresses: list[dict[str, str]] = []  # that somebody had on screen
    hubs_own: set[int] = set()  # edits of the hub's users
    saw: dict[int, set[int]] = {}  # what was on screen when a row was deleted
    informed: set[tuple[int, int, str]] = set()  # (edit, an edit that it had on screen, column)
    superseded: set[tuple[int, str]] = set()  # a later edit had it on screen
    placed: dict[tuple[int, str], tuple[Key, Any]] = {}
    gone: set[int] = set()  # edits that went down with an office's disk (the hub may still have them)
    in_flight: list[tuple[str, Reply, int]] = []
    backups: dict[str, Branch] = {}
    hub_backup = backup(hub)
    timelines = 1
    agreed: dict[tuple[int, str], int] = {}
    stats = {"edits": 0, "conflicts": 0, "branch_restores": 0, "hub_restores": 0, "lost_messages": 0}

    for clock in range(rng.randint(20, 150)):
        branch = rng.choice(branches)
        action = rng.random()
        if action < 0.52:
            at_hub = "hub users" in features and rng.random() < 0.15
            author: Hub | Branch = hub if at_hub else branch
            key = rng.choice(keys)
            if "buckets" in features and not author.screen(key):
                held = [k for k in keys if author.screen(k)]
                if key in drawn and not held:
                    continue
                if key in drawn or (held and rng.random() < 0.5):
                    key = rng.choice(held)
            drawn.add(key)
            screen = dict(author.screen(key))
            if MERGED in screen:
                continue
            twins = [k for k in keys if k != key and {ALIVE, MERGED} & author.screen(k).keys() == {ALIVE}]
            edits += 1
            if not screen.get(ALIVE, (False, 0))[0]:
                values: dict[str, Any] = {ALIVE: True} | {c: f"v{edits}{c}" for c in columns}
                if "buckets" in features and (BUCKET not in screen or rng.random() < 0.2):
                    values[BUCKET] = rng.choice(buckets if at_hub else ["shared", branch.name])
            elif rng.random() < 0.12:
                values = {ALIVE: False}
            elif "merge" in features and twins and rng.random() < 0.1:
                values = {MERGED: rng.choice(twins)}
                superseded |= {(edit, c) for c, (_, edit) in screen.items()}
            elif "buckets" in features and rng.random() < 0.2:
                values = {BUCKET: rng.choice(buckets)}
            else:
                values = {c: f"v{edits}{c}" for c in rng.sample(columns, rng.randint(1, 2))}
            if GROUPS.keys() & values.keys():
                before = screen.get("address", ({}, 0))[0]
                addresses.append({c: values.get(c, before.get(c)) for c in GROUPS})
            values = as_cells(values, screen)
            values = {c: v for c, v in values.items() if c not in screen or screen[c][0] != v}
            if not values:
                continue
            twin.edit(
                "hub" if at_hub else branch.name, key, values, clock + (0 if at_hub else skew[branch.name]), edits
            )
            replaced = author.edit(key, values, clock + (0 if at_hub else skew[branch.name]), edits)
            if at_hub:
                hubs_own.add(edits)
            if values.get(ALIVE) is False:
                saw[edits] = {edit for _, edit in screen.values()}
            for c, v in values.items():
                placed[edits, c] = (key, v)
                if replaced.get(c):
                    superseded.add((replaced[c], c))
                    informed.add((edits, replaced[c], c))
            stats["edits"] += 1
        elif action < 0.88:
            message, sent = branch.message(), twin.ask(branch.name)
            if rng.random() < 0.15:
                stats["lost_messages"] += 1
                continue
            reply = hub.exchange(message)
            answered = twin.exchange(sent, hub)
            if rng.random() < 0.1:
                reply = hub.exchange(message)  # delivered twice
                answered = twin.exchange(sent, hub)
            fate = rng.random()
            if fate < 0.15:
                stats["lost_messages"] += 1
            elif fate < 0.30:
                in_flight.append((branch.name, reply, answered))  # arrives late, maybe after newer ones
            else:
                branch.apply(reply)
                twin.apply(branch.name, answered, branch)
        elif action < 0.93 and in_flight:
            office, reply, answered = in_flight.pop(
                rng.randrange(len(in_flight))
            )  # the process that asked may be no more
            asker = next(b for b in branches if b.name == office)
            asker.apply(reply)
            twin.apply(office, answered, asker)
        elif action < 0.95:
            backups[branch.name] = backup(branch)
            twin.backup(branch.name)
            if rng.random() < 0.5:
                branch.reopen(next(lives))  # an ordinary restart
                twin.reopen(branch.name, branch.life)
        elif action < 0.97:
            if branch.name in backups and rng.random() < 0.6 and restores:
                gone |= {c.edit for c in branch.log} | (hubs_own & received_by(branch)) - held_by(hub)
                old = backup(backups[branch.name])
                old.reopen(next(lives))
                branches[branches.index(branch)] = old
                twin.restore(branch.name, old.life)
                stats["branch_restores"] += 1
        elif action < 0.985:
            hub_backup = backup(hub)
            safe = {
                b.name: Safe(len(hub.log), {life: n for (o, life), n in hub.told.items() if o == b.name})
                for b in branches
            }
            hub.safe = safe
            hub_backup.safe = dict(safe)
            twin.backup_hub()
        elif disasters and rng.random() < 0.5:
            agreed |= hub.agreed
            gone |= hubs_own - held_by(hub_backup) - set().union(*map(received_by, branches))
            timelines += 1
            hub = backup(hub_backup)
            hub.timelines.append((timelines, len(hub.log)))
            twin.restore_hub(timelines)
            stats["hub_restores"] += 1

        for branch in branches:
            assert branch.recovering or all(p.key in branch.rows for p in branch.pending), (
                f"seed {seed}: {branch.name} has evicted what it has not sent"
            )

    for _ in range(6):
        for branch in branches:
            sent = twin.ask(branch.name)
            reply = hub.exchange(branch.message())
            answered = twin.exchange(sent, hub)
            branch.apply(reply)
            twin.apply(branch.name, answered, branch)

    for branch in branches:
        scope = {k: row for k, row in hub.cells.items() if hub.in_scope(branch.name, k)}
        truth = {k: {c: cell.value for c, cell in row.items()} for k, row in scope.items()}
        mine = {k: {c: v for c, (v, _) in row.items()} for k, row in branch.rows.items() if row}
        assert mine == truth, f"seed {seed}: {branch.name} differs from the hub\n{mine}\n{truth}"
        told = {c.identity for c in branch.journal}
        lacks = [c for c in hub.journal if c.key in scope and c.identity not in told]
        assert not lacks, f"seed {seed}: {branch.name} lacks a conflict"
        assert not branch.pending, f"seed {seed}: {branch.name} still has something to send"
        assert not branch.recovering, f"seed {seed}: {branch.name} still recovers"
    for row in hub.cells.values():
        address = row["address"].value if "address" in row else {c: row[c].value for c in GROUPS if c in row}
        assert not address or address in addresses, f"seed {seed}: an address that nobody has typed: {address}"
        if timelines == 1 and ALIVE in row and not row[ALIVE].value and row[ALIVE].edit in saw:
            unseen = {cell.edit for c, cell in row.items() if c != ALIVE} - saw[row[ALIVE].edit]
            assert not unseen, f"seed {seed}: {unseen} deleted by {row[ALIVE].edit}, who had not seen it"
    if timelines == 1:
        for j in hub.journal:
            landed = {j.winner.origin, j.loser.origin} != {j.key}
            assert landed or j.column == ALIVE or (j.loser.edit, j.winner.edit, j.column) not in informed, (
                f"seed {seed}: {j.loser.edit} lost to {j.winner.edit} of {j.column} that it had on screen"
            )
    current = {(cell.edit, c) for row in hub.cells.values() for c, cell in row.items()}
    now_journalled = {(j.loser.edit, j.column) for j in hub.journal}
    agreed |= hub.agreed
    superseded |= {(twin, c) for (edit, c), twin in agreed.items() if (edit, c) in superseded}
    for (edit, column), (key, value) in placed.items():
        traces = current | now_journalled | superseded | agreed.keys()
        if (edit, column) in traces or edit in gone:
            continue
        cell = hub.cells.get(hub.resolve(key), {}).get(column)
        if column == ALIVE and cell is not None and timelines > 1:
            continue  # alive is alive: which of several creations the one who deleted it had on screen, nobody can tell
        if cell is not None and cell.value == value:
            continue
        raise AssertionError(f"seed {seed}: edit {edit} of {column} vanished without a trace")
    stats["conflicts"] = len(hub.journal)
    return hub, branches, stats


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    first = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    features = frozenset(sys.argv[3].split(",")) - {"none"} if len(sys.argv) > 3 else FEATURES
    total: dict[str, int] = {}
    for seed in range(first, first + runs):
        for name, n in simulate(seed, features=features)[2].items():
            total[name] = total.get(name, 0) + n
    print(f"{runs} runs converged, nothing lost: {total}")


if __name__ == "__main__":
    main()
