"""The real engine on real databases, living the life that the model lives, and compared with it on the way."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from functools import cache
from typing import Any

import sqlalchemy as sa

from replication import capture, journal, tables
from replication.branch import Branch
from replication.capture import Context
from replication.change import Message, Part, Reply
from replication.hub import Hub
from replication.travel import Travel
from tests.simulation import exchange_model as model

metadata = sa.MetaData()
customer = sa.Table(
    "customer",
    metadata,
    sa.Column("id", sa.String(16), primary_key=True),
    sa.Column("alive", sa.Integer, nullable=False, default=0),
    sa.Column("bucket", sa.Text),
    sa.Column("merged_into", sa.Text),
    sa.Column("street", sa.Text),
    sa.Column("town", sa.Text),
    sa.Column("name", sa.Text),
    sa.Column("phone", sa.Text),
    sa.Column("city", sa.Text),
)


def travels(features: frozenset[str]) -> list[Travel]:
    """The same cells as the model's, so that "all cells of a row" are the same."""
    unused = {"phone", "city"} if "groups" in features else {"street", "town"}
    groups = {"address": ("street", "town")} if "groups" in features else {}
    bucket = "bucket" if "buckets" in features else None
    home = frozenset(unused) if bucket else frozenset(unused | {"bucket"})
    return [
        Travel(table=customer, groups=groups, home=home, merged="merged_into", bucket=bucket, order=1),
    ]


def begin_immediate(engine: sa.Engine) -> None:
    """What the application does: one writer at a time, and the transaction is ours to begin."""

    def connected(dbapi: sqlite3.Connection, _: object) -> None:
        dbapi.isolation_level = None

    def begins(conn: sa.Connection) -> None:
        conn.exec_driver_sql("BEGIN IMMEDIATE")

    sa.event.listen(engine, "connect", connected)
    sa.event.listen(engine, "begin", begins)


def prepare(engine: sa.Engine, features: frozenset[str]) -> None:
    with engine.begin() as conn:
        metadata.create_all(conn)
        tables.create(conn)
        capture.install(conn, journal.completed(travels(features)))


