"""A process that has more to run gathers outcomes, and none of them waits long."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from distq import Job, JobState
from distq.worker.outbox import GATHER
from tests import worker_app
from tests.counting import Counter
from tests.helpers import eventually
from tests.world import World, open_world

JOBS = 1000

TRIPS = 4
"""To the storage, in the time that outcomes gather: a lease, a settle, and what there is besides."""


@pytest.fixture
def world(counted: Counter, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[World]:
    """With a process of one slot, all of whose requests are counted."""
    with open_world(
        worker_app.app, "tests.worker_app", counted.url, tmp_path / "notes", monkeypatch
    ) as world:
        world.start("--processes", "1", "--concurrency", "1", "--ttl", "60")
        yield world


def test_short_jobs_share_their_trips_to_the_storage(world: World, counted: Counter) -> None:
    worker_app.last.enqueue_many([(0.001, "short")] * JOBS)
    eventually(lambda: world.noted("begin short"), timeout=30)
    began = time.monotonic()
    eventually(lambda: world.noted("end short") == JOBS, timeout=30)
    # On a busy machine a job takes longer, and fewer of them have ended by the time of a trip.
    assert counted.requests < 50 + TRIPS * (time.monotonic() - began) / GATHER


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
