"""What each checker of the testbed says of something it looks at: a line, or nothing. Pure functions but one.

They ask no more of a number than a reader of the table would.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pandas as pd

from scenarios import verify
from scenarios.printing import TO
from scenarios.statistics import bootstrap_interval

PAUSE_S = 1.0
SLOWER = 0.95
"""Below this an interval of ratios shows a slower contender. Six blocks of a contender against itself lie wholly
below 1 once in 64 times, and below this never.
"""

Checker = Callable[[Any], str]


def failed(words: str) -> Checker:
    """A cell's verdict: the reason of one that failed and says so in these words."""

    def say(cells: pd.DataFrame) -> str:
        reasons = cells.loc[cells.loc[:, "status"] == "failed", "reason"]
        return next((reason for reason in map(str, reasons) if words in reason), "")

    return say


def counted(column: str, words: str) -> Checker:
    """A column of counts that is to be 0."""

    def say(cells: pd.DataFrame) -> str:
        count, jobs = int(cells.loc[:, column].sum()), int(cells.loc[:, "jobs"].sum())
        return f"{count:,} of {jobs:,} {words}" if count else ""

    return say


def paused(cells: pd.DataFrame) -> str:
    """A pause that comes in every cell; one that comes once may be the machine's."""
    shortest_s = float(cells.loc[:, "longest_pause_s"].min())
    return f"longest pause {shortest_s:.2f} s" if shortest_s >= PAUSE_S else ""


def slower(cells: pd.DataFrame) -> str:
    """The interval of the ratio to the original in the same blocks."""
    found = bootstrap_interval(cells.loc[:, "ratio"], seed=0)
    if found is None or found.high >= SLOWER:
        return ""
    return f"{found.low:.3f}{TO}{found.high:.3f} times the original's rate ({found.coverage:.0%})"


def unverified(folder: Path) -> str:
    """The first difference that `scenarios.verify` finds in a run's folder."""
    said = io.StringIO()
    with redirect_stdout(said):
        status = verify.main([str(folder)])
    return said.getvalue().splitlines()[0] if status == 1 else ""


def refused(why: str) -> str:
    """Why a run did not begin on a server."""
    return why
