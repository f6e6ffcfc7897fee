"""`python -m scenarios.verify DIR`: compute every number of a run again from its raw rows.

The raw files must be those whose hashes the manifest holds; from them each field of summary.csv is computed
again, and from both the report. Exit status: 0 where all agree, 1 where anything differs, 2 for what is no
run.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from scenarios.usage import Parser

PROGRAM = "python -m scenarios.verify"
SHOWN = 10
"""Differences that are told of each kind."""


def main(words: Sequence[str] | None = None) -> int:
    """Verify a run. Returns the exit status."""
    given = _parse(words)
    from scenarios.folder import ReportError, load

    try:
        run = load(given.directory)
        differences = list(_differences(given.directory))
    except (ReportError, OSError, ValueError) as error:
        print(f"{PROGRAM}: {given.directory}: {str(error).splitlines()[0]}", file=sys.stderr)
        return 2
    for line in differences[:SHOWN]:
        print(line)
    if differences:
        more = f", {len(differences) - SHOWN} of them not shown" if len(differences) > SHOWN else ""
        print(f"{given.directory}: {len(differences)} differences{more}; do not use these numbers")
        return 1
    cells, jobs = len(run.summary), len(run.jobs)
    if not (given.directory / "report.html").exists():
        print(f"{given.directory}: there is no report.html to compare")
    print(f"{given.directory}: {cells} cells and {jobs:,} jobs give the same numbers ({run.seal})")
    return 0


def _parse(words: Sequence[str] | None) -> argparse.Namespace:
    parser = Parser(prog=PROGRAM, description="Compute every number of a run again.", allow_abbrev=False)
    parser.add_argument("directory", type=Path, metavar="DIR", help="a run's folder, as in results/")
    return parser.parse_args(words)


def _differences(directory: Path) -> Iterator[str]:
    yield from _in_raw_files(directory)
    yield from _in_summary(directory)
    yield from _in_report(directory)


def _in_raw_files(directory: Path) -> Iterator[str]:
    from scenarios.folder import load
    from scenarios.output import hashes

    sealed = load(directory).manifest.get("raw", {})
    for name, digest in hashes(directory).items():
        if sealed.get(name) != digest:
            yield f"{name}: not the file whose hash is in manifest.json"


def _in_summary(directory: Path) -> Iterator[str]:
    from scenarios import accounts
    from scenarios.folder import load
    from scenarios.output import RAW, fields, read_records

    run = load(directory)
    by_cell = dict(iter(run.jobs.groupby("cell", observed=True)))
    records = dict(read_records(directory / RAW[0]))
    with (directory / "summary.csv").open(newline="") as file:
        rows = {row["cell"]: row for row in csv.DictReader(file)}
    for cell in sorted(records.keys() ^ rows.keys()):
        yield f"{cell}: in only one of cells.jsonl and summary.csv"
    for cell in sorted(map(str, by_cell.keys() - records.keys())):
        yield f"{cell}: in jobs.csv.gz, but not in cells.jsonl"
    for cell in sorted(records.keys() & rows.keys()):
        jobs, result = by_cell.get(cell), records[cell].result
        if jobs is not None and (result is None or result.began_ns is None):
            yield f"{cell}: has jobs, though by cells.jsonl it was never measured"
        again = fields(
            accounts.row(run.id, records[cell], None if jobs is None else jobs.drop(columns="cell"))
        )
        for name, value in again.items():
            if rows[cell].get(name) != value:
                said = rows[cell].get(name) or "empty"
                yield f"{cell}: {name} is {said}, by the raw rows {value or 'empty'}"


def _in_report(directory: Path) -> Iterator[str]:
    from scenarios import page
    from scenarios.environment import checkout
    from scenarios.folder import load

    path = directory / page.NAME
    if path.exists() and path.read_text() != page.render(load(directory)):
        began, here = load(directory).manifest.get("commit"), checkout()["commit"]
        other = "" if began == here else f"; commit {str(began)[:10]} made it, this is other code"
        yield f"{path.name}: the raw rows give another page{other}"


if __name__ == "__main__":
    sys.exit(main())
