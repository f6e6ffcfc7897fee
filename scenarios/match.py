"""An older version and the working tree, measured on the same private servers in pairs.

Each is installed from a wheel and measured by its own testbed. All that is needed of a version is the command
line of `scenarios.run`, and the columns adapter, status and jobs_per_s of its summary.csv.
"""

from __future__ import annotations

import csv
import random
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from adapters.base import Service
from scenarios import arguments, versions
from scenarios.comparison import Rates
from scenarios.errands import ErrandFailed, Errands
from scenarios.servers import Servers

CONTENDERS = ("distq-postgres", "distq-redis")
NEEDS = frozenset({Service.POSTGRES, Service.REDIS})

AT_ONCE = "--no-conform"
"""Contenders need not be looked at before each pair; versions without the option never do it."""

_OLD, _NEW = "older version", "working tree"
_SCENARIO = "backlog"


class Match:
    """Both versions, while the servers are up."""

    def __init__(self, servers: Servers, *, jobs: int) -> None:
        self._servers, self._jobs = servers, jobs
        self._errands = Errands(servers.guard)
        self._directory = servers.guard.directory
        self._packages: dict[str, Path] = {}
        self._at_once: dict[str, list[str]] = {_OLD: [], _NEW: []}

    def install(self, commit: str) -> None:
        """Build and install both. Raises ErrandFailed."""
        installers = {_OLD: partial(versions.install_commit, commit), _NEW: versions.install_working_tree}
        for side, install in installers.items():
            try:
                self._packages[side] = install(self._directory / side.split()[0], self._errands)
            except ErrandFailed as error:
                raise ErrandFailed(f"{side}: it cannot be built or installed: {error}") from None
            usage = self._errands.python("-m", "scenarios.run", "--help", packages=self._packages[side])
            self._at_once[side] = [AT_ONCE] if AT_ONCE in usage else []

    def pairs(self, count: int, *, seed: int) -> Iterator[tuple[Rates, Rates]]:
        """What both reach, the older one first; which of them is measured first is random.

        Raises:
            ErrandFailed: one cannot be measured, or lost a job.
        """
        order = random.Random(seed)
        for pair in range(count):
            sides = [_OLD, _NEW]
            order.shuffle(sides)
            cell_seed = order.randrange(arguments.LARGEST_SEED)
            rates = {side: self._measure(side, f"{pair} {side}", cell_seed) for side in sides}
            yield rates[_OLD], rates[_NEW]

    def _measure(self, side: str, name: str, seed: int) -> Rates:
        out, said = self._directory / name, "a contender is missing"
        try:
            self._errands.python(
                "-m",
                "scenarios.run",
                *self._at_once[side],
                *self._command(out, seed),
                packages=self._packages[side],
            )
        except ErrandFailed as error:
            said = str(error)
        cells = _cells(out / "summary.csv")
        for adapter, cell in cells.items():
            if cell["status"] != "ok":
                raise ErrandFailed(f"{side}: {adapter}: {cell['status']}: {cell.get('reason') or said}")
        if not cells.keys() >= set(CONTENDERS):
            raise ErrandFailed(f"{side}: {said}")
        return {adapter: float(cells[adapter]["jobs_per_s"]) for adapter in CONTENDERS}

    def _command(self, out: Path, seed: int) -> list[str | Path]:
        urls = self._servers.urls
        options = {
            "--scenario": _SCENARIO,
            "--jobs": str(self._jobs),
            "--repeats": "1",
            "--adapters": ",".join(CONTENDERS),
            "--postgres-url": urls[Service.POSTGRES],
            "--redis-url": urls[Service.REDIS],
            "--seed": str(seed),
            "--out": out,
        }
        return [word for option in options.items() for word in option]


def _cells(summary: Path) -> dict[str, dict[Any, Any]]:
    """The rows by contender, as far as they were written."""
    if not summary.exists():
        return {}
    with summary.open(newline="") as file:
        return {row["adapter"]: row for row in csv.DictReader(file)}
