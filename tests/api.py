"""The JSON API on each storage, and somebody who asks it.

Fixtures are imported as themselves, `import storage as storage`: tests name them as parameters.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from distq import DistQ
from distq.job import JobState, OutcomeKind
from distq.memory.storage import MemoryStorage
from distq.messages import RemoteError, encode_error
from distq.storage import Storage
from tests.contract.steps import QUEUE, add, settle, take
from tests.services import STORES, Visitor, app_on, open_storage, service_on, visiting

ERROR = encode_error(RemoteError("ValueError", "no such address", "Traceback (most recent call last): …"))


@pytest.fixture(params=STORES)
def storage(request: pytest.FixtureRequest) -> Iterator[Storage]:
    yield from open_storage(request, request.param)


@pytest.fixture
def app(storage: Storage) -> DistQ:
    return app_on(storage)


@pytest.fixture
def visit(storage: Storage, app: DistQ) -> Iterator[Visitor]:
    with visiting(service_on(storage, app=app)) as visit:
        yield visit


@pytest.fixture
def light() -> Iterator[Visitor]:
    """For what no storage has a part in."""
    storage = MemoryStorage()
    with visiting(service_on(storage, app=app_on(storage))) as visit:
        yield visit


def counts(storage: Storage, queue: str = QUEUE) -> dict[JobState, int]:
    return {state: number for state, number in storage.run(storage.counts(queue)).items() if number}


def problem(response: httpx.Response, status: int, kind: str, *words: str) -> dict[str, Any]:
    """Assert that it is this problem, and that its detail is one line with these words."""
    assert (response.status_code, response.headers["content-type"]) == (status, "application/problem+json")
    found = response.json()
    assert (found["type"], found["status"]) == (f"urn:distq:problem:{kind}", status)
    assert len(found["detail"].splitlines()) == 1
    for word in words:
        assert word in found["detail"], found["detail"]
    return found


def end(storage: Storage, kind: OutcomeKind, body: bytes = ERROR, count: int = 1) -> list[str]:
    """Jobs that ended so."""
    ids = add(storage, count)
    settle(storage, take(storage), kind, body=body)
    return ids
