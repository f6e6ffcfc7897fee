"""What all private servers share: a free port, a directory, a log, and starting until it answers."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from textwrap import shorten
from typing import Any, ClassVar
from urllib.parse import unquote, urlsplit

from adapters.base import Service, Tier
from scenarios.guard import Guard
from scenarios.servers.binaries import Binary, search_path

HOST = "127.0.0.1"
START_S = 60.0
"""How long a server may take to answer: RabbitMQ boots in 5 s on an idle machine."""
ATTEMPTS = 5
ANSWER_S = 5.0
"""How long a given server may take to answer."""
PROBE_S = 0.5
"""The same while one of our own starts: another program on its port may accept, and never say a word."""

PORT_TAKEN = "already in use|already a epmd|eaddrinuse|could not bind to distribution port|nodistribution"
"""How servers say so; the last is Erlang's word where something else answers on epmd's port."""


class ServerError(Exception):
    """A server cannot be used; the message is one line: which, where, what went wrong."""


class PortTaken(ServerError):
    """Somebody bound the port between our choice and the server's start."""


class PrivateServer(ABC):
    """A server that belongs to one run: started here, stopped and removed by the guard.

    The static methods are true of given servers too.
    """

    service: ClassVar[Service]
    title: ClassVar[str]
    option: ClassVar[str]
    variable: ClassVar[str]
    url_form: ClassVar[str]
    schemes: ClassVar[tuple[str, ...]]

    def __init__(self, guard: Guard, tier: Tier) -> None:
        self.guard = guard
        self.tier: Tier = tier
        self.binary = self.find()
        self.directory = guard.directory / self.service
        self.log = self.directory / "log"
        self.port = 0
        self.process: subprocess.Popen[bytes] | None = None

    @staticmethod
    @abstractmethod
    def find() -> Binary:
        """The server's program.

        Raises:
            ServerError: there is none; the message says what to do.
        """

    @staticmethod
    @abstractmethod
    def read_back(url: str) -> dict[str, str]:
        """Version and settings, asked from the server.

        Raises:
            ServerError: it does not answer.
        """

    @property
    @abstractmethod
    def url(self) -> str:
        """How a client reaches it."""

    @abstractmethod
    def prepare(self) -> None:
        """What is done once, before the first start."""

    @abstractmethod
    def launch(self) -> subprocess.Popen[bytes]:
        """Start the program on `self.port`."""

    @abstractmethod
    def is_ready(self) -> bool:
        """Whether it answers, and is ours: another program may have taken the port."""

    def start(self) -> None:
        """Start on a free port and return when the server answers."""
        self.directory.mkdir(mode=0o700)
        self.prepare()
        for attempt in range(1, ATTEMPTS + 1):
            self.port = free_port()
            self.log.write_bytes(b"")
            try:
                self.process = self.launch()
                self.wait_for(self.process, self.is_ready)
                return
            except PortTaken:
                if attempt == ATTEMPTS:
                    raise

    def spawn(
        self,
        argv: Sequence[str | Path],
        *,
        stop: int = signal.SIGKILL,
        env: Mapping[str, str] | None = None,
        **options: Any,
    ) -> subprocess.Popen[bytes]:
        """Start a program under guard, in the server's directory, with an environment of its own.

        The default stop signal is SIGKILL: the data is thrown away, so nothing needs to be saved.
        """
        own = {"PATH": search_path(), "HOME": str(self.directory), "LC_ALL": "C", "TZ": "UTC"}
        with self.log.open("ab") as log:
            return self.guard.start(
                argv,
                stop=stop,
                cwd=self.directory,
                env=own | dict(env or {}),
                stdout=log,
                stderr=subprocess.STDOUT,
                **options,
            )

    def wait_for(self, process: subprocess.Popen[bytes], ready: Callable[[], bool]) -> None:
        """Wait until the process is ready.

        Raises:
            PortTaken: it ended because its port was in use.
            ServerError: it ended for another reason, or is not ready in time.
        """
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            if process.poll() is not None:
                self.guard.forget(process.pid)
                raise self.failure()
            if ready():
                return
            time.sleep(0.02)
        raise ServerError(f"{self.title} was not ready within {START_S:.0f} s: {self._last_words()}")

    def check(self) -> None:
        """Raise ServerError where it has ended since it was started."""
        if self.process and (status := self.process.poll()) is not None:
            words = f": {self._last_words()}" if status >= 0 else ""  # who is killed has no time to say why
            raise ServerError(f"the {self.title} server has ended, {ending(status)}{words}")

    def failure(self) -> ServerError:
        """The error for a program that ended: why, in the words of its log."""
        taken = re.search(PORT_TAKEN, self.log.read_text(errors="replace"), re.IGNORECASE)
        error = PortTaken if taken else ServerError
        return error(f"{self.title} ({self.binary.source}) did not start: {self._last_words()}")

    def _last_words(self) -> str:
        """The log's last line that tells of an error, or the last line."""
        lines = [line.strip() for line in self.log.read_text(errors="replace").splitlines() if line.strip()]
        telling = [line for line in lines if re.search("error|fatal|fail|denied|in use", line, re.IGNORECASE)]
        return shorten((telling or lines or ["it said nothing"])[-1], width=240, placeholder=" …")


def ending(status: int) -> str:
    """How a process ended, by the return code that Popen gives."""
    return f"killed by {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"


def free_port() -> int:
    """A port of the loopback interface that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


def address(url: str) -> str:
    """`host:port` of a URL, without user and password."""
    parts = urlsplit(url)
    return ":".join(str(part) for part in (parts.hostname, parts.port) if part) or "a local socket"


def no_answer(title: str, url: str, reason: str) -> ServerError:
    """The error for a server that does not answer: one line, and no password in it."""
    line = next(iter(reason.strip().splitlines()), "no reason given")
    password = urlsplit(url).password or ""
    for secret in filter(None, (password, unquote(password))):
        line = line.replace(secret, "***")
    return ServerError(f"{title} at {address(url)} does not answer: {line}")
