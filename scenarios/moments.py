"""From a cell's ledgers to a row a job; lost, duplicated, unexpected, censored: by id, never by a counter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from scenarios.columns import JOBS
from scenarios.ledger import Moment
from scenarios.records import Records
from scenarios.workload import WARM_UP


def job_rows(producer: Records, workers: Records, *, intended_ns: Sequence[int] | None) -> pd.DataFrame:
    """One row a job: its moments (the first of each), who finished it, how often it started and finished.

    Every job of the workload has a row, also one that was never sent; so has a job that nobody submitted,
    without `sent_ns`.

    Args:
        producer: records of the processes that sent the jobs.
        workers: records of the worker processes; those of warm-up jobs are left out.
        intended_ns: when each was to be sent; they are numbered from 0. None: when it was sent.
    """
    starts, finishes = _of(workers, Moment.STARTED), _of(workers, Moment.FINISHED)
    sent = _of(producer, Moment.SENT)["time_ns"].first()
    columns: dict[str, Any] = {
        "intended_ns": sent if intended_ns is None else pd.Series(intended_ns, dtype="Int64"),
        "sent_ns": sent,
        "accepted_ns": _of(producer, Moment.ACCEPTED)["time_ns"].first(),
        "started_ns": starts["time_ns"].first(),
        "finished_ns": finishes["time_ns"].first(),
        "settled_ns": _of(workers, Moment.SETTLED)["time_ns"].first(),
        "pid": finishes["pid"].first(),
        "starts": starts.size(),
        "finishes": finishes.size(),
    }
    # As nullable integers before they are aligned: as floats they would lose nanoseconds.
    rows: Any = pd.DataFrame({name: column.astype("Int64") for name, column in columns.items()})
    return rows.rename_axis("job").reset_index()[list(JOBS)[1:]].astype("Int64")


def count(rows: pd.DataFrame, *, jobs: int, timeout: bool) -> dict[str, int]:
    """How many jobs were lost, duplicated, unexpected, censored.

    Args:
        rows: of `job_rows`.
        jobs: how many the workload has.
        timeout: the deadline came first. Then every job of the workload that had not finished is
            censored, sent or not; else what was accepted and did not finish is lost.
    """
    came: Any = rows.notna()
    finished = came["finished_ns"]
    return {
        "lost": 0 if timeout else int((came["accepted_ns"] & ~finished).sum()),
        "duplicated": int((rows.loc[:, "finishes"] > 1).sum()),
        "unexpected": int((finished & ~came["sent_ns"]).sum()),
        "censored": jobs - int((came["intended_ns"] & finished).sum()) if timeout else 0,
    }


def _of(records: Records, moment: Moment) -> Any:
    """The records of a moment by job, the first in time first."""
    chosen = records[(records["moment"] == moment) & (records["job"] < WARM_UP)]
    return pd.DataFrame(chosen).sort_values("time_ns").groupby("job")
