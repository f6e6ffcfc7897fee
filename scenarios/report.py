"""A run's folder to tables and figures: `python -m scenarios.report DIR [--markdown]`.

Everything shown is computed from summary.csv, jobs.csv.gz and manifest.json (results/README.md says what
they hold), so any table or plot can be made again from the data alone. Notebooks import this module only.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console

from scenarios import plots, printing, statistics, tables
from scenarios.look import Picture
from scenarios.printing import number as number
from scenarios.statistics import BASELINE as BASELINE
from scenarios.tables import COUNTS, LATENCIES, LOAD
from scenarios.tables import is_ceiling as is_ceiling

_ROOT = Path(__file__).resolve().parent.parent
_REFERENCE = "results/reference"
_SUMMARY: dict[Any, Any] = (
    dict.fromkeys(["run_id", "cell", "scenario", "adapter", "profile", "tier"], "str")
    | dict.fromkeys(["work", "status", "reason"], "str")
    | dict.fromkeys(["block", "jobs", "workers", "concurrency", "payload_bytes", "seed"], "int64")
    | dict.fromkeys(["enqueue_s", "startup_s", "measured_s", "jobs_per_s", *LATENCIES, *COUNTS], "float64")
    | dict.fromkeys(["rate", "sent_share", "sent_lag_s", *LOAD], "float64")
    | dict.fromkeys(["worker_cpu_s", "broker_cpu_s", "peak_rss_mb"], "float64")
)
_MOMENTS = ["intended_ns", "sent_ns", "accepted_ns", "started_ns", "finished_ns", "settled_ns"]
_JOBS: dict[Any, Any] = {"cell": "category"} | dict.fromkeys(["job", *_MOMENTS, "pid", "attempt"], "Int64")


class ReportError(Exception):
    """A folder is no run, or a file in it is missing or broken; the message is one line: which, and how."""


class Prose(str):
    """Markdown that a notebook shows as such."""

    __slots__ = ()

    def _repr_markdown_(self) -> str:
        return self


@dataclass(frozen=True, eq=False)
class Run:
    """One run as read from its folder."""

    directory: Path
    summary: pd.DataFrame
    """summary.csv: one row a cell and block; measures are float64, NaN where the field is empty."""
    manifest: Mapping[str, Any]

    @cached_property
    def jobs(self) -> pd.DataFrame:
        """jobs.csv.gz: one row a job, nullable Int64 nanoseconds. Read on first use.

        Raises:
            ReportError: the file is missing, cut short, or lacks a column.
        """
        return _read(self.directory / "jobs.csv.gz", _JOBS)

    @property
    def id(self) -> str:
        """The run's name, as all its rows carry it."""
        return str(self.summary["run_id"].iloc[0])

    @property
    def foot(self) -> str:
        """Where the figures come from, in one line: run, commit, what all cells share, how many blocks."""
        own = self.summary.loc[:, [name for name in statistics.SETTINGS if name != "jobs"]]
        shared = {name: values.iloc[0] for name, values in own.items() if values.nunique() == 1}
        commit = str(self.manifest.get("commit") or "unknown")[:10] + "-dirty" * bool(
            self.manifest.get("dirty")
        )
        blocks = f"{self.summary['block'].nunique()} blocks"
        return " · ".join([f"run {self.id}", f"commit {commit}", tables.describe(shared), blocks])


def load(directory: Path | str) -> Run:
    """Read a run's folder.

    Raises:
        ReportError: it is no run, or summary.csv or manifest.json is missing, broken or lacks a column.
    """
    directory = Path(directory)
    if not directory.is_dir():
        raise ReportError(f"{directory}: no such folder")
    path = directory / "summary.csv"
    summary = _read(path, _SUMMARY)
    if summary.empty:
        raise ReportError(f"{path}: holds no cell")
    cell, times = Counter(summary.loc[:, "cell"]).most_common(1)[0]
    if times > 1:
        raise ReportError(f"{path}: cell {cell} is there {times} times")
    return Run(directory, summary, _manifest(directory / "manifest.json"))


def chosen() -> Run:
    """The run that the environment variable RUN names, else the reference run; relative to the repository."""
    return load(_ROOT / os.environ.get("RUN", _REFERENCE))