class Node:
    """A database, and the life of the process that has it open."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine
        self.life = 0

    def save(self) -> bytes:
        """Everything, to be put back; only where the life has restores."""
        raise NotImplementedError

    def load(self, data: bytes) -> None:
        raise NotImplementedError

    def close(self) -> None:
        self.engine.dispose()

    def write(self, actor: str, at: int, key: str, values: dict[str, Any]) -> int:
        """An edit of a user; return its seq."""
        with self.engine.begin() as conn:
            capture.begin(conn, Context(life=self.life, actor=actor, cause="web", at=at))
            if not conn.execute(customer.update().where(customer.c.id == key).values(values)).rowcount:
                conn.execute(customer.insert().values(id=key, **values))
            return int(conn.execute(sa.select(sa.func.max(tables.log.c.seq))).scalar_one())


class SqliteNode(Node):
    """In memory."""

    def __init__(self, features: frozenset[str], data: bytes | None = None) -> None:
        engine = sa.create_engine("sqlite://", poolclass=sa.pool.StaticPool)
        capture.attach(engine)
        begin_immediate(engine)
        super().__init__(engine)
        self.load(data or _template(features))

    def _driver(self) -> sqlite3.Connection:
        with self.engine.connect() as conn:
            driver = conn.connection.driver_connection
            assert isinstance(driver, sqlite3.Connection)
            return driver

    def save(self) -> bytes:
        return self._driver().serialize()

    def load(self, data: bytes) -> None:
        source = sqlite3.connect(":memory:")
        source.deserialize(data)
        source.backup(self._driver())
        source.close()


@cache
def _template(features: frozenset[str]) -> bytes:
    empty = sqlite3.connect(":memory:")
    empty.execute("CREATE TABLE unused (at_all INTEGER)")
    node = SqliteNode(features, empty.serialize())
    empty.close()
    prepare(node.engine, features)
    data = node.save()
    node.close()
    return data


class PostgresNode(Node):
    """A database that is emptied for each life, which costs less than to make a new one."""

    def __init__(self, engine: sa.Engine) -> None:
        super().__init__(engine)
        names = [t.name for t in (*metadata.sorted_tables, *tables.metadata.sorted_tables) if t is not tables.catalogue]
        with engine.begin() as conn:
            conn.exec_driver_sql(f"TRUNCATE {', '.join(names)} RESTART IDENTITY")

    def close(self) -> None:
        """The engine belongs to the test."""


_COLUMNS = {model.ALIVE: "alive", model.BUCKET: "bucket", model.MERGED: "merged_into"}


def plain(column: str, value: Any) -> dict[str, Any]:
    """A cell of the model as columns."""
    if column == "address":
        return dict(value)
    if column == model.ALIVE:
        return {"alive": int(value)}
    if column == model.MERGED:
        return {"merged_into": value[1]}
    return {_COLUMNS.get(column, column): value}


class Twin:
    """Everything is compared after each step with what the model says."""

    def __init__(self, features: frozenset[str], make: Callable[[str], Node] | None = None) -> None:
        self.features = features
        self.make = make or (lambda _: SqliteNode(features))
        self.travels = journal.completed(travels(features))
        self.hub_engine = Hub(self.travels, office="hub")
        self.branches: dict[str, Branch] = {}
        self.nodes: dict[str, Node] = {}
        self.saved: dict[str, bytes] = {}
        self.messages: list[tuple[Message, list[Part]]] = []
        self.replies: list[tuple[Reply, list[Part]]] = []
        self.edits: dict[tuple[str, int, int], int] = {}
        self.shapes = {t.name: t for t in self.travels}

    # --- the life ---

    def start(self, lives: dict[str, int], scopes: dict[str, frozenset[str]]) -> None:
        for office in ["hub", *lives]:
            self.nodes[office] = self.make(office)
        self.nodes["hub"].life = 1
        with self.nodes["hub"].engine.begin() as conn:
            for office, life in lives.items():
                self.nodes[office].life = life
                self.branches[office] = Branch(self.travels, office)
                buckets = scopes.get(office)
                self.hub_engine.register_office(conn, office, None if buckets is None else sorted(buckets))
        if isinstance(self.nodes["hub"], SqliteNode):
            self.saved["hub"] = self.nodes["hub"].save()

    def edit(self, office: str, key: model.Key, values: dict[str, Any], at: int, edit: int) -> None:
        columns: dict[str, Any] = {}
        for column, value in values.items():
            columns |= plain(column, value)
        node = self.nodes[office]
        seq = node.write("someone", at, key[1], columns)
        self.edits[office, node.life, seq] = edit

    def ask(self, office: str) -> int:
        node = self.nodes[office]
        with node.engine.begin() as conn:
            message = self.branches[office].message(conn, life=node.life, at=0)
            self.messages.append((message, list(message.parts)))
        return len(self.messages) - 1

    def exchange(self, message: int, hub: model.Hub) -> int:
        asked, parts = self.messages[message]
        asked.parts = parts
        with self.nodes["hub"].engine.begin() as conn:
            reply = self.hub_engine.exchange(conn, asked, at=0)
            self.replies.append((reply, list(reply.parts)))
        self.compare_hub(hub)
        return len(self.replies) - 1

    def apply(self, office: str, reply: int, branch: model.Branch) -> None:
        node = self.nodes[office]
        answer, parts = self.replies[reply]
        answer.parts = parts
        with node.engine.begin() as conn:
            self.branches[office].apply(conn, answer, at=0, life=node.life)
        self.compare_branch(office, branch)

    def backup(self, office: str) -> None:
        if isinstance(self.nodes[office], SqliteNode):
            self.saved[office] = self.nodes[office].save()

    def reopen(self, office: str, life: int) -> None:
        self.nodes[office].life = life

    def restore(self, office: str, life: int) -> None:
        self.nodes[office].load(self.saved[office])
        self.nodes[office].life = life

    def backup_hub(self) -> None:
        with self.nodes["hub"].engine.begin() as conn:
            self.hub_engine.declare_safe(conn)
        if isinstance(self.nodes["hub"], SqliteNode):
            self.saved["hub"] = self.nodes["hub"].save()

    def restore_hub(self, timeline: int) -> None:
        self.nodes["hub"].load(self.saved["hub"])
        with self.nodes["hub"].engine.begin() as conn:
            self.hub_engine.restored(conn, timeline)
        self.nodes["hub"].life = timeline

    def close(self) -> None:
        for node in self.nodes.values():
            node.close()

    # --- the comparison ---

    def _rows(self, office: str) -> dict[str, dict[str, Any]]:
        with self.nodes[office].engine.begin() as conn:
            return {row.id: dict(row._mapping) for row in conn.execute(sa.select(customer))}

    def _same(self, who: str, wanted: dict[model.Key, dict[str, Any]], found: dict[str, dict[str, Any]]) -> None:
        for key, cells in wanted.items():
            row = found.get(key[1])
            if not cells:
                continue
            assert row is not None, f"{who} lacks {key}: {cells}"
            if model.MERGED in cells:
                cells = {model.MERGED: cells[model.MERGED]}
            columns: dict[str, Any] = {}
            for column, value in cells.items():
                columns |= plain(column, value)
            assert {c: row[c] for c in columns} == columns, f"{who} has {row}, should have {columns}"
            assert model.MERGED in cells or row["merged_into"] is None, f"{who} has merged {row}"
        wanted_keys = {key[1] for key, cells in wanted.items() if cells}
        assert found.keys() == wanted_keys, f"{who} has also {found.keys() - wanted_keys}"

    def compare_hub(self, hub: model.Hub) -> None:
        wanted = {key: {c: cell.value for c, cell in row.items()} for key, row in hub.cells.items()}
        self._same("hub", wanted, self._rows("hub"))
        self.same_conflicts("hub", hub.journal)

    def compare_branch(self, office: str, branch: model.Branch) -> None:
        wanted = {key: {c: value for c, (value, _) in row.items()} for key, row in branch.rows.items()}
        self._same(office, wanted, self._rows(office))

    def same_conflicts(self, office: str, wanted: list[model.Conflict]) -> None:
        def named(cell: model.Cell) -> tuple[str, int, int]:
            return cell.writer[0], cell.writer[1] if cell.writer != model.HUB else 0, cell.edit if cell.seq else 0

        def side(row: Any, which: str) -> tuple[str, int, int]:
            life, seq = row[f"{which}_life"], row[f"{which}_seq"]
            if not seq:
                return "hub", 0, 0
            return row[f"{which}_office"], life, self.edits[row[f"{which}_office"], life, seq]

        def values(column: str, cell: model.Cell) -> dict[str, Any]:
            return plain(column, cell.value)

        names = {"alive": model.ALIVE, "bucket": model.BUCKET}
        expected = {
            (c.key[1], c.column, named(c.winner), named(c.loser)): (
                values(c.column, c.winner),
                values(c.column, c.loser),
            )
            for c in wanted
        }
        with self.nodes[office].engine.begin() as conn:
            found = {
                (row["row_id"], names.get(row["cell"], row["cell"]), side(row, "winner"), side(row, "loser")): (
                    journal.winner_values(row),
                    journal.loser_values(row),
                )
                for row in map(dict, conn.execute(sa.select(journal.conflict)).mappings())
            }
        lacks = {k: v for k, v in expected.items() if found.get(k) != v}
        more = {k: v for k, v in found.items() if expected.get(k) != v}
        assert not lacks, f"{office} lacks {lacks}, has {more}"
        assert not more, f"{office} has also {more}"


def live(
    seed: int,
    features: frozenset[str],
    *,
    hub_restores: bool = True,
    branch_restores: bool = True,
    make: Callable[[str], Node] | None = None,
) -> dict[str, int]:
    """One life in both; raise AssertionError where they differ."""
    twin = Twin(features, make)
    try:
        hub, branches, stats = model.simulate(seed, hub_restores, features, twin, branch_restores)
        for branch in branches:
            twin.compare_branch(branch.name, branch)
            if not hub.scopes:
                twin.same_conflicts(branch.name, hub.journal)
    finally:
        twin.close()
    return stats
