"""Runs statements on connections of ours: one executor for threads, one for event loops.

Nearly every statement of distq is safe to repeat (ids come from the client, leases are fenced), so a
connection that turns out to be dead is replaced and the statement sent once more. A server that does
not answer a fresh connection is StorageUnavailable.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections import deque
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

import psycopg

from distq.postgres import schema
from distq.postgres.cursors import AsyncCursor, Cursor, Rows, Statement
from distq.postgres.target import KEY_TAKEN, Target

MAX_CONNECTIONS = 10
"""Connections that one process, or one event loop, opens at most."""

#: Every statement is to walk an index, row by row, by a plan that is made once. One that was made and kept
#: while the queue was empty would else scan the whole table when it is full, until somebody analyzes it.
#: A whole index of an empty table costs no more than one entry, so the statements leave no choice: they join
#: by `id = ANY (ARRAY[other.id])`, for which an index can only be searched, and ask whether an id is there
#: with OFFSET 0, which keeps that from being made a join.
#: Before PostgreSQL 18 what is avoided so, and still needed, has a cost that asks for compilation.
_PLANNER = (
    "SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off;"
    " SET enable_incremental_sort = off; SET plan_cache_mode = force_generic_plan; SET jit = off"
)


class Executor:
    """Runs statements from any thread, each on a connection of a small pool. Safe after a fork."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._reset()

    def _reset(self) -> None:
        self._idle: deque[psycopg.Connection] = deque()
        self._places = threading.BoundedSemaphore(MAX_CONNECTIONS)
        self._checked = False
        self._pid = os.getpid()

    def run(self, statement: Statement, *, repeatable: bool) -> Rows:
        """Execute and fetch. Raises JobExists, StorageUnavailable, SchemaError or StorageError."""
        if self._pid != os.getpid():
            self._reset()
        with self._places, self._target.translated():
            while self._idle:
                try:
                    return self._run_on(self._idle.pop(), statement)
                except psycopg.OperationalError:
                    self.close()
                    if not repeatable:
                        raise
            return self._run_on(self._connect(), statement)

    def _run_on(self, connection: psycopg.Connection, statement: Statement) -> Rows:
        sound = False
        try:
            cursor = connection.execute(
                statement.text, statement.parameters, prepare=self._target.prepare, binary=True
            )
            rows = cursor.fetchall()
            sound = True
        except psycopg.Error as error:
            sound = error.sqlstate == KEY_TAKEN
            raise
        finally:
            if sound:
                self._idle.append(connection)
            else:
                connection.close()
        return rows

    def _connect(self) -> psycopg.Connection:
        """A new connection; the first one checks the schema's version."""
        connection = psycopg.Connection.connect(cursor_factory=Cursor, **self._target.arguments)
        try:
            if self._target.prepare:
                connection.execute(_PLANNER)
            if not self._checked:
                schema.check(schema.read_version(connection, self._target.schema), self._target.schema)
                self._checked = True
        except BaseException:
            connection.close()
            raise
        return connection

    def close(self) -> None:
        """Close the idle connections."""
        while self._idle:
            self._idle.pop().close()


@dataclass
class _LoopPool:
    idle: deque[psycopg.AsyncConnection] = field(default_factory=deque)
    places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MAX_CONNECTIONS))


class AsyncExecutor:
    """The same for coroutines; each event loop has its own connections."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._pools: WeakKeyDictionary[asyncio.AbstractEventLoop, _LoopPool] = WeakKeyDictionary()
        self._checked = False

    async def run(self, statement: Statement, *, repeatable: bool) -> Rows:
        """Execute and fetch. Raises JobExists, StorageUnavailable, SchemaError or StorageError."""
        pool = self._pools.setdefault(asyncio.get_running_loop(), _LoopPool())
        async with pool.places:
            with self._target.translated():
                while pool.idle:
                    try:
                        return await self._run_on(pool.idle.pop(), statement, pool)
                    except psycopg.OperationalError:
                        await self.close()
                        if not repeatable:
                            raise
                return await self._run_on(await self._connect(), statement, pool)

    async def _run_on(
        self, connection: psycopg.AsyncConnection, statement: Statement, pool: _LoopPool
    ) -> Rows:
        sound = False
        try:
            cursor = await connection.execute(
                statement.text, statement.parameters, prepare=self._target.prepare, binary=True
            )
            rows = await cursor.fetchall()
            sound = True
        except psycopg.Error as error:
            sound = error.sqlstate == KEY_TAKEN
            raise
        finally:
            if sound:
                pool.idle.append(connection)
            else:
                await connection.close()
        return rows

    async def _connect(self) -> psycopg.AsyncConnection:
        connection = await psycopg.AsyncConnection.connect(
            cursor_factory=AsyncCursor, **self._target.arguments
        )
        try:
            if self._target.prepare:
                await connection.execute(_PLANNER)
            if not self._checked:
                cursor = await connection.execute(schema.version_query(self._target.schema))
                schema.check(schema.version_of(await cursor.fetchone()), self._target.schema)
                self._checked = True
        except BaseException:
            await connection.close()
            raise
        return connection

    async def close(self) -> None:
        """Close the idle connections of the running loop."""
        pool = self._pools.get(asyncio.get_running_loop())
        while pool and pool.idle:
            await pool.idle.pop().close()
