"""Reads what the ledgers of a cell's processes hold."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scenarios.ledger import RECORD, Moment

Records = NDArray[Any]
"""A structured array, see `FIELDS`."""

FIELDS = np.dtype([(name, "<i8") for name in ("moment", "job", "time_ns", "pid")])

_BATCHES = {"*.batches": (Moment.STARTED, Moment.FINISHED), "*.settled": (Moment.SETTLED,)}
"""What a batch in such a file says of each of its jobs."""


def read(directory: Path) -> Records:
    """All records of a directory, in no particular order; one that was cut short by a kill is left out."""
    parts = [_read_moments(path) for path in sorted(directory.glob("*.moments"))]
    for suffix, moments in _BATCHES.items():
        parts += [part for path in sorted(directory.glob(suffix)) for part in _read_batches(path, moments)]
    return np.concatenate([np.empty(0, FIELDS), *parts])


def jobs(directory: Path, moment: Moment) -> set[int]:
    """The jobs that have a record of this moment."""
    records = read(directory)
    return set(records["job"][records["moment"] == moment].tolist())


def gate_opened_ns(directory: Path) -> int | None:
    """When the first process was let through the starting gate."""
    records = read(directory)
    return min(records["time_ns"][records["moment"] == Moment.GATE].tolist(), default=None)


def _read_moments(path: Path) -> Records:
    data = path.read_bytes()
    table = np.frombuffer(data[: len(data) // RECORD.size * RECORD.size], "<i8").reshape(-1, 3)
    return _records(path, table[:, 0], table[:, 1], table[:, 2])


def _read_batches(path: Path, moments: Sequence[Moment]) -> list[Records]:
    data, at, parts = np.fromfile(path, "<i8"), 0, []
    while at + 2 <= len(data) and (end := at + 2 + int(data[at])) <= len(data):
        parts += [_records(path, int(moment), data[at + 2 : end], data[at + 1]) for moment in moments]
        at = end
    return parts


def _records(path: Path, moment: Any, job: NDArray[np.int64], time_ns: Any) -> Records:
    records = np.empty(len(job), FIELDS)
    records["moment"], records["job"], records["time_ns"] = moment, job, time_ns
    records["pid"] = int(path.stem.partition("-")[0])
    return records
