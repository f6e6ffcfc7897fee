"""Nothing but speed depends on how many jobs a worker process leases and settles at once."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from distq import ConfigurationError, JobCancelled, JobFailed, JobState
from distq.cli import main
from distq.job import Outcome, OutcomeKind
from distq.memory.storage import MemoryStorage
from distq.worker.outbox import Outbox
from distq.worker.settings import BATCH, LARGEST_BATCH, Settings
from distq.worker.tally import Tally
from tests import worker_app
from tests.contract.steps import add, take
from tests.helpers import eventually
from tests.world import World, end, open_world, url_of

CELLS = [("postgres", 1), ("redis", 2), ("postgres", 7)]
"""All other tests of a pool are with 500."""


@pytest.fixture(params=CELLS, ids=lambda cell: f"{cell[0]}-{cell[1]}")
def world(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[World]:
    """With a pool of one process of three slots."""
    store, batch = request.param
    url = url_of(request, store)
    with open_world(worker_app.app, "tests.worker_app", url, tmp_path / "notes", monkeypatch) as world:
        world.start("--processes", "1", "--concurrency", "3", "--ttl", "60", "--batch", str(batch))
        yield world


def test_jobs_end_as_they_should_also_where_a_process_dies(world: World) -> None:
    simple = worker_app.add.enqueue_many([(n, n) for n in range(300)])
    awaited = worker_app.aadd.enqueue_many([(n, 1) for n in range(100)])
    failed, steered = (
        worker_app.fail.enqueue(),
        [worker_app.steer.enqueue(how) for how in ("retry", "cancel")],
    )
    assert [job.result(timeout=20) for job in simple] == list(range(0, 600, 2))
    assert [job.result(timeout=20) for job in awaited] == list(range(1, 101))
    with pytest.raises(JobFailed, match="always"):
        failed.result(timeout=20)
    assert steered[0].result(timeout=20) == 2
    with pytest.raises(JobCancelled):
        steered[1].result(timeout=20)

    victim = worker_app.last.enqueue(1, "victim")
    others = worker_app.add.enqueue_many([(n, 1) for n in range(50)])
    eventually(lambda: world.noted("begin victim"), timeout=20)
    os.kill(world.pid_of("begin victim"), signal.SIGKILL)
    assert [job.result(timeout=20) for job in others] == list(range(1, 51))
    assert victim.result(timeout=20) == "victim"
    assert world.record(victim.id) == (JobState.DONE, 0, 1)

    held = worker_app.last.enqueue_many([(0.5, f"n{n}") for n in range(9)])
    eventually(lambda: world.noted("begin n2"), timeout=20)
    assert end(world.pools[0]) == 0
    assert {world.record(job.id) for job in held} == {(JobState.DONE, 0, 0), (JobState.READY, 0, 0)}


def test_outcomes_go_out_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    storage = MemoryStorage()
    add(storage, 5)
    outbox = Outbox(storage, keep=60, batch=2, tally=Tally(["default"]))
    for lease in take(storage):
        outbox.add(Outcome(lease.id, lease.token, OutcomeKind.DONE), 0.0)
    sent: list[int] = []
    while outbox:
        sent.append(len(outbox.settle()))
    assert sent == [2, 2, 1]


def test_a_batch_is_within_what_every_storage_carries(capfd: pytest.CaptureFixture[str]) -> None:
    assert Settings(weights={}).batch == BATCH
    for wrong in (0, LARGEST_BATCH + 1, True, 1.5, "7"):
        given: Any = wrong
        with pytest.raises(ConfigurationError, match=r"^batch=.*: use a whole number from 1 to 1000$"):
            Settings(weights={}, batch=given)
    for wrong in ("0", "1001", "many"):
        with pytest.raises(SystemExit) as ended:
            main(["worker", "tests.worker_app:app", "--batch", wrong])
        assert ended.value.code == 2
        assert capfd.readouterr().err.startswith("distq: Invalid value for '--batch'")
