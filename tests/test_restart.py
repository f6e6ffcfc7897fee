"""The server goes away and comes back: workers and clients go on without help, and nothing is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from distq import DistQ, JobFailed, JobState, StorageUnavailable
from scenarios.guard import Guard
from scenarios.servers.disk import find_disk
from scenarios.servers.postgres import PostgresServer
from scenarios.servers.private import PrivateServer
from scenarios.servers.redis import RedisServer
from tests import worker_app
from tests.helpers import eventually
from tests.worker_app import add, huge, last


class Crashing:
    """A private server, in tier `strict` so that what it acknowledged survives, killed and started again."""

    def __init__(self, guard: Guard, kind: type[PrivateServer]) -> None:
        self.server = kind(guard, "strict")
        self.server.start()

    def kill(self) -> None:
        """End it as a crash does."""
        process = self.server.process
        assert process
        # Killed with SIGKILL, PostgreSQL's children would hold its data for a moment.
        os.killpg(process.pid, signal.SIGQUIT if isinstance(self.server, PostgresServer) else signal.SIGKILL)
        process.wait(20)
        self.server.guard.forget(process.pid)

    def start(self) -> None:
        """Start it again, on the same port and data."""
        process = self.server.process = self.server.launch()
        self.server.wait_for(process, self.server.is_ready)


@pytest.fixture(params=[PostgresServer, RedisServer])
def crashing(request: pytest.FixtureRequest) -> Iterator[Crashing]:
    guard = Guard(find_disk())
    yield Crashing(guard, request.param)
    guard.close()


@pytest.fixture
def pool(
    crashing: Crashing, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[subprocess.Popen[bytes]]:
    app = DistQ(crashing.server.url)
    app.storage.migrate()
    monkeypatch.setenv("DISTQ_TEST_URL", crashing.server.url)
    monkeypatch.setenv("DISTQ_TEST_NOTES", str(tmp_path / "notes"))
    monkeypatch.setattr(worker_app.app, "storage", app.storage)
    monkeypatch.setattr(worker_app.app, "results", app.results)
    argv = [sys.executable, "-m", "distq", "worker", "tests.worker_app:app", "--processes", "2", "--ttl", "5"]
    pool = subprocess.Popen(argv, start_new_session=True)
    yield pool
    if pool.poll() is None:
        os.killpg(pool.pid, signal.SIGKILL)
    pool.wait()
    app.close()


def test_workers_and_clients_survive_a_restart(crashing: Crashing, pool: subprocess.Popen[bytes]) -> None:
    assert add.enqueue(1, 1).result(timeout=20) == 2
    running, waiting = last.enqueue(2, "through"), add.options(delay=1).enqueue(2, 2)
    eventually(lambda: running.state is JobState.LEASED, timeout=20)
    crashing.kill()
    with pytest.raises(StorageUnavailable):
        add.enqueue(3, 3)
    crashing.start()
    assert add.enqueue(4, 4).result(timeout=30) == 8
    assert waiting.result(timeout=30) == 4
    assert running.result(timeout=30) == "through"
    record = worker_app.app.storage.run(worker_app.app.storage.get(running.id))
    assert record is not None
    assert (record.tries, record.crashes) == (0, 0)
    pool.terminate()
    assert pool.wait(20) == 0


def test_a_stop_while_the_server_is_away_ends_in_time(
    crashing: Crashing, pool: subprocess.Popen[bytes]
) -> None:
    assert add.enqueue(1, 1).result(timeout=20) == 2
    crashing.kill()
    pool.terminate()
    assert pool.wait(30) == 0


@pytest.mark.parametrize("crashing", [RedisServer], indirect=True)
def test_what_the_store_refuses_to_settle_is_dead_and_holds_nobody_up(
    crashing: Crashing, pool: subprocess.Popen[bytes]
) -> None:
    with redis.Redis.from_url(crashing.server.url) as client:
        client.config_set("proto-max-bulk-len", 2**20)
    jobs = [huge.enqueue(2 * 2**20), *add.enqueue_many([(n, 1) for n in range(20)])]
    assert [job.result(timeout=20) for job in jobs[1:]] == list(range(1, 21))
    with pytest.raises(JobFailed, match="Storage"):
        jobs[0].result(timeout=20)
