"""Runs scripts: one executor for threads, one for event loops, and the listener for wake-ups."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from hashlib import sha1
from importlib.resources import files
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.client import PubSub
from redis.exceptions import ConnectionError, NoScriptError, RedisError, TimeoutError
from redis.retry import Retry

from distq.errors import SchemaError, StorageError, StorageUnavailable
from distq.polling import readable

CODE_VERSION = 1
"""The version of the keys that this code is written for."""

OLDEST_CODE = 1
"""The oldest `CODE_VERSION` that can work with the keys as this code leaves them."""

MAX_CONNECTIONS = 10
"""Connections that one process, or one event loop, opens at most."""

_OPTIONS: dict[str, Any] = {
    "socket_connect_timeout": 5,
    "socket_timeout": 25,
    "socket_keepalive": True,
    "max_connections": MAX_CONNECTIONS,
    "timeout": None,
}

_LOST = (ConnectionError, TimeoutError)

SCRIPTS = ("enqueue", "lease", "extend", "settle", "forfeit", "tick", "get", "counts")


class Call(NamedTuple):
    """A script to run, with its keys and arguments."""

    script: str
    keys: Sequence[str]
    arguments: Sequence[str | bytes | int]

    @property
    def command(self) -> list[Any]:
        return ["EVALSHA", script_sha(self.script), len(self.keys), *self.keys, *self.arguments]


@cache
def script_text(name: str) -> str:
    """The text of `scripts/<name>.lua`."""
    return (files("distq.redis") / "scripts" / f"{name}.lua").read_text()


@cache
def script_sha(name: str) -> str:
    """The digest by which the server knows a script."""
    return sha1(script_text(name).encode(), usedforsecurity=False).hexdigest()


@dataclass(frozen=True)
class Target:
    """Where to connect, which prefix, and how to name it in messages without its secrets."""

    url: str
    prefix: str

    @property
    def where(self) -> str:
        parts = urlsplit(self.url)
        host = f"{parts.hostname or 'localhost'}:{parts.port or 6379}" if parts.scheme != "unix" else ""
        return f"{parts.scheme}://{host}{parts.path}"

    @property
    def meta(self) -> str:
        return f"{self.prefix}:meta"

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Raise redis-py's errors as distq's."""
        try:
            yield
        except _LOST as error:
            raise StorageUnavailable(self.where, error) from error
        except RedisError as error:
            raise StorageError(f"storage {self.where} refused: {error}") from error

    def check(self, version: Sequence[Any]) -> None:
        """Raise SchemaError where this code is too old for the keys; `version` is what META holds."""
        found, oldest = (int(value or 0) for value in version)
        if oldest > CODE_VERSION:
            raise SchemaError(
                f"keys {self.prefix}:* are at version {found}, which needs code of version {oldest} or newer;"
                f" this distq is {CODE_VERSION}: upgrade distq"
            )


class Executor:
    """Runs calls from any thread, on redis-py's pool; safe after a fork."""

    def __init__(self, target: Target) -> None:
        self._target = target
        pool = redis.BlockingConnectionPool.from_url(target.url, retry=Retry(NoBackoff(), 0), **_OPTIONS)
        self.client = redis.Redis(connection_pool=pool)
        self._checked = False

    def run(self, calls: Sequence[Call], *, repeatable: bool) -> list[Any]:
        """Run calls in one round trip; the answer of each, in order.

        Calls whose connection turns out to be dead are sent again where they may be.
        Raises StorageUnavailable, SchemaError or StorageError.
        """
        with self._target.translated():
            try:
                return self._run(calls)
            except _LOST:
                if not repeatable:
                    raise
                self.close()
                return self._run(calls)

    def _run(self, calls: Sequence[Call]) -> list[Any]:
        if not self._checked:
            self._check()
        try:
            return self._send(calls)
        except NoScriptError:
            self.load_scripts()
            return self._send(calls)

    def _send(self, calls: Sequence[Call]) -> list[Any]:
        if len(calls) == 1:
            return [self.client.execute_command(*calls[0].command)]
        pipeline = self.client.pipeline(transaction=False)
        for call in calls:
            pipeline.execute_command(*call.command)
        return pipeline.execute()

    def _check(self) -> None:
        self._target.check(self.client.hmget(self._target.meta, "version", "oldest_code"))  # pyright: ignore[reportArgumentType]
        self._checked = True

    def load_scripts(self) -> None:
        """Make every script known to the server, which also compiles it."""
        for name in SCRIPTS:
            self.client.script_load(script_text(name))

    def close(self) -> None:
        """Close the idle connections."""
        self.client.connection_pool.disconnect()


