"""Runs of the testbed, and their reports."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from fastapi import Response
from fastapi.responses import FileResponse
from pydantic_core import from_json

from distq.service.errors import NotFound
from distq.service.pages.visit import Page, Visit

REPORT = "report.html"

POLICY = (
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline';"
    " img-src data:; font-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""A report brings its own scripts: it is shown as a page of nobody's, which reaches nothing."""

MOST = 200
"""Runs that are listed, the latest ones."""

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")


class Run(NamedTuple):
    """A run: what its manifest says of it, as far as it can be read."""

    name: str
    scenario: str
    commit: str
    at: datetime


async def show(visit: Visit) -> Response:
    """The page that lists them."""
    results = _results(visit)
    runs = await asyncio.to_thread(_runs, results)
    return visit.show("runs.html", runs=runs, most=MOST)


async def report(visit: Visit) -> Response:
    """A run's report."""
    file = await asyncio.to_thread(_report, _results(visit), visit.request.path_params["run"])
    if file is None:
        raise NotFound("there is no such report")
    return FileResponse(file, media_type="text/html", headers={"Content-Security-Policy": POLICY})


def _results(visit: Visit) -> Path:
    if visit.service.results is None:
        raise NotFound("the service was started without --results, so it knows of no runs")
    return visit.service.results


def _runs(results: Path) -> list[Run]:
    names = sorted((each.name for each in results.iterdir()), reverse=True)
    files = [file for name in names if (file := _report(results, name))]
    runs = [_run(file) for file in sorted(files, key=lambda file: -file.stat().st_mtime)[:MOST]]
    return sorted(runs, key=lambda run: run.at, reverse=True)


def _report(results: Path, name: str) -> Path | None:
    """The report of a run, if it lies among the results, and nowhere else."""
    if not _NAME.fullmatch(name):
        return None
    file = (results / name / REPORT).resolve()
    return file if file.is_file() and file.is_relative_to(results.resolve()) else None


def _run(file: Path) -> Run:
    try:
        manifest = from_json((file.parent / "manifest.json").read_bytes())
    except (OSError, ValueError):
        manifest = None
    said = manifest if isinstance(manifest, dict) else {}
    at = datetime.fromtimestamp(file.stat().st_mtime, UTC)
    return Run(file.parent.name, str(said.get("scenario", "")), str(said.get("commit", ""))[:10], at)


PAGES = (Page("/runs", show), Page("/runs/{run}", report))
