"""Commands about the exchange: now, how it stands, and the proof that both sides are equal."""

from __future__ import annotations

import argparse
import asyncio

from node import command, config, conflicts, upgrade
from node.app import Node
from node.command import DONE, REFUSED, UNREACHABLE, Kind, Out
from node.domain.access import SYSTEM
from node.exchange import NotJoined
from node.schema import TRAVELS
from replication import verify as digests

Given = argparse.Namespace


def exchange(given: Given, out: Out, kind: Kind) -> int:
    def do(node: Node) -> int:
        if node.exchange is None:
            raise NotJoined(f"{node.office} has not joined a centre. Ask head office for a code, then: kogge join.")
        done = asyncio.run(node.exchange.run(lambda at: out.progress(command.told(at)) if at.remaining else None))
        out.result = command.counts(done)
        if done.ok:
            out.say(
                f"sent {done.sent:,}, received {done.received:,}, conflicts {done.conflicts}, {done.ms:,} ms, "
                f"{done.bytes_out:,} bytes out, {done.bytes_in:,} in"
            )
            return DONE
        out.say(done.error)
        out.result = {"error": {"code": done.code, "message": done.error, "details": command.counts(done)}}
        return UNREACHABLE if done.unreachable else REFUSED

    return command.with_node(given, kind, do)


def status(given: Given, out: Out, kind: Kind) -> None:
    def do(node: Node) -> None:
        exchange_ = node.exchange
        running = config.runs(node.config.dir)
        out.result = {
            "office": node.office, "name": node.config.name, "role": "central" if node.central else "branch",
            "version": node.version, "schema": upgrade.newest(), "joined": exchange_ is not None, "watermark": 0,
            "waiting": 0, "last_exchange": None,
            **(node.db.read_now(exchange_.status) if exchange_ is not None else {}),
            "conflicts": node.db.read_now(conflicts.open_count, SYSTEM), "running": running,
        }  # fmt: skip
        if node.parts is not None:
            states = node.db.read_now(node.parts.office_states)
            out.result["offices"] = [
                {"office": s.office, "name": s.name, "last_contact": s.last_contact, "lag": s.lag, "waiting": s.waiting,
                 "conflicts": s.conflicts} for s in states
            ]  # fmt: skip
        for name, value in out.result.items():
            if name == "offices":
                for s in value:
                    seen = f"{s['last_contact']:%Y-%m-%d %H:%M} UTC" if s["last_contact"] else "never"
                    out.say(f"  {s['office']:8} {s['name'][:24]:24} last contact {seen}, lag {s['lag']}, "
                            f"waiting {s['waiting']}, conflicts {s['conflicts']}")  # fmt: skip
            else:
                out.say(f"{name:14} {value if value is not None else '—'}")

    command.with_node(given, kind, do)


def verify(given: Given, out: Out, kind: Kind) -> int:
    def do(node: Node) -> int:
        ask = getattr(node.exchange, "verify", None)
        if ask is None and node.parts is None:
            raise NotJoined(f"{node.office} has not joined a centre: there is nothing to compare with.")
        if ask is None:
            found = node.db.read_now(lambda s: digests.digests(s.connection(), TRAVELS))
            out.result = {"tables": {name: {"rows": n, "digest": d} for name, (n, d) in sorted(found.items())}}
            for name, (rows, digest) in sorted(found.items()):
                out.say(f"{name:24} {rows:>9,}  {digest[:16]}")
            out.say("This is head office: an office compares itself with these, by “kogge verify” there.")
            return DONE
        result = asyncio.run(ask())
        out.result = {
            "equal": result.equal,
            "different": result.different,
            "tables": {
                name: {"rows": n, "digest": d, "equal": name not in result.different}
                for name, (n, d) in sorted(result.ours.items())
            },
        }
        for name, (rows, digest) in sorted(result.ours.items()):
            mark = "differs" if name in result.different else "equal"
            there = result.theirs.get(name, (0, ""))[0]
            out.say(f"{name:24} {rows:>9,} here {there:>9,} there  {digest[:16]}  {mark}")
        if result.equal:
            out.say("Equal to head office.")
            return DONE
        message = (f"Not equal: {', '.join(result.different)}. Exchange again; if it stays so while nobody types, "
                   "run kogge doctor and report it.")  # fmt: skip
        out.say(message)
        out.result["error"] = {"code": "different", "message": message, "details": {"tables": result.different}}
        return REFUSED

    return command.with_node(given, kind, do)
