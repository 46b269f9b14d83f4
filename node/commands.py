"""The commands of every node, and those that make and run one; the others are in the files `command_…`."""

from __future__ import annotations

import argparse
import asyncio
import time
from pathlib import Path

from node import (
    app,
    command,
    command_exchange,
    command_people,
    command_safety,
    config,
    founding,
    join,
    log,
)
from node.app import Node
from node.command import Commands, Kind, Out
from node.config import Config
from node.domain import sessions, users
from node.errors import Refused

Given = argparse.Namespace


def fill(commands: Commands) -> None:
    """Add every command that an office has."""
    p = commands.add("init", init, "Make a node in a new folder.", 'kogge init /srv/kogge --office BER --name "Berlin"')
    p.add_argument("--office", required=True, metavar="CODE", help="2 to 8 letters or digits; it is in every number")
    p.add_argument("--name", required=True, help="the office's name")
    p.add_argument("--central", action="store_true", help="this is head office: other offices exchange with it")
    p.add_argument("--database", default="", metavar="URL", help="postgresql://user@host/name; without: SQLite in DIR")
    p.add_argument("--admin", default="admin", metavar="LOGIN", help="the administrator's login (default: admin)")
    p.add_argument("--password-file", type=Path, metavar="F", help="its first line is the password; without: made up")
    _listening(p)
    p.add_argument("--url", action="append", default=[], help="an address under which others reach it; may be repeated")

    p = commands.add("run", run, "Serve the pages, exchange by the plan, until Ctrl-C.", "kogge run /srv/kogge")
    _listening(p)

    p = commands.add("join", join_company, "Make this folder a new office: enrol, then take the first copy.",
                     "kogge join /srv/kogge --code KOGGE-…")  # fmt: skip
    p.add_argument("--code", required=True, help="from “kogge invite” at head office; good once")
    p.add_argument("--port", type=command.port_number, default=config.PORT, help="of the pages (default: %(default)s)")

    commands.add("exchange", command_exchange.exchange, "Exchange with head office now.", "kogge exchange /srv/kogge")
    commands.add("status", command_exchange.status, "How this node stands.", "kogge status /srv/kogge --json")
    commands.add("verify", command_exchange.verify, "Compare a digest of every table with head office.",
                 "kogge verify /srv/kogge")  # fmt: skip

    p = commands.add("import", _import, "Read CSV or spreadsheet files.",
                     "kogge import /srv/kogge customers.csv")  # fmt: skip
    p.add_argument("files", nargs="+", type=Path, metavar="FILE")
    p.add_argument("--kind", metavar="K", help="what a single file holds: companies, persons, products, …")
    p.add_argument("--profile", type=Path, metavar="P", help="a mapping profile (TOML)")
    p.add_argument("--dry-run", action="store_true", help="count only; nothing is changed")
    p.add_argument("--stop-on-error", action="store_true", help="end at the first bad row instead of leaving it out")
    p.add_argument("--user", metavar="LOGIN", help="in whose name (default: the system)")

    _user(commands)
    p = commands.add("token", command_people.token, "Make a key for the API; it is shown once.",
                     "kogge token /srv/kogge --user anna")  # fmt: skip
    p.add_argument("--user", required=True, metavar="LOGIN")
    p.add_argument("--label", default="command line", help="what it is for")
    p.add_argument("--days", type=int, default=sessions.TOKEN_DAYS, help="how long it holds (default: %(default)s)")

    p = commands.add("backup", command_safety.make_backup,
                     "Back up database, keys and configuration into one file, and verify it.",
                     "kogge backup /srv/kogge /mnt/usb")  # fmt: skip
    p.add_argument("to", nargs="?", type=Path, metavar="TO", help="folder or file (default: the node's backup folder)")
    p = commands.add("restore", command_safety.restore, "Unpack a backup into an empty folder.",
                     "kogge restore BER-20261124-021500.kogge /srv/kogge", folder=False)  # fmt: skip
    p.add_argument("file", type=Path, metavar="FILE")
    p.add_argument("dir", type=Path, metavar="DIR", help="an empty folder, or one that is not there")
    p.add_argument("--database", default="", metavar="URL", help="another, empty PostgreSQL database")
    commands.add("doctor", command_safety.examine, "What is wrong with a node, and what helps.",
                 "kogge doctor /srv/kogge")  # fmt: skip
    p = commands.add("bench", command_safety.bench, "Measure capture and exchange on this machine.", folder=False)
    p.add_argument("--rows", type=int, default=100_000)
    p.add_argument("--updates", type=int, default=20_000)


