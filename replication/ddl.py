"""The text of the capture triggers, for SQLite and for PostgreSQL, and their repair.

A trigger is compared with the text that we would create now: a difference, a missing one and a disabled one are
all repaired alike. Triggers of ours on tables that travel no more are dropped.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from replication.catalogue import Shape
from replication.travel import ID

PREFIX = "exchange_capture_"


def repair(conn: sa.Connection, shapes: Sequence[Shape]) -> tuple[str, ...]:
    """Make the database's capture triggers what they should be; return the names of those that were not."""
    return _repair_sqlite(conn, shapes) if conn.dialect.name == "sqlite" else _repair_postgresql(conn, shapes)


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _is_binary(shape: Shape, column: str) -> bool:
    kind = shape.travel.table.c[column].type
    return isinstance(kind, sa.LargeBinary) or getattr(kind, "impl", None).__class__ is sa.LargeBinary


def _inserted(shape: Shape) -> str:
    """The mask of a new row: 0, or the bit of `merged` if it is an alias from the beginning."""
    if shape.travel.merged is None:
        return "0"
    return f"CASE WHEN NEW.{_quote(shape.travel.merged)} IS NULL THEN 0 ELSE {1 << shape.merged} END"


# --- SQLite ---------------------------------------------------------------------------------------------------------


def sqlite_triggers(shape: Shape) -> dict[str, str]:
    """Trigger name -> its CREATE statement."""
    travel, table = shape.travel, _quote(shape.name)
    captured = "WHEN exchange_context() IS NOT 0"
    masks, olds = [], []
    for column in travel.columns:
        bit, name = shape.bits[column], _quote(column)
        differs = f"OLD.{name} IS NOT NEW.{name}"
        masks.append(f"({differs}) << {bit}" if bit else f"({differs})")
        old = f"hex(OLD.{name})" if _is_binary(shape, column) else f"OLD.{name}"
        if _is_binary(shape, column):
            old = f"iif(OLD.{name} IS NULL, NULL, {old})"
        olds.append(f"iif({differs}, ',\"{bit}\":' || json_quote({old}), '')")
    mask = " | ".join(f"({part})" for part in masks)
    old = f"printf('{'%s' * len(olds)}', {', '.join(olds)})"  # one call: cheaper than as many ||
    columns = ", ".join(_quote(c) for c in travel.columns)
    inserted = _inserted(shape)
    into = "INSERT INTO exchange_log"
    result = {
        "insert": f"AFTER INSERT ON {table} {captured} BEGIN "
        f"{into} (tx, tab, row, op, mask) VALUES (exchange_context(), {shape.number}, NEW.{ID}, 0, {inserted}); END",
        "update": f"AFTER UPDATE OF {columns} ON {table} {captured} BEGIN "
        f"{into} (tx, tab, row, op, mask, old) VALUES (exchange_context(), {shape.number}, NEW.{ID}, 1, {mask}, "
        f"{old}); END",
        "id": f"BEFORE UPDATE OF {ID} ON {table} {captured} AND OLD.{ID} IS NOT NEW.{ID} BEGIN "
        f"SELECT RAISE(ABORT, 'the id of a travelling row never changes'); END",
    }
    if travel.alive is None:
        refuse = f"rows of {shape.name} travel and are never deleted".replace("'", "")
        result["delete"] = f"BEFORE DELETE ON {table} {captured} BEGIN SELECT RAISE(ABORT, {_literal(refuse)}); END"
    else:
        alive = _quote(travel.alive)
        result["delete"] = (
            f"BEFORE DELETE ON {table} {captured} BEGIN "
            f"UPDATE {table} SET {alive} = 0 WHERE {ID} = OLD.{ID} AND {alive}; SELECT RAISE(IGNORE); END"
        )
    return {
        f"{PREFIX}{shape.name}_{what}": f"CREATE TRIGGER {_quote(f'{PREFIX}{shape.name}_{what}')} {text}"
        for what, text in result.items()
    }


def _repair_sqlite(conn: sa.Connection, shapes: Sequence[Shape]) -> tuple[str, ...]:
    wanted = {name: text for shape in shapes for name, text in sqlite_triggers(shape).items()}
    query = sa.text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND name LIKE :like")
    found = {row.name: row.sql for row in conn.execute(query, {"like": PREFIX.replace("_", "_") + "%"})}
    for name in found.keys() - wanted.keys():
        conn.exec_driver_sql(f"DROP TRIGGER {_quote(name)}")
    repaired = []
    for name, text in wanted.items():
        if found.get(name) != text:
            conn.exec_driver_sql(f"DROP TRIGGER IF EXISTS {_quote(name)}")
            conn.exec_driver_sql(text)
            repaired.append(name)
    return tuple(repaired)


