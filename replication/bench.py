"""How fast the exchange is, as ratios to a limit that is measured in the same run, so that any machine may be compared.

The limit of a hop is what remains if one leaves out everything that makes it an exchange: pack, compress, unpack and
upsert the same rows into one SQLite file with the driver's own executemany.
"""

from __future__ import annotations

import hashlib
import io
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from replication import capture, journal, tables, wire
from replication.branch import Branch
from replication.capture import Context
from replication.change import ROWS_MAX
from replication.hub import Hub
from replication.pause import no_collection
from replication.travel import Policy, Travel

Transport = Callable[[Iterable[bytes]], bytes]  # frames at the branch -> the same bytes at the hub

_metadata = sa.MetaData()
_customer = sa.Table(
    "customer",
    _metadata,
    sa.Column("id", sa.String(16), primary_key=True),
    sa.Column("alive", sa.SmallInteger, nullable=False, default=1),
    sa.Column("merged_into", sa.String(16)),
    sa.Column("number", sa.Text),
    sa.Column("kind", sa.Text),
    sa.Column("name", sa.Text),
    sa.Column("tax_number", sa.Text),
    sa.Column("street", sa.Text),
    sa.Column("zip", sa.Text),
    sa.Column("city", sa.Text),
    sa.Column("country", sa.Text),
    sa.Column("phone", sa.Text),
    sa.Column("email", sa.Text),
    sa.Column("owner", sa.String(16)),
    sa.Column("credit_limit", sa.BigInteger),
    sa.Column("notes", sa.Text),
    sa.Column("created_at", sa.BigInteger),
    sa.Column("changed_at", sa.BigInteger),
)
_TRAVELS = journal.completed(
    [
        Travel(
            table=_customer,
            groups={"address": ("street", "zip", "city", "country")},
            merged="merged_into",
            policies={"changed_at": Policy.MAX},
            order=1,
        )
    ]
)
_NAMES = ("Weber", "Schuster", "Иванов", "Lindqvist", "Taylor", "Krüger", "Смирнова", "Miller", "Hoffmann", "Petrova")
_CITIES = ("Bremen", "Leipzig", "Казань", "Leeds", "Graz", "Uppsala", "Bristol", "Тверь", "Kiel", "Passau")
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_AT = 1_760_000_000_000


