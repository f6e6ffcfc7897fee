"""What PostgreSQL does with a statement of distq's, as EXPLAIN tells it. Nothing of it stays."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import psycopg
from psycopg import sql

from distq.postgres.cursors import Statement
from distq.storage import Op

EXPLAIN = sql.SQL("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ")


class Plan(NamedTuple):
    """The indexes that were used, the tables that were read as a whole, and how many rows were looked at.

    `pages` were read, of the tables and of the indexes, where what an index passes by is no row.
    """

    indexes: frozenset[str]
    scanned: frozenset[str]
    rows: int
    pages: int


class Session:
    """A connection of distq's own that keeps the plans which it makes now."""

    def __init__(self, connection: psycopg.Connection[Any], ops: Mapping[str, Op[Any]]) -> None:
        self._connection = connection
        self._calls: dict[str, sql.Composed] = {}
        for name, op in ops.items():
            statement: Statement = op.request
            text, keys = _numbered(statement.text)
            values = sql.SQL(", ").join(statement.parameters[key] for key in keys)
            self._calls[name] = sql.SQL("EXECUTE {} ({})").format(sql.Identifier(name), values)
            self._execute(sql.SQL("PREPARE {} AS ").format(sql.Identifier(name)).as_bytes(connection) + text)
            self._execute(sql.SQL("EXPLAIN ") + self._calls[name])

    def explain(self, name: str) -> Plan:
        with undone(self._connection):
            return _plan(self._execute(EXPLAIN + self._calls[name]))

    def _execute(self, query: bytes | sql.Composable) -> psycopg.Cursor[Any]:
        return self._connection.execute(query, prepare=False)


def _numbered(text: bytes) -> tuple[bytes, list[str]]:
    """A statement with the parameters of PREPARE, and their names."""
    keys = list(dict.fromkeys(re.findall(rb"%\((\w+)\)s", text)))
    numbered = re.sub(rb"%\((\w+)\)s", lambda match: b"$%d" % (keys.index(match[1]) + 1), text)
    return numbered, [key.decode() for key in keys]


def explain(connection: psycopg.Connection[Any], op: Op[Any]) -> Plan:
    """On a connection of somebody else's: planned for these parameters."""
    with undone(connection):
        text = EXPLAIN.as_bytes(connection) + op.request.text
        return _plan(connection.execute(text, op.request.parameters, prepare=False))


@contextmanager
def undone(connection: psycopg.Connection[Any]) -> Iterator[None]:
    """A transaction that is rolled back without psycopg's knowing, which would forget prepared statements."""
    connection.pgconn.exec_(b"BEGIN")
    try:
        yield
    finally:
        connection.pgconn.exec_(b"ROLLBACK")


def _plan(cursor: psycopg.Cursor[Any]) -> Plan:
    ((((document,),),),) = (cursor.fetchall(),)
    nodes = list(_nodes(document["Plan"]))
    done = [node for node in nodes if node["Actual Loops"]]
    return Plan(
        frozenset(node["Index Name"] for node in done if "Index Name" in node),
        frozenset(node["Relation Name"] for node in nodes if node["Node Type"] == "Seq Scan"),
        sum(map(_rows, done)),
        document["Plan"]["Shared Hit Blocks"] + document["Plan"]["Shared Read Blocks"],
    )


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", ()):
        yield from _nodes(child)


def _rows(node: dict[str, Any]) -> int:
    if "Relation Name" not in node or node["Node Type"] == "ModifyTable":
        return 0
    removed = ("Rows Removed by Filter", "Rows Removed by Index Recheck")
    return round(node["Actual Loops"] * (node["Actual Rows"] + sum(node.get(key, 0) for key in removed)))
