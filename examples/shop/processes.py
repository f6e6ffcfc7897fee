"""The processes of the shop: started under guard, watched, ended in order."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from scenarios.servers import Servers

ROOT = Path(__file__).parents[2]


class Crew:
    """The processes beside the servers. The servers' guard ends what is left, whatever becomes of us."""

    directory: Path
    """What lies there is removed at the end."""
    environment: dict[str, str]
    """What the processes find in their environment besides ours."""

    def __init__(self, servers: Servers, environment: Mapping[str, str]) -> None:
        self._guard = servers.guard
        self.directory = servers.guard.directory
        self.environment = dict(environment)
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._serving = dict(servers.pids)

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
        """A line for each process and server that has ended since the last call."""
        lines: list[str] = []
        for name, process in list(self._running.items()):
            if (status := process.poll()) is not None:
                self._forget(name)
                lines.append(f"{name} has ended, {_how(status)}: {self._last_words(name)}")
        for service, pid in list(self._serving.items()):
            if not _lives(pid):
                del self._serving[service]
                lines.append(f"the {service} server has ended")
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


def _how(status: int) -> str:
    return f"killed by {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"


def _lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
