"""A hub and two offices with a few small tables, on any database, and the shortest way to make them work."""

from __future__ import annotations

import datetime as dt
import io
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from replication import capture, journal, tables, verify, wire
from replication.branch import Applied, Branch
from replication.capture import Context
from replication.hub import Hub
from replication.travel import Policy, Travel
from tests.simulation.twin import begin_immediate

metadata = sa.MetaData()
customer = sa.Table(
    "customer",
    metadata,
    sa.Column("id", sa.String(16), primary_key=True),
    sa.Column("alive", sa.SmallInteger, nullable=False, default=1),
    sa.Column("merged_into", sa.String(16)),
    sa.Column("name", sa.Text, nullable=False, default=""),
    sa.Column("phone", sa.Text),
    sa.Column("street", sa.Text),
    sa.Column("town", sa.Text),
    sa.Column("tags", sa.Text),
    sa.Column("notes", sa.Text),
    sa.Column("office", sa.Text),
    sa.Column("terms", sa.Text),
    sa.Column("rating", sa.Text),
    sa.Column("limit", sa.Numeric(12, 2)),  # a reserved word as a name
    sa.Column("since", sa.Date),
    sa.Column("called", sa.DateTime),
    sa.Column("photo", sa.LargeBinary),
    sa.Column("changed_at", sa.BigInteger),
    sa.Column("secret", sa.Text, nullable=False, default="", server_default=""),
)
contact = sa.Table(
    "contact",
    metadata,
    sa.Column("id", sa.String(16), primary_key=True),
    sa.Column("alive", sa.SmallInteger, nullable=False, default=1),
    sa.Column(
        "customer",
        sa.String(16),
        sa.ForeignKey("customer.id", deferrable=True, initially="DEFERRED"),
        nullable=False,
        index=True,
    ),
    sa.Column("name", sa.Text),
)
posting = sa.Table(
    "posting",
    metadata,
    sa.Column("id", sa.String(16), primary_key=True),
    sa.Column("amount", sa.BigInteger, nullable=False),
)
TRAVELS = journal.completed(
    [
        Travel(
            table=customer,
            groups={"address": ("street", "town")},
            home=frozenset({"secret"}),
            merged="merged_into",
            owner="office",
            policies={
                "tags": Policy.TAGS,
                "notes": Policy.TEXT,
                "terms": Policy.CENTRE,
                "rating": Policy.OWNER,
                "changed_at": Policy.MAX,
            },
            order=1,
        ),
        Travel(table=contact, root=("customer", "customer"), order=2),
        Travel(table=posting, alive=None, order=3),
    ]
)


def key(text: str) -> str:
    """An id of 16 characters."""
    return text.upper().rjust(16, "0")


class Node:
    def __init__(self, office: str, url: str, life: int) -> None:
        self.office, self.life = office, life
        options = {"poolclass": sa.pool.StaticPool} if url == "sqlite://" else {}
        self.engine = sa.create_engine(url, **options)
        capture.attach(self.engine)
        if self.engine.dialect.name == "sqlite":
            begin_immediate(self.engine)
            sa.event.listen(self.engine, "connect", lambda dbapi, _: dbapi.execute("PRAGMA foreign_keys = ON"))
        with self.engine.begin() as conn:
            metadata.create_all(conn)
            tables.create(conn)
            self.installed = capture.install(conn, TRAVELS)
        self.branch = Branch(TRAVELS, office)

    def do(self, *statements: sa.Executable, at: int = 1_000, actor: str = "", seen: int | None = None) -> None:
        """One transaction of a user. `at`: ms."""
        with self.engine.begin() as conn:
            context = Context(life=self.life, actor=actor or f"{self.office}'s clerk", cause="web", at=at, seen=seen)
            capture.begin(conn, context)
            for statement in statements:
                conn.execute(statement)

    def add(self, name: str, /, at: int = 1_000, **values: Any) -> None:
        self.do(customer.insert().values(id=key(name), **{"name": name, **values}), at=at)

    def set(self, name: str, /, at: int = 1_000, **values: Any) -> None:
        self.do(customer.update().where(customer.c.id == key(name)).values(**values), at=at)

    def remove(self, name: str, at: int = 1_000) -> None:
        self.do(customer.delete().where(customer.c.id == key(name)), at=at)

    def get(self, name: str, table: sa.Table = customer) -> dict[str, Any]:
        return {row["id"]: row for row in self.all(table)}[key(name)]

    def all(self, table: sa.Table) -> list[dict[str, Any]]:
        with self.engine.begin() as conn:
            return [dict(row) for row in conn.execute(sa.select(table).order_by(table.c.id)).mappings()]

    def conflicts(self) -> list[dict[str, Any]]:
        return self.all(journal.conflict)

    def log(self) -> list[Any]:
        with self.engine.begin() as conn:
            return list(conn.execute(sa.select(tables.log).order_by(tables.log.c.seq)))


class Company:
    """`make_url` gives the URL of an empty database."""

    def __init__(self, make_url: Callable[[], str], page_rows: int = 50_000) -> None:
        self.hub = Node("hub", make_url(), 900)
        self.north, self.south = Node("north", make_url(), 1), Node("south", make_url(), 2)
        self.engine = Hub(TRAVELS, office="hub", page_rows=page_rows)
        self.keys = {office: Ed25519PrivateKey.generate() for office in ("hub", "north", "south")}
        with self.hub.engine.begin() as conn:
            for node in (self.north, self.south):
                self.engine.register_office(conn, node.office)

    @property
    def nodes(self) -> tuple[Node, Node, Node]:
        return self.hub, self.north, self.south

    def ask(self, node: Node) -> bytes:
        with node.engine.begin() as conn:
            message = node.branch.message(conn, life=node.life, at=5_000)
            return b"".join(wire.encode_message(message, self.keys[node.office]))

    def answer(self, asked: bytes) -> bytes:
        with self.hub.engine.begin() as conn:
            message = wire.decode_message(io.BytesIO(asked), lambda office: self.keys[office].public_key())
            return b"".join(wire.encode_reply(self.engine.exchange(conn, message, at=5_000), self.keys["hub"]))

    def apply(self, node: Node, answered: bytes) -> Applied:
        with node.engine.begin() as conn:
            reply = wire.decode_reply(io.BytesIO(answered), self.keys["hub"].public_key())
            return node.branch.apply(conn, reply, at=6_000, life=node.life)

    def exchange(self, *nodes: Node) -> list[Applied]:
        """Each asks until it has everything."""
        result = []
        for node in nodes or (self.north, self.south):
            for _ in range(100):
                result.append(self.apply(node, self.answer(self.ask(node))))
                if not result[-1].more:
                    break
        return result

    def settle(self) -> None:
        """Two rounds: after them all must be equal."""
        self.exchange()
        self.exchange()
        assert self.digests(self.north) == self.digests(self.hub)
        assert self.digests(self.south) == self.digests(self.hub)

    def digests(self, node: Node) -> dict[str, tuple[int, str]]:
        with node.engine.begin() as conn:
            return verify.digests(conn, TRAVELS)

    def close(self) -> None:
        for node in self.nodes:
            node.engine.dispose()


RICH: dict[str, Any] = {
    "limit": Decimal("1200.50"),
    "since": dt.date(2019, 2, 28),
    "called": dt.datetime(2026, 11, 24, 9, 30, 1, 250_000),  # noqa: DTZ001 (as it lies in the database)
    "photo": b"\x00\xff\x10",
    "notes": "Zeile eins\nстрока два\n",
}
