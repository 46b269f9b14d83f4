"""Live rows, read and written by the thousand, with their values as they lie in the database.

Whoever writes with these functions has switched the capture off.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from replication.catalogue import Shape
from replication.travel import ID

Values = list[Any]  # of a row, in the order of Shape.order


def among(conn: sa.Connection, column: sa.ColumnElement[Any], ids: Collection[str]) -> sa.ColumnElement[bool]:
    """A condition that takes thousands of ids in one parameter."""
    if conn.dialect.name == "sqlite":
        each = sa.func.json_each(json.dumps(list(ids))).table_valued("value")
        return column.in_(sa.select(each.c.value))
    return column == sa.func.any(sa.bindparam("ids", list(ids), type_=sa.ARRAY(sa.Text), unique=True))


def fetch(conn: sa.Connection, shape: Shape, ids: Collection[str]) -> dict[str, Values]:
    """id -> values of the rows that exist."""
    if not ids:
        return {}
    columns = [shape.raw.c[ID], *(shape.raw.c[c] for c in shape.order)]
    found = conn.execute(sa.select(*columns).where(among(conn, shape.raw.c[ID], ids))).all()
    return {key: values for key, *values in found}


def read(conn: sa.Connection, shape: Shape, ids: Collection[str]) -> dict[str, Sequence[Any]]:
    """id -> (id, *values), only to be looked at: it saves a copy."""
    if not ids:
        return {}
    columns = [shape.raw.c[ID], *(shape.raw.c[c] for c in shape.order)]
    dialect = conn.dialect
    if dialect.name == "sqlite" and not any(
        c.type.dialect_impl(dialect).result_processor(dialect, None) for c in columns
    ):  # the driver's own tuples: there is nothing to convert
        names = ", ".join(_quote(conn, c.name) for c in columns)
        table = _quote(conn, shape.name)
        sql = f"SELECT {names} FROM {table} WHERE {ID} IN (SELECT value FROM json_each(?))"
        result = conn.exec_driver_sql(sql, (json.dumps(list(ids)),))
        assert result.cursor is not None
        return {row[0]: row for row in result.cursor.fetchall()}
    found: Sequence[Sequence[Any]] = conn.execute(sa.select(*columns).where(among(conn, columns[0], ids))).all()
    return {row[0]: row for row in found}


def existing(conn: sa.Connection, shape: Shape, ids: Collection[str]) -> set[str]:
    """Those ids that are rows."""
    if not ids:
        return set()
    key = shape.raw.c[ID]
    return set(conn.execute(sa.select(key).where(among(conn, key, ids))).scalars().all())


def insert(conn: sa.Connection, shape: Shape, found: Iterable[tuple[Any, ...]]) -> None:
    """Rows that do not exist: (id, *values). Columns that stay at home get the empty value of their type."""
    home = {c.name: empty(c) for c in shape.travel.table.columns if c.name in shape.travel.home and not c.nullable}
    names = [ID, *shape.order, *home]
    rest = tuple(home.values())
    marks = ", ".join([_mark(conn)] * len(names))
    complete = [(*row, *rest) for row in found] if rest else list(found)
    _many(conn, shape, names, complete, f"INSERT INTO {{table}} ({{names}}) VALUES ({marks})")


def update(conn: sa.Connection, shape: Shape, places: Sequence[int], rows: Iterable[tuple[Any, ...]]) -> None:
    """`rows`: the values of the columns at `places`, then the id."""
    names = [shape.order[place] for place in places]
    mark = _mark(conn)
    sets = ", ".join(f"{_quote(conn, name)} = {mark}" for name in names)
    _many(conn, shape, [*names, ID], list(rows), f"UPDATE {{table}} SET {sets} WHERE {ID} = {mark}")


def delete(conn: sa.Connection, shape: Shape, ids: Sequence[str]) -> None:
    _many(conn, shape, [ID], [(key,) for key in ids], f"DELETE FROM {{table}} WHERE {ID} = {_mark(conn)}")


def empty(column: sa.Column[Any]) -> Any:
    """What stands in a column that nobody has told us yet."""
    default: Any = column.default
    if default is not None and default.is_scalar:
        value = default.arg
        if isinstance(column.type, sa.TypeDecorator):
            return column.type.process_bind_param(value, sqlite.dialect())
        return value
    if column.nullable:
        return None
    raw = column.type.impl_instance if isinstance(column.type, sa.TypeDecorator) else column.type
    kind = raw.python_type
    return kind(1, 1, 1) if hasattr(kind, "fromisoformat") else kind()


def _mark(conn: sa.Connection) -> str:
    return "?" if conn.dialect.paramstyle == "qmark" else "%s"


def _quote(conn: sa.Connection, name: str) -> str:
    return conn.dialect.identifier_preparer.quote(name)


def _many(conn: sa.Connection, shape: Shape, names: list[str], rows: list[tuple[Any, ...]], sql: str) -> None:
    """executemany, with the driver's own statement: SQLAlchemy's costs as much again as the database."""
    if not rows:
        return
    binds = []
    for place, name in enumerate(names):
        bind = shape.raw.c[name].type.dialect_impl(conn.dialect).bind_processor(conn.dialect)
        if bind is not None:
            binds.append((place, bind))
    if binds:
        rows = [_bound(row, binds) for row in rows]
    quoted = ", ".join(_quote(conn, name) for name in names)
    statement = sql.replace("{table}", _quote(conn, shape.name)).replace("{names}", quoted)
    conn.exec_driver_sql(statement, rows)


def _bound(row: tuple[Any, ...], binds: list[tuple[int, Any]]) -> tuple[Any, ...]:
    values = list(row)
    for place, bind in binds:
        values[place] = bind(values[place])
    return tuple(values)
