"""The life of worker processes: how they begin and end, and how one that stands still is noticed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from distq import JobCancelled, JobFailed, JobState
from distq.cli import main
from distq.connect import connect
from distq.ids import new_ids
from distq.job import NewJob
from distq.worker.intake import turns
from tests import life_app
from tests.helpers import eventually
from tests.life_app import afail, awhose, blind, deaf, fail, freeze_io, grab, hog, nap, pid, whose
from tests.world import World, end, gone, open_world, url_of, workers_of

BOTH, ONE = ["postgres", "redis"], ["postgres"]


@pytest.fixture
def store(request: pytest.FixtureRequest) -> str:
    return getattr(request, "param", "redis")


@pytest.fixture
def life(
    request: pytest.FixtureRequest, store: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[World]:
    """The world of `tests.life_app`, on one store, or on the one that the test asks for."""
    url = url_of(request, store)
    with open_world(life_app.app, "tests.life_app", url, tmp_path / "notes", monkeypatch) as world:
        yield world


def worker_of(life: World, *options: str) -> psutil.Process:
    """The process of a pool of one, which serves the default queue."""
    pool = life.start("--processes", "1", "--queues", "default", *options)
    return eventually(lambda: workers_of(pool), timeout=20)[0]


# -- limits and ends -----------------------------------------------------------------------------------


@pytest.mark.parametrize("store", BOTH, indirect=True)
def test_a_burst_ends_when_nothing_is_ready_or_runs(life: World) -> None:
    jobs = pid.enqueue_many([[0.3], [0], [0]])
    failing, later = fail.enqueue(), pid.options(delay=3600).enqueue()
    pool = life.start("--processes", "2", "--queues", "default", "--burst")
    assert pool.wait(30) == 0
    assert [job.state for job in jobs] == [JobState.DONE] * 3
    assert (failing.state, later.state) == (JobState.DEAD, JobState.SCHEDULED)


def test_a_burst_over_nothing_ends(life: World) -> None:
    assert life.start("--processes", "1", "--queues", "default,other", "--burst").wait(30) == 0


def test_a_process_is_replaced_after_so_many_jobs(life: World) -> None:
    jobs = pid.enqueue_many([[]] * 7)
    worker_of(life, "--max-jobs", "3", "--concurrency", "2")
    ran = Counter(job.result(timeout=30) for job in jobs)
    assert len(ran) == 3
    assert max(ran.values()) == 3


def test_a_process_that_has_grown_is_replaced(life: World) -> None:
    worker_of(life, "--max-memory", "300")
    first = hog.enqueue(400).result(timeout=30)
    assert pid.enqueue().result(timeout=30) != first
    assert pid.enqueue().result(timeout=30) == pid.enqueue().result(timeout=30)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT])
def test_the_second_interrupt_ends_at_once(
    life: World, number: int, capfd: pytest.CaptureFixture[str]
) -> None:
    worker_of(life)
    job = nap.enqueue("a")
    eventually(lambda: life.noted("begin a"), timeout=20)
    pool = life.pools[0]
    os.killpg(pool.pid, signal.SIGINT)
    with pytest.raises(Exception, match="timed out"):
        pool.wait(0.5)
    os.killpg(pool.pid, number)
    assert pool.wait(10) == 0
    assert life.record(job.id) == (JobState.READY, 0, 0)
    said = [line.partition("INFO    ")[2] for line in capfd.readouterr().err.splitlines()]
    assert said[-3:] == [
        "stopping: up to 30 s for 1 running job, another Ctrl-C or SIGQUIT stops at once",
        "stopping now: 1 running job given back",
        "stopped",
    ]


def test_queues_are_asked_as_often_as_they_weigh() -> None:
    assert list(turns({"mail": 3, "bulk": 1})) == ["mail", "mail", "bulk", "mail"]
    assert list(turns({"a": 1, "b": 1})) == ["a", "b"]
    assert Counter(turns({"a": 5, "b": 3, "c": 1})) == {"a": 5, "b": 3, "c": 1}


def test_what_cannot_work_is_said_in_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    for options, said in (
        (["tests.life_app:app"], "tests.life_app:app is on memory://, which each process has for itself"),
        (
            ["tests.life_app:app", "--queues", "mail:x"],
            "--queues 'mail:x': use name or name:weight, from 1 to 100",
        ),
        (["tests.life_app:app", "--queues", "mail:0"], "--queues 'mail:0': use name or name:weight"),
        (["tests.life_app:app", "--queues", "no spaces"], "'no spaces' cannot name a queue"),
    ):
        with pytest.raises(SystemExit) as ended:
            main(["worker", *options])
        assert ended.value.code == 2
        assert capfd.readouterr().err.partition("\n")[0].startswith(f"distq: {said}")


# -- hooks ---------------------------------------------------------------------------------------------


def test_hooks_are_called_in_the_life_of_a_process(life: World) -> None:
    worker_of(life)
    assert whose.enqueue().result(timeout=20) == ["t1", True]
    assert awhose.enqueue().result(timeout=20) == ["t1", True]
    assert end(life.pools[0]) == 0
    notes = [line.rpartition(" ")[0] for line in life.lines()]
    around = ["before whose", "after whose", "before awhose", "after awhose"]
    assert notes == ["start", "astart distq-loop", *around, "stop", "astop distq-loop"]


def test_the_error_hook_is_told_of_each_failed_attempt(life: World) -> None:
    worker_of(life)
    for job in (fail.enqueue(), afail.enqueue()):
        with pytest.raises(JobFailed, match="always"):
            job.result(timeout=20)
    errors = [line.rpartition(" ")[0] for line in life.lines() if line.startswith("error")]
    assert sorted(errors) == ["error afail 1 always", "error fail 1 always", "error fail 2 always"]


# -- presence and schedules ----------------------------------------------------------------------------


@pytest.mark.parametrize("store", BOTH, indirect=True)
def test_workers_say_that_they_are_there_and_that_they_leave(life: World) -> None:
    storage = life.app.storage
    pool = life.start("--processes", "2", "--queues", "default:2,other")
    present = eventually(
        lambda: len(found := storage.run(storage.workers(within=60))) == 2 and found, timeout=20
    )
    assert {worker.pid for worker in present} == {process.pid for process in workers_of(pool)}
    assert {worker.queues for worker in present} == {("default", "other")}
    assert all("pid" in worker.tasks for worker in present)
    os.kill(present[0].pid, signal.SIGKILL)

    def replaced() -> bool:
        names = {worker.name for worker in storage.run(storage.workers(within=60))}
        return len(names) == 2 and present[0].name not in names

    eventually(replaced, timeout=20)
    assert end(pool) == 0
    assert storage.run(storage.workers(within=60)) == []


@pytest.mark.parametrize("store", BOTH, indirect=True)
def test_each_tick_fires_once_whoever_dies(life: World) -> None:
    pool = life.start("--processes", "3", "--queues", "ticks")
    eventually(lambda: life.noted("tick"), timeout=20)
    workers_of(pool)[0].kill()
    eventually(lambda: life.noted("tick") > 4, timeout=20)
    assert end(pool) == 0
    ticks = [int(line.split()[1]) for line in life.lines() if line.startswith("tick")]
    fired = sorted(set(ticks))
    assert fired == list(range(fired[0], fired[0] + len(fired)))
    # The job that ran in the killed process may have run again.
    assert len(ticks) - len(fired) <= 1


# -- what stands still ---------------------------------------------------------------------------------


@pytest.mark.parametrize("store", BOTH, indirect=True)
def test_c_code_that_keeps_the_interpreter_is_ended_at_its_hard_limit(life: World) -> None:
    first = worker_of(life, "--concurrency", "2")
    neighbour = nap.enqueue("neighbour")
    eventually(lambda: life.noted("begin neighbour"), timeout=20)
    job = grab.options(timeout=0.2, hard_timeout=0.5).enqueue(60)
    with pytest.raises(JobFailed, match="went on after its timeout"):
        job.result(timeout=20)
    eventually(lambda: gone([first]))
    assert life.record(job.id) == (JobState.DEAD, 0, 0)
    eventually(lambda: life.noted("begin neighbour") == 2, timeout=20)
    assert life.record(neighbour.id) == (JobState.LEASED, 0, 0)


def test_a_hard_cancel_ends_the_process_of_a_job_that_does_not_stop(life: World) -> None:
    first = worker_of(life, "--hard-cancel", "--concurrency", "2", "--grace", "0.2")
    job, neighbour = deaf.enqueue(), nap.enqueue("neighbour")
    eventually(lambda: life.noted("begin deaf") and life.noted("begin neighbour"), timeout=20)
    job.cancel("enough")
    with pytest.raises(JobCancelled, match="enough"):
        job.result(timeout=20)
    eventually(lambda: gone([first]), timeout=20)
    eventually(lambda: life.noted("begin neighbour") == 2, timeout=20)
    assert life.record(neighbour.id) == (JobState.LEASED, 0, 0)
    assert life.noted("begin deaf") == 1


def test_a_process_whose_io_thread_hangs_is_replaced(life: World) -> None:
    first = worker_of(life, "--watchdog", "2")
    assert freeze_io.enqueue().result(timeout=30) != first.pid
    eventually(lambda: gone([first]))


def test_a_frozen_process_is_replaced(life: World) -> None:
    first = worker_of(life, "--watchdog", "1", "--ttl", "1")
    assert pid.enqueue().result(timeout=20) == first.pid
    first.suspend()
    assert pid.enqueue().result(timeout=30) != first.pid
    eventually(lambda: gone([first]))


@pytest.mark.parametrize("store", BOTH, indirect=True)
def test_a_process_that_gets_no_jobs_connects_anew(life: World) -> None:
    first = worker_of(life, "--watchdog", "2")
    assert blind.enqueue(curable=True).result(timeout=20) == first.pid
    assert pid.enqueue().result(timeout=30) == first.pid
    assert life.noted("cure") == 1


def test_a_process_that_still_gets_no_jobs_is_replaced(life: World) -> None:
    first = worker_of(life, "--watchdog", "2")
    assert blind.enqueue(curable=False).result(timeout=20) == first.pid
    assert pid.enqueue().result(timeout=30) != first.pid


def test_an_idle_process_is_left_alone(life: World) -> None:
    first = worker_of(life, "--watchdog", "1")
    later = pid.options(delay=3).enqueue()
    assert later.result(timeout=30) == first.pid


# -- what it is told on the command line --------------------------------------------------------------


def test_a_pool_may_use_another_storage_and_log_documents(
    request: pytest.FixtureRequest, life: World, tmp_path: Path
) -> None:
    url = url_of(request, "postgres")
    storage = connect(url)
    storage.migrate()
    job = NewJob(new_ids("default", 1)[0], "default", "fail", b"{}\n{}")
    storage.run(storage.enqueue([job]))
    with (tmp_path / "log").open("wb") as log:
        argv = [sys.executable, "-m", "distq", "worker", "tests.life_app:app", "--queues", "default"]
        argv += ["--burst", "--processes", "1", "--json", "--url", url]
        assert subprocess.run(argv, stderr=log, timeout=30).returncode == 0
    record = storage.run(storage.get(job.id))
    assert record is not None
    assert record.state is JobState.DEAD
    storage.close()
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    (failed,) = [line for line in lines if line.get("tries")]
    assert (failed["level"], failed["id"], failed["task"], failed["error"]) == (
        "warning",
        job.id,
        "fail",
        "always",
    )


def test_a_burst_whose_processes_cannot_start_is_given_up(life: World) -> None:
    life.notes.write_text("refuse\n")
    pool = life.start("--processes", "1", "--queues", "default", "--burst")
    assert pool.wait(30) == 1
