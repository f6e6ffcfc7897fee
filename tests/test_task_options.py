"""What options of tasks and calls take, and what they do."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from distq import (
    Cancel,
    ConfigurationError,
    DistQ,
    JobCancelled,
    JobExists,
    JobState,
    Retry,
    Snooze,
    current_job,
)
from distq.job import OutcomeKind
from distq.worker.execution import run
from tests.working import app as app
from tests.working import attempt, work

SOON = datetime.now(UTC) + timedelta(hours=1)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"priority": 10}, "priority=10: use a whole number from 0 to 9"),
        ({"priority": True}, "priority=True: use a whole number"),
        ({"retries": -1}, "retries=-1: use a whole number, 0 or more"),
        ({"delay": -1}, "delay=-1: use seconds"),
        ({"run_at": datetime(2027, 1, 1)}, "there is no option 'run_at'"),
        ({"timeout": 30, "hard_timeout": 5}, "hard_timeout=5: use more seconds than the timeout has"),
        ({"remember": 60, "unique": "waiting"}, "remember=60: use unique='active' with it"),
        ({"key": "x" * 600}, "use a text of up to 512 bytes"),
        ({"key": "a\0b"}, "use a text of up to 512 bytes"),
        ({"key": "\ud800"}, "use a text of up to 512 bytes"),
        ({"unique": "never"}, "unique='never': use 'active', 'waiting' or seconds"),
        ({"unique": 0}, "unique=0: use 'active', 'waiting' or seconds above 0"),
        ({"on_conflict": []}, "on_conflict=[]: use 'return'"),
        ({"remember": -1}, "remember=-1: use seconds"),
        ({"on_conflict": "ignore"}, "on_conflict='ignore': use 'return', 'replace' or 'error'"),
        ({"jitter": 2}, "jitter=2: use a share"),
        ({"priorty": 1}, "there is no option 'priorty'"),
        ({"retry_on": "ValueError"}, "retry_on='ValueError': use an exception type or a tuple of them"),
    ],
)
def test_each_option_says_what_it_takes(app: DistQ, options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(said)):
        app.task(**options)(lambda: None)
    assert app.tasks == {}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"delay": 5, "run_at": SOON}, "delay=5 and run_at= exclude each other"),
        ({"run_at": SOON + timedelta(days=367)}, "use a datetime with a time zone, at most a year from now"),
        ({"run_at": datetime(2027, 1, 1)}, "use a datetime with a time zone"),
        ({"run_at": 5}, "run_at=5: use a datetime with a time zone"),
    ],
)
def test_the_options_of_a_call_are_checked_at_once(app: DistQ, options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(said)):
        app.task(name="t")(lambda: None).options(**options)


def test_a_delay_and_a_moment_take_each_others_place(app: DistQ) -> None:
    task = app.task(name="t", delay=60)(lambda: None)
    moved = task.options(run_at=SOON)
    assert (moved.chosen.delay, moved.chosen.run_at) == (0, SOON)
    back = moved.options(delay=5)
    assert (back.chosen.delay, back.chosen.run_at) == (5, None)
    assert moved.options(priority=1).chosen.run_at == SOON


@pytest.mark.parametrize(
    "option", [{"unique": "waiting"}, {"remember": 5}, {"on_conflict": "error"}], ids=str
)
def test_what_is_said_of_a_key_needs_one_when_it_is_enqueued(app: DistQ, option: dict[str, Any]) -> None:
    declared = app.task(name="t", **option)(lambda: None)
    assert declared.options(key="k").enqueue().state is JobState.READY
    ((name, value),) = option.items()
    for task in (declared, app.task(name="u")(lambda: None).options(**option)):
        with pytest.raises(ConfigurationError, match=f"{name}={value!r} is of no use without a key="):
            task.enqueue()


@pytest.mark.parametrize("calls", [None, 5, "ab", [{"a@b"}], [5], ["ab"], {"to": "a"}], ids=str)
def test_calls_that_are_none_are_refused(app: DistQ, calls: Any) -> None:
    with pytest.raises(ConfigurationError, match="enqueue_many takes"):
        app.task(name="t")(lambda to: None).enqueue_many(calls)


@pytest.mark.parametrize("delay", ["x", -1, float("nan"), float("inf"), timedelta(1)], ids=str)
def test_a_delay_that_is_none_is_told_where_it_is_asked_for(delay: Any) -> None:
    for control in (Retry, Snooze):
        with pytest.raises(ConfigurationError, match=r"delay=.*: use seconds, from 0 to a year"):
            control(delay)


def test_a_reason_is_a_text(app: DistQ) -> None:
    with pytest.raises(ConfigurationError, match="reason=5: use a text"):
        Cancel(5)  # pyright: ignore[reportArgumentType]
    job = app.task(name="t")(lambda: None).enqueue()
    with pytest.raises(ConfigurationError, match="reason=5: use a text"):
        job.cancel(5)  # pyright: ignore[reportArgumentType]


def test_an_enqueue_may_change_options(app: DistQ) -> None:
    @app.task(retries=3, priority=1)
    def chore(number: int) -> int:
        raise ValueError(number)

    later = datetime.now(UTC) + timedelta(hours=1)
    plain = chore.enqueue(1)
    changed = chore.options(retries=0, priority=7, queue="fast").options(key="k").enqueue(2)
    scheduled = chore.options(run_at=later).enqueue(3)
    records = [app.storage.run(app.storage.get(job.id)) for job in (plain, changed, scheduled)]
    assert [(r.priority, r.key, r.state) for r in records if r] == [
        (1, "", JobState.READY),
        (7, "k", JobState.READY),
        (1, "", JobState.SCHEDULED),
    ]
    assert records[2] is not None
    assert records[2].ready_at == pytest.approx(later.timestamp())
    work(app, "fast")
    work(app)
    assert (plain.state, changed.state) == (JobState.SCHEDULED, JobState.DEAD)


def test_a_key_gives_the_job_that_has_it(app: DistQ) -> None:
    @app.task
    def chore(number: int) -> None: ...

    keyed = chore.options(key="k")
    first = keyed.enqueue(1)
    assert keyed.enqueue(2) == first
    assert keyed.enqueue_many([(3,), (4,)]) == [first, first]
    with pytest.raises(JobExists, match=f"key 'k' is taken by job {first.id}"):
        keyed.options(on_conflict="error").enqueue(5)
    replacing = keyed.options(on_conflict="replace").enqueue(6)
    assert (first.state, replacing.state) == (JobState.CANCELLED, JobState.READY)
    with pytest.raises(JobCancelled, match="a new job of its key took its place"):
        first.result()


def test_retry_on_and_give_up_on_choose(app: DistQ) -> None:
    @app.task(retry_on=(OSError, ValueError), give_up_on=FileNotFoundError)
    def chore(error: str) -> None:
        raise {"os": OSError, "missing": FileNotFoundError, "value": ValueError, "key": KeyError}[error](
            error
        )

    jobs = [chore.enqueue(error) for error in ("os", "missing", "value", "key")]
    work(app)
    assert [job.state for job in jobs] == [
        JobState.SCHEDULED,
        JobState.DEAD,
        JobState.SCHEDULED,
        JobState.DEAD,
    ]


def test_a_caller_s_connection_is_for_postgresql(app: DistQ) -> None:
    @app.task
    def chore() -> None: ...

    with pytest.raises(ConfigurationError, match="connection="):
        chore.options(connection=object()).enqueue()


def test_current_job_is_for_tasks(app: DistQ) -> None:
    @app.task
    def chore() -> list[Any]:
        job = current_job()
        with pytest.raises(ValueError, match="from 0 to 1"):
            job.progress(1.5)
        return [job.id, job.attempt, job.task, job.headers]

    with pytest.raises(ConfigurationError, match="no job runs here"):
        current_job()
    job = chore.options(retries=9).enqueue()
    work(app)
    assert job.result() == [job.id, 1, chore.name, {"retries": 9}]
    with pytest.raises(ConfigurationError, match="no job runs here"):
        current_job()


def test_a_retry_waits_by_the_back_off(app: DistQ) -> None:
    @app.task(retries=2, backoff=[5, 7])
    def fail() -> None:
        raise ValueError

    fail.enqueue()
    (lease,) = app.storage.run(app.storage.lease("default", worker="w", limit=1, ttl=60, alone=True))
    outcomes = [run(app, attempt(lease._replace(tries=tries))) for tries in range(3)]
    assert [(outcome.kind, outcome.delay) for outcome in outcomes] == [
        (OutcomeKind.RETRY, 5),
        (OutcomeKind.RETRY, 7),
        (OutcomeKind.DEAD, 0),
    ]
