"""The handler of the conformance kit, and what it saw: which job began, ended or was held, where and when.

All of it goes to one file, so that it survives the death of whoever wrote it, and no part of the harness is
needed. Two kinds of jobs are held, for a raw contender tells of no payload by their ids:

* of `BACKLOG` the one that begins first anywhere, until it is let go; all others run;
* `FROZEN`, its first two attempts, each until that is let go. Its result tells which attempt it is of.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from adapters.base import Cell, JobSpec, expected_result

BACKLOG = range(1, 241)
"""Jobs that wait when the first worker comes. With 240 of them a batch of 200 is seen as what it is."""
FROZEN = 500
ATTEMPT = 1_000_000
"""What an attempt at `FROZEN` adds to its result, by its number."""

_POLL_S = 0.01
_LONGEST_HOLD_S = 120.0
"""Nobody is held for longer, should the kit itself have been killed."""


class Moment(NamedTuple):
    """One line of the file: what (started, finished, settled, held), which job, where, monotonic ns."""

    what: str
    job: int
    pid: int
    at_ns: int


class Notes:
    """The files of one cell's probe, in `<cell.directory>/conformance`."""

    def __init__(self, cell_directory: Path) -> None:
        self.directory = cell_directory / "conformance"
        self.cell = self.directory / "cell.json"
        """Named in the environment of every process of the contender: by that they are found, too."""
        self._moments = self.directory / "moments"

    def begin(self, cell: Cell) -> None:
        """Make the directory anew, with the cell in it."""
        shutil.rmtree(self.directory, ignore_errors=True)
        self.directory.mkdir()
        self.cell.write_text(cell.model_dump_json())

    def note(self, what: str, jobs: Sequence[int]) -> None:
        """Append a line a job, in one write."""
        tail = f"{os.getpid()} {time.monotonic_ns()}\n"
        file = os.open(self._moments, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        try:
            os.write(file, "".join(f"{what} {job} {tail}" for job in jobs).encode())
        finally:
            os.close(file)

    def moments(self, what: str) -> list[Moment]:
        """All moments of a kind, in the order in which they were written."""
        # What is written may be seen before all of it is there.
        text, _, _ = self._moments.read_text().rpartition("\n") if self._moments.exists() else ("", "", "")
        found = (Moment(kind, *map(int, rest)) for kind, *rest in map(str.split, text.splitlines()))
        return [moment for moment in found if moment.what == what]

    def first(self, name: str) -> bool:
        """Whether nobody has asked for this name before, in any process."""
        try:
            (self.directory / name).touch(exist_ok=False)
        except FileExistsError:
            return False
        return True

    def let_go(self, name: str) -> None:
        """End a hold, also one that has not begun."""
        (self.directory / f"{name}.let_go").touch()

    def hold(self, name: str, job: int) -> None:
        """Note that the job is held, and wait until it is let go."""
        self.note("held", [job])
        deadline = time.monotonic() + _LONGEST_HOLD_S
        while not (self.directory / f"{name}.let_go").exists() and time.monotonic() < deadline:
            time.sleep(_POLL_S)


class ProbeHandler:
    """A `Handler` (adapters/base.py) that takes notes, and holds jobs."""

    def __init__(self, cell: Cell) -> None:
        self._notes = Notes(cell.directory)

    def __call__(self, job_id: int, payload: str) -> int:
        return expected_result(JobSpec(job_id, payload)) + self._run([job_id])

    def batch(self, ids: Sequence[int]) -> None:
        self._notes.note("batch", ids[:1])
        self._run(ids)

    def settled(self, ids: Sequence[int]) -> None:
        self._notes.note("settled", ids)

    def _run(self, ids: Sequence[int]) -> int:
        """Returns what the attempt adds to its result."""
        self._notes.note("started", ids)
        extra = 0
        if ids[0] in BACKLOG and self._notes.first("backlog"):
            self._notes.hold("backlog", ids[0])
        if FROZEN in ids:
            extra = self._hold_attempt()
        self._notes.note("finished", ids)
        return extra

    def _hold_attempt(self) -> int:
        number = 1
        while not self._notes.first(f"attempt-{number}"):
            number += 1
        if number <= 2:
            self._notes.hold(f"attempt-{number}", FROZEN)
        return number * ATTEMPT
