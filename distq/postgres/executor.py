"""Runs statements on connections of ours: one executor for threads, one for event loops.

Nearly every statement of distq is safe to repeat (ids come from the client, leases are fenced), so a
connection that turns out to be dead is replaced and the statement sent once more. A server that does
not answer a fresh connection, or says nothing for long on any, is StorageUnavailable: then nothing is sent
again, for that would only take as long again.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections import deque
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import psycopg
from psycopg import waiting
from psycopg.errors import ConnectionTimeout

from distq.postgres import schema
from distq.postgres.cursors import AsyncCursor, Cursor, Rows, Statement
from distq.postgres.target import KEY_TAKEN, Target
from distq.turns import Turns

T = TypeVar("T")

MAX_CONNECTIONS = 10
"""Connections that one process, or one event loop, opens at most."""

SILENCE = 30.0
"""Seconds without a word after which an answer is given up: a statement may wait that long for a caller's
transaction that holds the same key. Whether it took effect is not known then.
"""

_INTERVAL = 0.1
"""Seconds between looks at the time; psycopg's own figure."""

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


class _Silent(psycopg.OperationalError):
    """The server says nothing."""


_SILENCES = (_Silent, ConnectionTimeout)


def _impatient(steps: Generator[Any, Any, T]) -> Generator[Any, Any, T]:
    """psycopg's steps of an exchange with the server, given up where nothing comes of them for too long."""
    heard, ready = time.monotonic(), None
    try:
        while True:
            ready = yield steps.send(ready)
            if ready:
                heard = time.monotonic()
            elif time.monotonic() > heard + SILENCE:
                raise _Silent(f"no answer within {SILENCE:g} s")
    except StopIteration as end:
        return end.value


class Connection(psycopg.Connection[Any]):
    """Waits for a silent server for a while only. Who is interrupted leaves the statement to the server."""

    def wait(self, gen: Any, interval: float = _INTERVAL, timeout: float | None = None) -> Any:
        if timeout is not None:  # notifications may stay away
            return super().wait(gen, interval, timeout)
        return waiting.wait(_impatient(gen), self.pgconn.socket, interval=interval)


class AsyncConnection(psycopg.AsyncConnection[Any]):
    """The same for coroutines: one that is cancelled has no seconds to have its statement cancelled too."""

    async def wait(self, gen: Any, interval: float = _INTERVAL, timeout: float | None = None) -> Any:
        return await waiting.wait_async(_impatient(gen), self.pgconn.socket, interval=interval)


def _check(turns: Turns[Any], began: float) -> None:
    """Do not try where another call was met with silence while this one waited for its turn."""
    if turns.silent_since(began):
        raise _Silent("it was silent when others asked")


def _take(idle: deque[T]) -> T | None:
    """An idle connection. Two threads may want the last one."""
    try:
        return idle.pop()
    except IndexError:
        return None


class Executor:
    """Runs statements from any thread, each on a connection of a small pool. Safe after a fork."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._reset()

    def _reset(self) -> None:
        self._idle: deque[Connection] = deque()
        self._turns = Turns(threading.BoundedSemaphore(MAX_CONNECTIONS))
        self._checked = False
        self._pid = os.getpid()

    def run(self, statement: Statement, *, repeatable: bool) -> Rows:
        """Execute and fetch. Raises JobExists, StorageUnavailable, SchemaError or StorageError."""
        if self._pid != os.getpid():
            self._reset()
        turns, began = self._turns, time.monotonic()
        with turns.places, self._target.translated():
            _check(turns, began)
            try:
                return self._run(statement, repeatable)
            except _SILENCES:
                turns.note_silence()
                raise

    def _run(self, statement: Statement, repeatable: bool) -> Rows:
        idle = self._idle
        while connection := _take(idle):
            try:
                return self._run_on(connection, statement, idle)
            except psycopg.OperationalError as error:
                self.close()
                if isinstance(error, _SILENCES) or not repeatable:
                    raise
                idle = self._idle
        return self._run_on(self._connect(), statement, idle)

    def _run_on(self, connection: Connection, statement: Statement, idle: deque[Connection]) -> Rows:
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
            if sound and idle is self._idle:
                idle.append(connection)
            else:
                connection.close()
        return rows

    def _connect(self) -> Connection:
        """A new connection; the first one checks the schema's version."""
        connection = Connection.connect(cursor_factory=Cursor, **self._target.arguments)
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
        """Close the connections: those that are idle now, the others when their call has ended."""
        idle, self._idle = self._idle, deque[Connection]()
        for connection in idle:
            connection.close()


@dataclass
class _LoopPool:
    idle: deque[AsyncConnection] = field(default_factory=deque)
    turns: Turns[asyncio.Semaphore] = field(default_factory=lambda: Turns(asyncio.Semaphore(MAX_CONNECTIONS)))


class AsyncExecutor:
    """The same for coroutines; each event loop has its own connections."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._pools: WeakKeyDictionary[asyncio.AbstractEventLoop, _LoopPool] = WeakKeyDictionary()
        self._checked = False

    async def run(self, statement: Statement, *, repeatable: bool) -> Rows:
        """Execute and fetch. Raises JobExists, StorageUnavailable, SchemaError or StorageError."""
        pool = self._pools.setdefault(asyncio.get_running_loop(), _LoopPool())
        began = time.monotonic()
        with self._target.translated():
            async with pool.turns.places:
                _check(pool.turns, began)
                try:
                    return await self._run(pool, statement, repeatable)
                except _SILENCES:
                    pool.turns.note_silence()
                    raise

    async def _run(self, pool: _LoopPool, statement: Statement, repeatable: bool) -> Rows:
        idle = pool.idle
        while connection := _take(idle):
            try:
                return await self._run_on(connection, statement, idle, pool)
            except psycopg.OperationalError as error:
                await self.close()
                if isinstance(error, _SILENCES) or not repeatable:
                    raise
                idle = pool.idle
        return await self._run_on(await self._connect(), statement, idle, pool)

    async def _run_on(
        self,
        connection: AsyncConnection,
        statement: Statement,
        idle: deque[AsyncConnection],
        pool: _LoopPool,
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
            if sound and idle is pool.idle:
                idle.append(connection)
            else:
                await connection.close()
        return rows

    async def _connect(self) -> AsyncConnection:
        connection = await AsyncConnection.connect(cursor_factory=AsyncCursor, **self._target.arguments)
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
        """Close the connections of the running loop, as `Executor.close`."""
        pool = self._pools.setdefault(asyncio.get_running_loop(), _LoopPool())
        idle, pool.idle = pool.idle, deque[AsyncConnection]()
        for connection in idle:
            await connection.close()
