"""The figure of the Universal Scalability Law: what was measured, and the curve where it holds."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator

from scenarios import look
from scenarios.curves import in_plain_numbers, rate_axis
from scenarios.look import Picture, colour, marker
from scenarios.scaling import Fit, Refused, curve

_LINEAR_TO = 16
"""Workers up to which they are on a linear axis, where a curve shows its bend."""


def laws(cells: pd.DataFrame, fits: Mapping[str, Fit | Refused], foot: str) -> Picture:
    """Jobs/s by worker processes: a small point a block, a large one at the median, the law as a curve.

    Args:
        cells: measured rows of summary.csv, of one sweep.
        fits: by contender; one that was refused has its points alone.
        foot: small print below.
    """
    with look.style():
        figure = Picture(figsize=(7.0, 4.0), dpi=200, layout="constrained")
        axes = figure.subplots()
        for name, found in fits.items():
            _points(axes, name, cells.loc[cells.loc[:, "adapter"] == name], found)
        counts = sorted(cells.loc[:, "workers"].unique())
        axes.set(xscale="linear" if counts[-1] <= _LINEAR_TO else "log", xlabel="worker processes")
        axes.grid(axis="y")
        in_plain_numbers(axes.xaxis, FixedLocator(counts))
        rate_axis(axes, cells.loc[:, "jobs_per_s"])
        figure.legend(loc="outside right upper", fontsize=7)
        look.put_foot(figure, foot)
    return figure


def _points(axes: Axes, name: str, cells: pd.DataFrame, found: Fit | Refused) -> None:
    ink, holds = colour(name), isinstance(found, Fit)
    medians = cells.groupby("workers")["jobs_per_s"].median()
    axes.plot(cells.loc[:, "workers"], cells.loc[:, "jobs_per_s"], "o", ms=2.4, mfc=ink, mew=0, alpha=0.5)
    large = {"color": ink, "marker": marker(name), "ms": 6, "mec": "white", "mew": 0.6, "zorder": 3}
    axes.plot(medians.index, medians, ls="", label=name if holds else f"{name}\n(no law holds)", **large)
    if isinstance(found, Fit):
        workers = np.linspace(medians.index[0], medians.index[-1], 400)
        axes.plot(workers, curve(found, workers), color=ink, lw=1.2)
