"""What each checker of the testbed says of something it looks at: a line, or nothing. Pure functions but one.

That of a contender's cells is in summary.csv already, as the harness and `accounts` wrote it.
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
"""An interval of ratios that lies wholly below this shows a slower contender. That of a contender against
itself, over six blocks, lies wholly below 1 once in 64 times.
"""

Checker = Callable[[Any], str]


def unsound(subject: Any) -> str:
    """Of an original, if it is a contender: why it is no yardstick, as a cell of it is not ok."""
    if not isinstance(subject, pd.DataFrame):
        return ""
    wrong = subject.loc[subject.loc[:, "status"] != "ok"].to_dict("records")
    return f"{wrong[0]['cell']} is {wrong[0]['status']}: {wrong[0]['reason']}" if wrong else ""


def failed(words: str) -> Checker:
    """A cell's verdict: the reason of one that failed and says so in these words."""

    def say(cells: pd.DataFrame) -> str:
        reasons = cells.loc[cells.loc[:, "status"] == "failed", "reason"]
        return next((reason for reason in map(str, reasons) if words in reason), "")

    return say


def counted(column: str) -> Checker:
    """A column of counts that is to be 0."""
    words = column.replace("_", " ")

    def say(cells: pd.DataFrame) -> str:
        count, jobs = int(cells.loc[:, column].sum()), int(cells.loc[:, "jobs"].sum())
        return f"{count:,} {words} of {jobs:,} jobs" if count else ""

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
