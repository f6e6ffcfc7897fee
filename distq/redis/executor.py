"""Runs scripts: one executor for threads, one for event loops."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError
from redis.retry import Retry

from distq.redis import scripts
from distq.redis.target import LOST, Target

MAX_CONNECTIONS = 10
"""Connections that one process, or one event loop, opens at most."""

_OPTIONS: dict[str, Any] = {
    "socket_connect_timeout": 5,
    "socket_timeout": 25,
    "socket_keepalive": True,
    "max_connections": MAX_CONNECTIONS,
    "timeout": None,
}


class Call(NamedTuple):
    """A script to run, with its keys and arguments."""

    script: str
    keys: Sequence[str | bytes]
    arguments: Sequence[str | bytes | int | float]

    @property
    def command(self) -> list[Any]:
        return ["EVALSHA", scripts.sha(self.script), len(self.keys), *self.keys, *self.arguments]


class Chain(NamedTuple):
    """Calls, and those that follow from their answers; its own answers are those of both."""

    first: Sequence[Call]
    then: Callable[[list[Any]], Sequence[Call]]


class Executor:
    """Runs calls from any thread, on redis-py's pool; safe after a fork."""

    def __init__(self, target: Target) -> None:
        self._target = target
        pool = redis.BlockingConnectionPool.from_url(target.url, retry=Retry(NoBackoff(), 0), **_OPTIONS)
        self.client = redis.Redis(connection_pool=pool)
        self._checked = False

    def run(self, request: Sequence[Call] | Chain, *, repeatable: bool) -> list[Any]:
        """Run calls in one round trip, or a chain in two; the answer of each, in order.

        Calls whose connection turns out to be dead are sent again where they may be.
        Raises StorageUnavailable, SchemaError or StorageError.
        """
        with self._target.translated():
            try:
                return self._run(request)
            except LOST:
                if not repeatable:
                    raise
                self.close()
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
            return [self.client.execute_command(*calls[0].command)]
        pipeline = self.client.pipeline(transaction=False)
        for call in calls:
            pipeline.execute_command(*call.command)
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


class AsyncExecutor:
    """The same for coroutines; each event loop has its own connections."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._clients: dict[asyncio.AbstractEventLoop, redis.asyncio.Redis] = {}
        self._checked = False

    async def run(self, request: Sequence[Call] | Chain, *, repeatable: bool) -> list[Any]:
        """Run calls in one round trip, or a chain in two. Raises as `Executor.run`."""
        with self._target.translated():
            try:
                return await self._run(request)
            except LOST:
                if not repeatable:
                    raise
                await self.close()
                return await self._run(request)

    async def _run(self, request: Sequence[Call] | Chain) -> list[Any]:
        if isinstance(request, Chain):
            answers = await self._run(request.first)
            return answers + await self._run(request.then(answers))
        if not request:
            return []
        client = self._clients.get(asyncio.get_running_loop()) or self._open()
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

    def _open(self) -> redis.asyncio.Redis:
        pool = redis.asyncio.BlockingConnectionPool.from_url(
            self._target.url, retry=AsyncRetry(NoBackoff(), 0), **_OPTIONS
        )
        client = redis.asyncio.Redis(connection_pool=pool)
        # redis-py's connections keep their loop alive, and so their entry: drop those of loops that ended.
        for loop in [loop for loop in self._clients if loop.is_closed()]:
            del self._clients[loop]
        self._clients[asyncio.get_running_loop()] = client
        return client

    async def _check(self, client: redis.asyncio.Redis) -> None:
        self._target.check(await client.hmget(self._target.key("meta"), ["version", "oldest_code"]))  # pyright: ignore[reportGeneralTypeIssues]
        self._checked = True

    async def close(self) -> None:
        """Close the connections of the running loop."""
        client = self._clients.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.aclose()
            await client.connection_pool.disconnect()
