"""The runs that put broken contenders, and the sound ones beside them, through the whole harness.

Most of their time goes by in waiting: for a job that is lost, for one that sleeps, for a killed one's return.
So they are four runs at once, each with a folder and with processes of its own, as a run has them.
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
from scenarios import folder
from scenarios.catalogue import Setting
from scenarios.controls import CONTROL
from scenarios.interrupts import Interrupts
from scenarios.mutation import forgery
from scenarios.options import Chapter, Options
from scenarios.output import Output
from scenarios.progress import Progress
from scenarios.runner import Runner
from scenarios.servers import ServerError, Servers
from scenarios.statistics import block_ratios

SEED = 1
SOUND, SOUND_AGAIN = "null", f"null{CONTROL}"
"""The unbroken original of most mutants, and the same by another name."""
UNTOUCHED, DIGIT, FORGED = "a run's folder", "digit", "digit-and-hash"
OWN_TIER, OTHER_TIER = "a server of its tier", "server-tier"

_BURST = Setting(jobs=2_000, workers=1)
"""Two jobs of it are hit by what happens to one in a thousand."""
_SLEEPS = Setting(jobs=10, workers=1, work="sleep:40")
"""What such jobs take hardly depends on what else the machine does."""
_SEEN = ("null-twice", "null-skewed", "null-stalls", "null-wrong", "null-hasty")


class Trial(NamedTuple):
    """One run."""

    name: str
    adapters: Sequence[str]
    setting: Setting = _BURST
    repeats: int = 1


ROWS = Trial("rows", [SOUND, *_SEEN])
LOSING = Trial("losing", ["null-loses", "null-lies"])
"""Apart: the harness waits ten seconds for what is lost."""
TIMED = Trial("timed", [SOUND, SOUND_AGAIN, "null-slow"], _SLEEPS, repeats=6)
"""Six blocks are what an interval of 95 % needs."""
BESIDE = [ROWS, LOSING, TIMED]
"""These need no server."""
KILLED = Trial("killed", ["raw-redis", "raw-redis-early"])
"""These go through the contract, too."""

Subjects = Mapping[str, Any]
"""By name what a checker looks at: of a contender its rows of summary.csv, with the `ratio` to the sound one
in the same block; of a run its folder; of a server why a run refused it, if one did.
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
            others = [threads.submit(_beside, trial, home, stop) for trial in BESIDE]
            refusals = {} if servers.unavailable else _on_redis(servers, home, stop)
            paths = [other.result() for other in others]
        finally:
            stop.set()
        if refusals.get(OWN_TIER) == "":
            paths.append(home / KILLED.name)
        yield {**refusals, **_contenders(paths), **_folders(paths[0])}


def _beside(trial: Trial, home: Path, stop: Event) -> Path:
    with Servers(needs=frozenset()) as servers:
        return _run(trial, servers, home, stop)


def _on_redis(servers: Servers, home: Path, stop: Event) -> dict[str, str]:
    """Why the server was refused in a run of another tier, and in one of its own."""
    return {
        OTHER_TIER: _refusal(Trial("no-cells", []), "strict", servers, home, stop),
        OWN_TIER: _refusal(KILLED, "production", servers, home, stop),
    }


def _refusal(trial: Trial, tier: Tier, servers: Servers, home: Path, stop: Event) -> str:
    """Do a run that looks at the contract first. Returns why it did not begin, if it did not."""
    try:
        _run(trial, servers, home, stop, tier=tier, conform=True)
    except ServerError as error:
        return str(error)
    return ""


def _run(
    trial: Trial,
    servers: Servers,
    home: Path,
    stop: Event,
    *,
    tier: Tier = "production",
    conform: bool = False,
) -> Path:
    """Do a run. Returns its folder."""
    options = Options(
        chapters=[Chapter("burst", [trial.setting], list(trial.adapters), trial.repeats)],
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
    runner.run(_Silent(stop), {})
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


def _contenders(paths: Sequence[Path]) -> dict[str, pd.DataFrame]:
    runs = [folder.load(path).summary for path in paths]
    cells = pd.concat([cells.assign(ratio=block_ratios(cells, SOUND)) for cells in runs])
    return {str(name): own for name, own in cells.groupby("adapter")}


def _folders(path: Path) -> dict[str, Path]:
    """The run itself; a copy with one digit changed; one where its hash was changed with it."""
    return {
        UNTOUCHED: path,
        DIGIT: forgery.changed(path, path.with_name(DIGIT), forged=False),
        FORGED: forgery.changed(path, path.with_name(FORGED), forged=True),
    }
