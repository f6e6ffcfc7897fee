"""Runs a statement on a connection of the caller's, in its transaction.

Nothing of the connection is changed: no setting, no prepared statement, no commit; and how it is set up
to make rows and read types plays no part.
"""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.rows import tuple_row

from distq.errors import ConfigurationError
from distq.postgres.cursors import AsyncCursor, Cursor, Rows, Statement


def run(connection: Any, statement: Statement) -> Rows:
    """Execute and fetch. Raises ConfigurationError where it is not a psycopg.Connection."""
    if not isinstance(connection, psycopg.Connection):
        raise _unusable(connection, "psycopg.Connection")
    with Cursor(connection, row_factory=tuple_row) as cursor:
        if not statement.guarded or _alone(connection):
            return _fetch(cursor, statement)
        # A statement opens the transaction: `transaction()` would commit one that it opens itself.
        cursor.execute("SELECT")
        with connection.transaction():
            return _fetch(cursor, statement)


def _fetch(cursor: Cursor, statement: Statement) -> Rows:
    return cursor.execute(statement.text, statement.parameters, prepare=False, binary=True).fetchall()


async def arun(connection: Any, statement: Statement) -> Rows:
    """Execute and fetch. Raises ConfigurationError where it is not a psycopg.AsyncConnection."""
    if not isinstance(connection, psycopg.AsyncConnection):
        raise _unusable(connection, "psycopg.AsyncConnection")
    async with AsyncCursor(connection, row_factory=tuple_row) as cursor:
        if not statement.guarded or _alone(connection):
            return await _afetch(cursor, statement)
        await cursor.execute("SELECT")
        async with connection.transaction():
            return await _afetch(cursor, statement)


async def _afetch(cursor: AsyncCursor, statement: Statement) -> Rows:
    await cursor.execute(statement.text, statement.parameters, prepare=False, binary=True)
    return await cursor.fetchall()


def _alone(connection: psycopg.Connection | psycopg.AsyncConnection) -> bool:
    """Whether the statement will be a transaction by itself."""
    return connection.autocommit and connection.info.transaction_status is TransactionStatus.IDLE


def _unusable(connection: object, needed: str) -> ConfigurationError:
    kind = f"{type(connection).__module__}.{type(connection).__qualname__}"
    return ConfigurationError(f"connection=: a {needed} is needed here, not a {kind}")
