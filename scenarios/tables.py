"""From a run's summary to one row a contender, and to where its jobs' time goes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from scenarios.columns import COSTS, COUNTS, FROM_SENT, LATENCIES, LOAD, SETTLE
from scenarios.controls import original
from scenarios.derived import with_derived
from scenarios.statistics import (
    BASELINE,
    MEASURED,
    PARTS,
    SETTINGS,
    block_ratios,
    mean_parts,
    spread,
)
from scenarios.steadiness import DRIFTING
from scenarios.workload import UNDISTURBED

_DERIVED = (
    *(f"{cost}_per_1000" for cost in COSTS),
    *("mb_per_s", "of_ideal", "overhead_us", "core_share", "asked_per_s"),
)
_CEILINGS = ("null", "raw")
_UNTOLD: dict[str, Any] = {"rate": 0.0, "batch": 0, "behind": 0, "disturbance": UNDISTURBED}
_UNTOLD |= {"schedule": ("none", "poisson"), "producers": 1}
_SETTING_WORDS = {
    "scenario": "{}",
    "jobs": "{:,} jobs",
    "rate": "{:,g} jobs/s",
    "schedule": "{} arrivals",
    "producers": "{} producers",
    "profile": "{} profile",
    "tier": "{} tier",
    "workers": "workers {}",
    "concurrency": "concurrency {}",
    "batch": "batch {}",
    "payload_bytes": "payload {:,} B",
    "behind": "{:,} behind",
    "disturbance": "an old {} held",
    "work": "work {}",
}


def contenders(summary: pd.DataFrame, baseline: str = BASELINE) -> pd.DataFrame:
    """One row a contender under one setting; nobody is left out. Within each the fastest is first, and of a
    steady load, whose rate is given, the one with the least start p99.

    Args:
        summary: rows of summary.csv.

    Returns:
        The columns of `SETTINGS`, then `contender`, `blocks`; `jobs_per_s` and `ratio` (to the baseline,
        by block), each the median over blocks, with `_min` and `_max`; the columns of summary.csv of the
        latencies and of the load, and those of `derived.py`, medians; `lost` … `negative_latencies`, sums;
        `peak_rss_mb`, `grown_mb`, `broker_mb` and `at_risk`, the largest; `drifting`, how many blocks' rates
        changed on the way; `slowest_tenth`, the least; `status` such as
        "ok" or "timeout (2/3)", and `reason`, empty where the cells gave none. NaN where there is no number.
    """
    cells = with_derived(summary.assign(ratio=block_ratios(summary, baseline)))
    rows = []
    for adapter, of_adapter in cells.groupby("adapter"):
        rows += [s | {"contender": adapter} | _summarised(group) for s, group in groups(of_adapter)]
    table = pd.DataFrame(rows)
    best_first = table.loc[:, "start_p99_ms"].where(table.loc[:, "rate"] > 0, -table.loc[:, "jobs_per_s"])
    order = [*SETTINGS, "best_first", "contender"]
    ordered = table.assign(best_first=best_first).sort_values(order, ignore_index=True)
    return ordered.drop(columns="best_first")


def _summarised(cells: pd.DataFrame) -> dict[str, Any]:
    measured = cells.loc[cells.loc[:, "status"].isin(MEASURED)]
    row: dict[str, Any] = {"blocks": len(cells)}
    for column in ("jobs_per_s", "ratio"):
        median, low, high = spread(measured.loc[:, column])
        row |= {column: median, f"{column}_min": low, f"{column}_max": high}
    for column in (*LATENCIES, *FROM_SENT, *SETTLE, *LOAD, *_DERIVED):
        row[column] = spread(measured.loc[:, column]).median
    for column in COUNTS:
        row[column] = cells.loc[:, column].sum(min_count=1)
    row["drifting"] = int((cells.loc[:, "steadiness"] == DRIFTING).sum())
    for column in ("peak_rss_mb", "grown_mb", "broker_mb", "at_risk"):
        row[column] = spread(measured.loc[:, column]).high
    return row | {"slowest_tenth": spread(measured.loc[:, "slowest_tenth"]).low} | _outcome(cells)


def _outcome(cells: pd.DataFrame) -> dict[str, str]:
    """`status`: ok, or what went wrong, and in how many blocks if not in all; `reason`: why, once each."""
    wrong = sorted(Counter(cells.loc[cells.loc[:, "status"] != "ok", "status"]).items())
    shares = (name if hits == len(cells) else f"{name} ({hits}/{len(cells)})" for name, hits in wrong)
    reasons = dict.fromkeys(" ".join(reason.split()) for reason in cells.loc[:, "reason"].dropna())
    return {"status": ", ".join(shares) or "ok", "reason": "; ".join(filter(None, reasons))}


def family(contender: str) -> str:
    """What contenders of one make share: the name before the first dash."""
    return contender.partition("-")[0]


def is_ceiling(contender: str) -> bool:
    """Whether this is no queue but a measure of what the harness or a storage could do at most."""
    return family(original(contender)) in _CEILINGS


def groups(frame: pd.DataFrame) -> Iterator[tuple[dict[Any, Any], pd.DataFrame]]:
    """Rows by setting: the settings by column name, and the rows that share them, in their order."""
    for _, rows in frame.groupby(list(SETTINGS), dropna=False):
        yield rows.iloc[0].loc[list(SETTINGS)].to_dict(), rows


def describe(settings: Mapping[Any, Any]) -> str:
    """`{"jobs": 1000, "tier": "strict"}` as "1,000 jobs · strict tier"."""
    told = ((name, value) for name, value in settings.items() if not _untold(name, value))
    return " · ".join(_SETTING_WORDS[name].format(value) for name, value in told)


def _untold(name: str, value: Any) -> bool:
    usual = _UNTOLD.get(name)
    return value in usual if isinstance(usual, tuple) else value == usual


def parts(summary: pd.DataFrame, jobs: pd.DataFrame) -> pd.DataFrame:
    """Where the mean time to finish goes, by setting and contender, over the finished jobs of all blocks.

    Returns:
        The columns of `SETTINGS`, then `contender` and `PARTS` (ms; see `statistics.mean_parts`). No row for
        a contender without measured cells.
    """
    by_cell = dict(iter(jobs.groupby("cell")))
    rows = []
    for settings, cells in groups(summary.loc[summary.loc[:, "status"].isin(MEASURED)]):
        for adapter, own in cells.groupby("adapter"):
            moments = [by_cell[cell] for cell in own.loc[:, "cell"] if cell in by_cell]
            if moments:
                rows.append(settings | {"contender": adapter} | mean_parts(pd.concat(moments)))
    return pd.DataFrame(rows, columns=[*SETTINGS, "contender", *PARTS])
