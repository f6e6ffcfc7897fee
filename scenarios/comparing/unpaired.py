"""The ratio of two runs' medians, with an interval. Pure functions.

Blocks of different runs are no pairs: block 1 of one run shares nothing with block 1 of another. So each
run's blocks are resampled on their own (the two-sample bootstrap: Efron and Tibshirani, An Introduction to
the Bootstrap, 1993, chapter 8), and the ratio is one of medians; `statistics.bootstrap_interval` has a median
of ratios.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import comb
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from scenarios.statistics import Floats, Interval

FEWEST_BLOCKS = 3
"""In each run, for an interval."""
_ENOUGH_BLOCKS = 5


def median_ratio(old: Iterable[Any], new: Iterable[Any]) -> float:
    """The median of `new` over that of `old`, NaN left out of both.

    NaN where there is no such ratio: nothing on one side, or both medians 0 or infinite.
    """
    before, after = _known(old), _known(new)
    return float(_divide(np.median(after), np.median(before))) if before.size and after.size else np.nan


def ratio_interval(
    old: Iterable[Any], new: Iterable[Any], *, seed: int, confidence: float = 0.95, resamples: int = 10_000
) -> Interval | None:
    """Percentile bootstrap of `median_ratio`; with three or four blocks on a side, all that it could give.

    Where nothing has changed, it misses 1 in 3 to 5 % of the cases from five blocks on (simulated: normal,
    exponential, Student's t). With fewer that were up to 10 %, so there it is the widest that resampling can
    give, from the smallest new value over the largest old one to the reverse, and claims `widest_coverage`.

    Args:
        old, new: one number a block, 0 or more; infinite ones count, NaN are left out.
        seed: of the resampling: same seed and values, same interval.

    Returns:
        None with fewer than 3 blocks on a side.
    """
    before, after = _known(old), _known(new)
    fewest = min(before.size, after.size)
    if fewest < FEWEST_BLOCKS:
        return None
    if fewest < _ENOUGH_BLOCKS:
        low, high = _divide(after.min(), before.max()), _divide(after.max(), before.min())
        return _interval(low, high, widest_coverage(before.size, after.size))
    random = np.random.default_rng(seed)
    medians = [
        np.median(values[random.integers(0, values.size, (resamples, values.size))], axis=1)
        for values in (before, after)
    ]
    ratios, cut = _divide(medians[1], medians[0]), int(resamples * (1 - confidence) / 2)
    low = np.sort(np.nan_to_num(ratios, nan=0.0, posinf=np.inf))[cut]
    high = np.sort(np.nan_to_num(ratios, nan=np.inf, posinf=np.inf))[resamples - 1 - cut]
    return _interval(low, high, confidence)


def widest_coverage(old: int, new: int) -> float:
    """How often the widest interval of so many blocks holds 1 where nothing has changed.

    It does not where all blocks of one run lie above all of the other. If both runs draw from one
    distribution, each order of the blocks is as likely as any other, and two of them are such:
    so three blocks against three give 90 %.
    """
    return 1 - 2 / comb(old + new, old)


def _interval(low: Any, high: Any, coverage: float) -> Interval:
    """What cannot be divided, 0 by 0 or ∞ by ∞, might be anything."""
    return Interval(0.0 if np.isnan(low) else float(low), np.inf if np.isnan(high) else float(high), coverage)


def _divide(new: ArrayLike, old: ArrayLike) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.divide(new, old)


def _known(values: Iterable[Any]) -> Floats:
    numbers = np.fromiter(values, dtype=np.float64)
    return numbers[~np.isnan(numbers)]
