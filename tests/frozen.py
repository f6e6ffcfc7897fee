"""A server of a test's own that can be frozen: it is there, takes connections, and says nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psutil

from adapters.base import Service
from scenarios.servers import Servers


class Freezer:
    """One private server."""

    def __init__(self, url: str, pid: int) -> None:
        self.url = url
        self._first = psutil.Process(pid)

    def freeze(self) -> None:
        """Stop all its processes; the first one first, so that they do not become more."""
        self._first.suspend()
        for process in self._first.children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                process.suspend()

    def thaw(self) -> None:
        """Let them go on. Twice is safe."""
        for process in [*self._first.children(recursive=True), self._first]:
            with suppress(psutil.NoSuchProcess):
                process.resume()


@contextmanager
def freezer(store: str) -> Iterator[Freezer]:
    """A server of its own for a test: postgres or redis. It is thawed at the end, and ended."""
    service = Service(store)
    with Servers(needs={service}) as servers:
        frozen = Freezer(servers.urls[service], servers.pids[service])
        try:
            yield frozen
        finally:
            frozen.thaw()
