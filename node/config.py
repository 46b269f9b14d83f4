"""What is particular to one node: the file DIR/kogge.toml, and the lock that lets one process run it.

The file is written by `kogge init` and `kogge join`, read at every start, and meant to be edited by people: whatever
is wrong in it is said with its name and an example. Secrets are not in it; they lie in DIR/keys.

    DIR/kogge.toml    this file            DIR/keys/      the node's keys (0600)
    DIR/data/         the SQLite database   DIR/log/       kogge.log, structured, one JSON object a line
    DIR/backup/       nightly backups       DIR/run.json   pid and address of the process that runs, if one does
"""

from __future__ import annotations

import dataclasses
import fcntl
import json
import os
import re
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from node.errors import BadInput, Refused

FILE = "kogge.toml"
PORT = 8300
CODE = re.compile(r"[A-Z][A-Z0-9]{1,7}")
_TIME = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")
_SECTIONS: dict[str, tuple[str, ...]] = {
    "": ("office", "name", "central", "database", "web", "exchange", "backup"),
    "database": ("url",),
    "web": ("host", "port", "urls"),
    "exchange": ("port", "every_minutes", "times"),
    "backup": ("hour", "keep", "folder"),
}


class BadConfig(BadInput):
    """The file kogge.toml holds something that cannot be; correct the line that is named."""

    code = "bad_config"
    exit_code = 3


class AlreadyRuns(Refused):
    """Another process runs this folder; stop it first, or use its address."""

    code = "already_runs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """One node. `exchange_port`: of the centre's HTTPS listener for the offices. Times of day are the machine's."""

    dir: Path
    office: str  # code, as in document numbers: BER
    name: str
    central: bool = False
    database: str = ""  # SQLAlchemy URL; empty: SQLite in DIR/data
    host: str = "127.0.0.1"
    port: int = PORT
    exchange_port: int = PORT + 1
    public_urls: tuple[str, ...] = ()  # under which others reach it: names in the certificate and in invitations
    every_minutes: int = 60  # exchange; 0: only at `times`
    times: tuple[str, ...] = ()  # exchange at these times of day, "07:30"
    backup_hour: int | None = 2  # None: no nightly backup
    backup_keep: int = 14  # backups
    backup_folder: str = ""  # empty: DIR/backup

    @property
    def url(self) -> str:
        """Of the database."""
        return self.database or f"sqlite:///{self.dir / 'data' / 'kogge.db'}"

    @property
    def keys(self) -> Path:
        return self.dir / "keys"

    @property
    def data(self) -> Path:
        return self.dir / "data"

    @property
    def backups(self) -> Path:
        return Path(self.backup_folder) if self.backup_folder else self.dir / "backup"


def read(folder: Path) -> Config:
    """The node of a folder. Raise BadConfig with a sentence that names what is wrong."""
    folder = folder.resolve()
    path = folder / FILE
    if not folder.is_dir():
        raise BadConfig(f"There is no folder {folder}. Make a node with “kogge init” or “kogge join” first.")
    if not path.is_file():
        raise BadConfig(
            f"{folder} is not a Kogge folder: it has no {FILE}. Make a node with “kogge init” or “kogge join”."
        )
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as e:
        raise BadConfig(f"{path} cannot be read: {e}.") from e
    return parse(text, folder)


def parse(text: str, folder: Path) -> Config:
    """`read` from the text of the file."""
    where = folder / FILE
    try:
        top = tomllib.loads(text)
    except tomllib.TOMLDecodeError as e:
        raise BadConfig(f"{where} is not a valid TOML file: {e}.") from e
    for section, known in _SECTIONS.items():
        values = top if section == "" else top.get(section, {})
        if not isinstance(values, dict):
            raise BadConfig(f"{where}: “{section}” must be a section: write [{section}] above its lines.")
        for name in values.keys() - set(known):
            raise BadConfig(f"{where}: there is no setting “{name}” {f'in [{section}] ' if section else ''}"
                            f"(known: {', '.join(known)}).")  # fmt: skip
    of = _Reader(where, top)
    port = of.port("web", "port", PORT)
    times = of.texts("exchange", "times")
    if bad := [t for t in times if not _TIME.fullmatch(t)]:
        raise BadConfig(f"{where}: “{bad[0]}” in exchange.times is not a time of day: write it as \"07:30\".")
    office = of.text("", "office", "")
    if not CODE.fullmatch(office):
        raise BadConfig(f"{where}: office = “{office}” is no office code: 2 to 8 capital letters or digits.")
    hour = of.whole("backup", "hour", 2, -1, 23)
    return Config(
        dir=folder,
        office=office,
        name=of.text("", "name", office),
        central=of.flag("", "central"),
        database=_database(where, of.text("database", "url", "")),
        host=of.text("web", "host", "127.0.0.1"),
        port=port,
        exchange_port=of.port("exchange", "port", port + 1),
        public_urls=of.texts("web", "urls"),
        every_minutes=of.whole("exchange", "every_minutes", 60, 0, 1440),
        times=times,
        backup_hour=None if hour < 0 else hour,
        backup_keep=of.whole("backup", "keep", 14, 1, 1000),
        backup_folder=of.text("backup", "folder", ""),
    )


class _Reader:
    """Takes settings out of the parsed file and says what is wrong with them."""

    def __init__(self, where: Path, top: dict[str, Any]) -> None:
        self._where, self._top = where, top

    def _get(self, section: str, name: str, default: Any, kind: type, example: str) -> Any:
        values = self._top.get(section, {}) if section else self._top
        value = values.get(name, default)
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            full = f"{section}.{name}" if section else name
            raise BadConfig(f"{self._where}: {full} = {value!r} cannot be: write it as {example}.")
        return value

    def text(self, section: str, name: str, default: str) -> str:
        return str(self._get(section, name, default, str, f'{name} = "text"')).strip()

    def flag(self, section: str, name: str) -> bool:
        return bool(self._get(section, name, False, bool, f"{name} = true"))

    def texts(self, section: str, name: str) -> tuple[str, ...]:
        values = self._get(section, name, [], list, f'{name} = ["…", "…"]')
        if not all(isinstance(v, str) for v in values):
            raise BadConfig(f"{self._where}: {section}.{name} is a list of texts in quotes.")
        return tuple(values)

    def whole(self, section: str, name: str, default: int, least: int, most: int) -> int:
        value = int(self._get(section, name, default, int, f"{name} = {default}"))
        if not least <= value <= most:
            raise BadConfig(f"{self._where}: {section}.{name} = {value} is not between {least} and {most}.")
        return value

    def port(self, section: str, name: str, default: int) -> int:
        return self.whole(section, name, default, 1, 65535)


def _database(where: Path, url: str) -> str:
    if not url:
        return ""
    try:
        backend = sa.make_url(url).get_backend_name()
    except sa.exc.ArgumentError:
        backend = ""
    if backend not in ("sqlite", "postgresql"):
        raise BadConfig(
            f"{where}: “{url}” is no database that Kogge works with. Leave it out for SQLite, or write "
            '"postgresql://user@host/name".'
        )
    return url


def check_code(code: str) -> str:
    """The office code in capitals. Raise BadInput."""
    if not CODE.fullmatch(code.upper()):
        raise BadInput(f"“{code}” is no office code: 2 to 8 letters or digits, beginning with a letter, as BER.")
    return code.upper()


def write(config: Config) -> None:
    """Write DIR/kogge.toml (readable by the owner only: a database URL may hold a password)."""
    config.dir.mkdir(parents=True, exist_ok=True)
    path = config.dir / FILE
    draft = path.with_suffix(".new")
    with os.fdopen(os.open(draft, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(to_toml(config))
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def to_toml(config: Config) -> str:
    """The text of the file; `parse` gives the same values back."""
    t = _quoted
    hour = -1 if config.backup_hour is None else config.backup_hour
    return f"""\