class AsyncExecutor:
    """The same for coroutines; each event loop has its own connections."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._clients: dict[asyncio.AbstractEventLoop, redis.asyncio.Redis] = {}

    async def run(self, calls: Sequence[Call], *, repeatable: bool) -> list[Any]:
        """Run calls in one round trip; the answer of each, in order. Raises as `Executor.run`."""
        with self._target.translated():
            try:
                return await self._run(calls)
            except _LOST:
                if not repeatable:
                    raise
                await self.close()
                return await self._run(calls)

    async def _run(self, calls: Sequence[Call]) -> list[Any]:
        client = self._clients.get(asyncio.get_running_loop()) or await self._open()
        try:
            return await self._send(client, calls)
        except NoScriptError:
            for name in SCRIPTS:
                await client.script_load(script_text(name))
            return await self._send(client, calls)

    async def _send(self, client: redis.asyncio.Redis, calls: Sequence[Call]) -> list[Any]:
        pipeline = client.pipeline(transaction=False)
        for call in calls:
            pipeline.execute_command(*call.command)
        return await pipeline.execute()

    async def _open(self) -> redis.asyncio.Redis:
        pool = redis.asyncio.BlockingConnectionPool.from_url(
            self._target.url, retry=AsyncRetry(NoBackoff(), 0), **_OPTIONS
        )
        client = redis.asyncio.Redis(connection_pool=pool)
        self._target.check(await client.hmget(self._target.meta, ["version", "oldest_code"]))  # pyright: ignore[reportGeneralTypeIssues]
        # redis-py's connections keep their loop alive, and so their entry: drop those of loops that ended.
        for loop in [loop for loop in self._clients if loop.is_closed()]:
            del self._clients[loop]
        return self._clients.setdefault(asyncio.get_running_loop(), client)

    async def close(self) -> None:
        """Close the connections of the running loop."""
        client = self._clients.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.aclose()
            await client.connection_pool.disconnect()


class Listener:
    """Waits for wake-ups on a connection of its own. For one thread, and always the same channels."""

    def __init__(self, target: Target) -> None:
        self._client = redis.Redis.from_url(target.url, retry=None, socket_connect_timeout=5)
        self._subscription: PubSub | None = None

    def wait(self, channels: Sequence[str], *, timeout: float, wakeup: int) -> None:
        """Return at a message in a channel, when `wakeup` is readable, or after `timeout` seconds.

        A lost connection only costs the hint: the wait lasts until the timeout, the next one reconnects.
        """
        deadline = time.monotonic() + timeout
        while (remaining := deadline - time.monotonic()) > 0:
            watched = [wakeup] if (listening := self._listening(channels)) is None else [wakeup, listening]
            woken = readable(watched, remaining)
            if wakeup in woken or (woken and self._messages()):
                return

    def _listening(self, channels: Sequence[str]) -> int | None:
        try:
            if self._subscription is None:
                self._subscription = self._client.pubsub(ignore_subscribe_messages=True)
                self._subscription.subscribe(*channels)
            # redis-py offers no public way to wait for a message and for something else at once.
            return self._subscription.connection._sock.fileno()  # pyright: ignore
        except (RedisError, OSError, AttributeError):
            self.close()
            return None

    def _messages(self) -> bool:
        assert self._subscription is not None
        try:
            got = False
            while self._subscription.connection.can_read(0):  # pyright: ignore[reportOptionalMemberAccess]
                got = self._subscription.get_message(timeout=0) is not None or got
            return got
        except (RedisError, OSError):
            self.close()
            return False

    def close(self) -> None:
        """Close the connection; the next wait opens another."""
        if self._subscription is not None:
            self._subscription.close()
            self._subscription = None
            self._client.close()
