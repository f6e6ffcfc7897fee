"""The figure of a capacity: a latency by the offered rate, from a tenth of it to a little beyond."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from scenarios import look
from scenarios.look import QUIET, Picture, colour, marker
from scenarios.slo import Slo
from scenarios.statistics import MEASURED


def knee(summary: pd.DataFrame, foot: str) -> Picture:
    """The latency of the service level by the rate at which jobs came, a line a contender and block.

    Args:
        summary: rows of summary.csv of the scenario `capacity-curve`, one service level.
        foot: small print below.
    """
    level = summary.loc[:, "slo"].iloc[0]
    slo = Slo.parse(level)
    known = summary.loc[summary.loc[:, "status"].isin(MEASURED) & np.isfinite(summary.loc[:, slo.column])]
    with look.style():
        figure = Picture(figsize=(7.0, 3.6), dpi=200, layout="constrained")
        axes = figure.subplots()
        for name in known.loc[:, "adapter"].unique():
            _lines(axes, str(name), known.loc[known.loc[:, "adapter"] == name], slo.column)
        axes.axhline(slo.bound_ms, color=QUIET, lw=0.9, ls="--")
        axes.annotate(level, (1, slo.bound_ms), xycoords=axes.get_yaxis_transform(), ha="right", va="bottom")
        axes.set(xscale="log", yscale="log", xlabel="offered jobs per second (log scale)")
        axes.set_ylabel(f"{slo.column.removesuffix('_ms').replace('_', ' ')}, ms (log scale)")
        axes.grid(axis="y")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(LogLocator(subs=(1.0,), numticks=20))
            axis.set_minor_locator(NullLocator())
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
        figure.legend(loc="outside right upper", fontsize=7)
        look.put_foot(figure, foot)
    return figure


def _lines(axes: Axes, name: str, cells: pd.DataFrame, column: str) -> None:
    style = {"color": colour(name), "marker": marker(name), "ms": 4, "lw": 1.1, "mec": "white", "mew": 0.5}
    for place, (_, own) in enumerate(cells.groupby("block")):
        ordered = own.sort_values("rate")
        axes.plot(
            ordered.loc[:, "rate"],
            ordered.loc[:, column],
            gid=f"mark:{name}",
            label="" if place else name,
            **style,
        )
