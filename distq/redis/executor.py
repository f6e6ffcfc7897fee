"""Runs scripts: one executor for threads, one for event loops."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import hiredis
import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError, NoScriptError, TimeoutError
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


class _Packer:
    """Packs commands for redis-py, and a call as a whole: of that its own way makes ten copies."""

    def pack(self, name: str, *arguments: Any) -> list[bytes]:
        first = arguments[0] if arguments else None
        command: Any = first.command if isinstance(first, Call) else (*name.split(), *arguments)
        return [hiredis.pack_command(command)]


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
    """Runs calls from any thread, on redis-py's pool; safe after a fork."""

    def __init__(self, target: Target) -> None:
        self._target = target
        options = _options(target.url) | {"command_packer": _Packer()}
        pool = redis.BlockingConnectionPool.from_url(target.url, retry=Retry(NoBackoff(), 0), **options)
        self.client = redis.Redis(connection_pool=pool)
        self._checked = False
        self._reset()

    def _reset(self) -> None:
        self._turns = Turns(threading.BoundedSemaphore(MAX_CONNECTIONS))
        self._pid = os.getpid()

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
            self._check()
        try:
            return self._send(request)
        except NoScriptError:
            self.load_scripts()
            return self._send(request)

    def _send(self, calls: Sequence[Call]) -> list[Any]:
        if len(calls) == 1:
            return [self.client.execute_command("EVALSHA", calls[0])]
        pipeline = self.client.pipeline(transaction=False)
        for call in calls:
            pipeline.execute_command("EVALSHA", call)
        return pipeline.execute()

    def _check(self) -> None:
        self._target.check(self.version())
        self._checked = True

    def version(self) -> list[Any]:
        """What META holds: the version of the keys, and of the oldest code for them."""
        return self.client.hmget(self._target.key("meta"), "version", "oldest_code")  # pyright: ignore[reportReturnType]

    def load_scripts(self) -> None:
        """Make every script known to the server, which also compiles it."""
        for name in scripts.names():
            self.client.script_load(scripts.text(name))

    def close(self) -> None:
        """Close the idle connections."""
        self.client.connection_pool.disconnect()


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
