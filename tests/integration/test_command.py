"""The installed `kogge`, as a person or a script uses it: real processes, real folders, exit codes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.support.postgres import free_port, make_database

KOGGE = str(Path(sys.executable).with_name("kogge"))
DONE, USAGE, REFUSED, UNREACHABLE = 0, 2, 3, 4
PASSWORD = "a boat on the river"


def kogge(*words: str | Path, code: int = DONE) -> str:
    """Run a command that ends; its output."""
    done = subprocess.run(
        [KOGGE, *map(str, words)], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=90, check=False
    )
    assert done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout + (done.stderr if code else "")


def told(*words: str | Path, code: int = DONE) -> dict[str, Any]:
    """The same with --json: the object on the last line."""
    lines = kogge(*words, "--json", code=code).splitlines()
    found = next(json.loads(line) for line in reversed(lines) if line.startswith("{"))
    assert isinstance(found, dict)
    return found



@contextmanager
def running(folder: Path, port: int) -> Iterator[subprocess.Popen[str]]:
    """`kogge run`, until the block ends; it must stop by itself on SIGTERM."""
    with (folder.parent / f"{folder.name}.out").open("w") as output:
        process = subprocess.Popen(
            [KOGGE, "run", str(folder), "--port", str(port)], stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            text=True,
        )  # fmt: skip
    try:
        until = time.monotonic() + 30
        while not answers(port):
            assert process.poll() is None, (folder.parent / f"{folder.name}.out").read_text()
            assert time.monotonic() < until, "it does not answer"
            time.sleep(0.1)
        yield process
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == DONE, (folder.parent / f"{folder.name}.out").read_text()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def api(port: int, path: str, token: str, body: dict[str, Any] | None = None) -> Any:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/api/v1/{path}",
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


@pytest.fixture
def head_office(tmp_path: Path) -> Path:
    """The folder of a new centre; the administrator is anna."""
    (tmp_path / "password").write_text(f"{PASSWORD}\nnot this\n")
    folder = tmp_path / "HQ"
    kogge("init", folder, "--office", "HQ", "--name", "Head office", "--central", "--admin", "anna",
          "--password-file", tmp_path / "password", "--port", str(min(free_port(), 65_000)))  # fmt: skip
    return folder


def test_a_centre_and_an_office_from_nothing_to_equal_data(head_office: Path, tmp_path: Path) -> None:
    port = int(told("status", head_office)["watermark"]) or min(free_port(), 65_000)
    with running(head_office, port) as process:
        again = told("run", head_office, code=REFUSED)["error"]
        assert again["code"] == "already_runs"
        assert str(process.pid) in again["message"]
        token = told("token", head_office, "--user", "anna")["token"]
        api(port, "companies", token, {"name": "Hansen & Söhne"})
        code = told("invite", head_office, "KAS", "--name", "Kassel")["code"]
        office = tmp_path / "KAS"
        joined = told("join", office, "--code", code)
        assert joined["office"] == "KAS"
        assert joined["received"] > 0
        used = told("join", tmp_path / "OTHER", "--code", code, code=REFUSED)["error"]
        assert used["code"] == "used_code"
        api(port, "companies", token, {"name": "Ivanova"})
        exchanged = told("exchange", office)
        assert exchanged["received"] >= 1
        assert {"sent", "received", "conflicts", "ms", "bytes_out", "bytes_in"} <= exchanged.keys()
        assert told("verify", office)["equal"] is True
        assert told("doctor", office)["ok"] is True
        assert [o["office"] for o in told("status", head_office)["offices"]] == ["HQ", "KAS"]
    assert told("status", head_office)["running"] is None
    down = told("exchange", office, code=UNREACHABLE)["error"]
    assert down["code"] == "unreachable"


def test_people_and_keys(head_office: Path, tmp_path: Path) -> None:
    added = told("user", head_office, "add", "boris", "--name", "Борис", "--role", "manager")
    assert len(added["password"]) >= 12
    assert "taken" in kogge("user", head_office, "add", "Boris", code=REFUSED)
    assert told("user", head_office, "passwd", "boris", "--password-file", tmp_path / "password") == {"login": "boris"}
    (tmp_path / "short").write_text("abc\n")
    assert "at least" in kogge(
        "user", head_office, "passwd", "boris", "--password-file", tmp_path / "short", code=REFUSED
    )
    kogge("user", head_office, "disable", "boris")
    people = {u["login"]: u for u in told("user", head_office, "list")["users"]}
    assert (people["boris"]["active"], people["anna"]["active"]) == (False, True)
    assert "last administrator" in kogge("user", head_office, "disable", "anna", code=REFUSED)
    assert told("token", head_office, "--user", "boris", code=REFUSED)["error"]["code"] == "not_found"


def test_wrong_calls_say_what_is_wrong_and_leave_nothing_behind(tmp_path: Path) -> None:
    assert told("init", tmp_path / "A", code=USAGE)["error"]["code"] == "usage"
    assert "kogge init" in kogge("status", tmp_path / "nowhere", code=REFUSED)
    assert told("init", tmp_path / "A", "--office", "b!", "--name", "B", code=REFUSED)["error"]["code"] == "bad_input"
    assert not (tmp_path / "A").exists()
    (tmp_path / "short").write_text("abc\n")
    kogge("init", tmp_path / "A", "--office", "BER", "--name", "B", "--password-file", tmp_path / "short", code=REFUSED)
    kogge("init", tmp_path / "A", "--office", "BER", "--name", "B", "--database", "mysql://x/y", code=REFUSED)
    kogge("init", tmp_path / "A", "--office", "BER", "--name", "B",
          "--database", "postgresql://kogge@127.0.0.1:1/none", code=UNREACHABLE)  # fmt: skip
    assert not (tmp_path / "A").exists()
    made = told("init", tmp_path / "A", "--office", "ber", "--name", "Berlin")
    assert (made["office"], made["login"]) == ("BER", "admin")
    assert len(made["password"]) >= 12
    assert "not empty" in kogge("init", tmp_path / "A", "--office", "BER", "--name", "B", code=REFUSED)
    assert told("exchange", tmp_path / "A", code=REFUSED)["error"]["code"] == "not_joined"
    assert "join codes are made at head office" in kogge("invite", tmp_path / "A", "KAS", code=REFUSED)
    assert "mistyped" in kogge("join", tmp_path / "B", "--code", "AAAAA-BBBBB-CCCCC-DDDDD", code=REFUSED)
    (tmp_path / "A" / "kogge.toml").write_text('office = "BER"\nnmae = "Berlin"\n')
    assert "there is no setting “nmae”" in kogge("status", tmp_path / "A", code=REFUSED)


def test_backup_brings_everything_back_and_a_damaged_one_is_refused(head_office: Path, tmp_path: Path) -> None:
    kogge("user", head_office, "add", "carla")
    kogge("invite", head_office, "BER")  # makes the centre's keys
    made = told("backup", head_office, tmp_path / "safe")
    file = Path(made["file"])
    assert made["rows"]["user_account"] == 2
    assert file.stat().st_mode & 0o777 == 0o600
    kogge("user", head_office, "add", "later")
    assert "not empty" in kogge("restore", file, head_office, code=REFUSED)
    back = told("restore", file, tmp_path / "again")
    assert back["office"] == "HQ"
    logins = [u["login"] for u in told("user", tmp_path / "again", "list")["users"]]
    assert logins == ["anna", "carla"]
    assert {p.name for p in (head_office / "keys").iterdir()} == {p.name for p in (tmp_path / "again/keys").iterdir()}
    assert all(p.stat().st_mode & 0o077 == 0 for p in (tmp_path / "again" / "keys").iterdir())

    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 0xFF
    damaged = tmp_path / "damaged.kogge"
    damaged.write_bytes(data)
    assert told("restore", damaged, tmp_path / "no", code=REFUSED)["error"]["code"] == "damaged_backup"
    newer = tmp_path / "newer.kogge"
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(newer, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "manifest.json":
                content = json.dumps({**json.loads(content), "revision": "0999_later", "version": "9.9"}).encode()
            new.writestr(name, content)
    assert told("restore", newer, tmp_path / "no", code=REFUSED)["error"]["code"] == "newer_data"
    assert not (tmp_path / "no").exists()


@pytest.mark.postgres
def test_a_node_on_postgresql_runs_is_backed_up_and_restored(tmp_path: Path, postgres_url: str) -> None:
    url, other = make_database(postgres_url), make_database(postgres_url)
    folder, port = tmp_path / "BER", min(free_port(), 65_000)
    made = told("init", folder, "--office", "BER", "--name", "Berlin", "--central", "--database", url)
    assert "a company already" in kogge("init", tmp_path / "X", "--office", "X1", "--name", "X", "--database", url,
                                        code=REFUSED)  # fmt: skip
    token = told("token", folder, "--user", made["login"])["token"]
    with running(folder, port):
        api(port, "companies", token, {"name": "Hansen"})
        file = told("backup", folder)["file"]
    assert "not empty" in kogge("restore", file, tmp_path / "again", code=REFUSED)
    assert not (tmp_path / "again").exists()
    assert told("restore", file, tmp_path / "again", "--database", other)["rows"]["company"] == 1
    with psycopg.connect(other.replace("+psycopg", "")) as conn:
        assert conn.execute("SELECT name FROM company").fetchall() == [("Hansen",)]
    assert told("user", tmp_path / "again", "list")["users"][0]["login"] == "admin"


def test_a_start_that_failed_leaves_the_folder_free(head_office: Path) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert "cannot be opened" in kogge("run", head_office, "--port", str(port), code=REFUSED)
    assert not (head_office / "run.json").exists()
    with running(head_office, min(free_port(), 65_000)) as process:
        os.kill(process.pid, 0)
