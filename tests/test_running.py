"""Attempts under way, and what stops them."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator

import pytest

from distq.context import CurrentJob
from distq.errors import JobTimeout
from distq.job import Lease
from distq.options import NO_LIMITS, Limits
from distq.worker.running import NEVER, Run, Running, ThreadRun
from distq.worker.slots import Begun, Slots
from tests.helpers import eventually


def attempt(kind: type[Run] = Run, limits: Limits = NO_LIMITS, token: str = "t") -> Run:
    lease = Lease("mail:1", token, "app.task", b"{}\n{}", 0, 0)
    return kind(lease, CurrentJob(lease, lambda job_id, progress: None), limits)


@pytest.fixture
def slots() -> Iterator[Slots]:
    descriptor = Slots.allocate(2)
    slots = Slots(descriptor, 2)
    yield slots
    slots.close()
    os.close(descriptor)


def test_a_job_whose_lease_came_back_may_run_twice_in_a_process(slots: Slots) -> None:
    running = Running(slots, hard_cancel=False)
    lost, current = attempt(token="lost"), attempt(token="current")
    running.begin(lost, time.monotonic())
    running.begin(current, time.monotonic())
    running.end(lost)
    running.cancel({"mail:1"})
    assert (lost.job.stopping, current.job.stopping) == (False, True)
    running.end(current)
    assert running.unwanted == {"mail:1"}


def test_limits_are_told_in_their_order(slots: Slots) -> None:
    running, run = Running(slots, hard_cancel=False), attempt(limits=Limits(soft=0.0, hard=60.0))
    assert running.next_limit == NEVER
    running.begin(run, time.monotonic())
    assert running.next_limit == run.soft_at
    assert running.overdue() == []
    assert run.timed_out
    assert running.next_limit == run.hard_at
    run.hard_at = run.soft_at
    assert running.overdue() == [run]
    assert running.overdue() == []
    assert running.doomed
    running.end(run)
    assert running.next_limit == NEVER


def test_a_thread_is_interrupted_only_between_start_and_finish() -> None:
    run = attempt(ThreadRun)
    run.time_out()
    assert not run.timed_out
    run.start()
    with pytest.raises(JobTimeout):
        interrupted_while_waiting(run)
    run.finish()
    run.finish()
    run.timed_out = False
    run.time_out()
    assert not run.timed_out


def interrupted_while_waiting(run: Run) -> None:
    waits = threading.Event()

    def time_out() -> None:
        waits.wait(10)
        run.time_out()

    # Not before its start is over: that is no place to be interrupted at.
    threading.Thread(target=time_out).start()
    eventually(waits.set)


def test_the_supervisor_sees_what_runs_and_until_when(slots: Slots) -> None:
    running, free = Running(slots, hard_cancel=True), attempt(token="free")
    limited = attempt(limits=Limits(hard=60.0), token="limited")
    running.begin(free, time.monotonic())
    running.begin(limited, time.monotonic())
    assert sorted(slots.begun()) == [
        Begun("mail:1", "free", NEVER),
        Begun("mail:1", "limited", limited.hard_at),
    ]
    running.end(limited)
    running.cancel({"mail:1"})
    (begun,) = slots.begun()
    assert time.monotonic() < begun.hard_at < time.monotonic() + 10
    running.cancel({"mail:1"})
    assert slots.begun() == [begun]
    free.hard_at = 0
    assert running.overdue() == [free]
    assert slots.begun() == [begun._replace(hard_at=NEVER)]
    running.end(free)
    assert slots.begun() == []


def test_a_process_is_silent_only_after_its_first_round(slots: Slots) -> None:
    assert slots.silence == 0
    slots.beat()
    assert 0 <= slots.silence < 10
    eventually(lambda: slots.silence > 0.01)
