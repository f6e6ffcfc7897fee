"""Waiting for results: many waiters, one listener, and nothing lost when hints are."""

from __future__ import annotations

import asyncio
import os
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from distq import DistQ, Job, JobFailed, JobNotFound, ResultTimeout, StorageUnavailable
from distq.job import Heard, Outcome, OutcomeKind
from distq.messages import RemoteError, encode_error
from distq.storage import Op
from tests.helpers import eventually

QUEUE = "default"


@pytest.fixture(params=["memory", "postgres", "redis"])
def app(request: pytest.FixtureRequest) -> Iterator[DistQ]:
    if request.param == "memory":
        url = "memory://"
    else:
        option = {"postgres": "schema", "redis": "prefix"}[request.param]
        url = f"{request.getfixturevalue(f'{request.param}_url')}?{option}=r{uuid.uuid4().hex[:12]}"
    app = DistQ(url)
    app.storage.migrate()
    app.task(name="double")(double)
    yield app
    app.close()


def double(n: int) -> int:
    return 2 * n


def enqueue(app: DistQ, count: int) -> list[Job[Any]]:
    return app.find_task("double").enqueue_many([[n] for n in range(count)])


def work(app: DistQ, kind: OutcomeKind = OutcomeKind.DONE, body: bytes = b"7", limit: int = 1000) -> None:
    """Run what is ready, as a worker of another process would."""
    storage = app.storage
    leases = storage.run(storage.lease(QUEUE, worker="w", limit=limit, ttl=60, alone=False))
    storage.run(storage.settle([Outcome(o.id, o.token, kind, body) for o in leases], keep=60))


