"""A server that is frozen, not down: it takes connections and says nothing. Nobody waits for ever."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from distq import DistQ, JobState, ResultTimeout, StorageUnavailable
from distq.postgres import executor as postgres
from distq.redis import executor as redis
from distq.worker.pool import OVER
from tests import worker_app
from tests.frozen import Freezer, freezer
from tests.helpers import eventually
from tests.worker_app import add, last
from tests.world import gone, workers_of

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module", params=["postgres", "redis"])
def server(request: pytest.FixtureRequest) -> Iterator[Freezer]:
    with freezer(request.param) as server:
        yield server


@pytest.fixture
def frozen(server: Freezer) -> Iterator[Freezer]:
    """The server, which is thawed at the test's end."""
    yield server
    server.thaw()


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers are given up after a second."""
    monkeypatch.setattr(postgres, "SILENCE", 1.0)
    monkeypatch.setattr(redis, "SILENCE", 1.0)


@pytest.fixture
def app(frozen: Freezer) -> Iterator[DistQ]:
    app = DistQ(frozen.url)
    app.storage.migrate()
    app.task(name="add")(lambda: 3)
    yield app
    frozen.thaw()
    app.close()


def took(function: Callable[[], object], error: type[Exception]) -> float:
    """Seconds until a call has raised an error."""
    began = time.monotonic()
    with pytest.raises(error):
        function()
    return time.monotonic() - began


# -- clients -------------------------------------------------------------------------------------------


def test_a_call_ends_and_so_do_those_that_wait_for_their_turn(
    short: None, app: DistQ, frozen: Freezer
) -> None:
    task = app.find_task("add")
    with ThreadPoolExecutor(25) as pool:
        list(pool.map(lambda _: task.enqueue(), range(25)))
        frozen.freeze()
        began = time.monotonic()
        calls = [pool.submit(task.enqueue) for _ in range(25)]
        assert {type(call.exception()) for call in calls} == {StorageUnavailable}
        assert time.monotonic() - began < 3
    frozen.thaw()
    assert task.enqueue().state is JobState.READY


def test_a_coroutines_call_ends_and_so_do_those_that_wait(short: None, app: DistQ, frozen: Freezer) -> None:
    task = app.find_task("add")

    async def ask() -> list[Any]:
        await asyncio.gather(*(task.aenqueue() for _ in range(25)))
        frozen.freeze()
        began = time.monotonic()
        errors = await asyncio.gather(*(task.aenqueue() for _ in range(25)), return_exceptions=True)
        assert time.monotonic() - began < 3
        frozen.thaw()
        assert await (await task.aenqueue()).astate() is JobState.READY
        await app.aclose()
        return errors

    assert {type(error) for error in asyncio.run(ask())} == {StorageUnavailable}


def test_a_server_that_goes_on_in_time_is_waited_for(short: None, app: DistQ, frozen: Freezer) -> None:
    job = app.find_task("add").enqueue()
    frozen.freeze()
    threading.Timer(0.5, frozen.thaw).start()
    assert job.state is JobState.READY


def test_a_result_keeps_its_time(app: DistQ, frozen: Freezer) -> None:
    job = app.find_task("add").enqueue()
    frozen.freeze()
    assert took(lambda: job.result(timeout=1), ResultTimeout) < 2
    assert took(lambda: job.result(timeout=0), ResultTimeout) < 1


def test_a_result_keeps_its_time_when_the_server_freezes_meanwhile(app: DistQ, frozen: Freezer) -> None:
    job = app.find_task("add").enqueue()
    threading.Timer(0.5, frozen.freeze).start()
    assert 1.5 < took(lambda: job.result(timeout=1.5), ResultTimeout) < 2.5


def test_a_coroutines_result_keeps_its_time(app: DistQ, frozen: Freezer) -> None:
    job = app.find_task("add").enqueue()

    async def ask() -> None:
        await job.astate()
        frozen.freeze()
        began = time.monotonic()
        with pytest.raises(ResultTimeout):
            await job.aresult(timeout=1)
        assert time.monotonic() - began < 2
        frozen.thaw()
        assert await job.astate() is JobState.READY
        await app.aclose()

    asyncio.run(ask())


def test_a_long_wait_for_a_lock_is_no_silence(postgres_url: str) -> None:
    app = DistQ(f"{postgres_url}?schema=frozen{os.getpid()}")
    app.storage.migrate()
    task = app.task(name="add", key="k")(lambda: 3)
    with ThreadPoolExecutor(1) as pool, psycopg.connect(postgres_url) as mine:
        first = task.options(connection=mine).enqueue()
        second = pool.submit(task.enqueue)
        with pytest.raises(TimeoutError):
            second.result(1)
        mine.commit()
        assert second.result(10) == first
    app.close()


def test_the_bounds_are_as_told() -> None:
    page = " ".join((ROOT / "docs/operations.md").read_text().split())
    assert f"{redis.SILENCE:g} s on Redis, and {postgres.SILENCE:g} s on PostgreSQL" in page
    assert f"ends within the grace time and {OVER:g} s" in page


# -- pools ---------------------------------------------------------------------------------------------


class Started:
    """A pool of two processes and a grace time of one second, and what it says."""

    def __init__(self, log: Path) -> None:
        argv = [sys.executable, "-m", "distq", "worker", "tests.worker_app:app", "-p", "2", "--grace", "1"]
        self._log = log
        with log.open("wb") as file:
            self.process = subprocess.Popen(argv, stderr=file, start_new_session=True)

    def said(self, text: str) -> int:
        return self._log.read_text().count(text)

    def workers(self) -> list[psutil.Process]:
        return workers_of(self.process)

    def ends_in_time(self) -> bool:
        """Whether it has ended in time, with all its processes, and without an error."""
        workers = self.workers()
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(1 + OVER + 1) == 0 and gone(workers)


@pytest.fixture
def pool(app: DistQ, frozen: Freezer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Started]:
    monkeypatch.setenv("DISTQ_TEST_URL", frozen.url)
    monkeypatch.setenv("DISTQ_TEST_NOTES", str(tmp_path / "notes"))
    monkeypatch.setattr(worker_app.app, "storage", app.storage)
    monkeypatch.setattr(worker_app.app, "results", app.results)
    started = Started(tmp_path / "log")
    yield started
    if started.process.poll() is None:
        os.killpg(started.process.pid, signal.SIGKILL)
    started.process.wait()


def test_a_stop_ends_in_time(pool: Started, frozen: Freezer, tmp_path: Path) -> None:
    assert add.enqueue(1, 1).result(timeout=20) == 2
    running = last.enqueue(60, "through")
    eventually(lambda: (tmp_path / "notes").exists(), timeout=20)
    frozen.freeze()
    assert pool.ends_in_time()
    assert pool.said("stopping: up to 1 s for 1 running job") == 1
    assert pool.said("their leases run out, in 30 s at most") == 1
    assert pool.said("stopped") == 1
    assert not pool.said("ended with status")
    frozen.thaw()
    # What was sent to the frozen server may have given it back when that went on.
    assert eventually(lambda: running.state in (JobState.LEASED, JobState.READY))


def test_a_dead_process_is_replaced_meanwhile(pool: Started, frozen: Freezer) -> None:
    assert add.enqueue(1, 1).result(timeout=20) == 2
    frozen.freeze()
    first, second = pool.workers()
    for process in (first, second):
        process.kill()
        eventually(lambda dead=process: len(pool.workers()) == 2 and dead not in pool.workers())
    frozen.thaw()
    assert add.enqueue(2, 2).result(timeout=40) == 4


def test_a_pool_that_starts_hears_signals(app: DistQ, frozen: Freezer, tmp_path: Path, pool: Started) -> None:
    eventually(lambda: len(pool.workers()) == 2, timeout=20)
    assert pool.ends_in_time()
    frozen.freeze()
    other = Started(tmp_path / "other")
    eventually(lambda: other.said("2 processes of 1"), timeout=20)
    assert other.ends_in_time()
    third = Started(tmp_path / "third")
    eventually(lambda: third.said("the workers wait for it") and third.workers(), timeout=30)
    assert third.ends_in_time()
