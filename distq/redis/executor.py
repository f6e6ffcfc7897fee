"""Runs scripts: one executor for threads, one for event loops."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import hiredis
import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError, NoScriptError, ResponseError, TimeoutError
from redis.retry import Retry

from distq.redis import scripts
from distq.redis.target import LOST, Target
from distq.turns import Turns

MAX_CONNECTIONS = 10
"""Connections that one process, or one event loop, opens at most."""

SILENCE = 10.0
"""Seconds after which an answer is given up. Whether what was sent took effect is not known then."""


def _options(url: str) -> dict[str, Any]:
    """How connections are made, but for what the URL says itself."""
    options = {"socket_connect_timeout": 5, "socket_timeout": SILENCE, "max_connections": MAX_CONNECTIONS}
    return options | {"timeout": None} | ({} if url.startswith("unix:") else {"socket_keepalive": True})


class Call(NamedTuple):
    """A script to run, with its keys and arguments."""

    script: str
    keys: Sequence[str | bytes]
    arguments: Sequence[str | bytes | int | float]

    @property
    def command(self) -> tuple[Any, ...]:
        return "EVALSHA", scripts.sha(self.script), len(self.keys), *self.keys, *self.arguments


class Chain(NamedTuple):
    """Calls, and those that follow from their answers; its own answers are those of both."""

    first: Sequence[Call]
    then: Callable[[list[Any]], Sequence[Call]]


def _check(turns: Turns[Any], began: float) -> None:
    """Do not try where another call was met with silence while this one waited for its turn."""
    if turns.silent_since(began):
        raise ConnectionError("it was silent when others asked")


def _met_silence(turns: Turns[Any], error: Exception, began: float) -> bool:
    """Whether to send again would only wait as long again; others are told."""
    if isinstance(error, TimeoutError):
        turns.note_silence()
    return turns.silent_since(began)


class Executor:
    """Runs calls from any thread, each on a connection of a small pool; safe after a fork.

    redis-py makes the connections and reads the answers. Its client is a sixth of the CPU of a single
    enqueue, so calls go past it.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self._checked = False
        self._reset()

    def _reset(self) -> None:
        self._idle: deque[redis.Connection] = deque()
        self._turns = Turns(threading.BoundedSemaphore(MAX_CONNECTIONS))
        self._pid = os.getpid()

    @cached_property
    def client(self) -> redis.Redis:
        """For all that is no call."""
        return redis.Redis(connection_pool=self._pool)

    @cached_property
    def _pool(self) -> redis.BlockingConnectionPool:
        retry = Retry(NoBackoff(), 0)
        return redis.BlockingConnectionPool.from_url(
            self._target.url, retry=retry, **_options(self._target.url)
        )

    def run(self, request: Sequence[Call] | Chain, *, repeatable: bool) -> list[Any]:
        """Run calls in one round trip, or a chain in two; the answer of each, in order.

        Calls whose connection turns out to be dead are sent again where they may be, but not those that
        were met with silence. Raises StorageUnavailable, SchemaError or StorageError.
        """
        if self._pid != os.getpid():
            self._reset()
        turns, began = self._turns, time.monotonic()
        with self._target.translated(), turns.places:
            _check(turns, began)
            try:
                return self._run(request)
            except LOST as error:
                silent = _met_silence(turns, error, began)
                self.close()
                if silent or not repeatable:
                    raise
                return self._run(request)

    def _run(self, request: Sequence[Call] | Chain) -> list[Any]:
        if isinstance(request, Chain):
            answers = self._run(request.first)
            return answers + self._run(request.then(answers))
        if not request:
            return []
        if not self._checked:
            self._target.check(self.version())
            self._checked = True
        commands = [call.command for call in request]
        try:
            return self._exchange(commands)
        except NoScriptError:
            self.load_scripts()
            return self._exchange(commands)

    def _exchange(self, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Send commands at once, and wait for all answers. Raises the first that is an error."""
        idle, sound = self._idle, False
        connection = self._take(idle)
        try:
            packed = b"".join(map(hiredis.pack_command, commands))
            connection.send_packed_command([packed], check_health=False)
            answers = [_read(connection) for _ in commands]
            sound = True
        finally:
            if sound and idle is self._idle:
                idle.append(connection)
            else:
                connection.disconnect()
        for answer in answers:
            if isinstance(answer, ResponseError):
                raise answer
        return answers

    def _take(self, idle: deque[redis.Connection]) -> redis.Connection:
        """An idle connection that the server has not closed, or a new one."""
        while idle:
            try:
                connection = idle.pop()
                if not connection.can_read():
                    return connection
                connection.disconnect()
            except (IndexError, ConnectionError):  # another thread had the last one; it is closed
                continue
        return self._pool.connection_class(**self._pool.connection_kwargs)

    def version(self) -> list[Any]:
        """What META holds: the version of the keys, and of the oldest code for them."""
        return self._exchange([("HMGET", self._target.key("meta"), "version", "oldest_code")])[0]

    def load_scripts(self) -> None:
        """Make every script known to the server, which also compiles it."""
        self._exchange([("SCRIPT", "LOAD", scripts.text(name)) for name in scripts.names()])

    def close(self) -> None:
        """Close the connections: those that are idle now, the others when their call has ended."""
        idle, self._idle = self._idle, deque[redis.Connection]()
        for connection in idle:
            connection.disconnect()
        self._pool.disconnect()


def _read(connection: redis.Connection) -> Any:
    """The next answer, be it an error of the server."""
    try:
        return connection.read_response()
    except ResponseError as error:
        return error


class _Loop(NamedTuple):
    client: redis.asyncio.Redis
    turns: Turns[asyncio.Semaphore]


class AsyncExecutor:
    """The same for coroutines; each event loop has its own connections."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._loops: dict[asyncio.AbstractEventLoop, _Loop] = {}
        self._checked = False

    async def run(self, request: Sequence[Call] | Chain, *, repeatable: bool) -> list[Any]:
        """Run calls in one round trip, or a chain in two. Raises as `Executor.run`."""
        turns, began = self._loop().turns, time.monotonic()
        with self._target.translated():
            async with turns.places:
                _check(turns, began)
                try:
                    return await self._run(request)
                except LOST as error:
                    silent = _met_silence(turns, error, began)
                    await self._loop().client.connection_pool.disconnect()
                    if silent or not repeatable:
                        raise
                    return await self._run(request)

    async def _run(self, request: Sequence[Call] | Chain) -> list[Any]:
        if isinstance(request, Chain):
            answers = await self._run(request.first)
            return answers + await self._run(request.then(answers))
        if not request:
            return []
        client = self._loop().client
        if not self._checked:
            await self._check(client)
        try:
            return await self._send(client, request)
        except NoScriptError:
            for name in scripts.names():
                await client.script_load(scripts.text(name))
            return await self._send(client, request)

    async def _send(self, client: redis.asyncio.Redis, calls: Sequence[Call]) -> list[Any]:
        pipeline = client.pipeline(transaction=False)
        for call in calls:
            pipeline.execute_command(*call.command)
        return await pipeline.execute()

    def _loop(self) -> _Loop:
        running = asyncio.get_running_loop()
        if running not in self._loops:
            # redis-py's connections keep their loop alive, and so their entry: drop those that ended.
            for loop in [loop for loop in self._loops if loop.is_closed()]:
                del self._loops[loop]
            self._loops[running] = self._open()
        return self._loops[running]

    def _open(self) -> _Loop:
        pool = redis.asyncio.BlockingConnectionPool.from_url(
            self._target.url, retry=AsyncRetry(NoBackoff(), 0), **_options(self._target.url)
        )
        client = redis.asyncio.Redis(connection_pool=pool)
        return _Loop(client, Turns(asyncio.Semaphore(MAX_CONNECTIONS)))

    async def _check(self, client: redis.asyncio.Redis) -> None:
        self._target.check(await client.hmget(self._target.key("meta"), ["version", "oldest_code"]))  # pyright: ignore[reportGeneralTypeIssues]
        self._checked = True

    async def close(self) -> None:
        """Close the connections of the running loop."""
        loop = self._loops.pop(asyncio.get_running_loop(), None)
        if loop is not None:
            await loop.client.aclose()
            await loop.client.connection_pool.disconnect()
