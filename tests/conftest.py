"""The servers of the tests: given by DISTQ_POSTGRES_URL and so on, else private; started on first use."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache

import pytest

from adapters.base import Service
from scenarios.servers import Servers, given_urls


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
