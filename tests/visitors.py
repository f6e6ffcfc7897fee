"""Who calls the service in the tests of access: somebody on this machine, a stranger; and what they try.

Fixtures are imported as themselves, `import storage as storage`: tests name them as parameters.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from distq.job import OutcomeKind
from distq.memory.storage import MemoryStorage
from distq.messages import Progress, RemoteError, encode_error, encode_progress
from distq.storage import Storage
from tests.contract.steps import QUEUE, add, settle, take
from tests.services import TOKENS, Visitor, app_on, service_on, visiting

ELSEWHERE = "203.0.113.9"
WRITE = f"/api/queues/{QUEUE}/pause"
FORM = {"content-type": "application/x-www-form-urlencoded"}
ORIGIN = {"origin": "http://localhost"}
SECRETS = (
    "secret-argument",
    "secret-header",
    "secret-result",
    "secret-message",
    "secret-trace",
    "secret-step",
)


@pytest.fixture
def storage() -> Storage:
    return MemoryStorage()


@pytest.fixture
def local(storage: Storage) -> Iterator[Visitor]:
    """Somebody on this machine, where no token is set."""
    with visiting(service_on(storage, app=app_on(storage))) as visit:
        yield visit


@pytest.fixture
def stranger(storage: Storage) -> Iterator[Visitor]:
    """Somebody elsewhere without a token, where tokens are set."""
    service = service_on(storage, app=app_on(storage), tokens=TOKENS)
    with visiting(service, client=ELSEWHERE, host="distq.example") as visit:
        yield visit


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def status(response: httpx.Response) -> int:
    return response.status_code


def is_paused(storage: Storage) -> bool:
    return storage.run(storage.queues()).get(QUEUE, False)


def carry(storage: Storage) -> list[str]:
    """Jobs that are ready, running, dead, done, and to be tried again: all of them carry secrets."""
    payload = b'{"user":"secret-header"}\n{"to":"secret-argument"}'
    error = encode_error(RemoteError("ValueError", "secret-message", "Traceback: secret-trace"))
    ids = add(storage, 4, payload=payload)
    done, dead, again, running = take(storage, 4)
    settle(storage, [done], OutcomeKind.DONE, body=b'"secret-result"')
    settle(storage, [dead], OutcomeKind.DEAD, body=error)
    settle(storage, [again], OutcomeKind.RETRY, body=error, delay=100)
    progress = {running.id: encode_progress(Progress(0.5, "secret-step"))}
    storage.run(storage.extend([running], ttl=60, progress=progress))
    return [*ids, *add(storage, 1, payload=payload)]


def routes_of(routes: Any) -> Iterator[tuple[str, str]]:
    """Method and path of all routes, with something for their parameters."""
    for route in routes:
        if hasattr(route, "original_router"):
            yield from routes_of(route.original_router.routes)
        elif hasattr(route, "methods"):
            for method in route.methods:
                yield method, re.sub(r"\{[\w:]+\}", "mail", route.path)
