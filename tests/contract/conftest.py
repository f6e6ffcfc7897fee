"""The storages that the contract is run on."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator

import pytest

from distq.connect import connect
from distq.storage import Storage
from tests.contract.steps import NEVER, QUEUE


@pytest.fixture(params=["memory", "postgres", "redis"])
def url(request: pytest.FixtureRequest) -> str:
    name = f"t{uuid.uuid4().hex[:12]}"
    if request.param == "postgres":
        return f"{request.getfixturevalue('postgres_url')}?schema={name}"
    if request.param == "redis":
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
