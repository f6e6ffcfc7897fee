"""Attempts under way, and what stops them."""

from __future__ import annotations

import threading

import pytest

from distq.context import CurrentJob
from distq.errors import JobTimeout
from distq.job import Lease
from distq.options import NO_LIMITS, Limits
from distq.running import NEVER, Run, Running, ThreadRun
from tests.helpers import eventually


def attempt(kind: type[Run] = Run, limits: Limits = NO_LIMITS, token: str = "t") -> Run:
    lease = Lease("mail:1", token, "app.task", b"{}\n{}", 0, 0)
    return kind(lease, CurrentJob(lease, lambda job_id, progress: None), limits)


def test_a_job_whose_lease_came_back_may_run_twice_in_a_process() -> None:
    running, lost, current = Running(), attempt(token="lost"), attempt(token="current")
    running.begin(lost)
    running.begin(current)
    running.end(lost)
    running.cancel({"mail:1"})
    assert (lost.job.stopping, current.job.stopping) == (False, True)
    running.end(current)
    assert running.unwanted == {"mail:1"}


def test_limits_are_told_in_their_order() -> None:
    running, run = Running(), attempt(limits=Limits(soft=0.0, hard=60.0))
    assert running.next_limit == NEVER
    running.begin(run)
    assert running.next_limit == run.soft_at
    assert running.overdue() == []
    assert run.timed_out
    assert running.next_limit == run.hard_at
    run.hard_at = run.soft_at
    assert running.overdue() == [run]
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
    threading.Thread(target=run.time_out).start()
    eventually(lambda: False)
