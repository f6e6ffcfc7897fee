"""Who is better than whom, where intervals allow it; and the A/A control, which says what those are worth."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from scenarios.controls import is_control, original
from scenarios.statistics import SETTINGS, Floats, block_ratios, bootstrap_interval
from scenarios.tables import groups, is_ceiling

MEASURES = ("jobs_per_s", "start_p50_ms", "start_p99_ms", "finish_p99_ms", "worker_cpu_s", "peak_rss_mb")
"""What an A/A control is compared by."""

_COMPARED = ("ratio", "low", "high", "coverage", "blocks")
_NOWHERE = (np.nan, np.nan, np.nan)


def ranking(
    summary: pd.DataFrame, *, seed: int, column: str = "jobs_per_s", larger_is_better: bool = True
) -> pd.DataFrame:
    """By setting, the queues in order, the best median over blocks first, with ranks that were decided.

    A contender shares the rank of the one before it unless the interval of its ratio, by block, to the first
    of that rank lies wholly on the worse side of 1. With fewer than 3 blocks nothing is decided, and all have
    rank 1. Ceilings and controls have no row, nor has a contender with a cell that is not ok, or in which
    something was lost or unexpected.

    Args:
        summary: rows of summary.csv.
        seed: of the bootstrap.
        column: of summary.csv, what they are ranked by.

    Returns:
        The columns of `SETTINGS`, then `contender`; `rank`, one more than the number of contenders of better
        rank; `value`, the median of `column`; `ratio` to the best (median by block on the log scale), `low`,
        `high`, `coverage` of its interval, NaN with fewer than 3 blocks, and how many `blocks` both share.
    """
    rows = []
    for settings, cells in groups(summary):
        sound = _sound(cells, column)
        rows += [settings | row for row in _ranked(sound, column, larger_is_better, seed)]
    return pd.DataFrame(rows, columns=[*SETTINGS, "contender", "rank", "value", *_COMPARED])


def control(summary: pd.DataFrame, *, seed: int) -> pd.DataFrame:
    """What differs between the two runs of one contender: nothing but chance does.

    Returns:
        A row a setting, control and measure of `MEASURES` that both have: the columns of `SETTINGS`, then
        `contender`, `measure`; `ratio` of the control to the original by block, `low`, `high`, `coverage`,
        `blocks` as in `ranking`; `flagged`: whether the interval lies wholly off 1.
    """
    rows: list[dict[Any, Any]] = []
    for name in sorted(filter(is_control, summary.loc[:, "adapter"].unique())):
        ratios = {measure: block_ratios(summary, original(name), measure) for measure in MEASURES}
        own = summary.assign(**ratios).loc[summary.loc[:, "adapter"] == name]
        for settings, cells in groups(own):
            rows += [settings | {"contender": original(name)} | row for row in _controlled(cells, seed)]
    return pd.DataFrame(rows, columns=[*SETTINGS, "contender", "measure", *_COMPARED, "flagged"])


def false_positives(control: pd.DataFrame) -> tuple[int, int]:
    """How many rows of `control` are flagged, and how many have an interval.

    By chance alone a share of 1 - `coverage` is to be expected: a quarter with 3 blocks, 5 % from 6 on. As
    the measures of a cell go together, so do their flags.
    """
    return int(control.loc[:, "flagged"].sum()), int(control.loc[:, "low"].notna().sum())


def _sound(cells: pd.DataFrame, column: str) -> pd.DataFrame:
    """The cells of the queues that are to be ranked."""
    well = (cells.loc[:, ["lost", "unexpected"]] == 0).all(axis=1) & (cells.loc[:, "status"] == "ok")
    well &= np.isfinite(cells.loc[:, column].astype(np.float64))
    names = cells.loc[:, "adapter"]
    queues = ~names.map(lambda name: is_ceiling(name) or is_control(name)).astype(bool)
    return cells.loc[well.groupby(names).transform("all") & queues]


def _ranked(cells: pd.DataFrame, column: str, larger_is_better: bool, seed: int) -> Iterator[dict[str, Any]]:
    """The rows of one setting, whose cells are all to be ranked."""
    medians = cells.groupby("adapter")[column].median().to_dict()
    sign = -1 if larger_is_better else 1
    order = sorted(medians, key=lambda contender: (sign * medians[contender], contender))
    if not order:
        return
    rank, to_best = 1, _ratios(cells, order[0], column)
    to_first = to_best
    for place, contender in enumerate(order, 1):
        found = _compared(to_first[contender], seed)
        if found["high"] < 1 if larger_is_better else found["low"] > 1:
            rank, to_first = place, _ratios(cells, contender, column)
        row = {"contender": contender, "rank": rank, "value": medians[contender]}
        yield row | _compared(to_best[contender], seed)


def _ratios(cells: pd.DataFrame, base: str, column: str) -> dict[Any, Floats]:
    """By contender, its ratios to another one, a block each."""
    ratios = block_ratios(cells, base, column).groupby(cells.loc[:, "adapter"])
    return {contender: own.to_numpy() for contender, own in ratios}


def _controlled(cells: pd.DataFrame, seed: int) -> Iterator[dict[str, Any]]:
    """Rows of one control under one setting; its measures are ratios to the original."""
    for measure in MEASURES:
        found = _compared(cells.loc[:, measure].to_numpy(), seed)
        if found["blocks"]:
            yield {"measure": measure} | found | {"flagged": found["low"] > 1 or found["high"] < 1}


def _compared(ratios: Floats, seed: int) -> dict[str, Any]:
    known = ratios[~np.isnan(ratios)]
    if not known.size:
        return dict(zip(_COMPARED, (np.nan, *_NOWHERE, 0), strict=True))
    with np.errstate(divide="ignore"):
        ratio = float(np.exp(np.median(np.log(known))))
    interval = bootstrap_interval(known, seed=seed) or _NOWHERE
    return dict(zip(_COMPARED, (ratio, *interval, known.size), strict=True))