# One Kogge node. After a change: stop and start “kogge run”.
office = {t(config.office)}           # code; never change it once there are documents
name = {t(config.name)}
central = {str(config.central).lower()}

[database]
# Empty: SQLite in the folder data/. PostgreSQL: "postgresql://user:password@host/name"
url = {t(config.database)}

[web]
host = {t(config.host)}        # "0.0.0.0": reachable from other machines
port = {config.port}
# Under which addresses others reach this machine; the names come into the certificate and into invitations.
urls = [{", ".join(t(u) for u in config.public_urls)}]

[exchange]
port = {config.exchange_port}               # the centre listens here for its offices
every_minutes = {config.every_minutes}         # 0: only at the times below
times = [{", ".join(t(x) for x in config.times)}]           # for example ["07:30", "12:00", "18:45"]

[backup]
hour = {hour}                  # every night at this hour; -1: never
keep = {config.backup_keep}
folder = {t(config.backup_folder)}               # empty: the folder backup/; better: another disk
"""


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def runs(folder: Path) -> dict[str, Any] | None:
    """Pid and address of the process that runs this folder, or None."""
    try:
        found = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    try:
        with _held(folder / "run.lock"):
            return None  # nobody holds it: the file is left from a process that was killed
    except BlockingIOError:
        return found if isinstance(found, dict) else None


def in_use(made: Config) -> Config:
    """The configuration as the process that runs has it: `kogge run --host … --port …` may have said otherwise."""
    found = runs(made.dir) or {}
    known = {name: found[name] for name in ("host", "port", "exchange_port") if name in found}
    return dataclasses.replace(made, **known)


@contextmanager
def only_process(folder: Path) -> Iterator[None]:
    """Hold the folder for this process. Raise AlreadyRuns, naming who has it."""
    try:
        with _held(folder / "run.lock"):
            yield
    except BlockingIOError:
        found = runs(folder) or {}
        who = f"process {found['pid']} at {found['url']}" if "pid" in found and "url" in found else "another process"
        raise AlreadyRuns(
            f"{folder} is run by {who} already. Open that address, or stop that process first.", **found
        ) from None


@contextmanager
def _held(path: Path) -> Iterator[None]:
    """The lock of a file; it ends with the process, whatever happens to it. Raise BlockingIOError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(handle)
