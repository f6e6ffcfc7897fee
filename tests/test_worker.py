"""Real pools of worker processes on real storages: what they run, in which order, and how they stop."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable

import pytest

from distq import JobState
from tests import worker_app
from tests.helpers import eventually
from tests.worker_app import (
    aadd,
    add,
    alarmed,
    alast,
    forking,
    last,
)
from tests.world import World, end, workers_of


def test_jobs_run_and_give_results(world: World) -> None:
    pool = world.start("--processes", "2")
    assert add.enqueue(1, b=2).result(timeout=20) == 3
    assert aadd.enqueue(3, 4).result(timeout=20) == 7
    jobs = add.enqueue_many([(n, n) for n in range(1500)])
    assert [job.result(timeout=20) for job in jobs[::100]] == list(range(0, 3000, 200))
    assert end(pool) == 0


@pytest.mark.parametrize("task", [last, alast])
def test_concurrency_runs_jobs_side_by_side_in_one_process(world: World, task: Callable[..., object]) -> None:
    jobs = task.enqueue_many([(0.5, f"n{n}") for n in range(6)])  # pyright: ignore[reportFunctionMemberAccess]
    world.start("--processes", "1", "--concurrency", "6")
    assert [job.result(timeout=20) for job in jobs] == [f"n{n}" for n in range(6)]
    words = [line.split()[0] for line in world.lines()]
    assert words[:6] == ["begin"] * 6


def test_a_job_that_a_busy_worker_holds_is_cancelled_before_it_begins(world: World) -> None:
    jobs = worker_app.polite.enqueue_many([("a",), ("b",)])
    world.start("--processes", "1")
    eventually(lambda: world.noted("begin a"))
    jobs[1].cancel()
    jobs[0].cancel()
    eventually(lambda: all(job.state is JobState.CANCELLED for job in jobs))
    assert world.noted("begin b") == 0


def test_only_the_named_queues_are_worked_on(world: World) -> None:
    other = add.options(queue="other").enqueue(1, 1)
    mine = add.enqueue(2, 2)
    world.start("--processes", "1")
    assert mine.result(timeout=20) == 4
    assert other.state is JobState.READY
    world.start("--processes", "1", "--queues", "other")
    assert other.result(timeout=20) == 2


def test_every_queue_gets_its_turn(world: World) -> None:
    last.options(queue="a").enqueue_many([(0.005, f"a{n}") for n in range(200)])
    last.options(queue="b").enqueue(0, "b")
    world.start("--processes", "1", "--queues", "a,b")
    eventually(lambda: world.noted("end a199"), timeout=20)
    order = [line.split()[1] for line in world.lines() if line.startswith("end ")]
    assert order.index("b") < 100


def test_a_task_may_use_signals_and_fork(world: World) -> None:
    pool = world.start("--processes", "1")
    assert alarmed.enqueue().result(timeout=20) == "alarmed"
    (before,) = workers_of(pool)
    assert forking.enqueue().result(timeout=20) == -signal.SIGTERM
    assert alarmed.enqueue().result(timeout=20) == "alarmed"
    assert workers_of(pool) == [before]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_lets_what_runs_finish_and_gives_the_rest_back(world: World, number: int) -> None:
    pool = world.start("--processes", "1")
    jobs = last.enqueue_many([(1, f"n{n}") for n in range(3)])
    eventually(lambda: world.noted("begin n0"), timeout=20)
    os.killpg(pool.pid, number)
    assert pool.wait(20) == 0
    assert world.noted("end n0") == 1
    assert Counter(world.record(job.id) for job in jobs) == {
        (JobState.DONE, 0, 0): 1,
        (JobState.READY, 0, 0): 2,
    }


@pytest.mark.parametrize("task", [last, alast])
def test_what_outlives_the_grace_time_is_given_back(world: World, task: Callable[..., object]) -> None:
    pool = world.start("--processes", "1", "--grace", "0.5")
    job = task.enqueue(60, "endless")  # pyright: ignore[reportFunctionMemberAccess]
    eventually(lambda: world.noted("begin endless"), timeout=20)
    assert end(pool) == 0
    assert world.record(job.id) == (JobState.READY, 0, 0)


def test_a_stop_without_grace_gives_everything_back_once(world: World) -> None:
    pool = world.start("--processes", "1", "--grace", "0")
    add.enqueue_many([(n, n) for n in range(2000)])[-1].result(timeout=20)
    jobs = [last.enqueue(30, "blocker"), *add.enqueue_many([(n, 1) for n in range(400)])]
    eventually(lambda: world.noted("begin blocker"), timeout=20)
    assert end(pool) == 0
    assert {world.record(job.id) for job in jobs} <= {(JobState.READY, 0, 0), (JobState.DONE, 0, 0)}
    world.start("--processes", "2")
    assert [job.result(timeout=20) for job in jobs[1:]] == list(range(1, 401))


def test_what_cannot_begin_soon_is_given_to_others(world: World) -> None:
    world.start("--processes", "1", "--ttl", "60")
    add.enqueue_many([(n, n) for n in range(2000)])[-1].result(timeout=20)
    last.enqueue(30, "blocker")
    others = add.enqueue_many([(n, 1) for n in range(50)])
    eventually(lambda: world.noted("begin blocker"), timeout=20)
    eventually(lambda: {world.record(job.id)[0] for job in others} <= {JobState.READY, JobState.DONE})
