"""The processes of the shop: started under guard, watched, ended in order."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from scenarios.servers import Servers
from scenarios.servers.private import ending

ROOT = Path(__file__).parents[2]


class Crew:
    """The processes beside the servers. The servers' guard ends what is left, whatever becomes of us."""

    directory: Path
    """What lies there is removed at the end."""
    environment: dict[str, str]
    """What the processes find in their environment besides ours."""

    def __init__(self, servers: Servers, environment: Mapping[str, str]) -> None:
        self._servers, self._guard = servers, servers.guard
        self.directory = servers.guard.directory
        self.environment = dict(environment)
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, argv: Sequence[str]) -> None:
        """Start a process in the checkout; what it says goes into a file."""
        with self._log(name).open("wb") as log:
            self._running[name] = self._guard.start(
                argv, cwd=ROOT, env=os.environ | self.environment, stdout=log, stderr=subprocess.STDOUT
            )

    def runs(self, name: str) -> bool:
        """Whether it is there."""
        return name in self._running

    def ended(self) -> list[str]:
        """A line for each process that has ended since the last call.

        Raises ServerError where a server has: without it nothing goes on.
        """
        self._servers.check()
        lines: list[str] = []
        for name, process in list(self._running.items()):
            if (status := process.poll()) is not None:
                self._forget(name)
                lines.append(f"{name} has ended, {ending(status)}: {self._last_words(name)}")
        return lines

    def stop(self, within: float) -> None:
        """Have all processes end, within so many seconds; the first that was started goes last."""
        deadline = time.monotonic() + within
        for name in reversed(list(self._running)):
            self._running[name].send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self._running[name].wait(max(deadline - time.monotonic(), 0))
                self._forget(name)

    def _forget(self, name: str) -> None:
        self._guard.forget(self._running.pop(name).pid)

    def _log(self, name: str) -> Path:
        return self.directory / f"{name}.log"

    def _last_words(self, name: str) -> str:
        lines = self._log(name).read_text(errors="replace").strip().splitlines()
        return lines[-1].strip() if lines else "it said nothing"
