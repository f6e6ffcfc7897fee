"""Columns that follow from others: costs a job, bytes a second, the ideal."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
import pytest

from scenarios.derived import COSTS, with_derived


def cell(**known: Any) -> pd.Series:
    row = dict.fromkeys(COSTS, math.nan) | {"jobs": 1000, "lost": 0, "censored": 0, "payload_bytes": 2**20}
    row |= {"jobs_per_s": 100.0, "work": "noop", "workers": 2, "concurrency": 5, "watched_s": 10.0} | known
    return with_derived(pd.DataFrame([row])).iloc[0]


def test_costs_are_by_finished_jobs() -> None:
    assert cell(log_mb=50.0, lost=300, censored=200)["log_mb_per_1000"] == pytest.approx(100)
    assert math.isnan(cell(log_mb=50.0, lost=1000)["log_mb_per_1000"])


def test_the_ideal_is_that_every_slot_always_works() -> None:
    row = cell(work="sleep:80")
    assert row["of_ideal"] == pytest.approx(0.8)
    assert row["overhead_us"] == pytest.approx(20_000)


def test_without_work_there_is_no_ideal() -> None:
    assert math.isnan(cell()["of_ideal"])
    assert math.isnan(cell()["overhead_us"])


def test_what_a_worker_process_takes_and_asks() -> None:
    row = cell(worker_cpu_s=0.2, transactions=30.0)
    assert (row["core_share"], row["asked_per_s"]) == pytest.approx((0.01, 1.5))
    assert cell(round_trips=60.0, transactions=30.0)["asked_per_s"] == pytest.approx(3)
    assert row["mb_per_s"] == pytest.approx(100)
