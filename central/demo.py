"""`kogge demo`: a sample company on this machine, a centre and its offices, each a process with a folder of its own.

The centre's data is made once; the offices get theirs through the same enrolment and first copy as a real office, all
at the same time. Two colleagues then change the same customers without having seen one another, so that the conflict
inbox has something to decide. `DIR/demo.json` is written when everything stands: with it the next start continues
with the same data, without it the folder is a torso of ours and is built anew.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import shutil
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from central import enrolment, tables
from central.demo_processes import Place, Processes, Signals
from central.sample import company, loading
from node import config, identity, upgrade
from node.clock import SystemClock, as_datetime
from node.config import Config
from node.db import Database
from node.domain import records
from node.domain.access import SYSTEM, Actor
from node.domain.concept import CONCEPTS
from node.domain.customers import Company
from node.domain.sessions import actor_for
from node.domain.users import User
from node.errors import BadInput, Refused, Unreachable
from node.exchange import Exchange
from node.ids import Ids

MARK = "demo.json"  # the demo stands
TORSO = "building"  # the demo is being built, or was when something stopped it
LOGIN = "admin"
PASSWORD = "ahoi-kogge"  # noqa: S105 (printed for everybody to use)
PORT = 8400
STEP = 10  # between the ports of two nodes
COMPANIES = 1_200
JOIN_S = 300
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """What demo.json holds. The first place is the centre; `logins`: (office, login, name, role)."""

    seed: int
    places: tuple[Place, ...]
    logins: tuple[tuple[str, str, str, str], ...]


def run(
    folder: Path,
    *,
    offices: int = 3,
    port: int = PORT,
    seed: int = 1,
    companies: int = COMPANIES,
    say: Say = print,
    stop: threading.Event | None = None,
) -> None:
    """Build the demo in `folder` if it is not there, run it until Ctrl-C (or `stop`), end every process.

    Not for a thread with an event loop. Raise BadInput, Refused (ports in use, a foreign folder), Unreachable.
    """
    begun = time.monotonic()
    ended = stop or threading.Event()
    steps = _Steps(say, begun)
    with Signals(ended), Processes(folder) as processes:
        made = _standing(folder)
        if made is not None:
            _ports_free([place.port for place in made.places] + [made.places[0].port + 1])
            steps.say(f"continuing with the company in {folder}")
            processes.start(made.places[0])
            processes.ready(made.places[:1], ended)
        else:
            made = _build(folder, offices, port, seed, companies, steps, processes, ended)
        if ended.is_set():
            return
        for place in made.places[1:]:
            processes.start(place)
        processes.ready(made.places, ended)
        if ended.is_set():
            return
        say(_table(made, folder, time.monotonic() - begun))
        while not ended.wait(1.0):
            processes.check()
        say("Stopping …")
    say("Stopped. The next “kogge demo” (or “make demo”) continues with the same data.")


def _build(
    folder: Path, offices: int, port: int, seed: int, companies: int, steps: _Steps, processes: Processes,
    ended: threading.Event,
) -> Demo:  # fmt: skip
    if not 1 <= offices <= company.OFFICES_MAX:
        raise BadInput(f"The sample company has between 1 and {company.OFFICES_MAX} offices beside the centre.")
    if not 10 <= companies <= 100_000:
        raise BadInput("The sample company has between 10 and 100,000 customers.")
    _ports_free([port + STEP * n for n in range(offices + 1)] + [port + 1])
    _clear(folder)
    branches = company.BRANCHES[: offices + 1]
    places = tuple(
        Place(
            code=b.code, name=b.name, folder=b.code.lower(), port=port + STEP * n,
            exchange_port=0 if n else port + 1,
        )
        for n, b in enumerate(branches)
    )  # fmt: skip
    configs = [_configured(folder, place, central=place is places[0]) for place in places]
    centre = _opened(configs[0])
    try:
        upgrade.upgrade(centre, extra=[tables.CentralBase.metadata])
        loaded = loading.load(
            centre, offices_count=offices, companies=companies, seed=seed, login=LOGIN, password=PASSWORD
        )
        steps.say(f"{company.NAME}: {loaded.rows:,} rows of a year of trade")
        codes = _invite(centre, configs[0], places[1:])
    finally:
        centre.close()
    processes.start(places[0])
    processes.ready(places[:1], ended)
    steps.say(f"head office answers; {offices} offices join and get their first copy")
    _join(processes, places[1:], codes, ended)
    steps.say("every office has its copy")
    made = Demo(seed=seed, places=places, logins=loaded.logins)
    if not ended.is_set():
        _quarrel(configs[0], configs[1])
        steps.say("two colleagues have changed the same customers, far from one another")
        _write(folder, made)
    return made


def _configured(folder: Path, place: Place, *, central: bool) -> Config:
    made = Config(
        dir=folder / place.folder, office=place.code, name=place.name, central=central, port=place.port,
        exchange_port=place.port + 1, every_minutes=1,
    )  # fmt: skip
    made.dir.mkdir(parents=True)
    config.write(made)
    return config.read(made.dir)


def _opened(made: Config) -> Database:
    clock = SystemClock()
    return Database(made.url, clock=clock, ids=Ids(clock), office=made.office)


def _invite(centre: Database, made: Config, places: Sequence[Place]) -> list[str]:
    now: datetime = as_datetime(centre.clock.now_ms())
    identity.ensure_node_key(made.keys)
    authority = identity.ensure_authority(made.keys, (), now)
    pin = identity.pin(authority.root)
    urls = (f"https://127.0.0.1:{made.exchange_port}",)

    def invite(s: Session) -> list[str]:
        return [enrolment.invite(s, place.code, urls, pin, name=place.name) for place in places]

    return centre.write_now(invite, cause=loading.CAUSE)


def _join(processes: Processes, places: Sequence[Place], codes: Sequence[str], ended: threading.Event) -> None:
    joins = [
        processes.command("join", str(processes.folder / place.folder), "--code", code)
        for place, code in zip(places, codes, strict=True)
    ]
    until = time.monotonic() + JOIN_S
    for place, process in zip(places, joins, strict=True):
        while process.poll() is None and not ended.is_set():
            if time.monotonic() > until:
                raise Unreachable(f"The office {place.code} was not ready within {JOIN_S} s. Is the machine very busy?")
            time.sleep(0.05)
        if process.returncode and not ended.is_set():
            raise Refused(f"The office {place.code} could not join:\n{processes.said(process)}")


def _quarrel(centre: Config, branch: Config) -> None:
    """The same three customers are changed at head office and at the first office; one of them is deleted there."""
    here, there = _opened(centre), _opened(branch)
    try:
        ids = there.read_now(_quarrelsome, branch.office)
        for number, id in enumerate(ids):
            for db, office, at_centre in ((here, centre.office, True), (there, branch.office, False)):
                by = db.read_now(_manager, office)
                db.write_now(_change, by, id, number, at_centre, by=by, cause="ui")
        asyncio.run(Exchange(there, branch.dir, clock=SystemClock()).run())
    finally:
        here.close()
        there.close()


def _quarrelsome(s: Session, office: str) -> list[str]:
    query = sa.select(Company.id).where(
        Company.alive, Company.office == office, Company.kind == "customer", Company.status == "active",
        Company.sensitivity == "normal",
    )  # fmt: skip
    return list(s.scalars(query.order_by(Company.name, Company.id).limit(3)))


def _manager(s: Session, office: str) -> Actor:
    """Who quarrels: the office's manager; at head office somebody who may change everything."""
    roles = ("director", "manager")
    query = sa.select(User).where(User.home_office == office, User.role.in_(roles)).order_by(User.role)
    found = s.scalars(query).first()
    return actor_for(s, found) if found is not None else SYSTEM


