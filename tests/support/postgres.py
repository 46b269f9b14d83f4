"""A private PostgreSQL server for one test session: a fresh cluster in a temporary folder, on loopback only.

It trades safety for speed (no fsync), because it is thrown away. PostgreSQL refuses to run as root, so as root it
runs as the user `postgres`. It ends with its parent, even if that is killed.
"""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

START_S = 30
_numbers = itertools.count(1)


class Absent(Exception):
    """There is no PostgreSQL here that could be started."""


def free_port() -> int:
    """A port on loopback that nobody uses right now."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def binaries() -> Path:
    """The folder of initdb and postgres, the newest version first. Raise Absent."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: -int(p.parts[-3]))
    on_path = shutil.which("initdb")
    if not found and not on_path:
        raise Absent("PostgreSQL is not installed (initdb was not found)")
    return found[0].parent if found else Path(str(on_path)).parent


@contextmanager
def server() -> Iterator[str]:
    """Start a server; yield the URL of its maintenance database; stop and remove it."""
    folder = binaries()
    home = Path(tempfile.mkdtemp(prefix="kogge-pg-"))
    prefix: list[str] = []
    if os.geteuid() == 0:
        try:
            user = pwd.getpwnam("postgres")
        except KeyError:
            raise Absent("PostgreSQL refuses to run as root, and there is no user postgres") from None
        os.chown(home, user.pw_uid, user.pw_gid)
        prefix = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", "--pdeathsig=QUIT"]
    data, port = home / "data", free_port()
    environment = {**os.environ, "HOME": str(home), "LC_ALL": "C.UTF-8"}
    initdb = [*prefix, str(folder / "initdb"), "-D", str(data), "-U", "kogge", "-A", "trust", "-E", "UTF8"]
    initdb += ["--locale=C.UTF-8", "--no-sync"]
    run = [*prefix, str(folder / "postgres"), "-D", str(data), "-k", str(home), "-h", "127.0.0.1", "-p", str(port)]
    for setting in ("fsync=off", "full_page_writes=off", "synchronous_commit=off", "max_connections=200"):
        run += ["-c", setting]
    try:
        subprocess.run(initdb, check=True, env=environment, cwd=home, stdin=subprocess.DEVNULL, capture_output=True)
        with (home / "log").open("wb") as log:
            process = subprocess.Popen(run, env=environment, cwd=home, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            url = f"postgresql://kogge@127.0.0.1:{port}/postgres"
            _wait(url, process, home / "log")
            yield url
        finally:
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + START_S
    while True:
        try:
            psycopg.connect(url, connect_timeout=2).close()
            return
        except psycopg.OperationalError:
            if process.poll() is not None or time.monotonic() > until:
                raise Absent(f"PostgreSQL did not start: {log.read_text(errors='replace')[-500:]}") from None
            time.sleep(0.1)


def make_database(server_url: str, template: str = "template0") -> str:
    """A new database on that server, empty or a copy of `template`; its URL as SQLAlchemy wants it."""
    name = f"kogge_{os.getpid()}_{next(_numbers)}"
    with psycopg.connect(server_url, autocommit=True) as conn:
        conn.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')  # type: ignore[call-overload,arg-type,unused-ignore]
    base = server_url.rsplit("/", 1)[0].replace("postgresql://", "postgresql+psycopg://", 1)
    return f"{base}/{name}"
