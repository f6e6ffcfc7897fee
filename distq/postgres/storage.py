"""PostgresStorage: the Storage Protocol on PostgreSQL. How operations are executed; what they are is in
`operations.py` and `administration.py`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import psycopg

from distq.finding import Finding
from distq.job import Heard
from distq.postgres import borrowed, examination, schema
from distq.postgres.administration import Administration
from distq.postgres.cursors import Statement
from distq.postgres.executor import AsyncExecutor, Executor
from distq.postgres.listener import PostgresListener
from distq.postgres.positions import Positions
from distq.postgres.target import parse
from distq.storage import Op, T


class PostgresStorage(Administration):
    """Jobs in a schema of a PostgreSQL database, 15 or newer."""

    def __init__(self, url: str) -> None:
        """`url` is libpq's, plus `?schema=` (default `distq`) and `?prepare=off`, which a proxy that pools
        transactions needs. Raises ConfigurationError.
        """
        self._target = parse(url)
        self._positions = Positions()
        self._executor = Executor(self._target)
        self._async_executor = AsyncExecutor(self._target)

    def listener(self, *, queues: Sequence[str] = (), ended: Sequence[str] = ()) -> PostgresListener:
        return PostgresListener(self._target, self._call, queues, ended)

    def told(self, queues: Collection[str], heard: Heard) -> None:
        self._positions.told(queues, heard)

    def _call(self, text: str) -> None:
        """Say something in the schema's channel. Raises StorageError."""
        parameters = {"channel": self._target.schema, "text": text}
        self._executor.run(Statement(b"SELECT pg_notify(%(channel)s, %(text)s)", parameters), repeatable=True)

    @property
    def where(self) -> str:
        return self._target.where

    def examine(self) -> list[Finding]:
        """As the Protocol says."""
        return examination.examine(self._target)

    def migrate(self) -> list[str]:
        """Create or upgrade the schema. Raises StorageUnavailable or SchemaError."""
        with self._target.translated(), psycopg.Connection.connect(**self._target.arguments) as connection:
            return schema.migrate(connection, self._target.schema)

    def run(self, op: Op[T], connection: Any = None) -> T:
        """As the Protocol says. `connection` is a psycopg.Connection."""
        if connection is None:
            return op.decode(self._executor.run(op.request, repeatable=op.repeatable))
        with self._target.translated():
            return op.decode(borrowed.run(connection, op.request))

    async def arun(self, op: Op[T], connection: Any = None) -> T:
        """As the Protocol says. `connection` is a psycopg.AsyncConnection."""
        if connection is None:
            return op.decode(await self._async_executor.run(op.request, repeatable=op.repeatable))
        with self._target.translated():
            return op.decode(await borrowed.arun(connection, op.request))

    def close(self) -> None:
        self._executor.close()

    async def aclose(self) -> None:
        await self._async_executor.close()
