"""Capacity: the highest rate at which a contender holds a service level, and latencies on the way there.

RabbitMQ PerfTest's rate-vs-latency and OpenMessaging Benchmark's rate controller look for such a rate once;
here each block looks for it anew, so that it has an interval.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from scenarios.catalogue import Setting
from scenarios.slo import Slo
from scenarios.statistics import SETTINGS, bootstrap_interval, spread

SCENARIO, CURVE = "capacity", "capacity-curve"
"""The cells of searches, and those at shares of what each search found."""
ABOUT_CELLS = 15
STEP = 4.0
"""From one rate of the ramp to the next."""
PRECISION = 1.1
"""The search ends where the lowest rate that failed is less than so many times the highest that held."""
HIGHEST, STEPS_DOWN = 200_000.0, 2
"""Jobs a second, and steps of the ramp below its start, beyond which nothing more is tried."""
SHARES = (0.1, 0.25, 0.5, 0.75, 0.9, 1.0, 1.05)
"""Of the capacity: the points of the curve."""
FEWEST_JOBS = 100

Row = Mapping[str, Any]
Search = Generator[float, Row, float]
"""Yields rates to measure, is sent the row of each, returns what it found."""


def search(start: float, slo: Slo) -> Search:
    """The highest rate that holds: a ramp up (or down), then bisection on the log scale; 0 where none did."""
    low, high, rate = 0.0, math.inf, start
    while low < HIGHEST and rate >= start / STEP**STEPS_DOWN and not (low and high < math.inf):
        if slo.missed((yield rate)):
            high, rate = rate, rate / STEP if not low else rate
        else:
            low, rate = rate, min(rate * STEP, HIGHEST)
    while low and low * PRECISION < high < math.inf:
        middle = tidy(math.sqrt(low * high))
        if slo.missed((yield middle)):
            high = middle
        else:
            low = middle
    return low


def curve(found: float) -> list[float]:
    """The rates to be measured once a search has found one."""
    return [tidy(share * found) for share in SHARES] if found else []


def tidy(rate: float) -> float:
    """A rate of three digits."""
    return float(f"{rate:.3g}")


def at_rate(setting: Setting, rate: float, seconds: float) -> Setting:
    """The setting at another rate, for as long, but with enough jobs for a percentile."""
    jobs = max(FEWEST_JOBS, round(rate * seconds))
    return setting.model_copy(update={"rate": rate, "jobs": jobs})


def capacities(summary: pd.DataFrame, *, seed: int) -> pd.DataFrame:
    """By contender and setting, what the blocks found.

    Returns:
        The columns of `SETTINGS` but for jobs and rate; `contender`, `slo`, `capacity` (jobs/s, median over
        blocks), `low`, `high`, `coverage` of its bootstrap interval (NaN below three blocks), `blocks`, and
        `limit`: what was missed at the lowest rate that failed, in the most blocks. A block in which no cell
        could be measured has no capacity.
    """
    cells = summary.loc[summary.loc[:, "scenario"] == SCENARIO]
    keys = [name for name in SETTINGS if name not in ("jobs", "rate")]
    rows = []
    for _, own in cells.groupby([*keys, "adapter"], dropna=False, sort=False):
        first = own.iloc[0]
        found = [_of_block(block) for _, block in own.groupby("block")]
        rates, limits = [rate for rate, _ in found], [limit for _, limit in found if limit]
        interval = bootstrap_interval(rates, seed=seed)
        low, high, coverage = interval or (np.nan,) * 3
        rows.append(
            {name: first[name] for name in keys}
            | {"contender": first["adapter"], "slo": first["slo"], "capacity": spread(rates).median}
            | {"low": low, "high": high, "coverage": coverage, "blocks": len(rates)}
            | {"limit": max(limits, key=limits.count) if limits else f"nothing up to {HIGHEST:,.0f}/s"}
        )
    names = [*keys, "contender", "slo", "capacity", "low", "high", "coverage", "blocks", "limit"]
    return pd.DataFrame(rows, columns=names).sort_values("capacity", ascending=False, ignore_index=True)


def _of_block(cells: pd.DataFrame) -> tuple[float, str]:
    """The highest rate that held below the lowest that did not, and what was missed there."""
    if cells.loc[:, "status"].isin(["failed", "unavailable"]).all():
        return math.nan, str(cells.iloc[0]["status"])
    slo = Slo.parse(cells.iloc[0]["slo"])
    missed = [(float(row["rate"]), slo.missed(row)) for row in cells.to_dict("records")]
    failed = min(((rate, why) for rate, why in missed if why), default=(math.inf, ""))
    return max((rate for rate, why in missed if not why and rate < failed[0]), default=0.0), failed[1]
