"""What changed between two runs: a line a setting, contender and measure, with a verdict. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from scenarios.comparing.unpaired import median_ratio, ratio_interval
from scenarios.derived import with_derived
from scenarios.statistics import MEASURED, Interval, block_ratios, spread
from scenarios.tables import groups

Row = dict[Any, Any]
"""Settings, by column."""


@dataclass(frozen=True)
class Measure:
    """A column that is compared."""

    column: str
    head: str
    up: str
    down: str
    """What it is to have more of it, and less."""
    speed: bool = True
    """Whether a faster machine moves it, so that it is also compared with the yardstick's."""


_RATE = Measure("jobs_per_s", "jobs/s", "faster", "slower")
_START_P99 = Measure("start_p99_ms", "start p99 ms", "slower", "faster")
MEASURES = (
    _RATE,
    Measure("start_p50_ms", "start p50 ms", "slower", "faster"),
    _START_P99,
    Measure("finish_p99_ms", "finish p99 ms", "slower", "faster"),
    Measure("worker_cpu_s_per_1000", "worker CPU-s", "more", "less"),
    Measure("broker_cpu_s_per_1000", "broker CPU-s", "more", "less"),
    Measure("peak_rss_mb", "peak MB", "more", "less", speed=False),
)
GOOD = ("faster", "less")
"""Verdicts that are welcome."""


@dataclass(frozen=True)
class Estimate:
    """A ratio, new to old."""

    ratio: float
    """NaN where there is none: a side has no number, or both are 0 or infinite."""
    interval: Interval | None
    """None with too few blocks."""

    @property
    def tested(self) -> bool:
        """Whether it could have been flagged: not where the interval is all there is, as of CPU of 0."""
        return self.interval is not None and not np.isnan(self.ratio) and self.interval[:2] != (0, np.inf)

    @property
    def flagged(self) -> bool:
        """Whether the interval leaves 1 out."""
        return self.interval is not None and self.tested and not self.interval.low <= 1 <= self.interval.high

    def verdict(self, measure: Measure) -> str:
        """In words."""
        if self.interval is None:
            return "cannot tell (too few blocks)"
        if not self.tested:
            return "cannot tell (no ratio)"
        if not self.flagged:
            return "no difference seen"
        return measure.up if self.interval.low > 1 else measure.down


@dataclass(frozen=True)
class Line:
    """One measure of one contender under one setting, in both runs."""

    settings: Row
    contender: str
    measure: Measure
    old: float
    new: float
    """Medians over blocks."""
    plain: Estimate
    """As it is."""
    relative: Estimate | None
    """Of the ratios to the yardstick in the same block, which takes the machine's speed out. None: none."""
    deciding: Estimate | None
    """Which of the two tells whether the contender changed. None: neither, for the machine may have."""

    @property
    def flagged(self) -> bool:
        """Whether the contender changed."""
        return self.deciding is not None and self.deciding.flagged


def gather(summaries: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The measured cells of several runs in one frame.

    Args:
        summaries: rows of summary.csv, a frame a run.

    Returns:
        Their columns and those of `derived.with_derived`; `run`, from 0; `block` is unique over all runs.
    """
    cells = pd.concat(
        [with_derived(summary).assign(run=run) for run, summary in enumerate(summaries)], ignore_index=True
    )
    block = cells.loc[:, "run"].astype(str) + "/" + cells.loc[:, "block"].astype(str)
    return cells.assign(block=block).loc[cells.loc[:, "status"].isin(MEASURED)]


def shared(cells: pd.DataFrame) -> pd.DataFrame:
    """The rows of `gather` whose contender at least two runs have measured under that setting."""
    kept = [own for *_, own in _contenders(cells) if own.loc[:, "run"].nunique() > 1]
    return pd.concat(kept) if kept else cells.iloc[:0]


def leading(settings: Row) -> Measure:
    """What a setting is about: jobs/s, or where the rate is given, start p99."""
    return _START_P99 if settings["rate"] > 0 else _RATE


def compare(cells: pd.DataFrame, *, yardstick: str | None, seed: int) -> list[Line]:
    """A line for each measure that one of the runs has a number of; jobs/s not where the rate is given.

    Args:
        cells: what `shared` returns of two runs, the old one first.
        yardstick: a contender; see `yardsticks`.
        seed: of the bootstrap.
    """
    ratios = {each.column: _ratios(cells, yardstick, each) for each in MEASURES}
    lines = []
    for settings, contender, own in _contenders(cells):
        for measure in MEASURES:
            values = own.loc[:, measure.column]
            plain = _estimate(values, own, seed)
            if plain is not None and (measure is not _RATE or leading(settings) is _RATE):
                old, new = (spread(side).median for side in _sides(values, own))
                relative = _estimate(ratios[measure.column], own, seed)
                deciding = relative if yardstick and measure.speed else plain
                lines.append(Line(settings, contender, measure, old, new, plain, relative, deciding))
    return lines


def _contenders(cells: pd.DataFrame) -> Iterator[tuple[Row, str, pd.DataFrame]]:
    for settings, of_setting in groups(cells):
        for contender, own in of_setting.groupby("adapter"):
            yield settings, str(contender), own


def _ratios(cells: pd.DataFrame, yardstick: str | None, measure: Measure) -> pd.Series:
    """Each cell's value over the yardstick's; NaN for its own, and where there is no sense in one."""
    if yardstick is None or not measure.speed:
        return pd.Series(np.nan, index=cells.index)
    return block_ratios(cells, yardstick, measure.column).where(cells.loc[:, "adapter"] != yardstick)


def _estimate(values: pd.Series, own: pd.DataFrame, seed: int) -> Estimate | None:
    """Of the values of a contender's cells; None where neither run has one."""
    old, new = _sides(values, own)
    if old.isna().all() and new.isna().all():
        return None
    return Estimate(median_ratio(old, new), ratio_interval(old, new, seed=seed))


def _sides(values: pd.Series, own: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    values, run = values.loc[own.index], own.loc[:, "run"]
    return values.loc[run == 0], values.loc[run == 1]


@dataclass(frozen=True)
class Tally:
    """How many estimates there are that could have been flagged, were, and would be by chance alone."""

    tested: int
    flagged: int
    expected: float
    """If nothing had changed. By chance they come in clusters: a contender's measures move together."""


def tally(estimates: Iterable[Estimate | None]) -> Tally:
    """Count the estimates that are there."""
    tested = [each for each in estimates if each is not None and each.tested]
    chance = sum(1 - each.interval.coverage for each in tested if each.interval)
    return Tally(len(tested), sum(each.flagged for each in tested), chance)
