"""Lost, duplicated, unexpected, censored: sets of job ids from the ledgers, never counters."""

from __future__ import annotations

from typing import Any

import pandas as pd

from scenarios.ledger import Moment
from scenarios.workload import WARM_UP

COLUMNS = ["job", "intended_ns", "sent_ns", "accepted_ns", "started_ns", "finished_ns", "settled_ns"]


def job_rows(producer: pd.DataFrame, workers: Any, intended_ns: int | None) -> pd.DataFrame:
    """One row a job: its moments (first start, first finish), the worker's pid, and how often it started.

    Jobs that nobody submitted are rows too, without `sent_ns`. `intended_ns` is the burst's start;
    without it a job is intended when it is sent.
    """
    workers = workers[workers["job"] < WARM_UP]
    moments = {
        "sent_ns": _first(producer, Moment.SENT),
        "accepted_ns": _first(producer, Moment.ACCEPTED),
        "started_ns": _first(workers, Moment.STARTED),
        "finished_ns": _first(workers, Moment.FINISHED),
        "pid": workers[workers["moment"] == Moment.FINISHED].groupby("job")["pid"].first(),
        "attempt": workers[workers["moment"] == Moment.STARTED].groupby("job").size(),
    }
    rows: Any = pd.DataFrame(moments).astype("Int64").rename_axis("job").reset_index()
    rows["intended_ns"] = rows["sent_ns"] if intended_ns is None else intended_ns
    rows.loc[rows["sent_ns"].isna(), "intended_ns"] = pd.NA
    rows["settled_ns"] = pd.array([pd.NA] * len(rows), dtype="Int64")
    return rows[[*COLUMNS, "pid", "attempt"]].astype("Int64")


def _first(records: Any, moment: Moment) -> Any:
    return records[records["moment"] == moment].groupby("job")["time_ns"].min()


def account(rows: pd.DataFrame, workers: pd.DataFrame, *, censored: bool) -> dict[str, int]:
    """The counts of a cell. `censored` says that the deadline came while jobs were still to run:
    what was accepted and had not finished then is censored, else it is lost."""

    def count(mask: Any) -> int:
        return int(mask.sum())

    accepted, finished = rows["accepted_ns"].notna(), rows["finished_ns"].notna()
    finishes = workers[(workers["moment"] == Moment.FINISHED) & (workers["job"] < WARM_UP)]
    unfinished = count(accepted & ~finished)
    latencies = rows["started_ns"] - rows["intended_ns"]
    return {
        "lost": 0 if censored else unfinished,
        "duplicated": count(finishes.groupby("job").size() > 1),
        "unexpected": count(finished & rows["sent_ns"].isna()),
        "censored": unfinished if censored else 0,
        "negative_latencies": count(latencies < 0),
    }
