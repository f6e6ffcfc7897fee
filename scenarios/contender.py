"""The contender's pool while it runs."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from adapters.base import CELL_VARIABLE, Cell
from scenarios.gate import Gate
from scenarios.layout import Layout
from scenarios.logs import last_words
from scenarios.plan import Failed
from scenarios.resources import kill_contender

STOP_S = 10.0
"""How long a pool may take to obey SIGTERM."""

_POLL_S = 0.01

COMMAND = [sys.executable, "-m", "scenarios.pool"]


class Pool:
    """The process that runs the contender's pool."""

    def __init__(self, cell: Cell, layout: Layout) -> None:
        self._layout = layout
        self.gate = Gate(layout.gate, cell.processes)
        self.started_ns = time.monotonic_ns()
        with layout.pool_log.open("wb") as log:
            self._process = subprocess.Popen(
                COMMAND,
                env=os.environ | {CELL_VARIABLE: str(layout.cell)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.pid = self._process.pid

    def wait_for(self, condition: Callable[[], bool], seconds: float = float("inf")) -> None:
        """Wait until the condition holds, but no longer than so many seconds.

        Raises:
            Failed: the pool has ended by itself.
        """
        deadline = time.monotonic() + seconds
        while not condition() and time.monotonic() < deadline:
            self.check()
            time.sleep(_POLL_S)

    def check(self) -> None:
        """Raise Failed where the pool has ended by itself."""
        if self._process.poll() is not None:
            said = last_words(self._layout.pool_log)
            raise Failed(f"the pool ended with status {self._process.returncode}: {said}")

    def stop(self) -> None:
        """End the pool and all that it started; politely, if `STOP_S` will do."""
        self._process.terminate()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self.kill()

    def kill(self) -> None:
        """Leave nothing of the pool. Twice is safe."""
        kill_contender(self._layout.cell)
        self._process.wait()


@contextmanager
def running_pool(cell: Cell, layout: Layout) -> Iterator[Pool]:
    """A pool that is stopped at the end, and killed where an exception is the end."""
    pool = Pool(cell, layout)
    try:
        yield pool
        pool.stop()
    finally:
        pool.kill()
