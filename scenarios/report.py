"""A run's folder to tables and figures: `python -m scenarios.report DIR [--markdown | --costs]`.

Everything shown is computed from summary.csv, jobs.csv.gz and manifest.json (results/README.md says what
they hold), so any table or plot can be made again from the data alone. Notebooks import this module only.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from rich.console import Console

from scenarios import curves, plots, printing, statistics, tables
from scenarios.folder import ReportError as ReportError
from scenarios.folder import Run as Run
from scenarios.folder import chosen as chosen
from scenarios.folder import load as load
from scenarios.look import Picture
from scenarios.printing import number as number
from scenarios.statistics import BASELINE as BASELINE
from scenarios.tables import is_ceiling as is_ceiling


class Prose(str):
    """Markdown that a notebook shows as such."""

    __slots__ = ()

    def _repr_markdown_(self) -> str:
        return self


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


def costs(run: Run) -> str:
    """What a million finished jobs cost, as Markdown: `printing.costs_table`."""
    return printing.costs_table(table(run))


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


def rates(run: Run) -> Picture:
    """Jobs/s over the time of a cell: `curves.rates`."""
    return curves.rates(run.summary, run.jobs, run.foot)


def sweep(run: Run) -> Picture:
    """Jobs/s by the setting that was swept: `curves.sweep`.

    Raises:
        ReportError: none was.
    """
    setting = curves.swept(run.summary)
    if setting is None:
        raise ReportError(f"{run.directory}: every cell has the same setting, nothing was swept")
    return curves.sweep(run.summary, setting, run.foot)


def write_plots(run: Run) -> list[Path]:
    """Write `plots/throughput.png`, `latency.png`, `waits.png`, one named by the scenario, and `sweep.png`
    where a setting was swept; all or none.

    Returns:
        Their paths.

    Raises:
        ReportError: jobs.csv.gz cannot be read, or the folder cannot be written to.
    """
    shape = str(run.summary["shape"].iloc[0])
    draws = {"waits": waits, shape: rates if shape == "churn" else progress}
    draws |= {"throughput": throughput, "latency": latency}
    if curves.swept(run.summary):
        draws["sweep"] = sweep
    folder = run.directory / "plots"
    images = {folder / f"{name}.png": draw(run).png() for name, draw in draws.items()}
    try:
        folder.mkdir(exist_ok=True)
        for path, image in images.items():
            path.write_bytes(image)
    except OSError as error:
        raise ReportError(f"{folder}: cannot be written to: {error.strerror}") from error
    return list(images)


def write_page(run: Run) -> Path:
    """Write report.html into the run's folder: `page.write`. Returns its path.

    Raises:
        ReportError: the folder cannot be written to.
    """
    from scenarios import page  # the template engine, which notebooks do not need

    try:
        return page.write(run)
    except OSError as error:
        raise ReportError(f"{run.directory}: cannot be written to: {error.strerror}") from error


def main(arguments: Sequence[str] | None = None) -> int:
    """Make a run's plots again and print its table. Returns the exit status: 2 for a bad folder."""
    parser = argparse.ArgumentParser(
        prog="python -m scenarios.report", description="A run's plots and table."
    )
    parser.add_argument("directory", type=Path, metavar="DIR", help="a run's folder, as in results/")
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    parser.add_argument("--costs", action="store_true", help="print what a million jobs cost, as Markdown")
    options = parser.parse_args(arguments)
    try:
        run = load(options.directory)
        write_plots(run)
        write_page(run)
    except ReportError as error:
        print(error, file=sys.stderr)
        return 2
    if options.costs:
        print(costs(run), end="")
    elif options.markdown:
        print(markdown_table(run), end="")
    else:
        print_table(run, Console())
    return 0


if __name__ == "__main__":
    sys.exit(main())
