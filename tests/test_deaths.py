"""What becomes of jobs, and of their neighbours, when a worker process dies, freezes or must be ended."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest

from distq import JobFailed, JobState
from tests import worker_app
from tests.helpers import eventually
from tests.worker_app import (
    add,
    die,
    last,
    sabotage,
    spin,
)
from tests.world import World, end, gone, workers_of


def test_a_job_that_kills_its_worker_is_dead_and_the_others_run(world: World) -> None:
    world.start("--processes", "2")
    killer = die.enqueue()
    jobs = add.enqueue_many([(n, 0) for n in range(20)])
    assert [job.result(timeout=30) for job in jobs] == list(range(20))
    with pytest.raises(JobFailed, match="CrashBudgetSpent"):
        killer.result(timeout=30)


def test_a_killed_worker_is_replaced_and_its_job_runs_again_at_once(world: World) -> None:
    pool = world.start("--processes", "1", "--ttl", "60")
    job = last.enqueue(2, "victim")
    eventually(lambda: world.noted("begin victim"), timeout=20)
    os.kill(world.pid_of("begin victim"), signal.SIGKILL)
    assert job.result(timeout=20) == "victim"
    assert world.record(job.id) == (JobState.DONE, 0, 1)
    assert end(pool) == 0


def test_bystanders_of_a_crash_are_not_charged(world: World) -> None:
    world.start("--processes", "1", "--concurrency", "1", "--ttl", "60")
    add.enqueue_many([(n, n) for n in range(2000)])[-1].result(timeout=20)
    job = last.enqueue(3, "victim")
    others = add.enqueue_many([(n, 1) for n in range(50)])
    eventually(lambda: world.noted("begin victim"), timeout=20)
    os.kill(world.pid_of("begin victim"), signal.SIGKILL)
    assert [other.result(timeout=20) for other in others] == list(range(1, 51))
    assert {world.record(other.id)[2] for other in others} == {0}
    assert world.record(job.id)[2] == 1


@pytest.mark.parametrize("task", [last, spin])
def test_a_lease_is_renewed_beside_the_tasks_code(world: World, task: Callable[..., object]) -> None:
    world.start("--processes", "2", "--ttl", "1")
    arguments = (3.5, "long") if task is last else (3.5,)
    job = task.enqueue(*arguments)  # pyright: ignore[reportFunctionMemberAccess]
    job.result(timeout=20)
    assert world.record(job.id) == (JobState.DONE, 0, 0)
    assert world.noted("begin") == 1


def test_a_frozen_worker_that_wakes_changes_nothing(world: World) -> None:
    frozen = world.start("--processes", "1", "--ttl", "1")
    job = last.enqueue(2, "frozen")
    eventually(lambda: world.noted("begin frozen"), timeout=20)
    os.killpg(frozen.pid, signal.SIGSTOP)
    world.start("--processes", "1", "--ttl", "1")
    assert job.result(timeout=30) == "frozen"
    done = world.app.storage.run(world.app.storage.get(job.id))
    os.killpg(frozen.pid, signal.SIGCONT)
    eventually(lambda: world.noted("end frozen") == 2, timeout=20)
    assert add.enqueue(1, 1).result(timeout=20) == 2
    assert world.app.storage.run(world.app.storage.get(job.id)) == done
    assert end(frozen) == 0


def test_a_worker_whose_io_thread_fails_ends_and_is_replaced(world: World) -> None:
    world.start("--processes", "1")
    sabotage.enqueue().result(timeout=20)
    assert world.noted("sabotage") == 1


def test_workers_end_when_their_supervisor_is_gone(world: World) -> None:
    pool = world.start("--processes", "2")
    workers = eventually(lambda: found if len(found := workers_of(pool)) == 2 else None, timeout=20)
    pool.kill()
    eventually(lambda: gone(workers), timeout=20)


def test_a_hard_timeout_ends_the_process_and_spares_its_neighbours(world: World) -> None:
    pool = world.start("--processes", "1", "--concurrency", "3", "--grace", "3")
    job = worker_app.stuck.options(timeout=0.2, hard_timeout=0.8, retries=0).enqueue("a")
    short, long = last.enqueue(2.5, "short"), worker_app.nap.options(retries=0).enqueue("long")
    with pytest.raises(JobFailed, match="went on after its timeout"):
        job.result(timeout=20)
    assert world.record(job.id) == (JobState.DEAD, 0, 0)
    assert short.result(timeout=20) == "short"
    eventually(lambda: world.noted("begin long") == 2)
    assert world.record(long.id) == (JobState.LEASED, 0, 0)
    long.cancel()
    assert pool.poll() is None


def test_a_hard_timeout_leaves_another_try(world: World) -> None:
    job = worker_app.stuck.options(hard_timeout=0.3).enqueue("a")
    world.start("--processes", "1")
    with pytest.raises(JobFailed):
        job.result(timeout=20)
    assert world.noted("begin a") == 2
    assert len({line.split()[-1] for line in world.lines()}) == 2
    assert world.record(job.id) == (JobState.DEAD, 1, 0)
