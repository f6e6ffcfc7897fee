"""A prefix of its own in the Redis that tests share, and a client that sees its keys.

Fixtures are imported as themselves, `import storage as storage`: tests name them as parameters.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from distq.redis.storage import RedisStorage
from tests.contract.steps import QUEUE


@pytest.fixture
def prefix() -> str:
    return f"t{uuid.uuid4().hex[:12]}"


@pytest.fixture
def storage(redis_url: str, prefix: str) -> Iterator[RedisStorage]:
    storage = RedisStorage(f"{redis_url}?prefix={prefix}")
    yield storage
    storage.close()


@pytest.fixture
def client(redis_url: str) -> Iterator[Any]:
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        yield client


def keys(client: Any, prefix: str) -> set[str]:
    """The names of a prefix's keys, those of the queue without its name."""
    return {
        key.removeprefix(f"{prefix}:").removeprefix(f"{{{QUEUE}}}:") for key in client.keys(f"{prefix}:*")
    }
