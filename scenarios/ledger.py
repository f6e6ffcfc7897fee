"""The ledger: each process appends what it saw of each job to files of its own.

A record is one `os.write` to a file opened with O_APPEND (about 1 µs), so it survives `kill -9` of its
writer. Times are CLOCK_MONOTONIC in ns, one clock for all processes of a machine.

`<pid>-<ns>.moments` holds records of three int64: moment, job, time. `<pid>-<ns>.batches` holds, for
contenders that run no Python per job, a count, a time and that many jobs, all int64, a batch after the
other. `<pid>-<ns>.settled` holds the same of jobs that the broker has forgotten; its process need not be a
worker. `records.py` reads them all; this module is light, for workers import it.
"""

from __future__ import annotations

import os
import struct
import time
from array import array
from collections.abc import Sequence
from enum import IntEnum
from functools import cached_property
from pathlib import Path

RECORD = struct.Struct("<qqq")


class Moment(IntEnum):
    """What a record tells of a job. A gate record carries the process's id in the job's place."""

    SENT = 1
    ACCEPTED = 2
    STARTED = 3
    FINISHED = 4
    GATE = 5
    SETTLED = 6


class Writer:
    """This process's files, each open from its first record to the process's end. A fork needs a new one."""

    def __init__(self, directory: Path) -> None:
        # The time: should a process number come again, a record cut short shifts nobody else's.
        name = f"{os.getpid()}-{time.monotonic_ns()}"
        self._path = directory / name

    @cached_property
    def _moments(self) -> int:
        return _open(self._path.with_suffix(".moments"))

    @cached_property
    def _batches(self) -> int:
        return _open(self._path.with_suffix(".batches"))

    @cached_property
    def _settled(self) -> int:
        return _open(self._path.with_suffix(".settled"))

    def add(self, moment: int, job: int) -> None:
        """Record a moment of a job, now."""
        os.write(self._moments, RECORD.pack(moment, job, time.monotonic_ns()))

    def add_batch(self, jobs: Sequence[int]) -> None:
        """Record that jobs started and finished, now."""
        os.write(self._batches, _batch(jobs))

    def add_settled(self, jobs: Sequence[int]) -> None:
        """Record that the broker has forgotten jobs, now."""
        os.write(self._settled, _batch(jobs))


def _batch(jobs: Sequence[int]) -> bytes:
    return array("q", [len(jobs), time.monotonic_ns(), *jobs]).tobytes()


def _open(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)


def written(directory: Path) -> int:
    """How many records of starts and finishes there are, by the sizes of the files, and a few more.

    It costs next to nothing, so it may be asked often while a contender runs.
    """
    records = sum(path.stat().st_size for path in directory.glob("*.moments")) // RECORD.size
    jobs = sum(path.stat().st_size for path in directory.glob("*.batches")) // 8
    return records + 2 * jobs


def at_most_finished(directory: Path) -> int:
    """How many jobs can have finished so far: a few more than have, as in `written`."""
    return written(directory) // 2
