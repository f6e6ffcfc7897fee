"""Each search for a capacity as one cell, so that runs can be compared by what their searches found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from scenarios.capacity import CURVE, SCENARIO, capacities
from scenarios.statistics import SETTINGS
from scenarios.tables import describe

_WITHIN = ("jobs", "rate")
"""What differs between the cells of one search."""


def with_capacities(summary: pd.DataFrame) -> pd.DataFrame:
    """The rows of summary.csv, but one for each block's search: its `jobs_per_s` is the capacity that it
    found, its `scenario` names the service level, `jobs` and `rate` are 0, other measures NaN. No curves.
    """
    searching = summary.loc[:, "scenario"] == SCENARIO
    rest = summary.loc[~searching & (summary.loc[:, "scenario"] != CURVE)]
    keys = [*(name for name in SETTINGS if name not in _WITHIN), "slo", "adapter", "block"]
    found = [_found(own) for _, own in summary.loc[searching].groupby(keys, dropna=False)]
    return pd.concat([rest, *found], ignore_index=True) if found else rest


def title(settings: Mapping[Any, Any]) -> str:
    """A setting in words, where a search has no number of jobs."""
    return describe({name: value for name, value in settings.items() if name != "jobs" or value})


def _found(cells: pd.DataFrame) -> pd.DataFrame:
    """One search: its row, made from that of its first cell."""
    row = cells.iloc[:1].copy()
    row.loc[:, row.select_dtypes("float64").columns] = np.nan
    row = row.assign(scenario=f"{SCENARIO} {cells['slo'].iloc[0]}", jobs=0, rate=0.0)
    if (cells.loc[:, "status"] == "unavailable").all():
        return row
    (capacity,) = capacities(cells, seed=0).loc[:, "capacity"]
    sums = {name: cells.loc[:, name].sum() for name in ("lost", "unexpected")}
    failed = (cells.loc[:, "status"] == "failed").any()
    return row.assign(jobs_per_s=capacity, status="failed" if failed else "ok", reason="", **sums)
