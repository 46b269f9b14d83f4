"""`kogge import`: files in, counts and errors out."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

from node import command, command_people
from node.app import Node
from node.command import DONE, Kind, Out
from node.domain.access import SYSTEM
from node.imports import run as imports

Given = argparse.Namespace
ERRORS_SHOWN = 20  # on the screen


def import_files(given: Given, out: Out, kind: Kind) -> int:
    def do(node: Node) -> int:
        by = SYSTEM if given.user is None else node.db.read_now(command_people.actor, given.user)
        done = imports.import_files(
            node.db, by, given.files, given.kind, given.profile, given.dry_run, progress=_shown(out),
            stop_on_error=given.stop_on_error,
        )  # fmt: skip
        out.progress("")
        out.result = done.as_dict()
        for one in done.files:
            out.say(f"{one.file} → {one.concept}: read {one.read:,}, created {one.created:,}, updated {one.updated:,}, "
                    f"unchanged {one.unchanged:,}, skipped {one.skipped:,}, failed {one.failed:,}")  # fmt: skip
        for error in done.errors[:ERRORS_SHOWN]:
            out.say(f"  {error.file}, line {error.line}{', ' + error.column if error.column else ''}: {error.sentence}")
        if len(done.errors) > ERRORS_SHOWN:
            out.say(f"  … and {len(done.errors) - ERRORS_SHOWN:,} more; --json has them all")
        if given.dry_run:
            out.say("Nothing was changed: this was a dry run.")
        return DONE

    return command.with_node(given, kind, do)


def _shown(out: Out) -> Callable[..., None]:
    last = [0.0]

    def progress(*parts: object) -> None:
        if time.monotonic() - last[0] > 1:
            last[0] = time.monotonic()
            out.progress("  ".join(f"{p:,}" if isinstance(p, int) else str(p) for p in parts))

    return progress
