"""The servers of a run: those that were given by URL, and private ones for the rest.

    with Servers(tier="production", needs=frozenset({Service.REDIS}), given=given_urls()) as servers:
        servers.urls[Service.REDIS]

`private.py` says what all private servers share; each kind is one file.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Self
from urllib.parse import urlsplit

from adapters.base import Service, Tier
from scenarios.guard import Guard
from scenarios.servers.disk import filesystem, find_disk
from scenarios.servers.postgres import PostgresServer
from scenarios.servers.private import PrivateServer, ServerError, address
from scenarios.servers.rabbitmq import RabbitMQServer
from scenarios.servers.redis import RedisServer

__all__ = ["ServerError", "Servers", "given_urls"]

KINDS: Mapping[Service, type[PrivateServer]] = {
    kind.service: kind for kind in (PostgresServer, RedisServer, RabbitMQServer)
}


def given_urls(options: Mapping[Service, str | None] | None = None) -> dict[Service, str]:
    """The URLs that the user gave: by option, else in the environment (DISTQ_POSTGRES_URL, …)."""
    chosen = {
        service: (options or {}).get(service) or os.environ.get(KINDS[service].variable) for service in KINDS
    }
    return {service: url for service, url in chosen.items() if url}


class Servers:
    """Every server that a run needs, from `with` to its end; nothing of the private ones is left then.

    A given server is used as it is. One that cannot be had is in `unavailable`, and the others serve.
    """

    urls: dict[Service, str]
    """How to reach those that are up."""
    unavailable: dict[Service, str]
    """Why the others are not, and what to do: one line each."""
    pids: dict[Service, int]
    """The first process of each private server; the others are its descendants."""
    guard: Guard
    """Stops and removes whatever is registered with it when this process ends, however it ends."""

    def __init__(
        self,
        *,
        needs: Collection[Service] = frozenset(Service),
        tier: Tier = "production",
        given: Mapping[Service, str] | None = None,
    ) -> None:
        self._tier: Tier = tier
        self._given = {service: url for service, url in (given or {}).items() if service in needs}
        self._private: dict[Service, PrivateServer] = {}
        self._needs = frozenset(needs)
        self.urls, self.unavailable, self.pids = dict(self._given), {}, {}

    def __enter__(self) -> Self:
        """Ask the given servers, start the private ones side by side.

        Raises:
            ServerError: a given server does not answer, or there is no disk for private ones.
        """
        for service, url in self._given.items():
            _check(KINDS[service], url)
        self.guard = Guard(find_disk())
        starters = ThreadPoolExecutor()
        try:
            list(starters.map(self._start, sorted(self._needs - self._given.keys())))
        except BaseException:
            self.guard.close()  # the starters see their servers end, and end themselves
            raise
        finally:
            starters.shutdown()
        return self

    def __exit__(self, *_: object) -> None:
        self.guard.close()

    def check(self) -> None:
        """Raise ServerError where a private server has ended: which, and how."""
        for server in self._private.values():
            server.check()

    def describe(self) -> dict[str, dict[str, str]]:
        """Of each server that is up: version, origin, and its settings as the server itself tells them."""
        return {
            str(service): self._origin(service) | KINDS[service].read_back(url)
            for service, url in self.urls.items()
        }

    def _start(self, service: Service) -> None:
        try:
            server = KINDS[service](self.guard, self._tier)
            server.start()
        except ServerError as error:
            self.unavailable[service] = str(error)
            return
        assert server.process
        self._private[service] = server
        self.urls[service], self.pids[service] = server.url, server.process.pid

    def _origin(self, service: Service) -> dict[str, str]:
        server = self._private.get(service)
        if server is None:
            return {"server": "given", "source": address(self._given[service])}
        return {
            "server": "private",
            "source": server.binary.source,
            "filesystem": filesystem(server.directory),
        }


def _check(kind: type[PrivateServer], url: str) -> None:
    try:
        parts = urlsplit(url)
        well_formed = parts.scheme in kind.schemes and parts.port != 0
    except ValueError:
        well_formed = False
    if not well_formed:  # the URL is not shown: what could not be parsed may hold a password anywhere
        raise ServerError(f"{kind.option} (or {kind.variable}) is not a URL like {kind.url_form}")
    kind.read_back(url)