@pytest.fixture
def calls(app: DistQ, monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Counts what is asked of the storage."""
    counted: Counter[str] = Counter()

    def count(name: str) -> None:
        original = getattr(app.storage, name)

        def counting(*args: Any, **kwargs: Any) -> Any:
            counted[name] += 1
            return original(*args, **kwargs)

        monkeypatch.setattr(app.storage, name, counting)

    for name in ("get", "watch", "listener"):
        count(name)
    return counted


def wait_in_thread(jobs: list[Job[Any]], pool: ThreadPoolExecutor) -> Any:
    return [pool.submit(job.result, 30) for job in jobs]


def test_a_result_comes_when_the_job_ends(app: DistQ, calls: Counter[str]) -> None:
    (job,) = enqueue(app, 1)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(job.result, 30)
        eventually(lambda: calls["watch"])
        work(app)
        assert waiting.result(10) == 7


def test_a_thousand_who_wait_cost_one_listener(app: DistQ, calls: Counter[str]) -> None:
    jobs = enqueue(app, 1000)

    async def gather() -> list[int]:
        waiting = [asyncio.create_task(job.aresult(timeout=30)) for job in jobs]
        while calls["get"] < 1000 or not calls["watch"]:
            await asyncio.sleep(0.01)
        await asyncio.to_thread(work, app)
        results = await asyncio.gather(*waiting)
        await app.aclose()
        return results

    assert asyncio.run(gather()) == [7] * 1000
    assert calls["listener"] == 1
    assert calls["get"] <= 2100
    assert calls["watch"] < 200


def test_two_may_wait_for_one_job(app: DistQ) -> None:
    (job,) = enqueue(app, 1)
    with ThreadPoolExecutor(2) as pool:
        waiting = wait_in_thread([job, job], pool)
        work(app)
        assert [future.result(10) for future in waiting] == [7, 7]


def test_jobs_of_several_queues_are_waited_for(app: DistQ, calls: Counter[str]) -> None:
    task = app.find_task("double")
    jobs = [task.options(queue=queue).enqueue(1) for queue in (QUEUE, "other", "third")]
    storage = app.storage
    with ThreadPoolExecutor(3) as pool:
        waiting = wait_in_thread(jobs, pool)
        eventually(lambda: calls["watch"])
        for queue in (QUEUE, "other", "third"):
            (lease,) = storage.run(storage.lease(queue, worker="w", limit=1, ttl=60, alone=False))
            outcome = Outcome(lease.id, lease.token, OutcomeKind.DONE, b'"' + queue.encode() + b'"')
            storage.run(storage.settle([outcome], keep=60))
        assert [future.exception(10) or future.result() for future in waiting]
    assert [job.state for job in jobs] == ["done"] * 3


def test_a_lost_hint_costs_a_second_and_no_more(app: DistQ, monkeypatch: pytest.MonkeyPatch) -> None:
    (job,) = enqueue(app, 1)
    listener = app.storage.listener

    def deaf(**what: Any) -> Any:
        made = listener(**what)
        wait = made.wait
        monkeypatch.setattr(made, "wait", lambda **how: wait(**how) and Heard())
        return made

    monkeypatch.setattr(app.storage, "listener", deaf)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(job.result, 30)
        work(app)
        assert waiting.result(10) == 7


def test_an_outage_is_waited_out_and_told_once(
    app: DistQ,
    calls: Counter[str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "distq")
    (job,) = enqueue(app, 1)
    watch, outages = app.storage.watch, iter(range(3))

    def failing(ids: list[str]) -> Op[set[str]]:
        if next(outages, None) is not None:
            raise StorageUnavailable("there", "it restarts")
        return watch(ids)

    monkeypatch.setattr(app.storage, "watch", failing)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(job.result, 30)
        eventually(lambda: calls["watch"])
        eventually(lambda: len(caplog.messages) == 2)
        work(app)
        assert waiting.result(10) == 7
    assert caplog.messages == [
        "storage there does not answer: it restarts; results are waited for",
        f"storage {app.storage.where} answers again",
    ]


def test_a_wait_ends_at_its_time(app: DistQ) -> None:
    (job,) = enqueue(app, 1)
    with pytest.raises(ResultTimeout, match=r"within 0\.05 s"):
        job.result(timeout=0.05)
    with pytest.raises(ResultTimeout):
        asyncio.run(_aresult(app, job, 0.05))


async def _aresult(app: DistQ, job: Job[int], timeout: float) -> int:
    try:
        return await job.aresult(timeout=timeout)
    finally:
        await app.aclose()


def test_a_failure_reaches_who_waits(app: DistQ, calls: Counter[str]) -> None:
    (job,) = enqueue(app, 1)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(job.result, 30)
        eventually(lambda: calls["watch"])
        work(app, OutcomeKind.DEAD, encode_error(RemoteError("ValueError", "no", "trace")))
        error = waiting.exception(10)
    assert isinstance(error, JobFailed)
    assert (error.type, error.message, error.traceback) == ("ValueError", "no", "trace")


def test_a_job_that_is_removed_is_waited_for_no_longer(app: DistQ, calls: Counter[str]) -> None:
    (job,) = enqueue(app, 1)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(job.result, 30)
        eventually(lambda: calls["watch"])
        app.storage.run(app.storage.remove([job.id]))
        assert isinstance(waiting.exception(10), JobNotFound)


def test_the_listener_is_closed_with_the_app(app: DistQ) -> None:
    (job,) = enqueue(app, 1)
    with pytest.raises(ResultTimeout):
        job.result(timeout=0.05)
    app.close()
    eventually(lambda: all(thread.name != "distq-results" for thread in threading.enumerate()))
    app.close()
    work(app)
    assert job.result(timeout=10) == 7


@pytest.mark.parametrize("app", ["postgres", "redis"], indirect=True)
def test_a_forked_child_waits_by_itself(app: DistQ) -> None:
    first, second = enqueue(app, 2)
    with pytest.raises(ResultTimeout):
        first.result(timeout=0.05)

    def child() -> int:
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(second.result, 20)
            work(app)
            return waiting.result(10)

    assert in_child(child) == 7
    assert first.result(timeout=10) == 7


def in_child(function: Callable[[], int]) -> int:
    """The function's whole number, from a forked child."""
    pid = os.fork()
    if pid == 0:
        try:
            os._exit(function())
        except BaseException:  # noqa: BLE001
            os._exit(255)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
