"""Nothing that is written to a travelling table escapes the log, and nobody writes without saying who he is."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
import sqlalchemy as sa

from replication import capture, stored, tables
from replication.errors import BadTravel, NoContext
from replication.travel import Travel, check, fingerprint
from tests.unit.replication.company import RICH, TRAVELS, Node, contact, customer, key, metadata, posting

pytestmark = pytest.mark.postgres
BIT = {column: bit for bit, column in enumerate(TRAVELS[0].columns)}


def test_every_way_to_write_is_captured_with_the_changed_columns_and_their_old_values(node: Node) -> None:
    node.add("a", phone="1", **RICH)
    node.do(
        customer.insert().from_select(
            ["id", "name", "alive"], sa.select(sa.literal(key("b")), sa.literal("b"), sa.literal(1))
        ),
        sa.text("UPDATE customer SET phone = '2', town = 'Kiel'"),
        customer.update().where(customer.c.id == key("a")).values(phone="2", photo=None, **{"limit": 7}),
        customer.update().values(secret="kept at home"),
    )
    log = node.log()
    assert [(e.op, e.row) for e in log[:2]] == [(tables.INSERTED, key("a")), (tables.INSERTED, key("b"))]
    bulk = {e.row: e for e in log[2:4]}
    assert bulk[key("a")].mask == bulk[key("b")].mask == 1 << BIT["phone"] | 1 << BIT["town"]
    assert stored.old_values(bulk[key("a")].old) == {BIT["phone"]: "1", BIT["town"]: None}
    last = log[4]
    assert last.mask == 1 << BIT["photo"] | 1 << BIT["limit"], "what stays the same is no change"
    assert stored.old_values(last.old)[BIT["photo"]] == "00FF10"
    assert len(log) == 5, "a column that stays at home is not captured"


def test_a_delete_is_a_mark_and_a_row_without_that_mark_cannot_be_deleted(node: Node) -> None:
    node.add("a")
    node.add("b")
    node.do(customer.delete())
    assert [(row["id"], row["alive"]) for row in node.all(customer)] == [(key("a"), 0), (key("b"), 0)]
    assert [e.mask for e in node.log()[2:]] == [1 << BIT["alive"]] * 2
    node.do(customer.delete())
    assert len(node.log()) == 4, "what is dead is not deleted again"
    node.do(posting.insert().values(id=key("p"), amount=5))
    with pytest.raises(sa.exc.DBAPIError, match="never deleted"):
        node.do(posting.delete())
    with pytest.raises(sa.exc.DBAPIError, match="never changes"):
        node.do(customer.update().values(id=key("z")).where(customer.c.id == key("a")))
    assert len(node.log()) == 5


def test_a_write_without_a_context_fails_and_says_how_to_make_one(node: Node) -> None:
    with pytest.raises(NoContext, match=r"capture\.begin"), node.engine.begin() as conn:
        conn.execute(customer.insert().values(id=key("a"), name="a"))
    node.add("a")
    for statement in (customer.update().values(name="b"), customer.delete()):
        with pytest.raises(NoContext), node.engine.begin() as conn:  # the last transaction's context is over
            conn.execute(statement)
    assert node.get("a")["name"] == "a"


def test_what_is_rolled_back_leaves_no_trace(node: Node) -> None:
    with node.engine.begin() as conn:
        capture.begin(conn, capture.Context(life=1, actor="x", cause="web", at=1))
        conn.execute(customer.insert().values(id=key("a"), name="a"))
        inner = conn.begin_nested()
        conn.execute(customer.insert().values(id=key("b"), name="b"))
        inner.rollback()
        conn.execute(customer.insert().values(id=key("c"), name="c"))
    with node.engine.begin() as conn:
        capture.begin(conn, capture.Context(life=2, actor="y", cause="web", at=1))
        conn.execute(customer.insert().values(id=key("d"), name="d"))
        conn.rollback()
    node.life = 2
    node.do(customer.insert().values(id=key("e"), name="e"), actor="y")
    assert [e.row for e in node.log()] == [key("a"), key("c"), key("e")]


def test_the_engine_writes_unseen_inside_off_and_only_there(node: Node) -> None:
    with node.engine.begin() as conn:
        with capture.off(conn):
            conn.execute(customer.insert().values(id=key("a"), name="a"))
            conn.execute(customer.delete())
        with pytest.raises(NoContext):
            conn.execute(customer.insert().values(id=key("b"), name="b"))
        conn.rollback()
    assert node.log() == []


def test_missing_disabled_and_foreign_triggers_are_repaired_and_named(node: Node) -> None:
    assert "exchange_capture_customer_insert" in node.installed
    with node.engine.begin() as conn:
        assert capture.install(conn, TRAVELS) == ()
        on = " ON customer" if conn.dialect.name == "postgresql" else ""
        conn.exec_driver_sql(f"DROP TRIGGER exchange_capture_customer_update{on}")
        if on:
            conn.exec_driver_sql("ALTER TABLE contact DISABLE TRIGGER exchange_capture_contact_insert")
    with node.engine.begin() as conn:
        repaired = capture.install(conn, TRAVELS)
        assert "exchange_capture_customer_update" in repaired
        assert ("exchange_capture_contact_insert" in repaired) == (conn.dialect.name == "postgresql")
        left = [t for t in TRAVELS if t.table is not posting]
        capture.install(conn, left)
    with node.engine.begin() as conn:
        conn.execute(posting.insert().values(id=key("p"), amount=1))  # travels no more: nobody asks who wrote it
        assert capture.install(conn, TRAVELS) != ()


def test_a_new_column_gets_the_next_bit_and_old_entries_stay_readable(node: Node) -> None:
    node.add("a", phone="1")
    node.set("a", phone="2")
    wider = sa.Table(
        "contact",
        sa.MetaData(),
        sa.Column("id", sa.String(16), primary_key=True),
        sa.Column("fax", sa.Text),  # in the middle, as a rebuilt table may have it
        *(c._copy() for c in contact.columns if c.name not in ("id", "customer")),
        sa.Column("customer", sa.String(16)),
    )
    travels = [t if t.table is not contact else Travel(table=wider, root=t.root, order=2) for t in TRAVELS]
    with node.engine.begin() as conn:
        conn.exec_driver_sql("ALTER TABLE contact ADD COLUMN fax TEXT")
        assert "exchange_capture_contact_update" in capture.install(conn, travels)
        names = conn.execute(sa.select(tables.catalogue.c.columns).where(tables.catalogue.c.name == "contact")).scalar()
    assert names == '["alive", "customer", "name", "fax"]'
    assert fingerprint(travels) != fingerprint(TRAVELS)


def test_a_list_that_contradicts_the_tables_is_refused_with_the_reason() -> None:
    for options, reason in (
        ({"groups": {"x": ("nothing",)}}, "no column nothing"),
        ({"home": frozenset({"alive"})}, "stay at home"),
        ({"alive": None, "root": ("customer", "nowhere")}, "nowhere does not travel"),
        ({"policies": {"street": "later"}, "groups": {"name": ("name",)}}, "no cell street"),
    ):
        with pytest.raises(BadTravel, match=reason):
            check([Travel(table=contact, order=1, **options)])


def test_a_foreign_tool_on_the_file_fails_loudly(tmp_path: Path, backend: str) -> None:
    if backend != "sqlite":
        pytest.skip("there it fails in the function that the trigger calls, as above")
    Node("north", f"sqlite:///{tmp_path / 'node.db'}", 1).engine.dispose()
    foreign = sqlite3.connect(tmp_path / "node.db")
    with pytest.raises(sqlite3.OperationalError, match="exchange_context"):
        foreign.execute("INSERT INTO customer (id, name, alive) VALUES ('x', 'x', 1)")
    foreign.close()
    assert metadata.tables.keys() >= {"customer"}
