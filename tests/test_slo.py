"""Service levels, and what the searches of a run found."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from scenarios.capacity import capacities, search
from scenarios.slo import Slo
from scenarios.statistics import SETTINGS

LEVEL = Slo.parse("finish_p99<50ms")
FINE = {"status": "ok", "lost": 0, "unexpected": 0, "finish_p99_ms": 49.0, "backlog_growth": 0.0}


def test_a_level_is_read_as_it_is_written() -> None:
    assert LEVEL == ("finish_p99_ms", 50.0)
    assert Slo.parse("start_p50 < 0.2s") == ("start_p50_ms", 200.0)


@pytest.mark.parametrize(
    "text", ["", "p99<50ms", "finish_p98<50ms", "finish_p99<0ms", "finish_p99>5ms", "finish_p99<5"]
)
def test_what_is_no_level_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no service level"):
        Slo.parse(text)


@pytest.mark.parametrize(
    ("change", "missed"),
    [
        ({}, ""),
        ({"backlog_growth": np.nan}, ""),
        ({"finish_p99_ms": 50.0}, "finish_p99"),
        ({"finish_p99_ms": np.inf}, "finish_p99"),
        ({"finish_p99_ms": np.nan}, "finish_p99"),
        ({"backlog_growth": 0.1}, "a growing backlog"),
        ({"lost": 1}, "lost jobs"),
        ({"status": "timeout"}, "timeout"),
        ({"status": "invalid"}, "the producer"),
    ],
)
def test_a_cell_holds_a_level_or_says_what_it_missed(change: dict[str, Any], missed: str) -> None:
    assert LEVEL.missed(FINE | change) == missed


@pytest.mark.parametrize(
    ("holds", "least", "most"), [(5000, 4500, 5000), (37, 33, 37), (3, 0, 0), (1e9, 2e5, 2e5)]
)
def test_a_search_ends_just_below_the_highest_rate_that_holds(
    holds: float, least: float, most: float
) -> None:
    found, tried = searched(holds)
    assert least <= found <= most
    assert len(tried) == len(set(tried)) < 12


def searched(holds: float) -> tuple[float, list[float]]:
    steps, tried = search(200, LEVEL), []
    rate = next(steps)
    while True:
        tried.append(rate)
        try:
            rate = steps.send(FINE | {"finish_p99_ms": 10 if rate <= holds else 60})
        except StopIteration as end:
            return end.value, tried


def test_each_block_has_a_capacity_of_its_own_and_all_an_interval() -> None:
    rows = [
        _cell(block, "queue", rate, 10 if rate <= holds else 60)
        for block, holds in enumerate([800, 900, 1000, 800, 900, 1000], 1)
        for rate in (100, 400, 800, 900, 1000, 1100)
    ]
    rows += [_cell(1, "never", rate, 60) for rate in (50, 200)]
    # One lucky cell above a rate that failed is no capacity.
    rows.append(_cell(1, "queue", 5000, 10))
    best, worst = capacities(pd.DataFrame(rows), seed=1).to_dict("records")
    assert (best["contender"], best["capacity"], best["blocks"], best["limit"]) == (
        "queue",
        900,
        6,
        "finish_p99",
    )
    assert 799 < best["low"] < 900 < best["high"] < 1001
    assert (worst["contender"], worst["capacity"]) == ("never", 0)


def test_a_block_in_which_no_rate_held_counts_as_none() -> None:
    rows = [
        _cell(block, "queue", 100.0, 10 if holds else 60)
        for block, holds in enumerate([False, False, True, True, True], 1)
    ]
    (found,) = capacities(pd.DataFrame(rows), seed=1).to_dict("records")
    assert (found["capacity"], found["low"], found["high"]) == (100, 0, pytest.approx(100))


def test_who_could_not_be_measured_has_no_capacity() -> None:
    rows = [_cell(1, "absent", 100.0, np.nan) | {"status": "unavailable"}]
    (found,) = capacities(pd.DataFrame(rows), seed=1).to_dict("records")
    assert np.isnan(found["capacity"])
    assert found["limit"] == "unavailable"


def _cell(block: int, adapter: str, rate: float, finish_ms: float) -> dict[str, Any]:
    same: dict[str, Any] = dict.fromkeys(SETTINGS, 1) | {"scenario": "capacity", "slo": "finish_p99<50ms"}
    own = {"block": block, "adapter": adapter, "rate": float(rate), "finish_p99_ms": finish_ms}
    return same | FINE | own