# --- PostgreSQL -----------------------------------------------------------------------------------------------------

_CONTEXT = """
DECLARE number text := current_setting('exchange.tx', true);
BEGIN
  IF number IS NULL OR number = '' THEN
    RAISE EXCEPTION 'a_write_to_a_travelling_table_needs_capture_begin';
  END IF;
  RETURN number::bigint;
END"""


def postgresql_bodies(shape: Shape) -> dict[str, tuple[str, str]]:
    """Trigger name -> (when it fires, body of its function)."""
    travel, number = shape.travel, shape.number
    masks, olds = [], []
    for column in travel.columns:
        bit, name = shape.bits[column], _quote(column)
        differs = f"OLD.{name} IS DISTINCT FROM NEW.{name}"
        masks.append(f"CASE WHEN {differs} THEN {1 << bit}::bigint ELSE 0 END")
        old = f"upper(encode(OLD.{name}, 'hex'))" if _is_binary(shape, column) else f"OLD.{name}"
        olds.append(f"CASE WHEN {differs} THEN ',\"{bit}\":' || coalesce(to_json({old})::text, 'null') END")
    into = "INSERT INTO exchange_log"
    bodies = {
        "insert": (
            "AFTER INSERT",
            f"{into} (tx, tab, row, op, mask) VALUES (number, {number}, NEW.{ID}, 0, {_inserted(shape)});",
        ),
        "update": (
            "AFTER UPDATE",
            f"IF OLD.{ID} <> NEW.{ID} THEN RAISE EXCEPTION 'the id of a travelling row never changes'; END IF;\n"
            f"changed := {' | '.join(masks)};\n"
            f"IF changed <> 0 THEN {into} (tx, tab, row, op, mask, old) "
            f"VALUES (number, {number}, NEW.{ID}, 1, changed, "
            f"concat({', '.join(olds)})); END IF;",
        ),
    }
    if travel.alive is None:
        refuse = _literal(f"rows of {shape.name} travel and are never deleted")
        bodies["delete"] = ("BEFORE DELETE", f"RAISE EXCEPTION {refuse};")
    else:
        alive = _quote(travel.alive)
        dead = "false" if isinstance(travel.table.c[travel.alive].type, sa.Boolean) else "0"
        mark = f"UPDATE {_quote(shape.name)} SET {alive} = {dead} WHERE {ID} = OLD.{ID} AND {alive} <> {dead};"
        bodies["delete"] = ("BEFORE DELETE", f"{mark}\nRETURN NULL;")
    result = {}
    for what, (when, body) in bodies.items():
        row = "OLD" if what == "delete" else "NEW"
        frame = (
            f"\nDECLARE number bigint := exchange_context(); changed bigint;\n"
            f"BEGIN\nIF number = 0 THEN RETURN {row}; END IF;\n{body}\nRETURN {row};\nEND"
        )
        result[f"{PREFIX}{shape.name}_{what}"] = (when, frame)
    return result


def _repair_postgresql(conn: sa.Connection, shapes: Sequence[Shape]) -> tuple[str, ...]:
    conn.exec_driver_sql(
        "CREATE OR REPLACE FUNCTION exchange_context() RETURNS bigint "
        f"LANGUAGE plpgsql STABLE AS $body${_CONTEXT}$body$"
    )
    query = sa.text(
        "SELECT t.tgname AS name, c.relname AS tab, t.tgenabled AS enabled, p.prosrc AS body FROM pg_trigger t "
        "JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_proc p ON p.oid = t.tgfoid "
        "WHERE NOT t.tgisinternal AND starts_with(t.tgname, :prefix) "
        "AND c.relnamespace = current_schema()::regnamespace"
    )
    found = {row.name: row for row in conn.execute(query, {"prefix": PREFIX})}
    wanted = {name: (shape, *rest) for shape in shapes for name, rest in postgresql_bodies(shape).items()}
    for name in found.keys() - wanted.keys():
        conn.exec_driver_sql(f"DROP TRIGGER {_quote(name)} ON {_quote(found[name].tab)}")
    repaired = []
    for name, (shape, when, body) in wanted.items():
        now = found.get(name)
        if now is not None and now.body == body and now.enabled in ("O", b"O"):
            continue
        table, function = _quote(shape.name), _quote(name)
        conn.exec_driver_sql(
            f"CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS $body${body}$body$".replace(
                "%", "%%"
            )
        )
        conn.exec_driver_sql(f"DROP TRIGGER IF EXISTS {function} ON {table}")
        conn.exec_driver_sql(f"CREATE TRIGGER {function} {when} ON {table} FOR EACH ROW EXECUTE FUNCTION {function}()")
        repaired.append(name)
    return tuple(repaired)
