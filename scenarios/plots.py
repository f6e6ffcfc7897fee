"""The figures of a run: rows of summary.csv (and of jobs.csv.gz) in, a `look.Picture` out.

Each has a panel a setting and a row or a line a contender; who has no numbers is named with the reason.
`foot` is small print below.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from scenarios import look
from scenarios.columns import LATENCIES, PERCENTILES
from scenarios.look import QUIET, Picture, colour, marker
from scenarios.printing import TIMES, number
from scenarios.statistics import BASELINE, MEASURED, PARTS, SETTINGS, Floats, finish_curve
from scenarios.tables import contenders, groups, parts

LOG_FROM = 20
"""Spread, largest to smallest, from which an axis of rates is logarithmic."""
_LABELLED_SHARE = 7
_PART_COLOURS: dict[str, str] = dict(
    zip(PARTS, ("#CFCFCF", "#8F8F8F", "#E3B23C", "#35476F", "#9DB4C0"), strict=True)
)
_PART_WORDS: dict[str, str] = {
    "unsent": "before it was sent",
    "sending": "in the enqueue call",
    "queued": "in the queue",
    "running": "in the run",
    "settling": "until it was settled",
}
_NEVER = {"marker": ">", "ms": 5}

Row = dict[Any, Any]


def throughput(summary: pd.DataFrame, foot: str) -> Picture:
    """Jobs/s: a small point a block, a line from the slowest to the fastest, a large point at the median."""
    table = contenders(summary)
    with look.style():
        figure, grid, places = look.rows(table, foot)
        for (axes,), (settings, rows) in zip(grid, groups(table), strict=True):
            look.write(axes, -1, {42: "jobs/s", 108: f"{TIMES} {BASELINE}"}, color=QUIET)
            for row in rows.to_dict("records"):
                _rate_row(axes, places[row["contender"]], row, _blocks(summary, settings, row))
        _rate_axis(grid[-1][0], _finite(summary.loc[:, "jobs_per_s"]))
    return figure


def _rate_row(axes: Axes, y: float, row: Row, blocks: list[Row]) -> None:
    if not blocks:
        look.write_missing(axes, y, row, room=60)
        return
    ink = colour(row["contender"])
    axes.plot([row["jobs_per_s_min"], row["jobs_per_s_max"]], [y, y], color=ink, lw=1.3, alpha=0.6)
    for block in blocks:
        fill = ink if block["status"] == "ok" else "white"
        axes.plot(block["jobs_per_s"], y, "o", ms=3.2, mfc=fill, mec=ink, mew=0.6, alpha=0.7)
    axes.plot(row["jobs_per_s"], y, marker(row["contender"]), ms=6.5, color=ink, mec="white", mew=0.7)
    look.write(axes, y, {42: number(row["jobs_per_s"]), 84: number(row["ratio"])})
    if row["status"] != "ok":
        look.write(axes, y, {90: row["status"]}, ha="left", style="italic", color=QUIET)


def _rate_axis(axes: Axes, rates: Floats) -> None:
    axes.set_xlabel("jobs per second")
    if rates.size and rates.max() > LOG_FROM * rates.min():
        axes.set_xlabel("jobs per second (log scale)")
        look.log_axis(axes, rates.min() / 1.5, rates.max() * 1.5)
    else:
        axes.set_xlim(left=0)


def latency(summary: pd.DataFrame, foot: str) -> Picture:
    """Time to start and to finish: p50, p95 and p99, medians over blocks; the blocks as faint points."""
    table = contenders(summary)
    known = _finite(summary.loc[:, list(LATENCIES)])
    low, high = (known.min() / 1.5, known.max() * 2) if known.size else (1.0, 10.0)
    with look.style():
        figure, grid, places = look.rows(table, foot, heads=("to start", "to finish"))
        for pair, (settings, rows) in zip(grid, groups(table), strict=True):
            for axes, name in zip(pair, ("start", "finish"), strict=True):
                look.write(axes, -1, {34: "p50", 66: "p99"}, color=QUIET)
                for row in rows.to_dict("records"):
                    blocks = _blocks(summary, settings, row)
                    _latency_row(axes, places[row["contender"]], row, blocks, f"{name}_p{{}}_ms", high)
        for axes in grid[-1]:
            axes.set_xlabel("ms from the intended moment (log scale)")
            look.log_axis(axes, low, high)
        figure.legend(handles=_percentile_keys(), loc="outside upper right", ncols=5, fontsize=7)
    return figure


def _latency_row(axes: Axes, y: float, row: Row, blocks: list[Row], column: str, edge: float) -> None:
    """What never got there is an arrow at the edge."""
    if not blocks:
        look.write_missing(axes, y, row, room=32)
        return
    ink, keys = colour(row["contender"]), [column.format(percentile) for percentile in PERCENTILES]
    values = np.array([row[key] for key in keys])
    ends = np.minimum(values, edge)
    for block in blocks:
        axes.plot([block[key] for key in keys], [y] * len(keys), "o", ms=2.4, mfc=ink, mew=0, alpha=0.4)
    axes.plot([ends[0], ends[-1]], [y, y], color=ink, lw=1.3, alpha=0.7)
    for end, style in zip(ends, _percentile_looks(row["contender"]), strict=True):
        axes.plot(end, y, color=ink, clip_on=False, **(_NEVER if end == edge else style))
    look.write(axes, y, {34: number(values[0]), 66: number(values[-1])})


def _percentile_looks(contender: str) -> list[Row]:
    """Markers of p50, p95 and p99."""
    shape = marker(contender)
    return [
        {"marker": shape, "ms": 5.5, "mec": "white", "mew": 0.6},
        {"marker": "|", "ms": 7, "mew": 1.4},
        {"marker": shape, "ms": 4.5, "mfc": "white", "mew": 1.1},
    ]


def _percentile_keys() -> list[Line2D]:
    keys = dict(zip((f"p{percentile}" for percentile in PERCENTILES), _percentile_looks(""), strict=True))
    keys |= {"one block": {"marker": "o", "ms": 2.4}, "not by the deadline": _NEVER}
    return [Line2D([], [], color=QUIET, ls="", label=label, **style) for label, style in keys.items()]


def waits(summary: pd.DataFrame, jobs: pd.DataFrame, foot: str) -> Picture:
    """Where the mean time to finish goes: its parts as shares, the mean beside; over finished jobs only."""
    table = contenders(summary).merge(parts(summary, jobs), on=[*SETTINGS, "contender"], how="left")
    with look.style():
        figure, grid, places = look.rows(table, foot)
        for (axes,), (_, rows) in zip(grid, groups(table), strict=True):
            look.write(axes, -1, {42: "mean, ms"}, color=QUIET)
            for row in rows.to_dict("records"):
                _parts_row(axes, places[row["contender"]], row)
        grid[-1][0].set(
            xlabel="share of the mean time from intended to finished (and to settled), %",
            xlim=(0, 100),
        )
        keys = [Patch(color=_PART_COLOURS[part], label=_PART_WORDS[part]) for part in PARTS]
        figure.legend(handles=keys, loc="outside upper right", ncols=len(keys), fontsize=7)
    return figure


def _parts_row(axes: Axes, y: float, row: Row) -> None:
    total = sum(row[part] for part in PARTS)
    if not total > 0:
        look.write_missing(axes, y, row, room=60)
        return
    left = 0.0
    for part in PARTS:
        share = 100 * row[part] / total
        axes.barh(y, share, left=left, height=0.7, color=_PART_COLOURS[part])
        if share >= _LABELLED_SHARE:
            ink = "white" if part == "running" else "black"
            place = {"ha": "center", "va": "center_baseline", "fontsize": 6.5}
            axes.text(left + share / 2, y, f"{share:.0f}", color=ink, **place)
        left += share
    look.write(axes, y, {42: number(total)})


def progress(summary: pd.DataFrame, jobs: pd.DataFrame, foot: str) -> Picture:
    """Share of the jobs finished by a time, a line a block, marked at its end."""
    table = contenders(summary)
    by_cell = dict(iter(jobs.groupby("cell")))
    with look.style():
        figure, grid = look.panels(table, foot, height=2.1)
        for (axes,), (settings, rows) in zip(grid, groups(table), strict=True):
            axes.set(ylabel="jobs finished, %", ylim=(0, 103), xscale="log")
            for row in reversed(rows.to_dict("records")):
                for block in _blocks(summary, settings, row):
                    if block["cell"] in by_cell:
                        _curve(axes, row["contender"], *finish_curve(by_cell[block["cell"]]))
        _progress_axis(grid)
        figure.legend(handles=_contender_keys(table), loc="outside right upper", fontsize=7)
    return figure


def _curve(axes: Axes, contender: str, milliseconds: Floats, share: Floats) -> None:
    ink, tag = colour(contender), look.tag(contender)
    axes.plot(milliseconds, 100 * share, color=ink, lw=1.1, drawstyle="steps-post", gid=tag)
    end = {
        "marker": marker(contender),
        "ms": 4.5,
        "mec": "white",
        "mew": 0.5,
        "clip_on": False,
        "zorder": 3,
    }
    axes.plot(milliseconds[-1:], 100 * share[-1:], color=ink, gid=tag, **end)


def _progress_axis(grid: look.Grid) -> None:
    """From when the fastest had a twentieth done, so that one early job does not stretch the axis."""
    grid[-1][0].set_xlabel("ms since the first job was intended (log scale)")
    curves = (np.asarray(line.get_xdata()) for (axes,) in grid for line in axes.lines)
    ends = _finite([[curve[len(curve) // 20], curve[-1]] for curve in curves if len(curve)])
    if ends.size:
        look.log_axis(grid[-1][0], ends.min() / 1.5, ends.max() * 1.5)


def _contender_keys(table: pd.DataFrame) -> list[Line2D]:
    """A key a contender; in brackets what it is if it has no line."""
    keys = []
    for name in look.order(table):
        own = table.loc[table.loc[:, "contender"] == name]
        lines = own.loc[:, "jobs_per_s"].notna().any()
        label = name if lines else f"{name}\n({own.iloc[-1]['status']})"
        keys.append(
            Line2D(
                [], [], color=colour(name), marker=marker(name), ms=4, label=label, ls="-" if lines else ""
            )
        )
    return keys


def _blocks(summary: pd.DataFrame, settings: Row, row: Row) -> list[Row]:
    """The measured cells of a contender under a setting."""
    same = (summary.loc[:, list(settings)] == pd.Series(settings)).all(axis=1)
    cells = summary.loc[same & (summary.loc[:, "adapter"] == row["contender"])]
    return cells.loc[cells.loc[:, "status"].isin(MEASURED)].to_dict("records")


def _finite(values: Any) -> Floats:
    """The positive finite values, flat: those that a logarithmic axis can show."""
    flat = np.asarray(values, dtype=np.float64).ravel()
    return flat[np.isfinite(flat) & (flat > 0)]
