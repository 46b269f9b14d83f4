"""What is wrong with a node, and what helps: one plain line per check. Changes nothing but missing triggers."""

from __future__ import annotations

import shutil
import socket
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit

import sqlalchemy as sa

from node import backup, config, identity, jobs
from node.app import Node
from replication.branch import BranchState

FREE_BYTES_MIN = 1_000_000_000
CLOCK_MS_MAX = 5 * 60 * 1000
BACKUP_DAYS_MAX = 2
REACH_S = 3
DAY_MS = 86_400_000


class Mark(StrEnum):
    GOOD = "good"
    LOOK = "look"  # works, but somebody should look
    BAD = "bad"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One finding; `fix` says what helps and is empty where nothing is needed."""

    name: str
    mark: Mark
    said: str
    fix: str = ""


def examine(node: Node) -> list[Check]:
    """All checks of an opened node."""
    return [
        *_disk(node.config),
        *_database(node),
        *_triggers(node),
        *_keys(node.config),
        *_clock(node),
        *_port(node.config),
        *_centre(node.config),
        *_backup(node),
        *_last_jobs(node.config),
    ]


def _disk(made: config.Config) -> Iterator[Check]:
    free = shutil.disk_usage(made.dir).free
    said = f"{free / 1e9:.1f} GB free in {made.dir}"
    if free < FREE_BYTES_MIN:
        yield Check(name="disk", mark=Mark.BAD, said=said, fix="Make room: remove old backups, or use another disk.")
    else:
        yield Check(name="disk", mark=Mark.GOOD, said=said)


def _database(node: Node) -> Iterator[Check]:
    try:
        with node.db.reader.connect() as conn:
            found = conn.exec_driver_sql("PRAGMA quick_check(3)").scalar() if node.db.sqlite else "ok"
            count = conn.execute(sa.text("SELECT count(*) FROM company")).scalar_one()
    except sa.exc.DatabaseError as e:
        found, count = str(e.orig), 0
    if found == "ok":
        yield Check(name="database", mark=Mark.GOOD, said=f"whole, {count:,} companies")
    else:
        yield Check(
            name="database", mark=Mark.BAD, said=f"damaged: {found}",
            fix="Stop the node and restore the last backup: kogge restore FILE NEWDIR.",
        )  # fmt: skip


def _triggers(node: Node) -> Iterator[Check]:
    repaired = node.upgraded.repaired if node.upgraded else ()
    if repaired:
        yield Check(
            name="capture", mark=Mark.LOOK, said=f"{len(repaired)} triggers were missing and are back",
            fix="What was changed meanwhile by other tools does not travel: run kogge verify.",
        )  # fmt: skip
    else:
        yield Check(name="capture", mark=Mark.GOOD, said="all triggers are there")


def _keys(made: config.Config) -> Iterator[Check]:
    files = [p for p in made.keys.glob("*") if p.is_file()] if made.keys.is_dir() else []
    if not files:
        yield Check(name="keys", mark=Mark.GOOD, said="none yet; they come with joining or with the first start")
        return
    open_ = [p.name for p in files if stat.S_IMODE(p.stat().st_mode) & 0o077]
    if open_:
        yield Check(
            name="keys", mark=Mark.BAD, said=f"others may read {', '.join(open_)}", fix=f"chmod 600 {made.keys}/*"
        )
    else:
        yield Check(name="keys", mark=Mark.GOOD, said=f"{len(files)} files, readable by the owner only")


def _clock(node: Node) -> Iterator[Check]:
    branch_state = getattr(node.exchange, "branch_state", None)
    if branch_state is None:
        return
    state: BranchState = node.db.read_now(branch_state)
    if state.clock_offset is not None and abs(state.clock_offset) > CLOCK_MS_MAX:
        yield Check(
            name="clock", mark=Mark.BAD, said=f"{abs(state.clock_offset) / 60000:.0f} minutes off from head office",
            fix="Set this machine's clock, best by NTP.",
        )  # fmt: skip
    else:
        yield Check(name="clock", mark=Mark.GOOD, said="agrees with head office, as far as was seen")
    if state.last_exchange is None:
        yield Check(name="exchange", mark=Mark.LOOK, said="there was none yet", fix="kogge exchange DIR")
    else:
        days = (node.clock.now_ms() - state.last_exchange) / DAY_MS
        mark = Mark.GOOD if days < 2 else Mark.LOOK
        fix = "" if days < 2 else "See the line “centre”; then kogge exchange DIR."
        yield Check(name="exchange", mark=mark, said=f"last {days:.1f} days ago, {state.waiting} waiting", fix=fix)


def _port(made: config.Config) -> Iterator[Check]:
    running = config.runs(made.dir)
    if running is not None:
        yield Check(name="port", mark=Mark.GOOD, said=f"runs at {running.get('url')}, process {running.get('pid')}")
        return
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind((made.host, made.port))
        except OSError as e:
            yield Check(
                name="port", mark=Mark.BAD, said=f"{made.host}:{made.port} cannot be used: {e.strerror}",
                fix="Stop what uses it, or change web.port in kogge.toml.",
            )  # fmt: skip
            return
    yield Check(name="port", mark=Mark.GOOD, said=f"{made.host}:{made.port} is free; the node does not run")


def _centre(made: config.Config) -> Iterator[Check]:
    centre = None if made.central else identity.load_centre(made.keys)
    if centre is None:
        said = "this is head office" if made.central else "this office has not joined a centre"
        yield Check(name="centre", mark=Mark.GOOD, said=said)
        return
    failures = []
    for url in centre.urls:
        parts = urlsplit(url)
        try:
            socket.create_connection((parts.hostname or "", parts.port or 443), timeout=REACH_S).close()
        except OSError as e:
            failures.append(f"{url}: {e.strerror or e}")
        else:
            yield Check(name="centre", mark=Mark.GOOD, said=f"answers at {url}")
            return
    yield Check(
        name="centre", mark=Mark.LOOK, said="; ".join(failures), fix="Work goes on. Check the line."
    )


def _backup(node: Node) -> Iterator[Check]:
    made = node.config
    file = backup.newest(made.backups, made.office)
    if file is None:
        yield Check(name="backup", mark=Mark.LOOK, said=f"none in {made.backups}", fix="kogge backup DIR")
        return
    days = (node.clock.now_ms() - file.stat().st_mtime * 1000) / DAY_MS
    if days > BACKUP_DAYS_MAX:
        yield Check(name="backup", mark=Mark.LOOK, said=f"the newest is {days:.0f} days old", fix="kogge backup DIR")
    else:
        yield Check(name="backup", mark=Mark.GOOD, said=f"{file.name}")


def _last_jobs(made: config.Config) -> Iterator[Check]:
    for name, results in sorted(jobs.results(Path(made.data) / "jobs.json").items()):
        if results and not results[-1].ok and name != "exchange":
            yield Check(
                name=name, mark=Mark.LOOK, said=f"the last run failed: {results[-1].said}", fix="See log/kogge.log."
            )
