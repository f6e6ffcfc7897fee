"""A run's folder to tables and figures: `python -m scenarios.report DIR [--markdown | --costs]`.

Everything shown is computed from summary.csv, jobs.csv.gz and manifest.json (results/README.md says what
they hold), so any table or plot can be made again from the data alone. Notebooks import this module only.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pandas as pd
from rich.console import Console

from scenarios import capacity, curves, plots, printing, statistics, tables
from scenarios import knee as knees
from scenarios import laws as scaling_figure
from scenarios import ranking as ranks
from scenarios import scaling as scaling_law
from scenarios.cuts import plain as plain
from scenarios.cuts import queues as queues
from scenarios.cuts import scenarios as scenarios
from scenarios.folder import ReportError as ReportError
from scenarios.folder import Run as Run
from scenarios.folder import chosen as chosen
from scenarios.folder import load as load
from scenarios.look import Picture as Picture
from scenarios.page import verdicts
from scenarios.page.sections import seed_of
from scenarios.prices import Prices as Prices
from scenarios.prices import price as price
from scenarios.printing import TO
from scenarios.printing import number as number
from scenarios.prose import Prose as Prose
from scenarios.prose import answers as answers
from scenarios.prose import missing as missing
from scenarios.prose import noise as noise
from scenarios.prose import readable as readable
from scenarios.scaling import Fit as Fit
from scenarios.statistics import BASELINE as BASELINE
from scenarios.statistics import SETTINGS as SETTINGS
from scenarios.tables import is_ceiling as is_ceiling


def table(run: Run) -> pd.DataFrame:
    """One row a contender under one setting: `tables.contenders`."""
    return tables.contenders(run.summary)


def ranking(run: Run, column: str = "jobs_per_s", *, larger_is_better: bool = True) -> pd.DataFrame:
    """By setting, who is better than whom where intervals allow it: `ranking.ranking`."""
    return ranks.ranking(run.summary, seed=seed_of(run), column=column, larger_is_better=larger_is_better)


def control(run: Run) -> pd.DataFrame:
    """What differs between two runs of the same contender, which is noise: `ranking.control`."""
    return ranks.control(run.summary, seed=seed_of(run))


def capacities(run: Run) -> pd.DataFrame:
    """By contender, the highest rate that held the service level: `capacity.capacities`."""
    return capacity.capacities(run.summary, seed=seed_of(run))


def scaling(run: Run) -> dict[str, scaling_law.Fit | scaling_law.Refused]:
    """By contender, the Universal Scalability Law of its sweep over worker processes, or why it has none."""
    seed = seed_of(run)
    return {str(name): scaling_law.fit(own, seed=seed) for name, own in _swept(run).groupby("adapter")}


def _swept(run: Run) -> pd.DataFrame:
    """The measured cells of the sweep over worker processes."""
    cells = run.summary.loc[run.summary.loc[:, "scenario"] == verdicts.SWEEP]
    return cells.loc[cells.loc[:, "status"].isin(statistics.MEASURED)]


def sensitivity(run: Run) -> pd.DataFrame:
    """Who leads where one setting is a step away, and where the leader is another: `verdicts.steps`.

    Raises:
        ReportError: the run has no such scenario.
    """
    cells = run.summary.loc[run.summary.loc[:, "scenario"] == verdicts.SENSITIVITY]
    if cells.empty:
        raise ReportError(f"{run.directory}: no setting was changed by a step: --scenario sensitivity")
    return verdicts.steps(cells, seed=seed_of(run))


def parts(run: Run) -> pd.DataFrame:
    """Where the mean time to finish goes, in ms: `tables.parts`."""
    return tables.parts(run.summary, run.jobs)


def ratios(run: Run) -> pd.DataFrame:
    """summary.csv with a column `ratio`: jobs/s to the baseline's, in the same block and setting."""
    return run.summary.assign(ratio=statistics.block_ratios(run.summary))


def median_ratio(run: Run, ratios: Iterable[float]) -> dict[str, float]:
    """Of ratios, one a block: the median as `ratio`, its bootstrap interval as `low`, `high` and `coverage`,
    NaN below three blocks: `statistics.bootstrap_interval`.
    """
    known = list(ratios)
    interval = statistics.bootstrap_interval(known, seed=seed_of(run)) or (math.nan,) * 3
    ends = dict(zip(("low", "high", "coverage"), interval, strict=True))
    return {"ratio": statistics.spread(known).median} | ends


