"""Numbers from moments: exact quantiles, spread over blocks, ratios to a baseline. Pure functions.

Quantiles are by nearest rank (numpy's `inverted_cdf`): the smallest observed value that at least the
given share of the observations does not exceed. Nothing is interpolated, so a percentile in a table
is the latency of a real job; and where that job never got there, the percentile is infinite.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from scenarios.columns import PERCENTILES as PERCENTILES
from scenarios.columns import SPANS

Floats = NDArray[np.float64]

BASELINE = "celery-redis"
MEASURED = ("ok", "timeout")
"""Statuses of cells whose rates and latencies count."""
PARTS = ("unsent", "sending", "queued", "running", "settling")
SETTINGS = (
    *("scenario", "jobs", "rate", "schedule", "producers", "profile", "tier", "workers", "concurrency"),
    *("batch", "payload_bytes", "behind", "disturbance", "work"),
)
"""Columns that two cells must share to be compared."""

_NS_PER_MS = 1e6
_FEWEST_BLOCKS = 3
_PARTED = ["intended_ns", "sent_ns", "started_ns", "finished_ns"]


class Spread(NamedTuple):
    """Median, smallest and largest over blocks; NaN each where no block has a value."""

    median: float
    low: float
    high: float


class Interval(NamedTuple):
    """Ends of a bootstrap interval, and the coverage it may claim (see `interval_coverage`)."""

    low: float
    high: float
    coverage: float


def quantiles(values: ArrayLike, percentiles: Sequence[int] = PERCENTILES) -> Floats:
    """Nearest-rank percentiles in the unit of `values`, shape `(len(percentiles),)`; NaN without values.

    Args:
        values: one number an observation; infinite ones count, NaN must not occur.
        percentiles: whole numbers from 1 to 100.
    """
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    if not ordered.size:
        return np.full(len(percentiles), np.nan)
    ranks = [-(-ordered.size * percentile // 100) for percentile in percentiles]
    return ordered[np.array(ranks) - 1]


def latencies_ms(jobs: pd.DataFrame, moment: str, since: str = "intended_ns") -> Floats:
    """Milliseconds from each submitted job's `intended_ns`, or another moment, to `moment`, unordered.

    Infinite for a job that never got there. A job that finished while its contender does not show
    the moment is left out, as is a job that nobody submitted (it has no `intended_ns`) or without `since`.

    Args:
        jobs: rows of jobs.csv.gz.
        moment: `started_ns`, `finished_ns` or another column of moments.
    """
    submitted = jobs.dropna(subset=["intended_ns", since])
    reached, finished = submitted.loc[:, moment], submitted.loc[:, "finished_ns"]
    waited = (reached - submitted.loc[:, since]).to_numpy(dtype=np.float64, na_value=np.nan)
    waited[(reached.isna() & finished.isna()).to_numpy()] = np.inf
    return waited[~np.isnan(waited)] / _NS_PER_MS


def cell_latencies(jobs: pd.DataFrame) -> dict[str, float]:
    """A cell's latency columns of summary.csv: `start_p50_ms` … `finish_p99_ms`, the same from the moment of
    sending as `sent_start_p50_ms` …, `settle_p50_ms` …, `negative_latencies`.

    Args:
        jobs: the cell's rows of jobs.csv.gz.
    """
    columns: dict[str, float] = {}
    for name in SPANS:
        moment = f"{name}ed_ns"
        columns |= _percentiles(name, latencies_ms(jobs, moment))
        columns |= _percentiles(f"sent_{name}", latencies_ms(jobs, moment, since="sent_ns"))
    if jobs.loc[:, "settled_ns"].notna().any():
        columns |= _percentiles("settle", latencies_ms(jobs, "settled_ns"))
    return columns | {"negative_latencies": negative_latencies(jobs)}


def _percentiles(name: str, values: ArrayLike) -> dict[str, float]:
    found = quantiles(values)
    return {f"{name}_p{p}_ms": float(value) for p, value in zip(PERCENTILES, found, strict=True)}


def backlog_growth(jobs: pd.DataFrame) -> float:
    """How fast the jobs under way grew in number, as a share of the rate at which they were intended.

    It is the slope of a line through that number at 50 moments after the first fifth of the load's time; NaN
    for few jobs.
    """
    intended = np.sort(jobs.loc[:, "intended_ns"].dropna().to_numpy(dtype=np.int64))
    if intended.size < 50 or np.ptp(intended) == 0:
        return np.nan
    finished = np.sort(jobs.loc[:, "finished_ns"].dropna().to_numpy(dtype=np.int64))
    at = np.linspace(intended[0] + np.ptp(intended) / 5, intended[-1], 50)
    under_way = np.searchsorted(intended, at) - np.searchsorted(finished, at)
    slope = np.polyfit((at - at[0]) / 1e9, under_way, 1)[0]
    return float(slope / (intended.size / np.ptp(intended) * 1e9))


def cell_load(jobs: pd.DataFrame) -> dict[str, float]:
    """How an open loop's jobs were sent: `sent_per_s`, `sent_share` of the intended rate, `sent_lag_s` of the
    last one, `send_p50_ms` … `send_p99_ms` after they were intended, `backlog_growth`. Nothing where fewer
    than two were.

    Args:
        jobs: the cell's rows of jobs.csv.gz.
    """
    sent: Any = jobs.dropna(subset=["intended_ns", "sent_ns"])
    if len(sent) < 2:
        return {}
    began, intended = int(sent["intended_ns"].min()), int(sent["intended_ns"].max())
    took = max(int(sent["sent_ns"].max()), intended) - began
    columns = {
        "sent_per_s": (len(sent) - 1) / took * 1e9,
        "sent_share": (intended - began) / took,
        "sent_lag_s": (began + took - intended) / 1e9,
    }
    columns |= _percentiles("send", latencies_ms(sent, "sent_ns"))
    return columns | {"backlog_growth": backlog_growth(jobs)}


def negative_latencies(jobs: pd.DataFrame) -> int:
    """How many jobs started before they were intended or sent, or finished before any of these."""
    negative = np.zeros(len(jobs), dtype=bool)
    before = ["intended_ns", "sent_ns"]
    for moment in ("started_ns", "finished_ns"):
        earliest = jobs.loc[:, before].max(axis=1)
        negative |= (jobs.loc[:, moment] < earliest).fillna(False).to_numpy(dtype=bool)
        before.append(moment)
    return int(negative.sum())


def mean_parts(jobs: pd.DataFrame) -> dict[str, float]:
    """Where the mean time to finish goes, in ms by part; all but the last add up. NaN if no job shows them.

    `unsent`: intended → sent, waiting for the sender. `sending`: sent → accepted, the enqueue call.
    `queued`: accepted → started. `running`: started → finished. `settling`: finished → settled, beyond
    the time to finish, 0 where the contender does not show it. What came before the job was intended
    (a backlog is filled first) takes no part; a job that a worker began before its enqueue call returned
    was never queued: its `sending` ends with the start.
    """
    shown = jobs.dropna(subset=_PARTED)
    if shown.empty:
        return dict.fromkeys(PARTS, np.nan)
    intended, sent, started, finished = (shown.loc[:, moment] for moment in _PARTED)
    accepted = shown.loc[:, "accepted_ns"].fillna(sent)
    sent = sent.where(sent > intended, intended)
    accepted = accepted.where(accepted > sent, sent)
    accepted = accepted.where(accepted < started, started)
    settled = (shown.loc[:, "settled_ns"] - finished).dropna()
    settled = settled[settled >= 0]  # who acknowledges before the run has settled by then
    settling = settled if len(settled) else pd.Series([0])
    spans = (sent - intended, accepted - sent, started - accepted, finished - started, settling)
    return {part: float(span.mean()) / _NS_PER_MS for part, span in zip(PARTS, spans, strict=True)}


def finish_curve(jobs: pd.DataFrame, *, points: int = 250) -> tuple[Floats, Floats]:
    """When a cell's jobs were finished: ms since the first was intended, and the share done by then.

    Args:
        jobs: the cell's rows of jobs.csv.gz.
        points: length of both arrays at most; empty if nothing finished.
    """
    submitted = jobs.dropna(subset=["intended_ns"])
    finished = np.sort(submitted.loc[:, "finished_ns"].dropna().to_numpy(dtype=np.int64))
    if not finished.size:
        return np.empty(0), np.empty(0)
    done = np.unique(np.linspace(1, finished.size, points).round().astype(np.int64))
    since = int(submitted.loc[:, "intended_ns"].min())
    return (finished[done - 1] - since) / _NS_PER_MS, done / len(submitted)


def rate_curve(jobs: pd.DataFrame, *, parts: int = 60) -> tuple[Floats, Floats]:
    """Jobs/s over a cell's time, in equal parts of it: their middles, s from the first finish, and the rates.

    Args:
        jobs: the cell's rows of jobs.csv.gz.
        parts: length of both arrays; empty where fewer jobs than parts finished.
    """
    finished = jobs.loc[:, "finished_ns"].dropna().to_numpy(dtype=np.int64)
    if finished.size < parts or np.ptp(finished) == 0:
        return np.empty(0), np.empty(0)
    counts, edges = np.histogram((finished - finished.min()) / 1e9, bins=parts)
    return (edges[:-1] + edges[1:]) / 2, counts / np.diff(edges)


def slowest_tenth(jobs: pd.DataFrame) -> float:
    """The rate in the slowest of ten equal parts of a cell's time, over their median; NaN for few jobs.

    It is 0 where in one of them no job finished, also where that is so in most.
    """
    _, rates = rate_curve(jobs, parts=10)
    if not rates.size:
        return np.nan
    slowest = rates.min()
    return float(slowest / np.median(rates)) if slowest else 0.0


def spread(values: Iterable[Any]) -> Spread:
    """Median, smallest and largest of the values that are not NaN. Infinite values count."""
    known = _known(values)
    return Spread(float(np.median(known)), known.min(), known.max()) if known.size else Spread(*(np.nan,) * 3)


def block_ratios(summary: pd.DataFrame, baseline: str = BASELINE, column: str = "jobs_per_s") -> pd.Series:
    """Each cell's `column` over that of the baseline adapter in the same block under the same settings.

    Args:
        summary: rows of summary.csv.

    Returns:
        As long as `summary`, with its index; NaN where either cell was not measured or the baseline is 0.
    """
    keys = [*SETTINGS, "block"]
    value = summary.loc[:, column].where(summary.loc[:, "status"].isin(MEASURED))
    own = summary.loc[:, "adapter"] == baseline
    bases = value[own].groupby([summary.loc[own, key] for key in keys]).median()
    base = summary.loc[:, keys].join(bases.rename("base"), on=keys).loc[:, "base"]
    return value / base.where(base != 0)


def bootstrap_interval(
    ratios: Iterable[Any], *, seed: int, confidence: float = 0.95, resamples: int = 10_000
) -> Interval | None:
    """Percentile bootstrap over blocks of the median log-ratio, given back as a ratio.

    Args:
        ratios: one a block, 0 or more; NaN are left out.
        seed: of the resampling: same seed and ratios, same interval.

    Returns:
        None with fewer than 3 blocks.
    """
    known = _known(ratios)
    if known.size < _FEWEST_BLOCKS:
        return None
    with np.errstate(divide="ignore"):
        logs = np.log(known)
    draws = np.random.default_rng(seed).integers(0, known.size, (resamples, known.size))
    medians = np.sort(np.median(logs[draws], axis=1))
    cut = int(resamples * (1 - confidence) / 2)
    low, high = np.exp(medians[[cut, resamples - 1 - cut]])
    return Interval(float(low), float(high), interval_coverage(known.size, confidence))


def interval_coverage(blocks: int, confidence: float = 0.95) -> float:
    """The most that an interval within the range of `blocks` values can cover the true median with.

    All blocks fall on one side of the median with probability 2^(1 - blocks), so three blocks give
    75 % whatever was asked for, and 95 % needs six.
    """
    return min(confidence, 1 - 2.0 ** (1 - blocks))


def _known(values: Iterable[Any]) -> Floats:
    numbers = np.fromiter(values, dtype=np.float64)
    return numbers[~np.isnan(numbers)]
