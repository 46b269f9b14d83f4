"""One file with everything that a node is: its database, its keys, its configuration.

A `.kogge` file is a zip with manifest.json (what it is, from which version, how many rows, a SHA-256 of each member),
kogge.toml, keys/*, and database.sqlite or database.dump (pg_dump's custom format). A backup counts only after it has
been read back, every digest compared, and the copied database checked; until then it has another name.

It holds the node's keys: who has the file can speak for the office. Files are readable by their owner only.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from node import config, upgrade
from node.clock import as_datetime
from node.config import Config
from node.db import Database
from node.errors import BadInput, NewerData, Refused

SUFFIX = ".kogge"
FORMAT = 1
MANIFEST_BYTES_MAX = 1_000_000
DATABASE_BYTES_MAX = 1 << 40  # a member that says it is larger is no backup of ours
PAGES = 2000  # copied at a time, so that writers come in between
PG_DUMP_S = 3600
COUNTED = ("company", "person", "deal", "document", "payment", "activity", "task", "user_account")


class DamagedBackup(BadInput):
    """The file is no backup, or has changed since it was made; use another one."""

    code = "damaged_backup"
    exit_code = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """A verified backup. `rows` counts the main tables."""

    file: Path
    bytes: int
    office: str
    name: str
    central: bool
    at: int  # ms since 1970
    version: str
    revision: str
    backend: str
    rows: dict[str, int]


def make(made: Config, db: Database, to: Path, *, at: int, version: str) -> Backup:
    """Back up into the folder or file `to`, beside a running node. Raise Refused, DamagedBackup (it did not verify)."""
    stamp = as_datetime(at).strftime("%Y%m%d-%H%M%S")
    if to.is_dir() or not to.suffix:
        to.mkdir(parents=True, exist_ok=True)
        to = to / f"{made.office}-{stamp}{SUFFIX}"
    if to.exists():
        raise Refused(f"{to} exists already; a backup never replaces a file. Name another one.")
    to.parent.mkdir(parents=True, exist_ok=True)
    draft = to.with_name(f".{to.name}.part")
    try:
        with tempfile.TemporaryDirectory(prefix=".kogge-backup-", dir=to.parent) as scratch:
            copy = Path(scratch) / ("database.sqlite" if db.sqlite else "database.dump")
            counts = _rows(db)
            _copy_sqlite(db, copy) if db.sqlite else _dump(db, copy)
            members = {copy.name: copy, config.FILE: made.dir / config.FILE}
            members |= {f"keys/{p.name}": p for p in sorted(made.keys.glob("*")) if p.is_file()}
            manifest = {
                "format": FORMAT,
                "office": made.office,
                "name": made.name,
                "central": made.central,
                "at": at,
                "version": version,
                "revision": upgrade.current(db) or "",
                "backend": "sqlite" if db.sqlite else "postgresql",
                "rows": counts,
                "sha256": {name: _sha256(path) for name, path in members.items()},
            }
            _write(draft, members, manifest)
        _look_at(draft, deep=True)
        draft.replace(to)
    except OSError as e:
        raise Refused(f"The backup could not be written to {to.parent}: {e.strerror or e}. Nothing was changed.") from e
    finally:
        draft.unlink(missing_ok=True)
    return look_at(to)


def prune(folder: Path, office: str, keep: int) -> list[Path]:
    """Remove the oldest of an office's backups in the folder but for `keep`; what went."""
    gone = sorted(folder.glob(f"{office}-[0-9]*{SUFFIX}"))[:-keep]
    for path in gone:
        path.unlink()
    return gone


def newest(folder: Path, office: str) -> Path | None:
    """The newest backup of an office in the folder."""
    return max(folder.glob(f"{office}-[0-9]*{SUFFIX}"), default=None)


def look_at(file: Path) -> Backup:
    """What a backup holds; every member's digest is compared. Raise DamagedBackup."""
    manifest = _look_at(file, deep=False)
    return Backup(file=file, bytes=file.stat().st_size, **_described(file, manifest))


