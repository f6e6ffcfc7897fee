"""A handler for adapter tests: it writes what happens to one file, so no part of the harness is needed."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from adapters.base import Cell

MOMENTS = "moments"
RELEASED = "released"


class Moment(NamedTuple):
    """One line of the file: what, which job, in which process."""

    what: str
    job: int
    pid: int


class SpyHandler:
    """Appends what it is told. With the work `held` a job waits until the cell is released."""

    def __init__(self, cell: Cell) -> None:
        self._directory = cell.directory
        self._held = cell.work == "held"

    def __call__(self, job_id: int, payload: str) -> int:
        self.batch([job_id])
        return job_id + len(payload)

    def batch(self, ids: Sequence[int]) -> None:
        self._note("started", ids)
        while self._held and not (self._directory / RELEASED).exists():
            time.sleep(0.01)
        self._note("finished", ids)

    def settled(self, ids: Sequence[int]) -> None:
        self._note("settled", ids)

    def _note(self, what: str, ids: Sequence[int]) -> None:
        lines = "".join(f"{what} {job} {os.getpid()}\n" for job in ids)
        file = os.open(self._directory / MOMENTS, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        try:
            os.write(file, lines.encode())
        finally:
            os.close(file)


def moments(directory: Path) -> list[Moment]:
    """What the handlers of a cell wrote so far."""
    path = directory / MOMENTS
    lines = path.read_text().splitlines() if path.exists() else []
    return [Moment(what, int(job), int(pid)) for what, job, pid in map(str.split, lines)]


def jobs(directory: Path, what: str) -> list[int]:
    """The jobs of all moments of a kind, in order of id: a job twice is there twice."""
    return sorted(moment.job for moment in moments(directory) if moment.what == what)
