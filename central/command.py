"""The whole command line: a node's commands, `invite` and `demo`; a folder of a centre becomes a centre."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from central import app
from central.app import CentralParts
from node import command, commands
from node.app import Node
from node.command import Commands, Kind, Out
from node.config import Config


def main(arguments: Sequence[str]) -> int:
    """Run it; the exit code."""
    return command.run(arguments, fill, Kind(node=node_of, restored=restored))


def node_of(made: Config) -> Node:
    """An office or the centre, as the folder says."""
    return app.build(made) if made.central else Node(made)


def restored(node: Node) -> None:
    """Head office was restored: begin a new timeline, so that the offices bring back what it has lost."""
    if isinstance(node.parts, CentralParts):
        node.db.exchange_now(node.parts.hub.restored, node.clock.now_ms())


def fill(sub: Commands) -> None:
    """Add every command."""
    p = sub.add("demo", demo, "A sample company on this machine: head office and offices, until Ctrl-C.",
                "kogge demo --offices 3", folder=False)  # fmt: skip
    p.add_argument("--dir", type=Path, default=Path("demo"), metavar="D", help="(default: demo)")
    p.add_argument("--offices", type=int, default=3, metavar="N", help="beside head office (default: 3)")
    p.add_argument("--port", type=command.port_number, default=8300, metavar="P", help="of head office (default: 8300)")
    p.add_argument("--seed", type=int, default=1, metavar="S", help="another seed, another company")
    commands.fill(sub)
    p = sub.add("invite", invite, "At head office: a join code for an office. Good once, for 72 hours.",
                "kogge invite /srv/kogge BER")  # fmt: skip
    p.add_argument("office", metavar="OFFICE", help="the office's code")
    p.add_argument("--name", default="", help="the office's name, if it is new")


def demo(given: argparse.Namespace, out: Out, _kind: Kind) -> None:
    """The sample company."""
    from central import demo as sample  # loads the generator

    sample.run(given.dir, offices=given.offices, port=given.port, seed=given.seed, say=out.say)
    out.result = {"dir": str(given.dir), "stopped": True}


def invite(given: argparse.Namespace, out: Out, kind: Kind) -> None:
    """A join code."""
    node = command.opened(given.dir, kind)
    try:
        code = app.invite(node.db, node.config, given.office.upper(), clock=node.clock, name=given.name)
    finally:
        node.db.close()
    out.say(code)
    out.result = {"code": code, "office": given.office.upper()}