def restore(file: Path, folder: Path, *, version: str, database: str = "") -> tuple[Backup, Config]:
    """Unpack a backup into an empty folder (and, for PostgreSQL, an empty database: the old one or `database`).

    Raise DamagedBackup, NewerData, Refused; then the folder is as it was.
    """
    folder = folder.resolve()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise Refused(f"{folder} is not empty. A restore never overwrites: name an empty folder.")
    found = look_at(file)
    if not upgrade.knows(found.revision):
        raise NewerData(
            f"The backup was made by a newer version of Kogge ({found.version}; this is {version}). Install that "
            "version first. Nothing was changed.",
            found=found.version,
            known=version,
        )
    there = folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with zipfile.ZipFile(file) as packed:
            (folder / "keys").mkdir(mode=0o700)
            for name in packed.namelist():
                if name.startswith("keys/") and Path(name).name:
                    _unpack(packed, name, folder / "keys" / Path(name).name)
            made = config.parse(packed.read(config.FILE).decode("utf-8"), folder)
            made = dataclasses.replace(made, database=database or made.database, backup_folder="")
            if found.backend == "sqlite":
                made = dataclasses.replace(made, database="")
                (folder / "data").mkdir()
                _unpack(packed, "database.sqlite", folder / "data" / "kogge.db")
            else:
                with tempfile.TemporaryDirectory(dir=folder) as scratch:
                    dump = Path(scratch) / "database.dump"
                    _unpack(packed, "database.dump", dump)
                    _load_dump(made, dump)
        config.write(made)
    except BaseException:
        for path in folder.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        if not there:
            folder.rmdir()
        raise
    return found, made


def _rows(db: Database) -> dict[str, int]:
    with db.reader.connect() as conn:
        names = sa.inspect(conn).get_table_names()
        query = "SELECT count(*) FROM {}"
        return {n: int(conn.execute(sa.text(query.format(n))).scalar_one()) for n in COUNTED if n in names}


def _copy_sqlite(db: Database, to: Path) -> None:
    source = sqlite3.connect(f"file:{db.url.database}?mode=ro", uri=True, timeout=30)
    target = sqlite3.connect(to)
    try:
        source.backup(target, pages=PAGES, sleep=0.005)
        target.execute("PRAGMA journal_mode=DELETE")  # one file, not three
    finally:
        target.close()
        source.close()


def _dump(db: Database, to: Path) -> None:
    _postgres_program("pg_dump", db.url, ["--format=custom", "--no-owner", "--no-privileges", f"--file={to}"])


def _load_dump(made: Config, dump: Path) -> None:
    engine = sa.create_engine(sa.make_url(made.url).set(drivername="postgresql+psycopg"))
    try:
        with engine.connect() as conn:
            if sa.inspect(conn).get_table_names():
                raise Refused(
                    "The PostgreSQL database of this backup is not empty. A restore never overwrites: create an empty "
                    "database and name it with --database URL."
                )
    except sa.exc.OperationalError as e:
        raise Refused(f"The PostgreSQL database cannot be opened: {e.orig}. Create it, or name --database URL.") from e
    finally:
        engine.dispose()
    _postgres_program(
        "pg_restore",
        sa.make_url(made.url),
        ["--no-owner", "--no-privileges", "--exit-on-error", "--single-transaction", str(dump)],
    )


