"""Behind PgBouncer in transaction mode: no prepared statements, no notifications, and everything works."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import trustme

from distq import DistQ, JobCancelled, JobFailed, JobNotFound, JobState, StorageUnavailable
from tests import worker_app
from tests.helpers import eventually
from tests.pooler import Pooler
from tests.world import World, end, open_world, url_of


@pytest.fixture
def world(
    request: pytest.FixtureRequest, pooler: Pooler, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[World]:
    """The world of `tests.worker_app` behind PgBouncer."""
    schema = url_of(request, "postgres").partition("schema=")[2]
    url = f"{pooler.url}?user=any&schema={schema}&prepare=off"
    with open_world(worker_app.app, "tests.worker_app", url, tmp_path / "notes", monkeypatch) as world:
        yield world


def test_jobs_run_and_give_results(world: World) -> None:
    pool = world.start("--processes", "3")
    jobs = worker_app.add.enqueue_many([(n, n) for n in range(500)])
    assert [job.result(timeout=20) for job in jobs[::50]] == list(range(0, 1000, 100))
    assert worker_app.aadd.options(key="k", priority=3).enqueue(1, 2).result(timeout=20) == 3
    with pytest.raises(JobFailed, match="always"):
        worker_app.fail.enqueue().result(timeout=20)
    assert end(pool) == 0


def test_a_running_job_is_cancelled(world: World) -> None:
    world.start("--processes", "1", "--ttl", "3")
    job = worker_app.polite.enqueue("a")
    eventually(lambda: world.noted("begin a"), timeout=20)
    assert job.cancel() is JobState.LEASED
    with pytest.raises(JobCancelled):
        job.result(timeout=20)


def test_an_enqueue_joins_the_callers_transaction(world: World, pooler: Pooler) -> None:
    with psycopg.connect(pooler.url, user="any") as connection:
        gone = worker_app.add.options(connection=connection).enqueue(1, 2)
        connection.rollback()
        kept = worker_app.add.options(connection=connection).enqueue(1, 2)
    world.start("--processes", "1")
    assert kept.result(timeout=20) == 3
    with pytest.raises(JobNotFound):
        assert gone.state


def test_the_certificate_is_checked_where_the_url_asks_for_it(
    request: pytest.FixtureRequest, pooler: Pooler, tmp_path: Path
) -> None:
    schema = url_of(request, "postgres").partition("schema=")[2]
    place = f"{pooler.url}?user=any&schema={schema}&prepare=off&sslmode=verify-full&sslrootcert="
    app = DistQ(f"{place}{pooler.authority}")
    app.storage.migrate()
    assert app.task(name="t")(lambda: 3).enqueue().state is JobState.READY
    app.close()
    trustme.CA().cert_pem.write_to_path(tmp_path / "other.pem")
    stranger = DistQ(f"{place}{tmp_path / 'other.pem'}")
    with pytest.raises(StorageUnavailable, match="certificate verify failed"):
        stranger.task(name="t")(lambda: 3).enqueue()
