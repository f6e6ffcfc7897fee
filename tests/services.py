"""A storage of each kind, and services over it, for the tests of what looks at storages."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from anyio.from_thread import BlockingPortal, start_blocking_portal
from fastapi import FastAPI
from limits import RateLimitItemPerSecond

from distq import DistQ
from distq.connect import connect
from distq.service.access import Access, Role
from distq.service.application import create
from distq.service.audit import Audit
from distq.service.core import Service
from distq.storage import Storage
from tests.commands import ARGV
from tests.world import url_of

STORES = ("memory", "postgres", "redis")
OPERATE, READ = "operate-0123456789", "read-0123456789abcd"
TOKENS = {Role.OPERATE: OPERATE, Role.READ: READ}
MANY = RateLimitItemPerSecond(100_000)


def open_storage(request: pytest.FixtureRequest, store: str) -> Iterator[Storage]:
    """A fresh storage: memory, postgres or redis."""
    storage = connect("memory://" if store == "memory" else url_of(request, store))
    storage.migrate()
    yield storage
    storage.close()


def app_on(storage: Storage) -> DistQ:
    """An application with a few tasks."""
    app = DistQ("memory://")
    app.move(storage)

    @app.task(name="shop.send", queue="mail")
    def send(to: str, copies: int = 1) -> str:
        return to * copies

    @app.task(name="shop.any")
    def anything(*args: Any, **kwargs: Any) -> None: ...

    @app.task(name="shop.once", key="k")
    def once() -> None: ...

    @app.cron("30 4 * * *", tz="Europe/Berlin")
    @app.task(name="shop.report", queue="reports")
    def report() -> None: ...

    return app


def service_on(storage: Storage, *, app: DistQ | None = None, tokens: Any = None, **fields: Any) -> Service:
    """A service that nobody's writes are too many for."""
    audit = fields.pop("audit", None) or Audit()
    return Service(storage, app, Access(tokens), audit, **{"writes": MANY, **fields})


class Visitor:
    """Somebody who asks a service: it is in this process, in an event loop of its own."""

    def __init__(self, portal: BlockingPortal, http: httpx.AsyncClient) -> None:
        self._portal, self._http = portal, http

    def __call__(self, method: str, path: str, **options: Any) -> httpx.Response:
        return self._portal.call(partial(self._http.request, method, path, **options))

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self("GET", path, **options)

    def post(self, path: str, json: Any = None, **options: Any) -> httpx.Response:
        return self("POST", path, **options, **({} if json is None else {"json": json}))

    def begin(self, method: str, path: str, **options: Any) -> Future[httpx.Response]:
        """A request whose answer is to come."""
        return self._portal.start_task_soon(partial(self._http.request, method, path, **options))

    def at_once(self, times: int, method: str, path: str, **options: Any) -> list[httpx.Response]:
        """The same request so many times at the same moment."""
        return [each.result() for each in [self.begin(method, path, **options) for _ in range(times)]]

    def value(self, path: str, **query: Any) -> Any:
        """What is there, after it went well."""
        response = self.get(path, params=query)
        assert response.status_code == 200, response.text
        return response.json()


@contextmanager
def visiting(
    service: Service | FastAPI, *, token: str = "", host: str = "localhost", client: str = "127.0.0.1"
) -> Iterator[Visitor]:
    """Somebody with a token, who calls the service's host by a name, from an address."""
    app = create(service) if isinstance(service, Service) else service
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=(client, 5))
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(app.router.lifespan_context(app)),
    ):
        http = httpx.AsyncClient(transport=transport, base_url=f"http://{host}", headers=headers)
        yield Visitor(portal, http)
        portal.call(http.aclose)


@contextmanager
def serving(service: Service) -> Iterator[str]:
    """The service behind a real web server, in a thread; its URL."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen(64)
    config = uvicorn.Config(
        create(service), log_config=None, log_level="warning", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


class Process:
    """`distq serve` as users start it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        assert process.stdout
        line = process.stdout.readline()
        assert line.startswith("serving http://"), line
        self.url = line.split()[1]

    def end(self, number: int = signal.SIGTERM, *, within: float = 10) -> int:
        """Send a signal, and give the status with which it ended in time."""
        self.process.send_signal(number)
        return self.process.wait(within)


@contextmanager
def served(*options: str, cwd: Path | None = None, **environment: str) -> Iterator[Process]:
    """A process of `distq serve`, at a port that is free."""
    argv = [*ARGV, "serve", "--port", "0", *options]
    process = subprocess.Popen(
        argv, text=True, stdout=subprocess.PIPE, cwd=cwd, env={**os.environ, **environment}
    )
    try:
        yield Process(process)
    finally:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()