def print_table(run: Run, console: Console) -> None:
    """Print the run's table, in as many columns as the console has: `printing.print_table`."""
    if len(rest := _without_searches(run)):
        printing.print_table(tables.contenders(rest), console)
    for line in _found(run):
        console.print(line, highlight=False, markup=False)


def markdown_table(run: Run) -> str:
    """The run's table as Markdown."""
    rest = _without_searches(run)
    parts = [printing.markdown_table(tables.contenders(rest))] if len(rest) else []
    return "\n".join([*parts, *(f"- {line}" for line in _found(run))])


def _without_searches(run: Run) -> pd.DataFrame:
    """The cells but for those of a search, which are by the dozen, and of its curve."""
    return run.summary.loc[~run.summary.loc[:, "scenario"].isin([capacity.SCENARIO, capacity.CURVE])]


def _found(run: Run) -> list[str]:
    """What each search for a capacity found, in a line."""
    if (run.summary.loc[:, "scenario"] != capacity.SCENARIO).all():
        return []
    lines = []
    for row in capacities(run).to_dict("records"):
        interval = f" ({number(row['low'])}{TO}{number(row['high'])}, {row['coverage']:.0%})"
        told = f"{number(row['capacity'])} jobs/s{interval if row['low'] == row['low'] else ''}"
        lines.append(f"{row['contender']}: {row['slo']} up to {told}, then missed: {row['limit']}")
    return lines


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
    for part in scenarios(run).values():
        if setting := curves.swept(part.summary):
            return curves.sweep(part.summary, setting, part.foot)
    raise ReportError(f"{run.directory}: every cell has the same setting, nothing was swept")


def laws(run: Run) -> Picture:
    """Jobs/s by worker processes, with the law where it holds: `laws.laws`.

    Raises:
        ReportError: the run has no such sweep.
    """
    if not (fits := scaling(run)):
        raise ReportError(f"{run.directory}: no sweep over worker processes: --scenario {verdicts.SWEEP}")
    return scaling_figure.laws(_swept(run), fits, run.foot)


def knee(run: Run) -> Picture:
    """Latency by offered rate, up to the capacity that was found: `knee.knee`.

    Raises:
        ReportError: none was.
    """
    cells = run.summary.loc[run.summary.loc[:, "scenario"] == capacity.CURVE]
    if cells.empty:
        raise ReportError(f"{run.directory}: no capacity was found: --scenario {capacity.SCENARIO}")
    return knees.knee(cells, run.foot)


def write_plots(run: Run) -> list[Path]:
    """Write `plots/throughput.png`, `latency.png`, `waits.png`, one named by the shape of the load, and
    `sweep.png` where a setting was swept; all or none. Where a run has several scenarios each has its own, by
    its name, but for the one that throughput is judged by.

    Returns:
        Their paths.

    Raises:
        ReportError: jobs.csv.gz cannot be read, or the folder cannot be written to.
    """
    folder, first = run.directory / "plots", plain(run)
    images = {}
    for scenario, part in scenarios(run).items():
        head = "" if first and scenario == first.summary["scenario"].iloc[0] else f"{scenario}-"
        for name, draw in _drawn(scenario, part, whole=not head).items():
            images[folder / f"{head}{name}.png"] = draw(part).png()
    try:
        folder.mkdir(exist_ok=True)
        for path, image in images.items():
            path.write_bytes(image)
    except OSError as error:
        raise ReportError(f"{folder}: cannot be written to: {error.strerror}") from error
    return list(images)


def _drawn(scenario: str, part: Run, *, whole: bool) -> dict[str, Callable[[Run], Picture]]:
    """The figures of a scenario by name; of a search its curve alone, of a sweep but one its line."""
    if scenario in (capacity.SCENARIO, capacity.CURVE):
        return {"knee": knee} if scenario == capacity.CURVE else {}
    line = {"sweep": sweep} if curves.swept(part.summary) else {}
    if line and not whole:
        return line
    shape = str(part.summary["shape"].iloc[0])
    draws = {"waits": waits, shape: rates if shape == "churn" else progress}
    return line | draws | {"throughput": throughput, "latency": latency}


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
