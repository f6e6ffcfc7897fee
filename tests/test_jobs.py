"""What becomes of jobs on a worker process that is there all the time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from distq import JobCancelled, JobFailed, JobState, Task
from distq.ids import new_ids
from distq.job import NewJob
from distq.messages import Progress
from tests import worker_app
from tests.helpers import eventually
from tests.worker_app import (
    add,
    endless,
    fail,
    garbled,
    last,
    leave,
    shy,
    unwritable,
    whole,
)
from tests.world import World, open_world, url_of


@pytest.fixture(scope="module", params=["postgres", "redis"])
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A pool of one process, which all tests here share."""
    notes = tmp_path_factory.mktemp("world") / "notes"
    with (
        pytest.MonkeyPatch.context() as patch,
        open_world(worker_app.app, "tests.worker_app", url_of(request, request.param), notes, patch) as world,
    ):
        world.start("--processes", "1", "--concurrency", "3")
        yield world


@pytest.fixture
def world(running: World) -> World:
    """The same, with nothing noted yet."""
    running.notes.write_text("")
    return running


def test_progress_is_seen_while_the_job_runs_and_kept_when_it_fails(world: World) -> None:
    worker_app.note("start")
    job = worker_app.resize.enqueue("go on")
    assert job.progress is None
    assert eventually(lambda: job.progress) == Progress(0.4, "resizing")
    worker_app.note("go on")
    eventually(lambda: job.state is JobState.SCHEDULED)
    assert job.progress == Progress(0.8, "almost")


def test_a_task_says_what_becomes_of_its_job(world: World) -> None:
    retried, snoozed, cancelled = (worker_app.steer.enqueue(how) for how in ("retry", "snooze", "cancel"))
    assert (retried.result(timeout=20), snoozed.result(timeout=20)) == (2, 1)
    with pytest.raises(JobCancelled, match="no longer wanted"):
        cancelled.result(timeout=20)
    assert [world.record(job.id)[1] for job in (retried, snoozed)] == [1, 0]
    assert world.noted("snooze 1") == 4


@pytest.mark.parametrize("task", [worker_app.polite, worker_app.anap])
def test_a_running_job_is_cancelled(world: World, task: Task[[str], object]) -> None:
    job, other = task.enqueue("a"), last.enqueue(0.5, "other")
    eventually(lambda: world.noted("begin a"))
    assert job.cancel("changed my mind") is JobState.LEASED
    with pytest.raises(JobCancelled, match="changed my mind"):
        job.result(timeout=20)
    assert world.noted("begin a") == world.noted("end a") == 1
    assert other.result(timeout=20) == "other"
    assert job.cancel() is JobState.CANCELLED


@pytest.mark.parametrize("task", [worker_app.nap, worker_app.anap])
def test_a_timeout_interrupts_and_counts_as_a_failure(world: World, task: Task[[str], object]) -> None:
    job = task.options(timeout=0.3).enqueue("a")
    with pytest.raises(JobFailed, match="longer than its timeout") as caught:
        job.result(timeout=20)
    assert caught.value.type == "JobTimeout"
    assert world.noted("begin a") == world.noted("end a") == 2
    assert len({line.split()[-1] for line in world.lines()}) == 1
    assert world.record(job.id) == (JobState.DEAD, 1, 0)


def test_a_delayed_job_waits_in_the_storage(world: World) -> None:
    job = add.options(delay=0.5).enqueue(1, 1)
    assert job.state is JobState.SCHEDULED
    assert job.result(timeout=20) == 2


def test_a_failure_is_retried_then_dead_with_the_remote_error(world: World) -> None:
    job = fail.enqueue()
    with pytest.raises(JobFailed) as caught:
        job.result(timeout=20)
    assert (caught.value.type, caught.value.message) == ("ValueError", "always")
    assert "raise ValueError" in caught.value.traceback


def test_a_result_that_json_cannot_hold_is_a_failure(world: World) -> None:
    with pytest.raises(JobFailed, match="Unable to serialize"):
        unwritable.enqueue().result(timeout=20)


def test_an_error_that_cannot_be_shown_is_a_failure_like_others(world: World) -> None:
    with pytest.raises(JobFailed, match="Shy: its message cannot be shown"):
        shy.enqueue().result(timeout=20)


def test_an_error_with_broken_characters_is_a_failure_like_others(world: World) -> None:
    with pytest.raises(JobFailed, match=r"cannot parse \\udcff"):
        garbled.enqueue().result(timeout=20)


def test_a_back_off_function_may_give_whole_numbers_and_nonsense(world: World) -> None:
    jobs = [whole.enqueue(), endless.enqueue(), add.enqueue(1, 1)]
    with pytest.raises(JobFailed, match="ValueError"):
        jobs[0].result(timeout=20)
    with pytest.raises(JobFailed, match="is not a number"):
        jobs[1].result(timeout=20)
    assert jobs[2].result(timeout=20) == 2


def test_a_task_that_exits_fails_and_its_worker_goes_on(world: World) -> None:
    with pytest.raises(JobFailed, match="SystemExit"):
        leave.enqueue().result(timeout=20)
    assert add.enqueue(1, 1).result(timeout=20) == 2


def test_arguments_that_no_longer_fit_end_in_dead_with_the_reason(world: World) -> None:
    job_id = new_ids("default", 1)[0]
    world.app.storage.run(
        world.app.storage.enqueue([NewJob(job_id, "default", "add", b'{}\n{"a":"x","b":1}')])
    )
    with pytest.raises(JobFailed, match="valid integer"):
        world.app.job(job_id).result(timeout=20)


def test_a_job_of_an_unknown_task_is_left_for_another_worker(world: World) -> None:
    job_id = new_ids("default", 1)[0]
    world.app.storage.run(world.app.storage.enqueue([NewJob(job_id, "default", "of.tomorrow", b"{}\n{}")]))
    eventually(lambda: world.record(job_id)[0] is JobState.SCHEDULED, timeout=20)
    assert world.record(job_id)[1:] == (0, 0)
