"""The Universal Scalability Law fitted to rates by number of workers, or why it does not hold.

X(N) = lambda N / (1 + sigma (N - 1) + kappa N (N - 1)): lambda is what one worker does alone, sigma the share
of the work that only one can do at a time, kappa what it costs a pair to agree (Gunther, Guerrilla Capacity
Planning, 2007). N / X(N) is linear in 1/lambda, sigma/lambda and kappa/lambda, so these are fitted, none
below 0, to the least squares of the relative error. That has one best answer and needs no start, and what is
zero comes out as zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.optimize import nnls

from scenarios.statistics import Floats, interval_coverage

_FEWEST_COUNTS = 6
_FEWEST_BLOCKS = 3
_LEAST_EXPLAINED = 0.9
_LARGEST_RESIDUAL = 0.2
_WIDEST = 3.0
"""Of lambda's interval, high to low end: beyond, lambda is not known."""
_CONFIDENCE = 0.95
_RESAMPLES = 2_000


class Estimate(NamedTuple):
    """A value, and the ends of its bootstrap interval over blocks."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Fit:
    """The law where it holds."""

    rate: Estimate
    """lambda, jobs/s."""
    sigma: Estimate
    """Contention: 0 is none, 1 is one worker at a time."""
    kappa: Estimate
    """Coherency: 0 is none; above, more workers do less in the end."""
    best_workers: Estimate
    """Where the curve is highest, which may be beyond what was measured; infinite where it never falls."""
    peak: Estimate
    """Jobs/s there; where it never falls, what it goes towards."""
    explained: float
    """R² over all cells, on a log scale."""
    residual: float
    """Largest distance of a median over blocks from the curve, as a share of it."""
    worst_workers: int
    """Where that is."""
    blocks: int
    coverage: float
    """Of the intervals, at most; see `statistics.interval_coverage`."""


class Refused(NamedTuple):
    """The law does not hold, or too little was measured to say so."""

    reason: str
    """In one line."""


def fit(cells: pd.DataFrame, *, seed: int) -> Fit | Refused:
    """Fit the law to the medians over blocks of one contender's rates, and ask whether it holds.

    Refused are fewer than 6 numbers of workers, fewer than 3 blocks that have them all, a lambda whose
    interval is wider than a factor of 3, a curve that explains less than 90 % of the variation of the cells
    on a log scale, and one that a median is more than 20 % off.

    Args:
        cells: a row a cell, with `workers`, `block`, `jobs_per_s`; those without a rate are left out.
        seed: of the bootstrap.
    """
    known = cells.dropna(subset=["jobs_per_s"])
    table = known.pivot_table(
        index="block", columns="workers", values="jobs_per_s", aggfunc="median"
    ).dropna()
    workers, rates = table.columns.to_numpy(dtype=np.float64), table.to_numpy(dtype=np.float64)
    if reason := _too_little(workers, rates):
        return Refused(reason)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = _fit(workers, rates, seed)
    reason = _does_not_hold(found)
    return Refused(reason) if reason else found


def curve(fit: Fit, workers: ArrayLike) -> Floats:
    """Jobs/s by the law, for each number of workers."""
    numbers = np.asarray(workers, dtype=np.float64)
    return _law(np.array([1, fit.sigma.value, fit.kappa.value]) / fit.rate.value, numbers)


def _too_little(workers: Floats, rates: Floats) -> str:
    if workers.size < _FEWEST_COUNTS:
        return f"measured with {workers.size} numbers of workers; the law needs {_FEWEST_COUNTS}"
    if len(rates) < _FEWEST_BLOCKS:
        return f"{len(rates)} blocks have all numbers of workers; an interval needs {_FEWEST_BLOCKS}"
    return "" if (rates > 0).all() else "there is a cell in which nothing finished"


def _does_not_hold(found: Fit) -> str:
    _, low, high = found.rate
    if not np.isfinite(high) or high > _WIDEST * low:
        return f"the rate of one worker cannot be told: {low:,.0f} to {high:,.0f} jobs/s"
    if not found.explained >= _LEAST_EXPLAINED:
        share = max(found.explained, 0)
        return f"the curve explains {share:.1%} of the variation, less than {_LEAST_EXPLAINED:.0%}"
    if found.residual > _LARGEST_RESIDUAL:
        return f"at N = {found.worst_workers} the rate is {found.residual:.0%} off the curve"
    return ""


def _fit(workers: Floats, rates: Floats, seed: int) -> Fit:
    """Whether it holds or not. Shapes: `workers` (counts,), `rates` (blocks, counts)."""
    medians = np.median(rates, axis=0)
    terms = _terms(workers, medians)
    law = _law(terms, workers)
    off, logs = np.abs(medians / law - 1), np.log(rates)
    estimates = zip(_told(terms), *_ends(workers, rates, seed), strict=True)
    return Fit(
        *(Estimate(*map(float, each)) for each in estimates),
        explained=float(1 - np.square(logs - np.log(law)).sum() / np.square(logs - logs.mean()).sum()),
        residual=float(off.max()),
        worst_workers=int(workers[off.argmax()]),
        blocks=len(rates),
        coverage=interval_coverage(len(rates), _CONFIDENCE),
    )


def _ends(workers: Floats, rates: Floats, seed: int) -> Floats:
    """Low and high end of what `_told` tells, over resampled blocks: shape (2, 5)."""
    blocks = len(rates)
    draws = np.random.default_rng(seed).integers(0, blocks, (_RESAMPLES, blocks))
    # The order in a draw does not matter, so few blocks make few draws that differ.
    drawn, times = np.unique(np.sort(draws, axis=1), axis=0, return_counts=True)
    refits = np.array([_told(_terms(workers, np.median(rates[draw], axis=0))) for draw in drawn])
    cut = int(_RESAMPLES * (1 - _CONFIDENCE) / 2)
    return np.sort(np.repeat(refits, times, axis=0), axis=0)[[cut, _RESAMPLES - 1 - cut]]


def _terms(workers: Floats, rates: Floats) -> Floats:
    """1/lambda, sigma/lambda and kappa/lambda."""
    terms = np.column_stack([np.ones_like(workers), workers - 1, workers * (workers - 1)])
    return nnls(terms * (rates / workers)[:, None], np.ones_like(workers))[0]


def _told(terms: Floats) -> Floats:
    """lambda, sigma, kappa, the best number of workers and the rate with them."""
    alone, contention, coherency = terms
    if contention >= alone:
        best = 1.0
    elif coherency == 0:
        best = np.inf
    else:
        best = max(1.0, np.sqrt((alone - contention) / coherency))
    peak = _law(terms, np.array(best)) if np.isfinite(best) else 1 / contention
    return np.array([1 / alone, contention / alone, coherency / alone, best, peak])


def _law(terms: Floats, workers: Floats) -> Floats:
    alone, contention, coherency = terms
    return workers / (alone + contention * (workers - 1) + coherency * workers * (workers - 1))
