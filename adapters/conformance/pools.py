"""A contender's pools as the kit runs them, and the end of everything that belongs to them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil

from adapters.base import CELL_VARIABLE
from adapters.conformance.probe import Notes

STOP_S = 10.0
"""How long a pool may take to obey SIGTERM."""

_COMMAND = [sys.executable, "-m", "adapters.conformance.pool"]
_POLL_S = 0.01
_PATIENCE_S = 1.0


class Broken(Exception):
    """A contender does not keep the contract, so that nothing more can be seen; the message is one line."""


class Pool:
    """One pool of the contender, in a process and a session of its own. It waits until `begin`."""

    def __init__(self, notes: Notes, name: str) -> None:
        self._log = notes.directory / f"{name}.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                _COMMAND,
                env=os.environ | {CELL_VARIABLE: str(notes.cell)},
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.pid = self._process.pid
        self._killed = self._wounded = False

    def begin(self) -> None:
        """Let it run."""
        assert self._process.stdin
        with suppress(BrokenPipeError), self._process.stdin as pipe:  # `check` tells what it died of
            pipe.write(b"begin\n")

    def tree(self) -> list[psutil.Process]:
        """Its processes, the first one first."""
        try:
            root = psutil.Process(self.pid)
            return [root, *root.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def kill_process(self, pid: int) -> bool:
        """Kill a process of it, which may be all there is. Returns whether it has such a process."""
        for process in self.tree():
            if process.pid == pid:
                self._killed = pid == self.pid
                self._wounded = True
                with suppress(psutil.NoSuchProcess):
                    process.kill()
                return True
        return False

    def check(self) -> None:
        """Raise Broken where it has ended by itself."""
        if self._process.poll() is not None and not self._killed:
            raise Broken(f"the pool ended by itself, with status {self._process.returncode}: {self.said()}")

    def stop(self) -> None:
        """Tell it to end."""
        self.check()
        self._process.terminate()

    def ended(self) -> str | None:
        """Wait until it has ended, once told to. Returns what was wrong with how it did."""
        # Celery's waits for the job of a killed process for a while.
        seconds = 2 * STOP_S if self._wounded else STOP_S
        try:
            status = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return f"the pool did not end within {seconds:g} s of SIGTERM"
        if status and not self._killed:
            return f"the pool ended with status {status} on SIGTERM: {self.said()}"
        return None

    def said(self) -> str:
        """The last line that it printed."""
        lines = [line for line in self._log.read_text(errors="replace").splitlines() if line.strip()]
        return one_line((lines or ["it said nothing"])[-1])

    def close(self) -> None:
        """Wait for it, once it was killed."""
        if self._process.stdin:
            self._process.stdin.close()
        self._process.wait()


def until(condition: Callable[[], object], seconds: float, *, watch: Callable[[], object] = bool) -> bool:
    """Whether the condition came to hold within so many seconds; `watch` may raise meanwhile."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        watch()
        time.sleep(_POLL_S)
    return True


def carriers(cell: Path) -> list[psutil.Process]:
    """Every process but this one that has the cell in its environment, also one that lost its parent."""
    return list(_carriers(str(cell)))


def _carriers(cell: str) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        # Whose environment may not be read is not one of ours.
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            if process.pid != os.getpid() and process.environ().get(CELL_VARIABLE) == cell:
                yield process


def kill_carriers(cell: Path) -> None:
    """Let nothing run that has the cell in its environment."""
    while found := carriers(cell):
        for process in found:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(found, timeout=_PATIENCE_S)


def one_line(text: str) -> str:
    """A text as one line of bearable length."""
    line = " ".join(text.split())
    return line if len(line) <= 240 else f"{line[:238]} …"
