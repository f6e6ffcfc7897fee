"""The page's figures: which ones a scenario has, and what is said below each."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd
from markupsafe import Markup
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator

from scenarios import curves, look, plots
from scenarios.capacity import CURVE, SCENARIO
from scenarios.knee import knee
from scenarios.look import Picture
from scenarios.page import shades, svg
from scenarios.page.verdicts import SENSITIVITY
from scenarios.tables import groups, is_ceiling

_NARROW_INCHES, _NARROW_LETTERS = 4.0, 26
"""Of a figure for a phone: its text is then not much smaller than that beside it; and of a text in it."""
_MOST_PANELS = 8
_MARKERS = {
    "s": "M-4-4H4V4H-4Z",
    "^": "M0-5L5 4H-5Z",
    "o": "M-4.5 0A4.5 4.5 0 1 0 4.5 0A4.5 4.5 0 1 0-4.5 0Z",
    "D": "M0-5.5L5.5 0L0 5.5L-5.5 0Z",
}
_CAPTIONS = {
    "throughput": (
        "Jobs per second. A small point is a block, the line runs from the slowest to the fastest, the large "
        "point is the median; a hollow point is a cell that is not ok."
    ),
    "latency": (
        "Time from the moment a job was intended to its start and to its finish: p50, p95 and p99 of all "
        "jobs, medians over blocks; faint points are single blocks."
    ),
    "waits": "Where the mean time goes, over the finished jobs of all blocks.",
    "progress": "Share of the jobs finished over time: a line a block, marked at its end.",
    "rates": "Jobs per second over the time of each cell: a line a block.",
    "knee": "Latency by the rate at which jobs came, from a tenth of the capacity to 105 %: a line a block.",
    "sweep": "Jobs per second by what was swept: medians, with bars from the slowest block to the fastest.",
}


@dataclass(frozen=True)
class Figure:
    """A figure with its words."""

    drawing: Markup
    caption: str
    narrow: Markup | None = None
    """The same for a narrow screen, where that is worth it."""


@dataclass(frozen=True)
class Key:
    """A contender's name and mark, as in every figure."""

    name: str
    ceiling: bool
    shade: str
    """CSS."""
    marker: str
    """Path around the origin, in a square of 12."""


def keys(names: Sequence[str]) -> list[Key]:
    """The contenders, in this order."""
    return [
        Key(name, is_ceiling(name), shades.variable(look.colour(name)), _MARKERS[look.marker(name)])
        for name in names
    ]


def headline(cells: pd.DataFrame, foot: str, short_foot: str) -> Figure:
    """The page's first figure: what one setting is judged by."""
    kind, names = judged_by(cells), _names(cells)
    draw = {"throughput": plots.throughput, "latency": plots.latency}[kind]
    wide = svg.inline(_titled(draw(cells, foot), cells), names, "first", _CAPTIONS[kind])
    if kind == "latency":  # two panels are too many for a narrow one
        return Figure(wide, _CAPTIONS[kind])
    narrow = _narrowed(_titled(draw(cells, short_foot), cells))
    return Figure(wide, _CAPTIONS[kind], svg.inline(narrow, names, "first-narrow", _CAPTIONS[kind]))


def _titled(picture: Picture, cells: pd.DataFrame) -> Picture:
    """A search has no number of jobs to be titled with."""
    if not cells.loc[:, "jobs"].any():
        picture.axes[0].set_title(cells.loc[:, "scenario"].iloc[0])
    return picture


def _narrowed(picture: Picture) -> Picture:
    picture.set_figwidth(_NARROW_INCHES)
    for axes in picture.axes:
        for text in axes.texts:
            text.set_text(textwrap.shorten(text.get_text(), _NARROW_LETTERS, placeholder=" …"))
        locator = LogLocator(numticks=5) if axes.get_xscale() == "log" else MaxNLocator(3)
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(FuncFormatter(_in_few_letters))
    return picture


def _in_few_letters(value: float, _: object) -> str:
    return f"{value / 1000:,g} k" if value >= 1000 else f"{value:g}"


def judged_by(cells: pd.DataFrame) -> str:
    """The figure that answers what the cells ask."""
    return "latency" if (cells.loc[:, "rate"] > 0).any() else "throughput"


def of_scenario(
    summary: pd.DataFrame, jobs: pd.DataFrame, foot: str, key: str, *, shown: str = ""
) -> list[Figure]:
    """The figures of a scenario's rows of summary.csv.

    Args:
        jobs: rows of jobs.csv.gz.
        key: begins what the figures refer to in themselves.
        shown: a figure that the page has already.
    """
    draws: dict[str, Callable[[], Picture]] = {
        "throughput": lambda: plots.throughput(summary, foot),
        "latency": lambda: plots.latency(summary, foot),
        "waits": lambda: plots.waits(summary, jobs, foot),
        "progress": lambda: plots.progress(summary, jobs, foot),
        "rates": lambda: curves.rates(summary, jobs, foot),
        "knee": lambda: knee(summary, foot),
        "sweep": lambda: curves.sweep(summary, curves.swept(summary) or "", foot),
    }
    kinds = [kind for kind in _kinds(summary) if kind != shown]
    names = _names(summary)
    return [
        Figure(svg.inline(draws[kind](), names, f"{key}-{kind}", _CAPTIONS[kind]), _CAPTIONS[kind])
        for kind in kinds
    ]


def _kinds(summary: pd.DataFrame) -> Sequence[str]:
    """A figure of panels, one a setting, is left out where there would be too many."""
    if summary.loc[:, "scenario"].iloc[0] == CURVE:
        return ("knee",)
    if summary.loc[:, "scenario"].iloc[0] in (SCENARIO, SENSITIVITY):
        return ()
    if curves.swept(summary):
        return ("sweep",)
    if len(list(groups(summary))) > _MOST_PANELS:
        return ()
    if (summary.loc[:, "rate"] > 0).any():
        return ("latency", "waits")
    over_time = "rates" if summary.loc[:, "shape"].iloc[0] == "churn" else "progress"
    return ("throughput", "latency", "waits", over_time)


def _names(summary: pd.DataFrame) -> list[str]:
    return list(summary.loc[:, "adapter"].unique())
