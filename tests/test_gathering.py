"""A process that has more to run gathers outcomes, and none of them waits long."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from distq import Job, JobState
from tests import worker_app
from tests.counting import Counter
from tests.helpers import eventually
from tests.world import World, open_world

JOBS = 1000


@pytest.fixture
def world(counted: Counter, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[World]:
    """With a process of one slot, all of whose requests are counted."""
    with open_world(
        worker_app.app, "tests.worker_app", counted.url, tmp_path / "notes", monkeypatch
    ) as world:
        world.start("--processes", "1", "--concurrency", "1", "--ttl", "60")
        yield world


def test_short_jobs_share_their_trips_to_the_storage(world: World, counted: Counter) -> None:
    worker_app.spin.enqueue_many([(0.001,)] * JOBS)
    eventually(lambda: world.noted("begin spin") == JOBS, timeout=30)
    assert counted.requests < JOBS / 5


def test_an_outcome_does_not_wait_for_a_job_that_takes_long(world: World) -> None:
    worker_app.add.enqueue_many([(n, n) for n in range(2000)])[-1].result(timeout=20)
    storage = world.app.storage
    storage.run(storage.pause("default", paused=True))
    *_, quick = worker_app.add.enqueue_many([(n, n) for n in range(100)])
    worker_app.last.enqueue(30, "blocker")
    held, *_ = worker_app.add.enqueue_many([(n, n) for n in range(400)])
    storage.run(storage.pause("default", paused=False))
    eventually(lambda: world.noted("begin blocker"), timeout=20)
    # In time: a second later the worker gives back what it holds.
    eventually(lambda: states(world, quick, held) == [JobState.DONE, JobState.LEASED])


def states(world: World, *jobs: Job[int]) -> list[JobState]:
    return [world.record(job.id)[0] for job in jobs]
