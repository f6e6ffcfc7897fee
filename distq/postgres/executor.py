"""Runs statements: one executor for threads, one for event loops, and the listener for wake-ups.

Nearly every statement of distq is safe to repeat (ids come from the client, leases are fenced), so a
connection that turns out to be dead is replaced and the statement sent once more. A server that does
not answer a fresh connection is StorageUnavailable.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import psycopg
from psycopg.adapt import Loader
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import Format

from distq.errors import SchemaError, StorageError, StorageUnavailable
from distq.polling import readable
from distq.postgres import schema
from distq.postgres.schema import Version

MAX_CONNECTIONS = 10
"""Connections that one process, or one event loop, opens at most."""

#: A server that vanishes without a word is noticed within some 25 s.
_DEFAULTS = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,
    "application_name": "distq",
}

Rows = list[tuple[Any, ...]]


class Statement(NamedTuple):
    """A statement and its parameters."""

    text: str
    parameters: Mapping[str, Any]


class _HexLoader(Loader):
    """Reads a binary uuid as 32 hex digits: a tenth of the cost of uuid.UUID."""

    format = Format.BINARY

    def load(self, data: Any) -> str:
        return bytes(data).hex()


@dataclass(frozen=True)
class Target:
    """Where to connect, which schema, and how to name it in messages without its secrets."""

    url: str
    schema: str

    @property
    def where(self) -> str:
        info = conninfo_to_dict(self.url)
        host, port = info.get("host", "local socket"), info.get("port", 5432)
        return f"postgresql://{host}:{port}/{info.get('dbname', '')}"

    @property
    def arguments(self) -> dict[str, Any]:
        given = conninfo_to_dict(self.url)
        defaults = {key: value for key, value in _DEFAULTS.items() if key not in given}
        return {"conninfo": self.url, "autocommit": True, **defaults}

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Raise psycopg's errors as distq's."""
        try:
            yield
        # Read-only: a standby, or a primary that is about to become one.
        except (psycopg.OperationalError, psycopg.errors.ReadOnlySqlTransaction) as error:
            raise StorageUnavailable(self.where, error) from error
        except psycopg.errors.UndefinedTable as error:
            schema.check(Version(0, 0), self.schema)
            raise SchemaError(f"schema {self.schema} is damaged: {error}") from error
        except psycopg.Error as error:
            raise StorageError(f"storage {self.where} refused: {' '.join(str(error).split())}") from error


#: Every statement is to walk an index, row by row. A plan that was made and kept while the queue was
#: empty would else scan the whole table when it is full, until somebody analyzes it.
_PLANNER = "SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off"


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
        """Execute and fetch. Raises StorageUnavailable, SchemaError or StorageError."""
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
            return self._run_on(self.connect(), statement)

    def _run_on(self, connection: psycopg.Connection, statement: Statement) -> Rows:
        try:
            rows = connection.execute(*statement, prepare=True, binary=True).fetchall()  # pyright: ignore[reportArgumentType]
        except BaseException:
            connection.close()
            raise
        self._idle.append(connection)
        return rows

    def connect(self) -> psycopg.Connection:
        """A new connection; the first one checks the schema's version."""
        connection = psycopg.Connection.connect(**self._target.arguments)
        connection.adapters.register_loader("uuid", _HexLoader)
        connection.execute(_PLANNER)
        if not self._checked:
            schema.check(schema.read_version(connection, self._target.schema), self._target.schema)
            self._checked = True
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
        """Execute and fetch. Raises StorageUnavailable, SchemaError or StorageError."""
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
        try:
            cursor = await connection.execute(*statement, prepare=True, binary=True)  # pyright: ignore[reportArgumentType]
            rows = await cursor.fetchall()
        except BaseException:
            await connection.close()
            raise
        pool.idle.append(connection)
        return rows

    async def _connect(self) -> psycopg.AsyncConnection:
        connection = await psycopg.AsyncConnection.connect(**self._target.arguments)
        connection.adapters.register_loader("uuid", _HexLoader)
        await connection.execute(_PLANNER)
        if not self._checked:
            cursor = await connection.execute(schema.version_query(self._target.schema))
            schema.check(schema.version_of(await cursor.fetchone()), self._target.schema)
            self._checked = True
        return connection

    async def close(self) -> None:
        """Close the idle connections of the running loop."""
        pool = self._pools.get(asyncio.get_running_loop())
        while pool and pool.idle:
            await pool.idle.pop().close()


class Listener:
    """Waits for NOTIFY on a connection of its own. For one thread."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._connection: psycopg.Connection | None = None

    def wait(self, queues: Sequence[str], *, timeout: float, wakeup: int) -> None:
        """Return at a notification for one of the queues, when `wakeup` is readable, or after `timeout` s.

        A lost connection only costs the hint: the wait lasts until the timeout, the next one reconnects.
        """
        deadline = time.monotonic() + timeout
        while (remaining := deadline - time.monotonic()) > 0:
            watched = [wakeup] if (listening := self._listening()) is None else [wakeup, listening]
            woken = readable(watched, remaining)
            if wakeup in woken or (woken and self._notified(queues)):
                return

    def _listening(self) -> int | None:
        try:
            if self._connection is None:
                connection = psycopg.Connection.connect(**self._target.arguments)
                connection.execute(f'LISTEN "{self._target.schema}"'.encode())
                self._connection = connection
            return self._connection.fileno()
        except psycopg.Error:
            self.close()
            return None

    def _notified(self, queues: Sequence[str]) -> bool:
        assert self._connection is not None
        try:
            woken = {notice.payload for notice in self._connection.notifies(timeout=0)}
            return not woken.isdisjoint(queues)
        except psycopg.Error:
            self.close()
            return False

    def close(self) -> None:
        """Close the connection; the next wait opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
