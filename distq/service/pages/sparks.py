"""Small drawings of what happened lately, for tables and for browsers without scripts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from distq.admin.monitor import Point

WIDTH, HEIGHT = 120, 24
"""The drawing's own units; a page stretches it."""

WINDOW = 600.0
"""Seconds that a line is about, the last ones; what was not seen stays empty."""

MARKS = 40
"""Marks that a line has at most: looks that are close together become one."""

RATES = ("enqueued", "done")


class Spark(NamedTuple):
    """A line, as the `points` of an SVG polyline, and the largest value that it has."""

    line: str
    top: float

    @property
    def area(self) -> str:
        """The ground below the line, as a polygon's points."""
        return f"{self.line.partition(',')[0]},{HEIGHT} {self.line} {WIDTH},{HEIGHT}" if self.line else ""


def depth(history: Sequence[Point]) -> Spark:
    """How many jobs there were."""
    return _lines(history, ("depth",))[0]


def flow(history: Sequence[Point]) -> list[Spark]:
    """How many jobs a second came, and how many were done, to one scale."""
    return _lines(history, RATES)


def lately(history: Sequence[Point]) -> Sequence[Point]:
    """Those of the looks that are not older than `WINDOW`, seen from the last one."""
    return [point for point in history if point.at >= history[-1].at - WINDOW]


def _lines(history: Sequence[Point], names: Sequence[str]) -> list[Spark]:
    shown = lately(history)
    if len(shown) < 2:
        return [Spark("", 0.0) for _ in names]
    begin = shown[-1].at - WINDOW
    groups = _grouped(shown)
    values = [[max(getattr(point, name) for point in group) for group in groups] for name in names]
    top = max(max(each) for each in values)
    spots = [(group[-1].at - begin) / WINDOW * WIDTH for group in groups]
    return [Spark(_points(spots, each, top), max(each)) for each in values]


def _grouped(history: Sequence[Point]) -> list[Sequence[Point]]:
    """The points in groups of a whole number of looks, counted from the latest one."""
    size = -(-len(history) // MARKS)
    first = len(history) % size
    starts = ([0] if first else []) + list(range(first, len(history), size))
    return [history[a:b] for a, b in zip(starts, [*starts[1:], len(history)], strict=True)]


def _points(spots: Sequence[float], values: Sequence[float], top: float) -> str:
    scale = (HEIGHT - 2) / top if top else 0.0
    return " ".join(
        f"{x:.1f},{HEIGHT - 1 - value * scale:.1f}" for x, value in zip(spots, values, strict=True)
    )
