"""A job that is committed long after it was enqueued, while the workers have gone on: on PostgreSQL."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from distq import Job, JobState
from tests import worker_app
from tests.helpers import eventually
from tests.world import World, open_world, url_of

OPEN_S = 10.0
"""How long the transaction is open."""

BACKLOG, CHUNK = 5000, 500
"""How many jobs have not ended, and how many are added at once."""


@pytest.fixture
def world(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[World]:
    url = url_of(request, "postgres")
    with open_world(worker_app.app, "tests.worker_app", url, tmp_path / "notes", monkeypatch) as world:
        yield world


def count(world: World, state: JobState) -> int:
    return world.app.storage.run(world.app.storage.counts("default")).get(state, 0)


@contextmanager
def full_load() -> Iterator[None]:
    """More jobs than the workers can run, always."""
    over = threading.Event()

    def produce() -> None:
        ends: deque[Job[None]] = deque()
        while not over.is_set():
            ends.append(worker_app.brief.enqueue_many([()] * CHUNK)[-1])
            if len(ends) * CHUNK > BACKLOG:
                eventually(lambda: over.is_set() or ends[0].state is JobState.DONE, timeout=60)
                ends.popleft()

    producer = threading.Thread(target=produce)
    producer.start()
    try:
        yield
    finally:
        over.set()
        producer.join()


def test_a_late_commit_under_full_load_has_its_job_begin_within_a_second(
    world: World, postgres_url: str
) -> None:
    world.start("--processes", "2")
    with full_load(), psycopg.connect(postgres_url) as connection:
        eventually(lambda: count(world, JobState.DONE), timeout=20)
        late = worker_app.last.options(connection=connection).enqueue(0, "late")
        until, before = time.monotonic() + OPEN_S, count(world, JobState.DONE)
        eventually(lambda: time.monotonic() > until, timeout=OPEN_S + 5)
        assert count(world, JobState.DONE) > before + BACKLOG
        assert count(world, JobState.READY) > 0
        assert world.noted("begin late") == 0
        connection.commit()
        eventually(lambda: world.noted("begin late"), timeout=1)
    assert late.result(timeout=20) == "late"
