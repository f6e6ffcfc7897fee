"""Whether the rate of a cell was the same throughout, and how long its longest pause was. Pure functions.

A mean over a drift is the rate of no moment, so a cell is tested for a change of its level before its rate is
believed (change points for this: Barrett et al., Virtual Machine Warmup Blows Hot and Cold, OOPSLA 2017). The
test is Pettitt's, by ranks (A Non-Parametric Approach to the Change-Point Problem, Applied Statistics 28,
1979), so that a single stall neither makes a drift nor hides one; its p is by permutation. Permuted are equal
parts of the cell's time with several batches in each, so that who finishes jobs in batches does not drift by
that. A rate that wanders more slowly than a part lasts is a drift to this test.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scenarios.statistics import Floats, rate_curve

STEADY, DRIFTING = "steady", "drifting"

_MOST_PARTS = 20
_FEWEST_PARTS = 14
_FEWEST_JOBS = 50
"""In a part, on average."""
_FEWEST_GAPS = 5
"""In a part, of the gaps between finishes in which most of the time goes by."""
_SHORTEST_NS = 2e8
_MARGIN = 3
"""Parts of a level: fewer cannot be told from the rest."""
_LARGEST_P = 0.01
_SMALLEST_RATIO = 1.1
_PERMUTATIONS = 2_000
_SEED = 0


class Change(NamedTuple):
    """Where a cell's rate changed, as a share of the time from its first finish to its last; both levels."""

    at: float
    before: float
    after: float
    """Jobs/s."""

    @property
    def ratio(self) -> float:
        """After to before."""
        return self.after / self.before if self.before else np.inf


def columns(jobs: pd.DataFrame) -> dict[str, float | str]:
    """A cell's columns of summary.csv: `steadiness`, and with "drifting" `change_at` and `change_ratio`.

    Nothing where it cannot be told.

    Args:
        jobs: the cell's rows of jobs.csv.gz.
    """
    rates = _inner_rates(jobs)
    if not rates.size:
        return {}
    found = _change(rates)
    if found is None:
        return {"steadiness": STEADY}
    return {"steadiness": DRIFTING, "change_at": found.at, "change_ratio": found.ratio}


def change(jobs: pd.DataFrame) -> Change | None:
    """The change of a cell's rate that chance does not explain (p < 0.01) and that is more than 10 %.

    Returns:
        None where there is none, and where it cannot be told: see `can_tell`.
    """
    rates = _inner_rates(jobs)
    return _change(rates) if rates.size else None


def can_tell(jobs: pd.DataFrame) -> bool:
    """Whether steadiness can be told: 700 jobs or more finished, over 0.2 s or more, in enough batches."""
    return bool(_inner_rates(jobs).size)


def longest_pause_s(jobs: pd.DataFrame) -> float:
    """The longest time in which no job finished though one was due, in seconds; NaN where none has finished.

    A job is due from when it was both intended and sent (a backlog is sent before) until it has finished. The
    time before the first finish counts too; that after the last does not.

    Args:
        jobs: the cell's rows of jobs.csv.gz.
    """
    submitted = jobs.dropna(subset=["intended_ns", "sent_ns"])
    finished = _moments(submitted)
    if not finished.size:
        return np.nan
    due = np.sort(submitted.loc[:, ["intended_ns", "sent_ns"]].max(axis=1).to_numpy(dtype=np.int64))
    ends, counts = np.unique(finished, return_counts=True)
    starts = np.concatenate([due[:1], ends[:-1]])
    done = np.concatenate([[0], np.cumsum(counts)[:-1]])
    come = np.searchsorted(due, starts, side="right")
    next_due = due[np.minimum(come, due.size - 1)]
    return float(np.max(ends - np.where(come > done, starts, next_due), initial=0) / 1e9)


def _moments(jobs: pd.DataFrame) -> NDArray[np.int64]:
    """When jobs were finished, in order."""
    return np.sort(jobs.loc[:, "finished_ns"].dropna().to_numpy(dtype=np.int64))


def _inner_rates(jobs: pd.DataFrame) -> Floats:
    """Jobs/s in equal parts of the cell's time, without the first and the last, which are ramp-up and tail.

    Empty where steadiness cannot be told.
    """
    parts = _parts(_moments(jobs))
    return rate_curve(jobs, parts=parts)[1][1:-1] if parts >= _FEWEST_PARTS else np.empty(0)


def _parts(finished: NDArray[np.int64]) -> int:
    """How many parts a cell's time can be cut into; 0 for a short one.

    Half of the time lies in gaps at least as long as the `usual` one, so neither the jobs of a batch, which
    finish in no time, count for it, nor a stall, which is one gap.
    """
    gaps = np.sort(np.diff(finished))
    passed = np.cumsum(gaps)
    if not gaps.size or passed[-1] < _SHORTEST_NS:
        return 0
    usual = gaps[np.searchsorted(passed, passed[-1] / 2)]
    return int(min(_MOST_PARTS, finished.size // _FEWEST_JOBS, passed[-1] // (_FEWEST_GAPS * usual)))


def _change(rates: Floats) -> Change | None:
    ranks = pd.Series(rates).rank().to_numpy(dtype=np.float64)
    random = np.random.default_rng(_SEED)
    permuted = random.permuted(np.tile(ranks, (_PERMUTATIONS, 1)), axis=1)
    found = _departures(ranks)
    as_far = np.count_nonzero(_departures(permuted).max(axis=1) >= found.max() - 1e-9)
    if (1 + as_far) / (1 + _PERMUTATIONS) >= _LARGEST_P:
        return None
    # By ranks a change is noticed, but placed too near to the middle.
    split = _MARGIN + int(_departures(rates).argmax())
    before, after = float(rates[:split].mean()), float(rates[split:].mean())
    if max(before, after) <= _SMALLEST_RATIO * min(before, after):
        return None
    return Change((1 + split) / (rates.size + 2), before, after)


def _departures(values: Floats) -> Floats:
    """How far the sum of the first k values is from k means, over its spread by chance, by k.

    Shape `(..., parts)` → `(..., parts - 2 * _MARGIN + 1)`, k from `_MARGIN` on.
    """
    parts = values.shape[-1]
    k = np.arange(_MARGIN, parts - _MARGIN + 1)
    sums = np.cumsum(values - values.mean(axis=-1, keepdims=True), axis=-1)
    return np.abs(sums[..., k - 1]) / np.sqrt(k * (parts - k) / parts)
