"""The ledger: each process appends what it saw of each job to files of its own.

A record is one `os.write` to a file opened with O_APPEND (about 1 µs), so it survives `kill -9` of its
writer. Times are CLOCK_MONOTONIC in ns, one clock for all processes of a machine.

`<pid>-<ns>.moments` holds records of three int64: moment, job, time. `<pid>-<ns>.batches` holds, for
contenders that run no Python per job, a count, a time and that many jobs, all int64, a batch after the
other. `records.py` reads both; this module is light, for workers import it.
"""

from __future__ import annotations

import os
import struct
import time
from array import array
from collections.abc import Sequence
from enum import IntEnum
from pathlib import Path

RECORD = struct.Struct("<qqq")


class Moment(IntEnum):
    """What a record tells of a job. A gate record carries the process's id in the job's place."""

    SENT = 1
    ACCEPTED = 2
    STARTED = 3
    FINISHED = 4
    GATE = 5


class Writer:
    """This process's files, open from the first record to the process's end. A fork needs a new one."""

    def __init__(self, directory: Path) -> None:
        # The time: should a process number come again, a record cut short shifts nobody else's.
        name = f"{os.getpid()}-{time.monotonic_ns()}"
        self._moments = _open(directory / f"{name}.moments")
        self._batches = directory / f"{name}.batches"

    def add(self, moment: int, job: int) -> None:
        """Record a moment of a job, now."""
        os.write(self._moments, RECORD.pack(moment, job, time.monotonic_ns()))

    def add_batch(self, jobs: Sequence[int]) -> None:
        """Record that jobs started and finished, now."""
        descriptor = _open(self._batches)
        os.write(descriptor, array("q", [len(jobs), time.monotonic_ns(), *jobs]).tobytes())
        os.close(descriptor)


def _open(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)


def at_most_finished(directory: Path) -> int:
    """How many jobs can have finished so far, by the sizes of the files: a few more than have.

    It costs next to nothing, so it may be asked often while a contender runs.
    """
    records = sum(path.stat().st_size for path in directory.glob("*.moments")) // RECORD.size
    jobs = sum(path.stat().st_size for path in directory.glob("*.batches")) // 8
    return records // 2 + jobs
