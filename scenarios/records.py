"""Reads what the ledgers of a cell's processes hold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from scenarios.ledger import RECORD, Moment


def read(directory: Path) -> pd.DataFrame:
    """All records of a directory: columns moment, job, time_ns and pid, in no particular order."""
    frames = [_read_moments(path) for path in sorted(directory.glob("*.moments"))]
    frames += [_read_batches(path) for path in sorted(directory.glob("*.batches"))]
    empty = pd.DataFrame(columns=["moment", "job", "time_ns", "pid"], dtype="int64")
    return pd.concat([empty, *frames], ignore_index=True)


def _read_moments(path: Path) -> pd.DataFrame:
    data = path.read_bytes()
    table = np.frombuffer(data[: len(data) // RECORD.size * RECORD.size], dtype="<i8").reshape(-1, 3)
    columns = {"moment": table[:, 0], "job": table[:, 1], "time_ns": table[:, 2]}
    return pd.DataFrame({**columns, "pid": int(path.stem)})


def _read_batches(path: Path) -> pd.DataFrame:
    data, at, rows = np.fromfile(path, dtype="<i8"), 0, []
    while at + 2 <= len(data):
        count, when = int(data[at]), int(data[at + 1])
        jobs = data[at + 2 : at + 2 + count]
        rows += [
            pd.DataFrame({"moment": int(moment), "job": jobs, "time_ns": when})
            for moment in (Moment.STARTED, Moment.FINISHED)
        ]
        at += 2 + count
    return pd.concat(rows, ignore_index=True).assign(pid=int(path.stem)) if rows else pd.DataFrame()
