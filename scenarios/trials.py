"""The runs that put broken contenders, and the sound ones beside them, through the whole harness.

Most of their time goes by in waiting: for jobs that are lost, for a job that sleeps, for a killed job's return.
So they are three runs at once, each in a folder of its own and with the run's usual processes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any, NamedTuple

import pandas as pd
from rich.console import Console

from adapters.base import Service, Tier
from scenarios import folder, forgery
from scenarios.catalogue import Setting
from scenarios.controls import CONTROL
from scenarios.interrupts import Interrupts
from scenarios.options import Chapter, Options
from scenarios.output import Output
from scenarios.progress import Progress
from scenarios.runner import Runner
from scenarios.servers import ServerError, Servers
from scenarios.statistics import block_ratios

SEED = 1
SOUND, AGAIN = "null", f"null{CONTROL}"
"""The unbroken original of most mutants, and the same by another name."""
UNTOUCHED, DIGIT, FORGED = "a run's folder", "digit", "digit-and-hash"
OWN_TIER, OTHER_TIER = "a server of its tier", "server-tier"

_BLOCKS = 6
"""As many as an interval of 95 % needs."""


class Trial(NamedTuple):
    """One run."""

    name: str
    chapters: Sequence[Chapter]


_BURST = Setting(jobs=2_000, workers=1)
"""Two jobs of it are hit by what happens to one in a thousand."""
_SLEEPS = Setting(jobs=10, workers=1, work="sleep:40")
"""What such jobs take hardly depends on what else the machine does."""

TIMED = Trial(
    "timed",
    [
        Chapter("burst", [_BURST], [SOUND, *map("null-{}".format, ("twice", "skewed", "stalls", "wrong"))], 1),
        Chapter("burst", [_BURST], ["null-hasty"], 1),
        Chapter("burst", [_SLEEPS], [SOUND, AGAIN, "null-slow"], _BLOCKS),
    ],
)
LOSING = Trial("losing", [Chapter("burst", [_BURST], ["null-loses", "null-lies"], 1)])
"""Apart: the harness waits ten seconds for what is lost."""
KILLED = Trial("killed", [Chapter("burst", [Setting(jobs=100)], ["raw-redis", "raw-redis-early"], 1)])
"""These go through the contract, too."""

Subjects = Mapping[str, Any]
"""By name what a checker looks at: of a contender its rows of summary.csv, with the `ratio` to the sound one in
the same block; of a run its folder; of a server why a run refused it, if it did.
"""


class Stopped(Exception):
    """Nobody waits for this run any more."""


@contextmanager
def subjects() -> Iterator[Subjects]:
    """Do all runs. What they left is there until the end; where there is no Redis, its part is missing.

    Raises:
        ServerError: there is no place for a run.
    """
    stop = Event()
    with Servers(needs={Service.REDIS}) as servers, ThreadPoolExecutor() as threads:
        home = servers.guard.directory / "runs"
        home.mkdir()
        try:
            others = [threads.submit(_beside, trial, home, stop) for trial in (TIMED, LOSING)]
            on_redis = {} if servers.unavailable else _on_redis(servers, home)
            timed, losing = (other.result() for other in others)
        finally:
            stop.set()
        yield on_redis | _contenders(timed) | _contenders(losing) | _folders(timed)


def _beside(trial: Trial, home: Path, stop: Event) -> Path:
    with Servers(needs=frozenset()) as servers:
        return _run(trial, servers, home, stop=stop)


def _on_redis(servers: Servers, home: Path) -> dict[str, Any]:
    """The server itself, in a run of another tier and in one of its own; what came out of that."""
    refusals = {}
    for name, tier in ((OTHER_TIER, "strict"), (OWN_TIER, "production")):
        try:
            path = _run(KILLED._replace(name=name), servers, home, tier=tier, conform=True)
        except ServerError as error:
            refusals[name] = str(error)
        else:
            refusals |= {name: "", **_contenders(path)}
    return refusals


def _run(
    trial: Trial,
    servers: Servers,
    home: Path,
    *,
    tier: Tier = "production",
    conform: bool = False,
    stop: Event | None = None,
) -> Path:
    """Do a run. Returns its folder."""
    options = Options(
        chapters=list(trial.chapters),
        title="mutants",
        command=[],
        expected="",
        named=True,
        tier=tier,
        seed=SEED,
        out=home / trial.name,
        urls={},
        conform=conform,
        mutants=False,
    )
    # Ctrl-C needs no care here: an unfinished folder is of no use, and goes with the servers'.
    runner = Runner(options, servers, Output(options.out), Interrupts())
    runner.run(_Silent(stop or Event()), {})
    return options.out


class _Silent(Progress):
    """Shows nothing; ends a run that is not waited for, at most a moment later."""

    def __init__(self, stop: Event) -> None:
        super().__init__(Console(quiet=True), 1)
        self._stop = stop

    def begin(self, cell: str, jobs: int) -> None:
        self.update(0)

    def update(self, finished: int) -> None:
        if self._stop.is_set():
            raise Stopped

    def end(self, row: Mapping[str, Any]) -> None:
        pass


def _contenders(path: Path) -> dict[str, pd.DataFrame]:
    cells = folder.load(path).summary
    cells = cells.assign(ratio=block_ratios(cells, SOUND))
    return {str(name): own for name, own in cells.groupby("adapter")}


def _folders(path: Path) -> dict[str, Path]:
    """The run itself; a copy with one digit changed; one where its hash was changed with it."""
    return {
        UNTOUCHED: path,
        DIGIT: forgery.changed(path, path.with_name(DIGIT), forged=False),
        FORGED: forgery.changed(path, path.with_name(FORGED), forged=True),
    }