def _row(number: int) -> dict[str, Any]:
    """Believable and always the same: no two rows share name, number, address, phone or e-mail."""
    mixed = int.from_bytes(hashlib.blake2b(number.to_bytes(8, "big"), digest_size=16).digest(), "big")
    text = "".join(_ALPHABET[mixed >> 5 * place & 31] for place in range(10))
    name, city = _NAMES[mixed % 10], _CITIES[mixed // 7 % 10]
    return {
        "id": f"{number:06X}{text}",
        "alive": 1,
        "merged_into": None,
        "number": f"K-{number:06}",
        "kind": "company" if mixed % 3 else "person",
        "name": f"{name} & {_NAMES[mixed // 100 % 10]} {mixed % 9973}",
        "tax_number": f"DE{mixed % 1_000_000_000:09}",
        "street": f"{_NAMES[mixed // 1000 % 10]}straße {mixed % 199}",
        "zip": f"{mixed % 100_000:05}",
        "city": city,
        "country": "DE",
        "phone": f"+49{mixed % 10_000_000_000:010}",
        "email": f"{name.lower()}{mixed % 99_991}@example.org",
        "owner": "0000000000USER" + f"{mixed % 20:02}",
        "credit_limit": mixed % 50 * 1000,
        "notes": None if mixed % 4 else f"called on {mixed % 28 + 1}.{mixed % 12 + 1}., wants an offer",
        "created_at": _AT + number * 977,
        "changed_at": _AT + number * 977,
    }


def measure(
    rows: int = 100_000, updates: int = 20_000, transport: Transport | None = None, folder: Path | None = None
) -> dict[str, float]:
    """The keys of `kogge bench`. `transport` carries the frames (default: in this process)."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        return _measure(Path(name), rows, updates, transport or (lambda frames: b"".join(frames)))


def _measure(folder: Path, rows: int, updates: int, transport: Transport) -> dict[str, float]:
    data = [_row(number) for number in range(rows)]
    plain, branch = _open(folder / "plain.db", capturing=False), _open(folder / "branch.db", capturing=True)
    plain_insert, captured_insert = _write((plain, branch), data)
    metadata_branch = _metadata_bytes(folder / "branch.db", "exchange_log", "exchange_tx") / rows
    hub = _open(folder / "hub.db", capturing=True)
    at_hub = Hub(_TRAVELS)
    with hub.begin() as conn:
        at_hub.register_office(conn, "north")
    engine = Branch(_TRAVELS, "north")
    key = Ed25519PrivateKey.generate()
    hop, row_bytes = _hop(branch, hub, engine, at_hub, key, transport)
    metadata_centre = _metadata_bytes(folder / "hub.db", "exchange_") / rows
    plain_update, captured_update = _update((plain, branch), data, updates)
    _, update_bytes = _hop(branch, hub, engine, at_hub, key, transport)
    limit = _limit(folder / "limit.db", data)
    for opened in (plain, branch, hub):
        opened.dispose()
    return {
        "hop_share_of_limit": limit / hop,
        "capture_insert": captured_insert / plain_insert,
        "capture_update": captured_update / plain_update,
        "wire_bytes_full_row": row_bytes / rows,
        "wire_bytes_one_column": update_bytes / updates,
        "metadata_branch": metadata_branch,
        "metadata_centre": metadata_centre,
        "hop_seconds": hop,
        "limit_seconds": limit,
    }


def _open(path: Path, *, capturing: bool) -> sa.Engine:
    engine = sa.create_engine(f"sqlite:///{path}")

    def connected(dbapi: sqlite3.Connection, _: object) -> None:
        dbapi.isolation_level = None
        dbapi.execute("PRAGMA journal_mode = WAL")
        dbapi.execute("PRAGMA synchronous = NORMAL")

    sa.event.listen(engine, "connect", connected)
    sa.event.listen(engine, "begin", lambda conn: conn.exec_driver_sql("BEGIN IMMEDIATE"))
    if capturing:
        capture.attach(engine)
    with engine.begin() as conn:
        _metadata.create_all(conn)
        if capturing:
            tables.create(conn)
            capture.install(conn, _TRAVELS)
    return engine


def _write(engines: Sequence[sa.Engine], data: list[dict[str, Any]]) -> list[float]:
    """Seconds for inserts as an application makes them, per engine: transactions of 100 rows, the engines in turn."""
    insert = _customer.insert()
    seconds = [0.0] * len(engines)
    for start in range(0, len(data), 100):
        for place, engine in enumerate(engines):
            began = time.perf_counter()
            with engine.begin() as conn:
                _begin(conn, start)
                for row in data[start : start + 100]:
                    conn.execute(insert, row)
            seconds[place] += time.perf_counter() - began
    return seconds


def _update(engines: Sequence[sa.Engine], data: list[dict[str, Any]], updates: int) -> list[float]:
    """Likewise for updates of one column."""
    update = _customer.update().where(_customer.c.id == sa.bindparam("key")).values(phone=sa.bindparam("new"))
    step = max(1, len(data) // max(1, updates))
    keys = [row["id"] for row in data[::step]][:updates]
    seconds = [0.0] * len(engines)
    for start in range(0, len(keys), 100):
        for place, engine in enumerate(engines):
            began = time.perf_counter()
            with engine.begin() as conn:
                _begin(conn, len(data) + start)
                for i, key in enumerate(keys[start : start + 100]):
                    conn.execute(update, {"key": key, "new": f"+49{(start + i) * 7_919 % 10_000_000_000:010}"})
            seconds[place] += time.perf_counter() - began
    return seconds


def _begin(conn: sa.Connection, place: int) -> None:
    if "exchange" in conn.info:
        capture.begin(conn, Context(life=4_711, actor="bench", cause="bench", at=_AT + place * 1000))


def _hop(
    branch: sa.Engine, hub: sa.Engine, engine: Branch, at_hub: Hub, key: Ed25519PrivateKey, transport: Transport
) -> tuple[float, int]:
    """Seconds from what waits at the branch to the acknowledgement; bytes of the message."""
    began = time.perf_counter()
    with branch.begin() as conn:
        carried = transport(wire.encode_message(engine.message(conn, life=4_711, at=_AT), key))
    with hub.begin() as conn:
        message = wire.decode_message(io.BytesIO(carried), lambda _: key.public_key())
        answered = b"".join(wire.encode_reply(at_hub.exchange(conn, message, at=_AT), key))
    with branch.begin() as conn:
        engine.apply(conn, wire.decode_reply(io.BytesIO(answered), key.public_key()), at=_AT, life=4_711)
    return time.perf_counter() - began, len(carried)


def _limit(path: Path, data: list[dict[str, Any]]) -> float:
    """Seconds for the same rows with nothing but packing and writing."""
    names = list(data[0])
    conn = sqlite3.connect(path, isolation_level=None)
    conn.execute("PRAGMA journal_mode = WAL")
    conn.execute("PRAGMA synchronous = NORMAL")
    conn.execute(str(sa.schema.CreateTable(_customer).compile(dialect=sa.create_engine("sqlite://").dialect)))
    sets = ", ".join(f"{name} = excluded.{name}" for name in names[1:])
    marks = ", ".join("?" * len(names))
    upsert = f"INSERT INTO customer ({', '.join(names)}) VALUES ({marks}) ON CONFLICT (id) DO UPDATE SET {sets}"
    packed_rows = [list(row.values()) for row in data]
    began = time.perf_counter()
    conn.execute("BEGIN IMMEDIATE")
    for batch in _batches(packed_rows):
        with no_collection():  # as the exchange does
            columns = [list(column) for column in zip(*batch, strict=True)]
            body = wire.compress(wire.pack(columns))
            conn.executemany(upsert, list(zip(*wire.unpack(wire.decompress(body)), strict=True)))
    conn.execute("COMMIT")
    seconds = time.perf_counter() - began
    conn.close()
    return seconds


def _batches(data: list[Any]) -> Iterator[list[Any]]:
    for start in range(0, len(data), ROWS_MAX):
        yield data[start : start + ROWS_MAX]


def _metadata_bytes(path: Path, *prefixes: str) -> float:
    """Bytes in the file that belong to tables (and their indexes) whose names begin so."""
    conn = sqlite3.connect(path)
    try:
        found = conn.execute(
            "SELECT m.tbl_name, sum(s.pgsize) FROM dbstat s JOIN sqlite_master m ON m.name = s.name GROUP BY m.tbl_name"
        ).fetchall()
    finally:
        conn.close()
    return float(sum(size for name, size in found if name.startswith(prefixes)))
