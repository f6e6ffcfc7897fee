"""Contenders with one fault each, on the null contender's files; run as a program, they are registered."""

from __future__ import annotations

import importlib
import os
import signal
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from adapters.base import Adapter, AdapterError, JobSpec, Submission
from adapters.null import Null
from adapters.registry import REGISTRY
from scenarios import contender, drain, gate
from scenarios.workload import WARM_UP

LOST, TWICE, STRANGER = 3, 4, 77_777


class Lossy(Null):
    """Accepts a job and forgets it."""

    def submit(self, jobs: Iterable[JobSpec]) -> Iterator[Submission]:
        for job in jobs:
            yield from [Submission(job.id, "accepted")] if job.id == LOST else super().submit([job])


class Mute(Lossy):
    """Loses a job, and its server does not say so."""

    def depth(self) -> int:
        waiting = super().depth()
        while (self._cell.directory / "warmed").exists():
            time.sleep(1)
        return waiting


class Eager(Null):
    """Runs one job twice, loses another, and runs one that nobody submitted."""

    def submit(self, jobs: Iterable[JobSpec]) -> Iterator[Submission]:
        for job in jobs:
            if job.id == LOST:
                yield Submission(job.id, "accepted")
                continue
            yield from super().submit([job])
            if job.id == TWICE:
                list(super().submit([job, JobSpec(STRANGER, "x")]))


class Refusing(Null):
    """Rejects a job, and says nothing of another."""

    def submit(self, jobs: Iterable[JobSpec]) -> Iterator[Submission]:
        for job in jobs:
            if job.id == LOST:
                yield Submission(job.id, "rejected")
            elif job.id != TWICE:
                yield from super().submit([job])


class Wrong(Null):
    """Stores results that are one off."""

    def results(self, ids: Sequence[int]) -> Mapping[int, int]:
        return {id: result + 1 for id, result in super().results(ids).items()}


class Hanging(Null):
    """Never comes back from an enqueue call, after a few."""

    def submit(self, jobs: Iterable[JobSpec]) -> Iterator[Submission]:
        for job in jobs:
            if job.id == LOST:
                time.sleep(600)
            yield from super().submit([job])


class Slow(Null):
    """Takes 20 ms for an enqueue call."""

    def submit(self, jobs: Iterable[JobSpec]) -> Iterator[Submission]:
        for job in jobs:
            if job.id < WARM_UP:
                time.sleep(0.02)
            yield from super().submit([job])


class Dying(Null):
    """Its pool ends by itself."""

    def run_pool(self) -> None:
        print("RuntimeError: no licence")
        print("bye")
        sys.exit(3)


class Idle(Null):
    """Its pool has no workers."""

    def run_pool(self) -> None:
        signal.pause()


class Broken(Null):
    """Its library raises what it likes."""

    def setup(self) -> None:
        raise ZeroDivisionError("no\nreason")


class Unreachable(Null):
    """Its server does not answer."""

    def setup(self) -> None:
        raise AdapterError("Server at nowhere:1 cannot be used: start it")


class Unremovable(Null):
    """What it made stays."""

    def teardown(self) -> None:
        super().teardown()
        raise AdapterError("Server at nowhere:1 refuses to forget")


class Homely(Null):
    """Keeps a file beside the cell's directory until it is torn down."""

    def setup(self) -> None:
        super().setup()
        self._elsewhere.touch()

    def teardown(self) -> None:
        super().teardown()
        self._elsewhere.unlink(missing_ok=True)

    @property
    def _elsewhere(self) -> Path:
        return self._cell.directory.parent / self._cell.namespace


class Crashing(Homely):
    """Takes its harness with it, at the first measured job."""

    def submit(self, jobs: Iterable[JobSpec]) -> Iterator[Submission]:
        for job in jobs:
            if job.id < WARM_UP:
                print("FATAL: out of luck", flush=True)
                os.kill(os.getpid(), signal.SIGKILL)
            yield from super().submit([job])


class Endless(Homely):
    """Hangs while its settings are read, and is deaf to SIGTERM then."""

    def effective_settings(self) -> Mapping[str, str]:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        while True:
            signal.pause()


_KINDS: list[type[Adapter]] = [
    *(Lossy, Mute, Eager, Refusing, Wrong, Hanging, Slow, Dying, Idle),
    *(Broken, Unreachable, Unremovable, Homely, Crashing, Endless),
]
FAKES = {kind.__name__.lower(): f"tests.contenders:{kind.__name__}" for kind in _KINDS}
"""As they stand in the registry."""


def command(module: str) -> list[str]:
    """How to run a module of the harness with the fakes in its registry."""
    return [sys.executable, "-m", "tests.contenders", module]


if __name__ == "__main__":
    REGISTRY.update(FAKES)
    gate.PATIENCE_S = 1.0
    drain.QUIET_S = 0.3
    contender.COMMAND[:] = command("scenarios.pool")
    importlib.import_module(sys.argv[1]).main(*sys.argv[2:])
