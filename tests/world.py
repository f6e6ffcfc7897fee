"""A storage, an app in the test's own process, and pools of real worker processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from distq import DistQ, JobState
from distq.results import Results


@dataclass
class World:
    """One storage, its app in this process, and the pools of worker processes that a test starts."""

    app: DistQ
    module: str
    notes: Path
    pools: list[subprocess.Popen[bytes]]

    def start(self, *options: str) -> subprocess.Popen[bytes]:
        argv = [sys.executable, "-m", "distq", "worker", f"{self.module}:app", *options]
        pool = subprocess.Popen(argv, start_new_session=True)
        self.pools.append(pool)
        return pool

    def lines(self) -> list[str]:
        return self.notes.read_text().splitlines() if self.notes.exists() else []

    def noted(self, text: str) -> int:
        return sum(line.startswith(f"{text} ") for line in self.lines())

    def pid_of(self, text: str) -> int:
        return next(int(line.split()[-1]) for line in self.lines() if line.startswith(f"{text} "))

    def record(self, job_id: str) -> tuple[JobState, int, int]:
        record = self.app.storage.run(self.app.storage.get(job_id))
        assert record is not None
        return record.state, record.tries, record.crashes


@contextmanager
def open_world(app: DistQ, module: str, url: str, notes: Path, patch: pytest.MonkeyPatch) -> Iterator[World]:
    """A world on the fresh storage of a URL. At its end no process of it is left."""
    fresh = DistQ(url)
    fresh.storage.migrate()
    patch.setenv("DISTQ_TEST_URL", url)
    patch.setenv("DISTQ_TEST_NOTES", str(notes))
    patch.setattr(app, "storage", fresh.storage)
    patch.setattr(app, "results", Results(fresh.storage))
    world = World(app, module, notes, [])
    yield world
    for pool in world.pools:
        if pool.poll() is None:
            os.killpg(pool.pid, signal.SIGKILL)
        pool.wait()
    app.close()


def url_of(request: pytest.FixtureRequest, store: str) -> str:
    """A place of its own in a store: postgres or redis."""
    option = {"postgres": "schema", "redis": "prefix"}[store]
    return f"{request.getfixturevalue(f'{store}_url')}?{option}=w{uuid.uuid4().hex[:12]}"


def workers_of(pool: subprocess.Popen[bytes]) -> list[psutil.Process]:
    return psutil.Process(pool.pid).children()


def gone(processes: list[psutil.Process]) -> bool:
    return not any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in processes)


def end(pool: subprocess.Popen[bytes]) -> int:
    pool.send_signal(signal.SIGTERM)
    return pool.wait(20)
