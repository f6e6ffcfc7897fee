"""Two versions compared: ratios over pairs with their intervals, a verdict each, and the table of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from rich.console import Console
from rich.table import Table

from scenarios.printing import TO, number
from scenarios.statistics import Interval, bootstrap_interval

FLOOR = 0.9
"""A version fails where it surely has less than this share of the older one's rate."""

Rates = Mapping[str, float]
"""Jobs a second by contender."""


@dataclass(frozen=True)
class Comparison:
    """One contender over all pairs."""

    contender: str
    old: float
    new: float
    """Jobs a second, medians."""
    ratio: float
    interval: Interval | None
    """Of the ratio; None with fewer than 3 pairs."""

    @property
    def slower(self) -> bool:
        """Whether the new version is, beyond doubt."""
        return self.interval is not None and self.interval.high < FLOOR

    @property
    def verdict(self) -> str:
        """In words."""
        if self.interval is None:
            return "too few pairs"
        if self.slower:
            return "slower"
        return "not slower" if self.interval.low >= FLOOR else "cannot tell"


def compare(pairs: Sequence[tuple[Rates, Rates]], *, seed: int) -> list[Comparison]:
    """A comparison a contender, from what both versions reached in each pair, the old one first."""
    return [_compare(contender, pairs, seed) for contender in pairs[0][0]]


def _compare(contender: str, pairs: Sequence[tuple[Rates, Rates]], seed: int) -> Comparison:
    old, new = np.array([[rates[contender] for rates in pair] for pair in pairs]).T
    ratio = np.exp(np.median(np.log(new / old)))
    interval = bootstrap_interval(new / old, seed=seed)
    return Comparison(contender, float(np.median(old)), float(np.median(new)), float(ratio), interval)


def print_comparisons(comparisons: Sequence[Comparison], console: Console) -> None:
    """Print a row a contender."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("contender", no_wrap=True)
    for head in ("old jobs/s", "new jobs/s", "new / old"):
        table.add_column(head, justify="right", no_wrap=True)
    table.add_column("verdict")
    for found in comparisons:
        row = (number(found.old), number(found.new), _ratio(found), found.verdict)
        table.add_row(found.contender, *row, style="red" if found.slower else "")
    console.print(table)
    console.print(f"Medians over pairs; {_claim(comparisons)}", style="dim", highlight=False)


def _ratio(found: Comparison) -> str:
    if found.interval is None:
        return f"{found.ratio:.3f}"
    return f"{found.ratio:.3f} ({found.interval.low:.3f}{TO}{found.interval.high:.3f})"


def _claim(comparisons: Sequence[Comparison]) -> str:
    interval = comparisons[0].interval
    if interval is None:
        return "an interval needs 3 pairs."
    return f"intervals of {interval.coverage:.0%}. Slower: wholly below {FLOOR:g}; not slower: wholly above."
