"""The live display: which cell runs, how far it is, and when all will be done; plain lines to a file."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars


class Progress:
    """Shows a run's cells as they begin, move and end."""

    def __init__(self, console: Console, cells: int) -> None:
        self._console, self._cells, self._done = console, cells, 0
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        self._bars = Bars(*columns, TextColumn("{task.fields[note]}"), TimeRemainingColumn(), console=console)
        self._all = self._bars.add_task("cells", total=cells, note="")
        self._cell = self._bars.add_task("", total=None, note="")
        self._began = time.monotonic()

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def begin(self, cell: str, jobs: int) -> None:
        """A cell starts."""
        self._began = time.monotonic()
        self._bars.reset(self._cell, total=jobs, description=cell, note="")

    def update(self, finished: int) -> None:
        """So many of its jobs have finished."""
        rate = finished / (time.monotonic() - self._began)
        self._bars.update(self._cell, completed=finished, note=f"{rate:,.0f}/s")

    def end(self, row: Mapping[str, Any]) -> None:
        """A cell has ended with this row of the summary."""
        self._done += 1
        self._bars.update(self._all, completed=self._done)
        rate = f"{row['jobs_per_s']:>10,.0f} jobs/s" if "jobs_per_s" in row else " " * 17
        text = f"{self._done:>3}/{self._cells} {row['cell']:<28}{rate} {row['status']}"
        self._bars.console.print(f"{text} {row['reason']}".rstrip(), highlight=False, markup=False)
