"""The frame of the command line: arguments, output, exit codes. What each command does is in `node.commands`.

Every command takes --json and then prints one JSON object on its last line, also for an error:
{"error": {"code", "message", "details"}}. Exit codes: 0 done, 2 usage, 3 refused with a reason, 4 not reachable.
Commands work whether or not the node runs: they open the same database.
"""

from __future__ import annotations

import argparse
import dataclasses
import getpass
import json
import secrets
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import sqlalchemy as sa

from node import config
from node.app import Node, version
from node.config import Config
from node.errors import BadInput, KoggeError, Unreachable
from node.exchange import Progress
from node.exchange_log import Run
from replication.errors import ReplicationError

T = TypeVar("T")
DONE, USAGE, REFUSED, UNREACHABLE = 0, 2, 3, 4
PASSWORD_BYTES_MAX = 4096
EPILOG = "exit codes: 0 done, 2 usage, 3 refused with a reason, 4 not reachable"


@dataclass(slots=True)
class Out:
    """Where a command says things: `say` for people; `result` for programs, printed last."""

    json: bool
    result: dict[str, Any] = field(default_factory=dict)

    def say(self, text: str = "") -> None:
        """A line for a person; silent with --json."""
        if not self.json:
            print(text, flush=True)

    def progress(self, text: str) -> None:
        """A line that the next one replaces, on a terminal; a line of its own elsewhere."""
        if self.json:
            return
        if sys.stderr.isatty():
            print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
        else:
            print(text, file=sys.stderr, flush=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """How this command line makes a node of a folder. An office's knows no centre; central.command has both."""

    node: Callable[[Config], Node]
    restored: Callable[[Node], None]  # after a restore


Action = Callable[[argparse.Namespace, Out, Kind], int | None]


class Parser(argparse.ArgumentParser):
    """Usage errors are as other errors: a sentence, and JSON where it was asked for."""

    def error(self, message: str) -> NoReturn:
        if "--json" in sys.argv or "--json" in getattr(self, "given", ()):
            print(json.dumps({"error": {"code": "usage", "message": message, "details": {}}}, ensure_ascii=False))
        self.print_usage(sys.stderr)
        print(f"{self.prog}: {message}\nHelp: {self.prog} --help", file=sys.stderr)
        raise SystemExit(USAGE)


@dataclass(frozen=True, slots=True)
class Commands:
    """Collects the sub-commands; `add` gives the parser of a new one."""

    sub: Any

    def add(self, name: str, action: Action, summary: str, example: str = "", *, folder: bool = True) -> Parser:
        text = f"{f'example: {example}' if example else ''}\n{EPILOG}".strip()
        parser: Parser = self.sub.add_parser(
            name, help=summary, description=summary, epilog=text, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        if folder:
            parser.add_argument("dir", metavar="DIR", type=Path, help="the node's folder")
        finish(parser, action)
        return parser


def finish(parser: argparse.ArgumentParser, action: Action) -> None:
    """Give a parser what all commands have."""
    parser.add_argument("--json", action="store_true", help="print one JSON object on the last line")
    parser.set_defaults(action=action)


def parser_of(fill: Callable[[Commands], None]) -> Parser:
    """The parser of a command line whose commands `fill` adds."""
    top = Parser(
        prog="kogge",
        description="Kogge: a CRM for companies with branch offices. Every office works alone and exchanges.",
        epilog=f"kogge COMMAND --help explains a command.\n{EPILOG}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"kogge {version()}")
    fill(Commands(top.add_subparsers(metavar="COMMAND", dest="command", required=True, parser_class=Parser)))
    return top


def run(arguments: Sequence[str], fill: Callable[[Commands], None], kind: Kind) -> int:
    """Run a command line; the exit code."""
    given = parser_of(fill).parse_args(arguments)
    out = Out(json=given.json)
    try:
        code = given.action(given, out, kind) or DONE
    except KeyboardInterrupt:
        return 130  # as every program that Ctrl-C has ended
    except BrokenPipeError:
        return DONE  # the reader has seen enough
    except Exception as e:
        error = translated(e)
        if error is None:
            raise
        details = {"code": error.code, "message": error.message, "details": error.details}
        if out.json:
            print(json.dumps({"error": details}, ensure_ascii=False, default=str), flush=True)
        else:
            print(f"kogge: {error.message}", file=sys.stderr, flush=True)
        return error.exit_code
    if out.json:
        print(json.dumps(out.result, ensure_ascii=False, default=str), flush=True)
    return code


def translated(error: Exception) -> KoggeError | None:
    """The error as one of ours, or None where it is a bug."""
    if isinstance(error, KoggeError):
        return error
    if isinstance(error, ReplicationError):
        return KoggeError(str(error))
    if isinstance(error, sa.exc.OperationalError):
        text = str(error.orig).strip().splitlines()
        if "locked" in str(error.orig):
            return Unreachable("The database is busy for a long time already. Try again when the other work is done.")
        return Unreachable(f"The database does not answer: {text[0] if text else 'no reason given'}")
    if isinstance(error, sa.exc.DatabaseError) and "not a database" in str(error.orig):
        return BadInput("The file data/kogge.db is not a database any more. Restore the last backup: kogge restore.")
    if isinstance(error, OSError):
        where = f" ({error.filename})" if error.filename else ""
        return BadInputFile(f"{error.strerror or error}{where}. Check the name, the rights, and the room on the disk.")
    return None


class BadInputFile(BadInput):
    """A file or folder cannot be used; the sentence says why."""

    code = "file"


def opened(folder: Path, kind: Kind) -> Node:
    """A node of that folder, migrated, not serving; the caller closes `node.db`. Raise BadConfig, NewerData."""
    node = kind.node(config.in_use(config.read(folder)))
    try:
        node.open()
    except BaseException:
        node.db.close()
        raise
    return node


def with_node(given: argparse.Namespace, kind: Kind, do: Callable[[Node], T]) -> T:
    """Do it with the node of the folder, then close that."""
    node = opened(given.dir, kind)
    try:
        return do(node)
    finally:
        node.db.close()


def with_ports(made: Config, host: str | None, port: int | None) -> Config:
    """The configuration with what the command line says; an exchange port beside the old one moves along."""
    if host is not None:
        made = dataclasses.replace(made, host=host)
    if port is None:
        return made
    beside = made.exchange_port == made.port + 1
    return dataclasses.replace(made, port=port, exchange_port=port + 1 if beside else made.exchange_port)


def told(at: Progress) -> str:
    """A line about how far an exchange is."""
    return f"{at.percent} % — {at.received:,} rows, {at.remaining:,} to come"


def counts(done: Run) -> dict[str, Any]:
    """An exchange for --json."""
    return {
        "sent": done.sent, "received": done.received, "conflicts": done.conflicts, "ms": done.ms,
        "bytes_out": done.bytes_out, "bytes_in": done.bytes_in, "pages": done.pages,
    }  # fmt: skip


def port_number(text: str) -> int:
    """For argparse: a port with room for the one beside it."""
    number = int(text)
    if not 1 <= number <= 65534:
        raise argparse.ArgumentTypeError(f"{text} is no port: a number between 1 and 65534")
    return number


def password_from(file: Path | None, *, ask: bool) -> tuple[str, bool]:
    """(password, was it made up here?): from the file's first line, else asked for, else made up."""
    if file is not None:
        with file.open("rb") as opened_file:
            first = opened_file.read(PASSWORD_BYTES_MAX).decode("utf-8", "replace").splitlines()
        if not first or not first[0].strip():
            raise BadInput(f"{file} is empty. Its first line must be the password.")
        return first[0].rstrip("\r"), False
    if ask and sys.stdin.isatty():
        typed = getpass.getpass("Password: ")
        if typed != getpass.getpass("Once more: "):
            raise BadInput("The two were not the same. Nothing was changed.")
        return typed, False
    return secrets.token_urlsafe(12), True


def main(arguments: Sequence[str]) -> int:
    """The command line of an office."""
    from node import commands  # it builds on this file

    return run(arguments, commands.fill, Kind(node=Node, restored=lambda _: None))
