"""The live display: which cell runs, how far it is, and when all will be done; plain lines to a file."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Bars

_REFRESHES_PER_S = 4
"""The display's CPU is taken from the contenders."""


class Progress:
    """Shows a run's cells as they begin, move and end."""

    def __init__(self, console: Console, cells: int) -> None:
        self._live, self._cells, self._done = console.is_terminal, cells, 0
        self._jobs, self._share = 1, 0.0
        self._bars = Bars(
            *(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()),
            TextColumn("{task.fields[note]}"),
            console=console,
            refresh_per_second=_REFRESHES_PER_S,
        )
        self._all = self._bars.add_task("cells", total=cells, note="")
        self._cell = self._bars.add_task("", total=None, note="")
        self._began = self._moving_since = time.monotonic()

    def __enter__(self) -> Self:
        if self._live:
            self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._bars.stop()

    def begin(self, cell: str, jobs: int) -> None:
        """A cell starts."""
        self._jobs, self._moving_since = jobs, time.monotonic()
        self._bars.reset(self._cell, total=jobs, description=cell, note="starting")

    def update(self, finished: int) -> None:
        """So many of its jobs have finished."""
        now = time.monotonic()
        if not finished:
            self._moving_since = now
            return
        self._share = finished / self._jobs
        rate = finished / max(now - self._moving_since, 1e-3)
        self._bars.update(self._cell, completed=finished, note=f"{rate:,.0f}/s")
        self._bars.update(self._all, note=self._time_left())

    def end(self, row: Mapping[str, Any]) -> None:
        """A cell has ended with this row of the summary."""
        self._done, self._share = self._done + 1, 0.0
        left = self._time_left()
        self._bars.update(self._all, completed=self._done, note=left)
        rate = f"{row['jobs_per_s']:>10,.0f} jobs/s" if "jobs_per_s" in row else " " * 17
        told = f"{row['status']} {row['reason']}".rstrip()
        text = f"{self._done:>3}/{self._cells} {left:>11} {row['cell']:<28}{rate} {told}"
        self._bars.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def _time_left(self) -> str:
        """By the mean of the cells so far; a block holds every contender, so it is soon right."""
        done = self._done + self._share
        mean = (time.monotonic() - self._began) / done
        minutes, seconds = divmod(round(mean * (self._cells - done)), 60)
        return f"{minutes}:{seconds:02} left"
