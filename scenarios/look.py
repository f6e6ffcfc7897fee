"""How figures look: a colour and a marker a contender, and a sheet of panels with a row a contender.

The hue is the contender's family's, the shade and the marker are its store's: dark square PostgreSQL,
middle triangle RabbitMQ, light circle Redis, middle diamond none of them. The hues are Okabe and Ito's,
which colour-blind readers tell apart; a family that is not listed gets one of the spare hues by its name.
No pyplot, so no global state; the same data gives the same bytes.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any
from zlib import crc32

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from scenarios.controls import original
from scenarios.statistics import SETTINGS
from scenarios.tables import describe, family, groups

Grid = list[list[Axes]]
"""Axes by setting and head."""
Places = dict[str, int]

INK, QUIET = "#222222", "#6A6A6A"
_WIDTH, _ROW, _FRAME, _MARGIN = 7.0, 0.19, 0.5, 0.7
"""Inches: a figure's width, a contender's row, a panel beside its rows, a figure beside its panels."""

_FOOT = 150
"""Characters of small print in a line of a figure."""
_FOOT_LINE = 0.1
"""Inches."""

_HUES = {  # dark, middle, light
    "distq": ("#00508C", "#0072B2", "#56B4E9"),
    "celery": ("#00523B", "#009E73", "#5FCFAA"),
    "rabbitmq": ("#A63F00", "#D55E00", "#F0963C"),
    "raw": ("#3A3A3A", "#606060", "#8A8A8A"),
    "null": ("#ABABAB", "#ABABAB", "#ABABAB"),
}
_SPARE_HUES = (
    ("#7A3563", "#B0578F", "#D98CBC"),
    ("#4B3A8F", "#6F5FC0", "#A69BE0"),
    ("#6B4423", "#96683F", "#C49A6C"),
    ("#6E6300", "#9C8F10", "#C9BC3F"),
    ("#7F1D2D", "#B23A4E", "#DB7585"),
)
_STORES = {"postgres": (0, "s"), "rabbitmq": (1, "^"), "redis": (2, "o")}
_NO_STORE = (1, "D")


def style() -> AbstractContextManager[None]:
    """The settings under which every figure is made."""
    return mpl.rc_context(
        {
            "font.family": "DejaVu Sans",
            "font.size": 8,
            "axes.titlesize": 8.5,
            "axes.titleweight": "bold",
            "axes.titlelocation": "left",
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.edgecolor": QUIET,
            "axes.axisbelow": True,
            "axes.grid": True,
            "axes.grid.axis": "x",
            "grid.color": "#E4E4E4",
            "grid.linewidth": 0.6,
            "legend.frameon": False,
            "text.parse_math": False,
        }
    )


def tag(contender: str) -> str:
    """What a contender's marks are called in a figure as SVG, where a colour does not say whose they are."""
    return f"mark:{contender}"


def colour(contender: str) -> str:
    """The contender's colour as `#rrggbb`: the same in every figure and every run."""
    make = family(contender)
    hues = _HUES.get(make) or _SPARE_HUES[crc32(make.encode()) % len(_SPARE_HUES)]
    return hues[_store(contender)[0]]


def marker(contender: str) -> str:
    """The contender's matplotlib marker."""
    return _store(contender)[1]


def _store(contender: str) -> tuple[int, str]:
    parts = original(contender).split("-")[1:]
    return next((look for store, look in _STORES.items() if store in parts), _NO_STORE)


class Picture(Figure):
    """A figure that notebooks show by itself."""

    def png(self) -> bytes:
        """PNG at 200 dpi, with neither date nor version in it."""
        target = io.BytesIO()
        FigureCanvasAgg(self).print_png(target, metadata={"Software": None})
        return target.getvalue()

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        return self.png(), {"width": round(110 * self.get_figwidth())}


