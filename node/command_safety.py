"""Commands for bad days and for curiosity: backup, restore, doctor, bench."""

from __future__ import annotations

import argparse
import dataclasses
from typing import Any

from node import app, backup, command, doctor
from node.app import Node
from node.clock import as_datetime
from node.command import DONE, REFUSED, Kind, Out

Given = argparse.Namespace


def make_backup(given: Given, out: Out, kind: Kind) -> None:
    def do(node: Node) -> None:
        made = node.back_up(given.to)
        out.say(f"{made.file}: {made.bytes:,} bytes, verified. It holds the node's keys: keep it safe.")
        out.result = _described(made)

    command.with_node(given, kind, do)


def restore(given: Given, out: Out, kind: Kind) -> None:
    found, made = backup.restore(given.file, given.dir, version=app.version(), database=given.database)
    node = command.opened(made.dir, kind)
    try:
        kind.restored(node)
    finally:
        node.db.close()
    out.say(f"{found.office} ({found.name}) as of {as_datetime(found.at):%Y-%m-%d %H:%M} UTC is in {made.dir}: "
            + ", ".join(f"{n:,} {name}" for name, n in found.rows.items()) + ".")  # fmt: skip
    if found.central:
        out.say("The offices bring back what head office has lost, each with its next exchange.")
    else:
        out.say("What was exchanged since then comes back with the next exchange; what was not, is lost.")
    out.say(f"Do not run the old folder any more. Start this one: kogge run {given.dir}")
    out.result = {**_described(found), "dir": str(made.dir)}


def _described(found: backup.Backup) -> dict[str, Any]:
    return {**dataclasses.asdict(found), "file": str(found.file), "verified": True}


def examine(given: Given, out: Out, kind: Kind) -> int:
    def do(node: Node) -> int:
        found = doctor.examine(node)
        for check in found:
            out.say(f"{check.mark:5} {check.name:9} {check.said}" + (f"\n      → {check.fix}" if check.fix else ""))
        bad = [check for check in found if check.mark is doctor.Mark.BAD]
        out.result = {"ok": not bad, "checks": [dataclasses.asdict(check) for check in found]}
        return REFUSED if bad else DONE

    return command.with_node(given, kind, do)


def bench(given: Given, out: Out, kind: Kind) -> None:
    from replication import bench as measuring  # loaded only when it is wanted

    out.result = measuring.measure(rows=given.rows, updates=given.updates)
    for name, value in out.result.items():
        out.say(f"{name:24} {value:.3f}" if isinstance(value, float) else f"{name:24} {value}")
