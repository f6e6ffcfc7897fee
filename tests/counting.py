"""A proxy in front of a server, which counts the requests that pass it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit, urlunsplit

from distq.polling import readable

_LOOK = 0.1
"""Seconds between looks whether it is over."""


class Counter:
    """What a client sends before the server answers is one request, whatever the protocol."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._server = parts.hostname or "localhost", parts.port or 0
        self._entrance = socket.create_server(("127.0.0.1", 0))
        user, at, _ = parts.netloc.rpartition("@")
        netloc = f"{user}{at}127.0.0.1:{self._entrance.getsockname()[1]}"
        self.url = urlunsplit(parts._replace(netloc=netloc))
        self.requests = 0
        self._lock = threading.Lock()
        self._over = threading.Event()
        threading.Thread(target=self._admit, daemon=True).start()

    def _admit(self) -> None:
        with self._entrance:
            while not self._over.is_set():
                if readable([self._entrance.fileno()], _LOOK):
                    client, _ = self._entrance.accept()
                    server = socket.create_connection(self._server)
                    threading.Thread(target=self._relay, args=(client, server), daemon=True).start()

    def _relay(self, client: socket.socket, server: socket.socket) -> None:
        answered = True
        with client, server, suppress(ConnectionError):
            while not self._over.is_set():
                for descriptor in readable([client.fileno(), server.fileno()], _LOOK):
                    asks = descriptor == client.fileno()
                    source, target = (client, server) if asks else (server, client)
                    if not (data := source.recv(65536)):
                        return
                    with self._lock:
                        self.requests += asks and answered
                    answered = not asks
                    target.sendall(data)

    def close(self) -> None:
        self._over.set()


@contextmanager
def counter(url: str) -> Iterator[Counter]:
    """A proxy in front of the server of a URL."""
    counter = Counter(url)
    try:
        yield counter
    finally:
        counter.close()