def panels(
    table: pd.DataFrame, foot: str, height: float, heads: Sequence[str] = ("",)
) -> tuple[Picture, Grid]:
    """An empty figure: a row of panels a setting, in the order of `tables.groups`, a panel a head in it.

    Args:
        table: rows of `tables.contenders`.
        foot: small print below it all.
        height: of a panel's inside, in inches.
        heads: what a panel is titled with beside its setting.
    """
    settings = [setting for setting, _ in groups(table)]
    size = (_WIDTH, _MARGIN + len(settings) * (_FRAME + height))
    figure = Picture(figsize=size, dpi=200, layout="constrained")
    grid = figure.subplots(len(settings), len(heads), sharex=True, sharey=True, squeeze=False).tolist()
    for row, setting in zip(grid, settings, strict=True):
        for axes, head in zip(row, heads, strict=True):
            axes.set_title(", ".join(filter(None, [_title(table, setting), head])))
    put_foot(figure, foot)
    return figure, grid


def rows(table: pd.DataFrame, foot: str, heads: Sequence[str] = ("",)) -> tuple[Picture, Grid, Places]:
    """As `panels`, with the contenders down the side; also a contender's y: the fastest is on top."""
    names = order(table)
    figure, grid = panels(table, foot, _ROW * len(names), heads)
    grid[0][0].set_yticks(range(len(names)), names)
    grid[0][0].set_ylim(len(names) - 0.4, -0.6)
    for axes in figure.axes:
        axes.tick_params(axis="y", length=0)
    return figure, grid, {name: place for place, name in enumerate(names)}


def order(table: pd.DataFrame) -> list[str]:
    """All contenders, the fastest of the last setting (the most jobs) first."""
    *_, (_, last) = groups(table)
    return list(dict.fromkeys([*last.loc[:, "contender"], *table.loc[:, "contender"]]))


def _title(table: pd.DataFrame, setting: dict[Any, Any]) -> str:
    """The jobs, and whatever else is not the same in all panels."""
    told = (name for name in SETTINGS if name == "jobs" or len(set(table.loc[:, name])) > 1)
    return describe({name: setting[name] for name in told})


def put_foot(figure: Figure, foot: str) -> None:
    """Small print below a figure, in as many lines as it takes."""
    lines = textwrap.wrap(foot, _FOOT, break_on_hyphens=False)
    figure.set_figheight(figure.get_figheight() + _FOOT_LINE * (len(lines) - 1))
    figure.supxlabel("\n".join(lines), x=0.01, ha="left", fontsize=6, color=QUIET)


def write(axes: Axes, y: float, texts: Mapping[float, str], **style: Any) -> None:
    """Text right of a panel, at `y` in data: each right-aligned at its distance in points."""
    for x, text in texts.items():
        _annotate(axes, 1, y, text, x, **{"ha": "right", "color": INK} | style)


def write_missing(axes: Axes, y: float, row: Mapping[Any, Any], room: int) -> None:
    """In place of numbers, why there are none: a contender's status and reason in `room` characters."""
    why = f"{row['status']}: {row['reason']}" if row["reason"] else row["status"]
    short = textwrap.shorten(why, room, placeholder=" …", break_on_hyphens=False)
    _annotate(axes, 0, y, short, 4, ha="left", style="italic", color=QUIET)


def _annotate(axes: Axes, side: float, y: float, text: str, offset: float, **style: Any) -> None:
    axes.annotate(
        text,
        (side, y),
        xytext=(offset, 0),
        xycoords=axes.get_yaxis_transform(),
        textcoords="offset points",
        va="center_baseline",
        annotation_clip=False,
        **style,
    )


def log_axis(axes: Axes, low: float, high: float) -> None:
    """A logarithmic x axis from `low` to `high`, in plain numbers: decades, or 1-2-5 where those are few."""
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    steps = (1.0,) if high / low > 200 else (1.0, 2.0, 5.0)
    axes.xaxis.set_major_locator(LogLocator(subs=steps, numticks=20))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