def _postgres_program(name: str, url: sa.URL, arguments: list[str]) -> None:
    program = shutil.which(name) or next(
        (str(p) for p in sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), reverse=True)), None
    )
    if program is None:
        raise Refused(f"{name} is needed for a PostgreSQL database and is not installed (package postgresql-client).")
    environment = {**os.environ, **({"PGPASSWORD": str(url.password)} if url.password else {})}
    plain = url.set(drivername="postgresql", password=None).render_as_string(hide_password=False)
    done = subprocess.run(  # noqa: S603 (our own arguments; the password goes through the environment)
        [program, "--no-password", f"--dbname={plain}", *arguments],
        env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PG_DUMP_S, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise Refused(f"{name} failed: {done.stderr.strip()[-500:]}")


def _write(draft: Path, members: dict[str, Path], manifest: dict[str, Any]) -> None:
    draft.unlink(missing_ok=True)
    handle = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
    with os.fdopen(handle, "w+b") as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=3) as packed:
            packed.writestr("manifest.json", json.dumps(manifest, ensure_ascii=False, indent=1))
            for name, path in members.items():
                packed.write(path, name)
        file.flush()
        os.fsync(file.fileno())


def _look_at(file: Path, *, deep: bool) -> dict[str, Any]:
    """The manifest, after every digest was compared; `deep` also opens the database."""
    if not file.is_file():
        raise DamagedBackup(f"There is no file {file}.")
    try:
        with zipfile.ZipFile(file) as packed:
            if packed.getinfo("manifest.json").file_size > MANIFEST_BYTES_MAX:
                raise DamagedBackup(f"{file} is no backup of Kogge.")
            manifest: dict[str, Any] = json.loads(packed.read("manifest.json"))
            if manifest["format"] > FORMAT:
                raise NewerData(f"{file} was made by a newer version of Kogge. Install that version first.")
            digests = dict(manifest["sha256"])
            names = set(packed.namelist()) - {"manifest.json"}
            if names != set(digests):
                raise DamagedBackup(f"{file} is incomplete: {', '.join(sorted(names ^ set(digests)))}.")
            for name, digest in digests.items():
                if packed.getinfo(name).file_size > DATABASE_BYTES_MAX or _sha256_in(packed, name) != digest:
                    raise DamagedBackup(f"{file} is damaged: {name} is not what was backed up. Use another backup.")
            if deep and manifest["backend"] == "sqlite":
                with tempfile.TemporaryDirectory(prefix=".kogge-verify-", dir=file.parent) as scratch:
                    copy = Path(scratch) / "database.sqlite"
                    _unpack(packed, "database.sqlite", copy)
                    _check_sqlite(file, copy)
    except (zipfile.BadZipFile, KeyError, ValueError, TypeError, EOFError, OSError) as e:
        raise DamagedBackup(f"{file} is no backup of Kogge, or is damaged ({e}). Use another one.") from e
    return manifest


def _described(file: Path, manifest: dict[str, Any]) -> dict[str, Any]:
    try:
        return {
            "office": str(manifest["office"]),
            "name": str(manifest["name"]),
            "central": bool(manifest["central"]),
            "at": int(manifest["at"]),
            "version": str(manifest["version"]),
            "revision": str(manifest["revision"]),
            "backend": str(manifest["backend"]),
            "rows": {str(k): int(v) for k, v in manifest["rows"].items()},
        }
    except (KeyError, ValueError, AttributeError) as e:
        raise DamagedBackup(f"{file} is no backup of Kogge: {e}.") from e


def _check_sqlite(file: Path, copy: Path) -> None:
    conn = sqlite3.connect(copy)
    try:
        said = conn.execute("PRAGMA integrity_check").fetchone()[0]
    except sqlite3.DatabaseError as e:
        said = str(e)
    finally:
        conn.close()
    if said != "ok":
        raise DamagedBackup(f"The database in {file} is damaged: {said}. Run “kogge doctor”.")


def _unpack(packed: zipfile.ZipFile, name: str, to: Path) -> None:
    with packed.open(name) as source, os.fdopen(os.open(to, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
        shutil.copyfileobj(source, file, 1 << 20)
        file.flush()
        os.fsync(file.fileno())


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sha256_in(packed: zipfile.ZipFile, name: str) -> str:
    digest = hashlib.sha256()
    with packed.open(name) as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
