"""Creates, upgrades and checks the schema."""

from __future__ import annotations

from typing import NamedTuple

import psycopg
from psycopg import sql

from distq.errors import SchemaError
from distq.postgres.queries import migrations

CODE_VERSION = 5
"""The schema version that this code is written for."""

OLDEST_CODE = 1
"""The oldest `CODE_VERSION` that can work with the schema as this code leaves it."""

_VERSION_TABLE = """
CREATE TABLE IF NOT EXISTS {schema}.schema_version (
    only_row    boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    version     int NOT NULL,
    oldest_code int NOT NULL,
    migrated_at timestamptz NOT NULL DEFAULT now()
)"""


class Version(NamedTuple):
    """The schema's version row. Version 0 is no schema at all."""

    version: int
    oldest_code: int


def migrate(connection: psycopg.Connection, schema: str) -> list[str]:
    """Bring the schema to `CODE_VERSION` in one transaction; says what it did, a line each.

    An advisory lock keeps two at once apart: the second finds nothing to do.

    Raises:
        SchemaError: the schema is one that this code is too old for.
    """
    name = sql.Identifier(schema)
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(hashtext('distq migrate ' || %s))", (schema,))
        connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {schema}").format(schema=name))
        connection.execute(sql.SQL(_VERSION_TABLE).format(schema=name))  # pyright: ignore[reportArgumentType]
        current = read_version(connection, schema)
        refuse_old_code(current, schema)
        pending = migrations(schema)[current.version :]
        for _, text in pending:
            connection.execute(text.encode())
        if not pending:
            return [f"schema {schema}: nothing to do, it is at version {current.version}"]
        _write_version(connection, schema)
    return [f"schema {schema}: applied {label}" for label, _ in pending]


def _write_version(connection: psycopg.Connection, schema: str) -> None:
    connection.execute(
        sql.SQL(
            "INSERT INTO {}.schema_version (version, oldest_code) VALUES (%s, %s)"
            " ON CONFLICT (only_row) DO UPDATE"
            " SET version = excluded.version, oldest_code = excluded.oldest_code, migrated_at = now()"
        ).format(sql.Identifier(schema)),
        (CODE_VERSION, OLDEST_CODE),
    )


def version_query(schema: str) -> sql.Composed:
    """The statement that reads the version row."""
    return sql.SQL("SELECT version, oldest_code FROM {}.schema_version").format(sql.Identifier(schema))


def version_of(row: tuple[int, int] | None) -> Version:
    """The version row as a value; version 0 where there is none."""
    return Version(*row) if row else Version(0, 0)


def read_version(connection: psycopg.Connection, schema: str) -> Version:
    """The version row; raises psycopg's UndefinedTable where the table is missing."""
    return version_of(connection.execute(version_query(schema)).fetchone())


def check(current: Version, schema: str) -> None:
    """Raise SchemaError where this code cannot work with the schema."""
    if current.version < CODE_VERSION:
        has = f"is at version {current.version}" if current.version else "does not exist"
        raise SchemaError(
            f"schema {schema} {has}, this distq needs version {CODE_VERSION}: run `distq migrate --url …`"
        )
    refuse_old_code(current, schema)


def refuse_old_code(current: Version, schema: str) -> None:
    """Raise SchemaError where the schema has moved on past what this code understands."""
    if current.oldest_code > CODE_VERSION:
        raise SchemaError(
            f"schema {schema} is at version {current.version}, which needs code of version"
            f" {current.oldest_code} or newer; this distq is {CODE_VERSION}: upgrade distq"
        )