def _listening(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", help="address to listen on; 0.0.0.0: reachable from other machines")
    parser.add_argument("--port", type=command.port_number, help="of the pages; the exchange listens on the next one")


def _user(commands: Commands) -> None:
    user = commands.add("user", lambda *_: None, "People who may log in.",
                        'kogge user /srv/kogge add anna --name "Anna Berger" --role sales')  # fmt: skip
    sub = user.add_subparsers(metavar="add|list|passwd|disable", dest="what", required=True)
    add = sub.add_parser("add", help="a new user")
    add.add_argument("login")
    add.add_argument("--name", help="(default: the login)")
    add.add_argument("--role", default="sales", help="administrator, director, manager, sales, secretary, viewer")
    add.add_argument("--office", default="", metavar="CODE", help="(default: this node's)")
    add.add_argument("--email", default="")
    passwd = sub.add_parser("passwd", help="another password")
    passwd.add_argument("login")
    for parser in (add, passwd):
        parser.add_argument("--password-file", type=Path, metavar="F", help="its first line; without: asked or made up")
    disable = sub.add_parser("disable", help="he cannot log in any more")
    disable.add_argument("login")
    for parser, action in ((add, command_people.user_add), (passwd, command_people.user_passwd),
                           (disable, command_people.user_disable),
                           (sub.add_parser("list", help="everybody"), command_people.user_list)):  # fmt: skip
        # SUPPRESS: a --json before the sub-command must not be undone by its default
        parser.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
        parser.set_defaults(action=action)


# --- set up and run ---


def _import(given: Given, out: Out, kind: Kind) -> int:
    from node import command_import  # spreadsheets and profiles: not for a process that serves

    return command_import.import_files(given, out, kind)


def init(given: Given, out: Out, kind: Kind) -> None:
    folder = given.dir.resolve()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise Refused(f"{folder} is not empty. Name an empty folder, or one that does not exist.")
    there = folder.exists()
    password, made_up = command.password_from(given.password_file, ask=False)
    users.acceptable_password(password)
    made = Config(
        dir=folder, office=config.check_code(given.office), name=given.name.strip() or given.office,
        central=given.central, database=given.database, public_urls=tuple(given.url),
    )  # fmt: skip
    made = config.parse(config.to_toml(command.with_ports(made, given.host, given.port)), folder)
    try:
        config.write(made)
        node = command.opened(folder, kind)
        try:
            if node.db.read_now(founding.is_founded):
                raise Refused("That database holds a company already. Name an empty database.")
            node.db.write_now(
                founding.found, code=made.office, name=made.name, central=made.central, login=given.admin,
                password=password, cause="init",
            )  # fmt: skip
        finally:
            node.db.close()
    except BaseException:
        _remove(folder, there)
        raise
    what = "head office" if made.central else "an office"
    out.say(f"Made {made.office} ({made.name}), {what}, in {folder}.")
    out.say(f"Login: {given.admin}" + (f"   password: {password}   (shown once; change it after logging in)" if made_up
                                       else "   with the password of the file"))  # fmt: skip
    out.say(f"Start it: kogge run {given.dir}")
    out.result = {
        "dir": str(folder), "office": made.office, "central": made.central, "url": app.url_of(made),
        "login": given.admin,
        **({"password": password} if made_up else {}),
    }  # fmt: skip


def _remove(folder: Path, there: bool) -> None:
    """Take away what a failed init has made in a folder that was empty."""
    import shutil

    for path in folder.iterdir() if folder.exists() else ():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    if not there and folder.exists():
        folder.rmdir()


def run(given: Given, out: Out, kind: Kind) -> None:
    made = command.with_ports(config.read(given.dir), given.host, given.port)
    log.to_folder(made.dir, console=not out.json)
    node = kind.node(made)

    def ready(running: Node) -> None:
        out.say(f"{running.config.name} ({running.office}) is at {running.url} — Ctrl-C stops it.")
        if out.json:
            import json
            import os

            print(json.dumps({"url": running.url, "pid": os.getpid(), "office": running.office}), flush=True)

    asyncio.run(app.serve(node, ready))
    out.say("Stopped.")
    out.result = {"office": node.office, "stopped": True}


def join_company(given: Given, out: Out, kind: Kind) -> None:
    out.progress("asking head office …")
    made = asyncio.run(join.enrol(given.dir, given.code, version=app.version(), port=given.port))
    out.say(f"This is {made.office} ({made.name}) now. The first copy comes:")
    node = command.opened(made.dir, kind)
    began = time.monotonic()
    try:
        done = asyncio.run(
            join.first_copy(node.db, made, clock=node.clock, progress=lambda at: out.progress(command.told(at)))
        )
    finally:
        node.db.close()
    seconds = time.monotonic() - began
    out.progress(f"{done.received:,} rows, {done.bytes_in:,} bytes in {seconds:.1f} s\n" if not out.json else "")
    out.say(f"Start it: kogge run {given.dir}")
    out.result = {"office": made.office, "dir": str(made.dir), **command.counts(done)}
