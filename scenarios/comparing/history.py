"""The figure of many runs: what each contender reached, and how its ratio to the yardstick moved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import AutoLocator, FuncFormatter, LogLocator, NullLocator

from scenarios import look
from scenarios.comparing.changes import leading
from scenarios.comparing.searched import title
from scenarios.look import Picture, colour, marker
from scenarios.plots import LOG_FROM
from scenarios.printing import TO
from scenarios.statistics import SETTINGS, block_ratios, bootstrap_interval, interval_coverage, spread
from scenarios.tables import groups

_HEIGHT, _MARGIN, _WIDTH, _RUN, _KEYS = 2.6, 1.9, 3.9, 0.35, 1.6
"""Inches: a panel's height, what is above and below all, a panel's least width, a run's, the keys'."""
_DODGE = 0.3
"""Share of the way from a run to the next over which contenders' points are spread, so that bars show."""

Row = dict[Any, Any]


@dataclass(frozen=True)
class Timeline:
    """The x axis."""

    labels: Sequence[str]
    """A run each."""
    moved: Sequence[int]
    """Runs, from 0, whose machine is not that of the run before."""


def history(cells: pd.DataFrame, timeline: Timeline, *, yardstick: str | None, seed: int) -> Picture:
    """Jobs/s over the runs (start p99 where the rate is given), a panel a setting; beside it the ratio to the
    yardstick's, as a share of what it was in the contender's first run: so a change of some percent shows.
    Bars are bootstrap intervals of the median over blocks, none below three blocks.

    Args:
        cells: what `changes.shared` returns.
        yardstick: a contender; None: nothing is beside it.
        seed: of the bootstrap.
    """
    settings = list(groups(cells))
    columns = 1 if yardstick is None else 2
    with look.style():
        width = max(_WIDTH, _RUN * len(timeline.labels))
        size = (width * columns + _KEYS, _MARGIN + _HEIGHT * len(settings))
        figure = Picture(figsize=size, dpi=200, layout="constrained")
        grid = figure.subplots(len(settings), columns, sharex=True, squeeze=False).tolist()
        for row, (setting, own) in zip(grid, settings, strict=True):
            _row(row, setting, own, cells, yardstick, seed)
        for axes in figure.axes:
            _runs_axis(axes, timeline)
        _keys(figure)
        look.put_foot(figure, _foot(cells))
    return figure


def _row(
    row: list[Axes], setting: Row, own: pd.DataFrame, cells: pd.DataFrame, yardstick: str | None, seed: int
) -> None:
    measure = leading(setting)
    varied = [name for name in SETTINGS if name in ("scenario", "jobs") or len(set(cells.loc[:, name])) > 1]
    row[0].set_title(title({name: setting[name] for name in varied}))
    _panel(row[0], own, own.loc[:, measure.column], seed)
    _value_axis(row[0], measure.head)
    if yardstick is not None:
        others = own.loc[own.loc[:, "adapter"] != yardstick]
        ratios = block_ratios(own, yardstick, measure.column).loc[others.index]
        _panel(row[1], others, ratios / _first_medians(ratios, others), seed)
        row[1].axhline(1, color=look.QUIET, lw=0.8, zorder=1)
        row[1].grid(axis="y")
        row[1].set_ylabel(f"{measure.head} over {yardstick}'s, 1: first run")


def _first_medians(values: pd.Series, own: pd.DataFrame) -> pd.Series:
    """For each cell the median of its contender's first run with values."""
    run, contender = own.loc[:, "run"], own.loc[:, "adapter"]
    first = run.where(values.notna()).groupby(contender).transform("min")
    return values.where(run == first).groupby(contender).transform("median")


def _panel(axes: Axes, own: pd.DataFrame, values: pd.Series, seed: int) -> None:
    names = sorted(own.loc[:, "adapter"].unique())
    for name, shift in zip(names, np.linspace(-_DODGE / 2, _DODGE / 2, len(names)), strict=True):
        of_name = values.loc[own.loc[:, "adapter"] == name]
        by_run = {run: list(of_run) for run, of_run in of_name.groupby(own.loc[:, "run"])}
        _line(axes, name, by_run, shift, seed)


def _line(axes: Axes, name: str, by_run: dict[Any, list[float]], shift: float, seed: int) -> None:
    """Medians, joined where the runs are neighbours; a run that lacks the contender breaks the line."""
    runs = range(min(by_run), max(by_run) + 1)
    points = np.array([_point(by_run.get(run, []), seed) for run in runs])
    middle, low, high = np.where(np.isfinite(points), points, np.nan).T
    bars = np.clip(np.nan_to_num([middle - low, high - middle]), 0, None)
    ink = {"color": colour(name), "marker": marker(name), "ms": 4.5, "lw": 1.1, "mec": "white", "mew": 0.5}
    axes.errorbar(np.array(runs) + shift, middle, yerr=bars, elinewidth=1, label=name, **ink)


def _point(values: list[float], seed: int) -> tuple[float, float, float]:
    interval = bootstrap_interval(values, seed=seed)
    return (spread(values).median, *(interval[:2] if interval else (np.nan, np.nan)))


def _value_axis(axes: Axes, label: str) -> None:
    """In plain numbers, logarithmic where they are far apart."""
    known = np.concatenate([np.asarray(line.get_ydata(), dtype=np.float64) for line in axes.lines])
    known = known[np.isfinite(known) & (known > 0)]
    axes.grid(axis="y")
    axes.set_ylabel(label)
    if known.size and known.max() > LOG_FROM * known.min():
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=20))
    else:
        axes.set_ylim(bottom=0)
        axes.yaxis.set_major_locator(AutoLocator())
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))


def _runs_axis(axes: Axes, timeline: Timeline) -> None:
    axes.set_xticks(range(len(timeline.labels)), timeline.labels, rotation=90, fontsize=6)
    axes.set_xlim(-0.5, len(timeline.labels) - 0.5)
    for run in timeline.moved:
        axes.axvline(run - 0.5, color=look.QUIET, lw=0.8, ls=":")
        place = {"rotation": 90, "va": "top", "color": look.QUIET, "fontsize": 5.5}
        axes.text(run - 0.48, 0.99, "another machine", transform=axes.get_xaxis_transform(), **place)


def _keys(figure: Picture) -> None:
    found = {
        label: handle
        for axes in figure.axes
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(found.values(), found.keys(), loc="outside right upper", fontsize=7)


def _foot(cells: pd.DataFrame) -> str:
    """What the bars are, and what they may claim."""
    blocks = cells.groupby([*SETTINGS, "adapter", "run"], dropna=False).size().tolist()
    claims = [interval_coverage(number) for number in (max(3, min(blocks)), max(3, *blocks))]
    told = TO.join(dict.fromkeys(f"{claim:.0%}" for claim in claims))
    return f"medians over blocks; bars: their bootstrap intervals, of {told}, none below three blocks"
