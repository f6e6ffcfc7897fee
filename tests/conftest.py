"""The servers of the tests: given by DISTQ_POSTGRES_URL and so on, else private; started on first use."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path

import pytest
from hypothesis import settings

from adapters.base import Service
from scenarios.servers import Servers, given_urls
from tests.counting import Counter, counter
from tests.pooler import Pooler, open_pooler
from tests.world import World, open_world, url_of

ROOT = Path(__file__).parent.parent

#: Always the same examples: a test fails where something was changed. `make test-deep` looks for new ones.
settings.register_profile("same", derandomize=True, deadline=None)
settings.register_profile(
    "deep", deadline=None, max_examples=int(os.environ.get("SEQUENCES", "2000")), print_blob=True
)
settings.load_profile("same")


@pytest.fixture(scope="session")
def servers() -> Iterator[Callable[[Service], Servers]]:
    """Gives the servers object that holds one service, in tier `production`, started when first asked for."""
    with ExitStack() as stack:
        yield cache(lambda service: stack.enter_context(Servers(needs={service}, given=given_urls())))


@pytest.fixture(scope="session")
def server_url(servers: Callable[[Service], Servers]) -> Callable[[Service], str]:
    """Gives the URL of a service; without one the test is skipped, and in CI it fails."""

    def url(service: Service) -> str:
        found = servers(service)
        if reason := found.unavailable.get(service):
            refuse = pytest.fail if os.environ.get("CI") else pytest.skip
            refuse(reason)
        return found.urls[service]

    return url


@pytest.fixture(scope="session")
def postgres_url(server_url: Callable[[Service], str]) -> str:
    """A PostgreSQL that many tests share: make a schema of your own."""
    return server_url(Service.POSTGRES)


@pytest.fixture(scope="session")
def redis_url(server_url: Callable[[Service], str]) -> str:
    """A Redis that many tests share: use keys with a prefix of your own."""
    return server_url(Service.REDIS)


@pytest.fixture(scope="session")
def amqp_url(server_url: Callable[[Service], str]) -> str:
    """A RabbitMQ that many tests share: name your queues with a prefix of your own."""
    return server_url(Service.RABBITMQ)


@pytest.fixture(scope="session")
def pooler(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pooler]:
    """A PgBouncer in front of the PostgreSQL that many tests share."""
    with open_pooler(postgres_url, tmp_path_factory.mktemp("pgbouncer")) as pooler:
        yield pooler


@pytest.fixture(params=["postgres", "redis"])
def counted(request: pytest.FixtureRequest) -> Iterator[Counter]:
    """A proxy before a fresh place in each store, which counts requests."""
    with counter(url_of(request, request.param)) as found:
        yield found


@pytest.fixture(params=["postgres", "redis"])
def world(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[World]:
    """The world of `tests.worker_app`."""
    from tests import worker_app

    url = url_of(request, request.param)
    with open_world(worker_app.app, "tests.worker_app", url, tmp_path / "notes", monkeypatch) as world:
        yield world


RunScenario = Callable[..., tuple[int, str]]
"""Runs `scenarios.run` with these words; its exit status and all that it printed."""


@pytest.fixture
def run() -> RunScenario:
    """Contenders are timed at once, without a look at their contract."""

    def run(*words: str) -> tuple[int, str]:
        command = [sys.executable, "-m", "scenarios.run", *words]
        command += [] if "--resume" in words else ["--no-conform"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100)
        return done.returncode, done.stdout + done.stderr

    return run
