"""The node's log: one JSON object a line in DIR/log/kogge.log for machines, short lines on the console for people.

A message says what happened; figures come as fields: log.info("exchanged", extra={"sent": 12}). No secrets, and no
contents of records.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path

BYTES_MAX = 10_000_000  # of one file
FILES = 5
_USUAL = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_QUIET = ("apscheduler", "alembic", "aiohttp.access", "asyncio", "sqlalchemy")


class JsonLines(logging.Formatter):
    """{"at": …, "level": …, "from": …, "message": …} and the fields of `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "from": record.name,
            "message": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


class Short(logging.Formatter):
    """Time, level where it matters, message, fields."""

    def format(self, record: logging.LogRecord) -> str:
        level = "" if record.levelno <= logging.INFO else f"{record.levelname.lower()}: "
        fields = "".join(f" {name}={value}" for name, value in _fields(record).items())
        text = f"{datetime.fromtimestamp(record.created).astimezone():%H:%M:%S} {level}{record.getMessage()}{fields}"
        return f"{text}\n{self.formatException(record.exc_info)}" if record.exc_info else text


def _fields(record: logging.LogRecord) -> dict[str, object]:
    return {name: value for name, value in vars(record).items() if name not in _USUAL}


def to_folder(folder: Path, *, console: bool = True) -> None:
    """Log into DIR/log from now on, and warnings (with `console` everything from “info” on) to stderr."""
    path = folder / "log" / "kogge.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    file = RotatingFileHandler(path, maxBytes=BYTES_MAX, backupCount=FILES, encoding="utf-8", delay=True)
    file.setFormatter(JsonLines())
    shown = logging.StreamHandler(sys.stderr)
    shown.setFormatter(Short())
    shown.setLevel(logging.INFO if console else logging.WARNING)
    root = logging.getLogger()
    for handler in list(root.handlers):
        root.removeHandler(handler)
        handler.close()
    root.addHandler(file)
    root.addHandler(shown)
    root.setLevel(logging.INFO)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