def _change(s: Session, by: Actor, id: str, number: int, at_centre: bool) -> None:
    concept = CONCEPTS["companies"]
    wishes: list[dict[str, Any]] = [
        {"payment_days": 45 if at_centre else 21},
        {"industry": "Coffee bar" if at_centre else "Bistro"},
        {"website": "www.neue-adresse.example"},
    ]
    if number == 2 and at_centre:
        records.remove(s, by, concept, id)
    else:
        records.update(s, by, concept, id, wishes[number])


# the folder


def _standing(folder: Path) -> Demo | None:
    try:
        found = json.loads((folder / MARK).read_text("utf-8"))
        return Demo(
            seed=found["seed"], places=tuple(Place(**p) for p in found["places"]),
            logins=tuple((a, b, c, d) for a, b, c, d in found["logins"]),
        )  # fmt: skip
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{folder / MARK} is damaged. Remove the folder {folder} to build the demo anew.") from error


def _write(folder: Path, made: Demo) -> None:
    content = {
        "seed": made.seed,
        "places": [dataclasses.asdict(place) for place in made.places],
        "logins": [list(login) for login in made.logins],
    }
    new = folder / f"{MARK}.new"
    new.write_text(json.dumps(content, ensure_ascii=False, indent=1), "utf-8")
    new.replace(folder / MARK)
    (folder / TORSO).unlink()


def _clear(folder: Path) -> None:
    """An empty folder to build in. Only what an earlier demo left is removed."""
    if folder.exists() and any(folder.iterdir()):
        if not (folder / TORSO).exists():
            raise Refused(f"{folder} is not empty and holds no demo. Name another folder with --dir.")
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / TORSO).write_text("kogge demo\n", "utf-8")


def _ports_free(ports: Sequence[int]) -> None:
    for port in ports:
        with socket.socket() as one:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                one.bind(("127.0.0.1", port))
            except (OSError, OverflowError) as error:
                raise Refused(
                    f"Port {port} is in use (perhaps the demo runs already). Stop that, or name another with --port."
                ) from error


def _table(made: Demo, folder: Path, took_s: float) -> str:
    lines = ["", f"  {company.NAME} is ready after {took_s:.1f} s.", ""]
    width = max(len(f"{p.code}  {p.name}") for p in made.places) + 2
    for n, place in enumerate(made.places):
        shown = [(login, role) for office, login, _, role in made.logins if office == place.code]
        chosen = [next((one for one in shown if one[1] == role), None) for role in ("director", "manager", "sales")]
        logins = ", ".join(f"{login} ({role})" for login, role in filter(None, chosen))
        lines.append(f"  {f'{place.code}  {place.name}':<{width}}{place.url}   {logins}")
        if n == 0:
            lines.append(f"  {'':<{width}}{'':<{len(place.url)}}   {LOGIN} (administrator, at every office)")
    lines += ["", f"  Password for everybody: {PASSWORD}"]
    lines += [f"  The data lies in {folder}. The offices exchange every minute. Ctrl-C stops.", ""]
    return "\n".join(lines)


class _Steps:
    def __init__(self, say: Say, begun: float) -> None:
        self._say, self._begun = say, begun

    def say(self, text: str) -> None:
        self._say(f"{time.monotonic() - self._begun:5.1f} s  {text}")
