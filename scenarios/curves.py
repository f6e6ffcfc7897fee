"""Figures with lines: jobs/s by a setting that was swept, and jobs/s over the time of a cell."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.lines import Line2D
from matplotlib.ticker import AutoLocator, FixedLocator, FuncFormatter, Locator, LogLocator, NullLocator

from scenarios import look
from scenarios.look import Picture, colour, marker
from scenarios.plots import LOG_FROM
from scenarios.statistics import MEASURED, rate_curve
from scenarios.tables import contenders, groups

_SWEPT = {
    "workers": "worker processes",
    "batch": "jobs that a worker takes at once",
    "payload_bytes": "bytes of payload in a job",
    "behind": "jobs in the queue at the start",
}
"""The settings that make an axis, and what it is called."""


def swept(summary: pd.DataFrame) -> str | None:
    """The setting that was swept, None where none was."""
    return next((name for name in _SWEPT if summary.loc[:, name].nunique() > 1), None)


def sweep(summary: pd.DataFrame, setting: str, foot: str) -> Picture:
    """Jobs/s by a setting: a line of medians a contender, bars from the slowest block to the fastest."""
    table = contenders(summary)
    table["x"] = table.loc[:, setting] + (table.loc[:, "jobs"] if setting == "behind" else 0)
    with look.style():
        figure = Picture(figsize=(7.0, 4.2), dpi=200, layout="constrained")
        axes = figure.subplots()
        for name in look.order(table):
            _line(axes, name, table.loc[table.loc[:, "contender"] == name])
        axes.set(xscale="log", xlabel=_SWEPT[setting])
        axes.grid(axis="y")
        in_plain_numbers(axes.xaxis, FixedLocator(sorted(set(table.loc[:, "x"]))))
        rate_axis(axes, table.loc[:, "jobs_per_s"])
        figure.legend(loc="outside right upper", fontsize=7)
        look.put_foot(figure, foot)
    return figure


def _line(axes: Axes, name: str, rows: pd.DataFrame) -> None:
    rows = rows.dropna(subset=["jobs_per_s"]).sort_values("x")
    middle = rows.loc[:, "jobs_per_s"]
    ends = np.abs(rows.loc[:, ["jobs_per_s_min", "jobs_per_s_max"]].to_numpy().T - middle.to_numpy())
    look_of = {"color": colour(name), "marker": marker(name), "ms": 5, "lw": 1.2, "mec": "white", "mew": 0.5}
    axes.errorbar(rows.loc[:, "x"], middle, yerr=ends, elinewidth=1, label=name, **look_of)


def rate_axis(axes: Axes, rates: pd.Series) -> None:
    if rates.max() > LOG_FROM * rates.min():
        axes.set(yscale="log", ylabel="jobs per second (log scale)")
        in_plain_numbers(axes.yaxis, LogLocator(subs=(1.0, 2.0, 5.0), numticks=20))
    else:
        axes.set(ylim=(0, None), ylabel="jobs per second")
        in_plain_numbers(axes.yaxis, AutoLocator())


def in_plain_numbers(axis: Axis, places: Locator) -> None:
    axis.set_major_locator(places)
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))


def rates(summary: pd.DataFrame, jobs: pd.DataFrame, foot: str) -> Picture:
    """Jobs/s over the time of each cell: a line a block, and a panel a setting."""
    measured = summary.loc[summary.loc[:, "status"].isin(MEASURED)]
    table, by_cell = contenders(summary), dict(iter(jobs.groupby("cell", observed=True)))
    with look.style():
        figure, grid = look.panels(table, foot, height=2.1)
        for (axes,), (settings, _) in zip(grid, groups(table), strict=True):
            axes.set(ylabel="jobs per second")
            axes.grid(axis="y")
            own = measured.loc[(measured.loc[:, list(settings)] == pd.Series(settings)).all(axis=1)]
            for cell in own.to_dict("records"):
                name = cell["adapter"]
                axes.plot(*rate_curve(by_cell[cell["cell"]]), color=colour(name), lw=0.9, gid=look.tag(name))
        grid[0][0].set_ylim(bottom=0)
        grid[-1][0].set(xlabel="seconds since the first job was finished", xlim=(0, None))
        keys = [Line2D([], [], color=colour(name), label=name) for name in look.order(table)]
        figure.legend(handles=keys, loc="outside right upper", fontsize=7)
    return figure
