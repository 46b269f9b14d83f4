"""The processes of the demo: one per node, started here, watched, and none left behind whatever happens."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from node.errors import Refused, Unreachable

READY_S = 60  # how long a process may take to answer
STOP_S = 20  # how long it may take to finish


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One node of the demo."""

    code: str
    name: str
    folder: str  # below DIR
    port: int
    exchange_port: int = 0  # of the centre's listener; 0: an office has none

    @property
    def url(self) -> str:
        """Where its pages are."""
        return f"http://127.0.0.1:{self.port}"


class Processes:
    """The nodes' processes: started here, watched, and none left behind whatever happens."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self._nodes: list[tuple[Place, subprocess.Popen[bytes]]] = []
        self._others: list[subprocess.Popen[bytes]] = []
        self._names: dict[int, str] = {}  # pid → name of its output

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, *_: object) -> None:
        running = [p for _, p in reversed(self._nodes)] + self._others  # offices first: they finish their exchange
        for process in running:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        until = time.monotonic() + STOP_S
        for process in running:
            try:
                process.wait(max(0.1, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def start(self, place: Place) -> None:
        """`kogge run` for a node."""
        self._nodes.append((place, self.command("run", str(self.folder / place.folder), name=place.folder)))

    def command(self, *words: str, name: str = "") -> subprocess.Popen[bytes]:
        """The command line in a process of its own, which Ctrl-C in our terminal does not reach."""
        with self._said(name or Path(words[1]).name).open("ab") as output:
            process = subprocess.Popen(  # noqa: S603 (our own program)
                [sys.executable, "-m", "central", *words], stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                start_new_session=True, env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )  # fmt: skip
        self._names[process.pid] = name or Path(words[1]).name
        if not name:
            self._others.append(process)
        return process

    def ready(self, places: Sequence[Place], ended: threading.Event) -> None:
        """Wait until they answer. Raise Refused (one has ended), Unreachable (one takes too long)."""
        until = time.monotonic() + READY_S
        for place in places:
            while not ended.is_set() and not _answers(place):
                self.check()
                if time.monotonic() > until:
                    raise Unreachable(f"The node {place.code} does not answer at {place.url} after {READY_S} s.")
                ended.wait(0.1)

    def check(self) -> None:
        """Raise Refused if a node has ended by itself."""
        for place, process in self._nodes:
            if process.poll() is not None:
                raise Refused(f"The node {place.code} has ended ({process.returncode}):\n{self.said(process)}")

    def said(self, process: subprocess.Popen[bytes]) -> str:
        """The last lines that the process wrote."""
        text = self._said(self._names[process.pid]).read_text("utf-8", "replace")
        return "\n".join(text.splitlines()[-12:])

    def _said(self, name: str) -> Path:
        return self.folder / f"{name}.out"


def _answers(place: Place) -> bool:
    try:
        if place.exchange_port:  # it opens after the pages
            socket.create_connection(("127.0.0.1", place.exchange_port), timeout=2).close()
        with urllib.request.urlopen(f"{place.url}/health", timeout=2) as answer:  # noqa: S310 (our own address)
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


class Signals:
    """Ctrl-C and SIGTERM set the event; only in the main thread, where Python lets one listen."""

    def __init__(self, ended: threading.Event) -> None:
        self._ended = ended
        self._before: dict[int, Any] = {}

    def __enter__(self) -> None:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, lambda *_: self._ended.set())

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
