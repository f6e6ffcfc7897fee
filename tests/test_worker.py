"""A real pool of worker processes on real storages: what users see when things go well, and when not."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable

import pytest

from distq import JobCancelled, JobFailed, JobState, Task
from distq.ids import new_ids
from distq.job import NewJob
from distq.messages import Progress
from tests import worker_app
from tests.helpers import eventually
from tests.worker_app import (
    aadd,
    add,
    alarmed,
    alast,
    die,
    endless,
    fail,
    forking,
    garbled,
    last,
    leave,
    sabotage,
    shy,
    spin,
    unwritable,
    whole,
)
from tests.world import World, end, gone, workers_of

# -- when things go well -----------------------------------------------------------------------------


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


def test_progress_is_seen_while_the_job_runs_and_kept_when_it_fails(world: World) -> None:
    worker_app.note("start")
    job = worker_app.resize.enqueue("go on")
    assert job.progress is None
    pool = world.start("--processes", "1")
    assert eventually(lambda: job.progress) == Progress(0.4, "resizing")
    worker_app.note("go on")
    eventually(lambda: job.state is JobState.SCHEDULED)
    assert job.progress == Progress(0.8, "almost")
    assert end(pool) == 0


def test_a_task_says_what_becomes_of_its_job(world: World) -> None:
    retried, snoozed, cancelled = (worker_app.steer.enqueue(how) for how in ("retry", "snooze", "cancel"))
    world.start("--processes", "1", "--concurrency", "3")
    assert (retried.result(timeout=20), snoozed.result(timeout=20)) == (2, 1)
    with pytest.raises(JobCancelled, match="no longer wanted"):
        cancelled.result(timeout=20)
    assert [world.record(job.id)[1] for job in (retried, snoozed)] == [1, 0]
    assert world.noted("snooze 1") == 4


# -- cancelling and time-outs ----------------------------------------------------------------------------


@pytest.mark.parametrize("task", [worker_app.polite, worker_app.anap])
def test_a_running_job_is_cancelled(world: World, task: Task[[str], object]) -> None:
    pool = world.start("--processes", "1", "--concurrency", "2")
    job, other = task.enqueue("a"), last.enqueue(0.5, "other")
    eventually(lambda: world.noted("begin a"))
    assert job.cancel("changed my mind") is JobState.LEASED
    with pytest.raises(JobCancelled, match="changed my mind"):
        job.result(timeout=20)
    assert world.noted("begin a") == world.noted("end a") == 1
    assert other.result(timeout=20) == "other"
    assert job.cancel() is JobState.CANCELLED
    assert end(pool) == 0


def test_a_job_that_a_busy_worker_holds_is_cancelled_before_it_begins(world: World) -> None:
    jobs = worker_app.polite.enqueue_many([("a",), ("b",)])
    world.start("--processes", "1")
    eventually(lambda: world.noted("begin a"))
    jobs[1].cancel()
    jobs[0].cancel()
    eventually(lambda: all(job.state is JobState.CANCELLED for job in jobs))
    assert world.noted("begin b") == 0


@pytest.mark.parametrize("task", [worker_app.nap, worker_app.anap])
def test_a_timeout_interrupts_and_counts_as_a_failure(world: World, task: Task[[str], object]) -> None:
    job = task.options(timeout=0.3).enqueue("a")
    pool = world.start("--processes", "1")
    with pytest.raises(JobFailed, match="longer than its timeout") as caught:
        job.result(timeout=20)
    assert caught.value.type == "JobTimeout"
    assert world.noted("begin a") == world.noted("end a") == 2
    assert len({line.split()[-1] for line in world.lines()}) == 1
    assert world.record(job.id) == (JobState.DEAD, 1, 0)
    assert end(pool) == 0


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


def test_a_delayed_job_waits_in_the_storage(world: World) -> None:
    world.start("--processes", "1")
    job = add.options(delay=0.5).enqueue(1, 1)
    assert job.state is JobState.SCHEDULED
    assert job.result(timeout=20) == 2


def test_only_the_named_queues_are_worked_on(world: World) -> None:
    other = add.options(queue="other").enqueue(1, 1)
    mine = add.enqueue(2, 2)
    world.start("--processes", "1")
    assert mine.result(timeout=20) == 4
    assert other.state is JobState.READY
    world.start("--processes", "1", "--queues", "other")
    assert other.result(timeout=20) == 2


# -- when a job fails --------------------------------------------------------------------------------


def test_a_failure_is_retried_then_dead_with_the_remote_error(world: World) -> None:
    world.start("--processes", "1")
    job = fail.enqueue()
    with pytest.raises(JobFailed) as caught:
        job.result(timeout=20)
    assert (caught.value.type, caught.value.message) == ("ValueError", "always")
    assert "raise ValueError" in caught.value.traceback


def test_a_result_that_json_cannot_hold_is_a_failure(world: World) -> None:
    world.start("--processes", "1")
    with pytest.raises(JobFailed, match="Unable to serialize"):
        unwritable.enqueue().result(timeout=20)


def test_an_error_that_cannot_be_shown_is_a_failure_like_others(world: World) -> None:
    world.start("--processes", "1")
    with pytest.raises(JobFailed, match="Shy: its message cannot be shown"):
        shy.enqueue().result(timeout=20)


def test_an_error_with_broken_characters_is_a_failure_like_others(world: World) -> None:
    world.start("--processes", "1", "--concurrency", "2")
    with pytest.raises(JobFailed, match=r"cannot parse \\udcff"):
        garbled.enqueue().result(timeout=20)


def test_a_back_off_function_may_give_whole_numbers_and_nonsense(world: World) -> None:
    world.start("--processes", "1")
    jobs = [whole.enqueue(), endless.enqueue(), add.enqueue(1, 1)]
    with pytest.raises(JobFailed, match="ValueError"):
        jobs[0].result(timeout=20)
    with pytest.raises(JobFailed, match="is not a number"):
        jobs[1].result(timeout=20)
    assert jobs[2].result(timeout=20) == 2


def test_a_task_may_use_signals_and_fork(world: World) -> None:
    pool = world.start("--processes", "1")
    assert alarmed.enqueue().result(timeout=20) == "alarmed"
    (before,) = workers_of(pool)
    assert forking.enqueue().result(timeout=20) == -signal.SIGTERM
    assert alarmed.enqueue().result(timeout=20) == "alarmed"
    assert workers_of(pool) == [before]
    assert end(pool) == 0


def test_every_queue_gets_its_turn(world: World) -> None:
    last.options(queue="a").enqueue_many([(0.01, f"a{n}") for n in range(300)])
    world.start("--processes", "1", "--queues", "a,b")
    eventually(lambda: world.noted("end a0"), timeout=20)
    assert add.options(queue="b").enqueue(1, 1).result(timeout=20) == 2
    assert world.noted("end a299") == 0


def test_a_task_that_exits_fails_and_its_worker_goes_on(world: World) -> None:
    world.start("--processes", "1")
    with pytest.raises(JobFailed, match="SystemExit"):
        leave.enqueue().result(timeout=20)
    assert add.enqueue(1, 1).result(timeout=20) == 2


def test_arguments_that_no_longer_fit_end_in_dead_with_the_reason(world: World) -> None:
    job_id = new_ids("default", 1)[0]
    world.app.storage.run(
        world.app.storage.enqueue([NewJob(job_id, "default", "add", b'{}\n{"a":"x","b":1}')])
    )
    world.start("--processes", "1")
    with pytest.raises(JobFailed, match="valid integer"):
        world.app.job(job_id).result(timeout=20)


def test_a_job_of_an_unknown_task_is_left_for_another_worker(world: World) -> None:
    job_id = new_ids("default", 1)[0]
    world.app.storage.run(world.app.storage.enqueue([NewJob(job_id, "default", "of.tomorrow", b"{}\n{}")]))
    world.start("--processes", "1")
    eventually(lambda: world.record(job_id)[0] is JobState.SCHEDULED, timeout=20)
    assert world.record(job_id)[1:] == (0, 0)


# -- when a worker dies or freezes -------------------------------------------------------------------


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


# -- when it is told to stop -------------------------------------------------------------------------


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
