"""The starting gate: every worker process waits in its first job until all are there, or 5 s and more.

So the difference between the start-up of processes is not measured. A process announces itself by a
file; the harness counts the same files to know that the pool is ready.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

PATIENCE_S = 5.0
_START_S = 0.5
"""For each process beyond the machine's cores: they start one after the other."""
_POLL_S = 0.002
_OPEN = "open"


def queueing_s(processes: int) -> float:
    """How much longer so many processes may take to start than as many as there are cores."""
    return _START_S * max(0, processes - (os.cpu_count() or 1))


class Gate:
    """The gate of one cell, in a directory that all its processes share."""

    def __init__(self, directory: Path, processes: int) -> None:
        self._directory, self._processes = directory, processes

    def arrived(self) -> int:
        """How many worker processes have reached their first job."""
        return len({*os.listdir(self._directory)} - {_OPEN})

    def is_open(self) -> bool:
        """Whether every worker process has reached its first job, or one has waited for that too long."""
        return self.arrived() >= self._processes or (self._directory / _OPEN).exists()

    def pass_through(self) -> None:
        """Announce this process and wait. Who loses patience opens the gate for all."""
        (self._directory / str(os.getpid())).touch()
        deadline = time.monotonic() + PATIENCE_S + queueing_s(self._processes)
        while not self.is_open():
            if time.monotonic() > deadline:
                (self._directory / _OPEN).touch()
            time.sleep(_POLL_S)
