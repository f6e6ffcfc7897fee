"""The web server of `distq serve`: where it may listen, and how it ends."""

from __future__ import annotations

import asyncio
import errno
import logging
import signal
import socket
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from distq.errors import ConfigurationError
from distq.service.access import VARIABLES, Access, Role, is_loopback
from distq.service.application import create
from distq.service.core import Service

GRACE = 3
"""Seconds that requests have to end when the server is to stop."""

MOMENT = 0.5
"""Seconds that what is still under way has to end then."""

BACKLOG = 2048
"""Connections that may wait to be accepted."""


def admission(host: str) -> Access:
    """Who may come in where it listens at a host. Raises ConfigurationError where everybody could."""
    access = Access.of_environment()
    if Role.OPERATE not in access.tokens and not is_loopback(host):
        raise ConfigurationError(
            f"--host {host} is reached from other machines: set {VARIABLES[Role.OPERATE]} first,"
            " to the output of `openssl rand -hex 32`"
        )
    return access


def serve(service: Service, host: str, port: int) -> None:
    """Serve until SIGTERM or Ctrl-C. Raises ConfigurationError where it cannot listen there."""
    with _listen(host, port) as listener:
        address = listener.getsockname()
        if not service.access.tokens and not is_loopback(address[0]):
            raise ConfigurationError(f"--host {host} is {address[0]} here, no address of this machine alone")
        name = f"[{host}]" if ":" in host else host
        _run(_Server(service, f"http://{name}:{address[1]}").serve([listener]))


def _run(work: Coroutine[Any, Any, None]) -> None:
    """As `asyncio.run`, but for those who wait for a silent storage: nobody waits for them."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    loop.run_until_complete(work)
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    if left and loop.run_until_complete(asyncio.wait(left, timeout=MOMENT))[1]:
        loop.set_exception_handler(lambda *_: None)  # they end with the process
        return
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()


def _listen(host: str, port: int) -> socket.socket:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        # By the name `localhost` all come who know no IPv6 as well.
        family, kind, protocol, _, address = min(found, key=lambda entry: entry[0] != socket.AF_INET)
        # With its protocol named: asyncio sends at once only then, else each answer takes 40 ms.
        listener = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:
        raise _unusable(host, port, error) from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise _unusable(host, port, error) from None
    return listener


def _unusable(host: str, port: int, error: OSError | UnicodeError) -> ConfigurationError:
    """Why it cannot listen there."""
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        return ConfigurationError(f"port {port} of {host} is taken: use another --port")
    reason = error.strerror if isinstance(error, OSError) else error
    return ConfigurationError(f"cannot listen at {host}:{port}: {reason}")


class _Server(uvicorn.Server):
    """Says where it is, ends event streams when it is to stop, and returns then whatever the signal."""

    def __init__(self, service: Service, url: str) -> None:
        logging.getLogger("uvicorn").parent = logging.getLogger("distq")
        config = uvicorn.Config(
            create(service),
            proxy_headers=False,
            server_header=False,
            access_log=False,
            log_config=None,
            log_level="warning",
            ws="none",
            timeout_graceful_shutdown=GRACE,
        )
        super().__init__(config)
        self._service, self._url = service, url

    def handle_exit(self, sig: int, frame: Any) -> None:
        """End in order, however often it is told to: that takes `GRACE` seconds at most."""
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._service.live.keep_looking()
        print(f"serving {self._url}", flush=True)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await self._service.live.close()
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        before = {
            number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
