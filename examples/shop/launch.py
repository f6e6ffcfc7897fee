"""What is started, in which order, and what is said of it."""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Callable
from typing import NoReturn
from urllib.error import URLError
from urllib.request import urlopen

from examples.shop.processes import Crew
from scenarios.servers import ServerError
from scenarios.servers.private import HOST, free_port

APP = "examples.shop.tasks:app"

START_S = 30.0
"""Seconds until the shop, and the dashboard, must answer."""

LOOK_S = 0.1
"""Seconds between looks at the processes."""


def launch(crew: Crew, port: int, dashboard_port: int, *, quiet: bool) -> None:
    """Start all, and print the addresses. The ports are wishes: where one is taken it is another.

    Raises:
        ServerError: the shop does not answer.
    """
    web, dashboard, mail = _free(port), _free(dashboard_port), free_port()
    url = f"http://{HOST}:{web}"
    crew.environment |= {"SHOP_SMTP_PORT": str(mail), "SHOP_MAILS": str(crew.directory / "mails")}
    _start(crew, "mail", "examples.shop.sink", mail, crew.directory / "mails")
    ending = ("--log-level", "warning", "--timeout-graceful-shutdown", 2)
    _start(crew, "web", "uvicorn", "examples.shop.web:web", "--host", HOST, "--port", web, *ending)
    _start(crew, "workers", "distq", "worker", APP, "--processes", 2, "--concurrency", 4, "--grace", 2)
    _start(crew, "dashboard", "distq", "serve", "--app", APP, "--host", HOST, "--port", dashboard)
    if not _comes_up(crew, "web", lambda: _answers(f"{url}/health")):
        raise ServerError("the shop does not answer")
    print(f"shop       {url}")
    if _comes_up(crew, "dashboard", lambda: _listens(dashboard)):
        print(f"dashboard  http://{HOST}:{dashboard}")
    print(f"logs       {crew.directory}/*.log")
    if not quiet:
        _start(crew, "customers", "examples.shop.traffic", url)
        print("Customers place some orders per second; --quiet is without them.")
    print("Ctrl-C ends it all.", flush=True)


def watch(crew: Crew) -> NoReturn:
    """Say in a line what ends, until Ctrl-C."""
    while True:
        _tell(crew)
        time.sleep(LOOK_S)


def _start(crew: Crew, name: str, module: str, *arguments: object) -> None:
    crew.start(name, [sys.executable, "-m", module, *map(str, arguments)])


def _comes_up(crew: Crew, name: str, ready: Callable[[], bool]) -> bool:
    """Whether a process is ready in time; what ends meanwhile is said."""
    deadline = time.monotonic() + START_S
    while crew.runs(name) and time.monotonic() < deadline:
        if ready():
            return True
        _tell(crew)
        time.sleep(LOOK_S)
    return False


def _tell(crew: Crew) -> None:
    for line in crew.ended():
        print(line, flush=True)


def _answers(url: str) -> bool:
    try:
        urlopen(url, timeout=5).close()
    except (URLError, OSError):
        return False
    return True


def _listens(port: int) -> bool:
    with socket.socket() as connection:
        return connection.connect_ex((HOST, port)) == 0


def _free(port: int) -> int:
    """The port, or another where somebody has it, which is said."""
    if port and _listens(port):
        print(f"port {port} is taken, so another is used", flush=True)
        return free_port()
    return port or free_port()
