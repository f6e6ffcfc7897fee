"""A real pool of worker processes on real storages."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator

import pytest

from distq import DistQ, JobFailed
from tests import worker_app


@pytest.fixture(params=["postgres", "redis"])
def app(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[DistQ]:
    option = {"postgres": "schema", "redis": "prefix"}[request.param]
    url = f"{request.getfixturevalue(f'{request.param}_url')}?{option}=w{uuid.uuid4().hex[:12]}"
    fresh = DistQ(url)
    fresh.storage.migrate()
    monkeypatch.setenv("DISTQ_TEST_URL", url)
    monkeypatch.setattr(worker_app.app, "storage", fresh.storage)
    argv = [sys.executable, "-m", "distq", "worker", "tests.worker_app:app", "--processes", "2"]
    pool = subprocess.Popen(argv, env=os.environ.copy())
    yield worker_app.app
    pool.send_signal(signal.SIGTERM)
    assert pool.wait(15) == 0
    fresh.close()


def test_jobs_run_and_give_results(app: DistQ) -> None:
    assert worker_app.add.enqueue(1, b=2).result(timeout=20) == 3
    assert worker_app.aadd.enqueue(3, 4).result(timeout=20) == 7
    jobs = worker_app.add.enqueue_many([(n, n) for n in range(1500)])
    assert [job.result(timeout=20) for job in jobs[::100]] == list(range(0, 3000, 200))


def test_a_failure_is_retried_then_dead_with_the_remote_error(app: DistQ) -> None:
    with pytest.raises(JobFailed) as caught:
        worker_app.fail.enqueue().result(timeout=20)
    assert (caught.value.type, caught.value.message) == ("ValueError", "always")
    assert "raise ValueError" in caught.value.traceback


def test_a_job_that_kills_its_worker_is_dead_and_the_others_run(app: DistQ) -> None:
    killer = worker_app.die.enqueue()
    jobs = worker_app.add.enqueue_many([(n, 0) for n in range(20)])
    assert [job.result(timeout=30) for job in jobs] == list(range(20))
    with pytest.raises(JobFailed, match="CrashBudgetSpent"):
        killer.result(timeout=30)