def _read(path: Path, types: dict[Any, Any]) -> pd.DataFrame:
    try:
        # Only an empty field is empty: by default pandas would read the contender `null` as no name at all.
        frame = pd.read_csv(path, dtype=types, keep_default_na=False, na_values=["", "nan"])
    except FileNotFoundError:
        raise _incomplete(path) from None
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise _broken(path, error) from error
    if missing := [column for column in types if column not in frame]:
        raise ReportError(f"{path}: lacks {', '.join(missing)}")
    return frame


def _manifest(path: Path) -> Mapping[str, Any]:
    try:
        manifest = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise _incomplete(path) from None
    except (OSError, ValueError) as error:
        raise _broken(path, error) from error
    if not isinstance(manifest, dict):
        raise ReportError(f"{path}: not a JSON object")
    return manifest


def _incomplete(path: Path) -> ReportError:
    return ReportError(f"{path.parent}: not a run's folder, or not a whole one: no {path.name}")


def _broken(path: Path, error: Exception) -> ReportError:
    return ReportError(f"{path}: cannot be read: {str(error).splitlines()[0]}")


def table(run: Run) -> pd.DataFrame:
    """One row a contender under one setting: `tables.contenders`."""
    return tables.contenders(run.summary)


def leads(run: Run) -> pd.DataFrame:
    """By setting, the fastest queue against the next, and how sure that is: `tables.leads`."""
    return tables.leads(run.summary, seed=int(run.summary["seed"].iloc[0]))


def parts(run: Run) -> pd.DataFrame:
    """Where the mean time to finish goes, in ms: `tables.parts`."""
    return tables.parts(run.summary, run.jobs)


def ratios(run: Run) -> pd.DataFrame:
    """summary.csv with a column `ratio`: jobs/s to the baseline's, in the same block and setting."""
    return run.summary.assign(ratio=statistics.block_ratios(run.summary))


def print_table(run: Run, console: Console) -> None:
    """Print the run's table, in as many columns as the console has: `printing.print_table`."""
    printing.print_table(table(run), console)


def markdown_table(run: Run) -> str:
    """The run's table as Markdown."""
    return printing.markdown_table(table(run))


def throughput(run: Run) -> Picture:
    """Jobs/s by contender: `plots.throughput`."""
    return plots.throughput(run.summary, run.foot)


def latency(run: Run) -> Picture:
    """Percentiles of the time to start and to finish: `plots.latency`."""
    return plots.latency(run.summary, run.foot)


def waits(run: Run) -> Picture:
    """Where the mean time to finish goes: `plots.waits`."""
    return plots.waits(run.summary, run.jobs, run.foot)


def progress(run: Run) -> Picture:
    """Jobs finished over time: `plots.progress`."""
    return plots.progress(run.summary, run.jobs, run.foot)


def write_plots(run: Run) -> list[Path]:
    """Write `plots/throughput.png`, `latency.png`, `waits.png` and one named by the scenario; all or none.

    Returns:
        Their paths.

    Raises:
        ReportError: jobs.csv.gz cannot be read, or the folder cannot be written to.
    """
    draws = {"waits": waits, str(run.summary["scenario"].iloc[0]): progress}
    draws |= {"throughput": throughput, "latency": latency}
    folder = run.directory / "plots"
    images = {folder / f"{name}.png": draw(run).png() for name, draw in draws.items()}
    try:
        folder.mkdir(exist_ok=True)
        for path, image in images.items():
            path.write_bytes(image)
    except OSError as error:
        raise ReportError(f"{folder}: cannot be written to: {error.strerror}") from error
    return list(images)


def main(arguments: Sequence[str] | None = None) -> int:
    """Make a run's plots again and print its table. Returns the exit status: 2 for a bad folder."""
    parser = argparse.ArgumentParser(
        prog="python -m scenarios.report", description="A run's plots and table."
    )
    parser.add_argument("directory", type=Path, metavar="DIR", help="a run's folder, as in results/")
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    options = parser.parse_args(arguments)
    try:
        run = load(options.directory)
        write_plots(run)
    except ReportError as error:
        print(error, file=sys.stderr)
        return 2
    if options.markdown:
        print(markdown_table(run), end="")
    else:
        print_table(run, Console())
    return 0


if __name__ == "__main__":
    sys.exit(main())
