"""Columns that follow from those of summary.csv: costs a job, bytes a second, what the ideal would be."""

from __future__ import annotations

import numpy as np
import pandas as pd

from scenarios.columns import COSTS
from scenarios.work import parse_work


def finished(summary: pd.DataFrame) -> pd.Series:
    """How many of each cell's jobs have finished; NaN for none."""
    jobs = summary.loc[:, "jobs"] - summary.loc[:, "censored"] - summary.loc[:, "lost"]
    return jobs.where(jobs > 0)


def with_derived(summary: pd.DataFrame) -> pd.DataFrame:
    """summary.csv with

    `<cost>_per_1000` for each of `COSTS`, by finished jobs;
    `mb_per_s` of payloads;
    `of_ideal`: the share of the time of all slots that jobs worked, and `overhead_us` of a slot's time a job,
    NaN where they do no work;
    `core_share`: of a core that a worker process took, and `asked_per_s`: round trips or transactions a
    worker process and second, NaN where the servers do not show them.
    """
    rate, thousands = summary.loc[:, "jobs_per_s"], finished(summary) / 1000
    work_s = summary.loc[:, "work"].map(lambda work: parse_work(work).seconds or np.nan)
    slots = summary.loc[:, "workers"] * summary.loc[:, "concurrency"]
    asked = summary.loc[:, "round_trips"].fillna(summary.loc[:, "transactions"])
    watched = summary.loc[:, "watched_s"] * summary.loc[:, "workers"]
    columns = {f"{cost}_per_1000": summary.loc[:, cost] / thousands for cost in COSTS}
    return summary.assign(
        **columns,
        mb_per_s=rate * summary.loc[:, "payload_bytes"] / 2**20,
        of_ideal=rate * work_s / slots,
        overhead_us=(slots / rate - work_s) * 1e6,
        core_share=summary.loc[:, "worker_cpu_s"] / watched,
        asked_per_s=asked / watched,
    )
