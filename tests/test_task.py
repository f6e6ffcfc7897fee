"""Declaring tasks, enqueuing calls, and what the arguments become on their way."""

from __future__ import annotations

import asyncio
import dataclasses
import re
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from pydantic import BaseModel

from distq import (
    AsyncTask,
    Cancel,
    ConfigurationError,
    DistQ,
    InvalidArguments,
    InvalidResult,
    JobCancelled,
    JobExists,
    JobFailed,
    JobNotFound,
    JobState,
    ResultTimeout,
    Retry,
    Snooze,
    Task,
    current_job,
)
from distq.context import CurrentJob
from distq.job import Lease, OutcomeKind
from distq.messages import NO_HEADERS, encode_payload
from distq.options import NO_LIMITS
from distq.signature import Signature
from distq.worker.execution import arun, is_async, run
from distq.worker.running import Run

SOON = datetime.now(UTC) + timedelta(hours=1)


@pytest.fixture
def app() -> DistQ:
    return DistQ("memory://")


def attempt(lease: Lease) -> Run:
    return Run(lease, CurrentJob(lease, lambda job_id, progress: None), NO_LIMITS)


def work(app: DistQ, queue: str = "default") -> int:
    """Run what is ready here and now; returns how many jobs ran."""
    leases = app.storage.run(app.storage.lease(queue, worker="w", limit=100, ttl=60, alone=True))
    outcomes = [
        asyncio.run(arun(app, attempt(lease))) if is_async(app, lease.task) else run(app, attempt(lease))
        for lease in leases
    ]
    app.storage.run(app.storage.settle(outcomes, keep=60))
    return len(outcomes)


# -- declaring ---------------------------------------------------------------------------------------


def test_a_task_is_named_after_its_module_and_function(app: DistQ) -> None:
    @app.task
    def add(a: int, b: int) -> int:
        """Adds."""
        return a + b

    assert isinstance(add, Task)
    assert add.name == "tests.test_task.add"
    assert (add.__name__, add.__doc__) == ("add", "Adds.")


def test_a_plain_call_stays_a_plain_call(app: DistQ) -> None:
    @app.task(queue="q")
    def add(a: int, b: int) -> int:
        return a + b

    @app.task
    async def aadd(a: int, b: int) -> int:
        return a + b

    assert add(1, b=2) == 3
    assert isinstance(aadd, AsyncTask)
    assert asyncio.run(aadd(1, 2)) == 3


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"queue": "no spaces"}, "queue"),
        ({"queue": "{tag}"}, "queue"),
        ({"retries": -1}, "retries"),
        ({"retries": 1.5}, "retries"),
        ({"backoff": "sometimes"}, "backoff"),
        ({"backoff": -1}, "backoff"),
        ({"backoff": []}, "backoff"),
        ({"backoff": True}, "backoff"),
        ({"name": "two\nlines"}, "one line"),
    ],
)
def test_options_are_checked_when_declared(app: DistQ, options: dict[str, Any], word: str) -> None:
    with pytest.raises(ConfigurationError, match=word):
        app.task(**options)(lambda: None)


def generates() -> Iterator[int]:
    yield 1


async def streams() -> AsyncIterator[int]:
    yield 1


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (5, "a task is a function, not 5; options are given by name"),
        ("mail", "a task is a function, not 'mail'"),
        (dict, "a task is a function, not <class 'dict'>"),
        (generates, "is a generator function; a task returns"),
        (streams, "is a generator function; a task returns"),
        (partial(int, "5"), "has no name of its own: give it a name="),
        (max, "has no signature; wrap it"),
    ],
)
def test_what_cannot_be_a_task_is_refused(app: DistQ, function: Any, said: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(said)):
        app.task(function)
    assert app.tasks == {}


@pytest.mark.parametrize("name", [5, "", "a\nb"])
def test_a_name_is_a_text_of_one_line(app: DistQ, name: Any) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(f"name={name!r}: use a text of one line")):
        app.task(name=name)(lambda: None)


def test_a_name_is_declared_once(app: DistQ) -> None:
    app.task(name="one")(lambda: None)
    with pytest.raises(ConfigurationError, match="declared twice"):
        app.task(name="one")(lambda: None)


def test_urls_that_no_storage_takes_are_refused() -> None:
    for url in (
        "mysql://user:secret@host/db",
        "nonsense",
        "postgresql://h/d?schema=A;B",
        "redis://h?prefix={x}",
    ):
        with pytest.raises(ConfigurationError) as caught:
            DistQ(url)
        assert "secret" not in str(caught.value)


# -- enqueuing ---------------------------------------------------------------------------------------


def test_a_call_runs_and_gives_its_result(app: DistQ) -> None:
    @app.task
    def add(a: int, b: int) -> int:
        return a + b

    job = add.enqueue(1, b=2)
    assert job.state is JobState.READY
    assert work(app) == 1
    assert job.state is JobState.DONE
    assert job.result(timeout=0) == 3
    assert app.job(job.id).result() == 3
    assert app.job(job.id) == job


def test_the_async_face_does_the_same(app: DistQ) -> None:
    @app.task
    async def add(a: int, b: int) -> int:
        return a + b

    async def enqueue() -> int:
        job = await add.aenqueue(1, 2)
        many = await add.aenqueue_many([(1, 1), {"a": 2, "b": 2}])
        assert await job.astate() is JobState.READY
        await asyncio.to_thread(work, app)
        assert [await other.aresult(timeout=1) for other in many] == [2, 4]
        return await job.aresult(timeout=1)

    assert asyncio.run(enqueue()) == 3


def test_many_calls_by_position_and_by_keyword(app: DistQ) -> None:
    @app.task
    def add(a: int, b: int = 10) -> int:
        return a + b

    jobs = add.enqueue_many([(1, 2), [3], {"a": 4}, {"a": 5, "b": 5}])
    work(app)
    assert [job.result() for job in jobs] == [3, 13, 14, 10]
    assert add.enqueue_many([]) == []
    with pytest.raises(ConfigurationError, match="sequences or mappings"):
        add.enqueue_many(["ab"])


def test_one_bad_call_of_many_enqueues_none(app: DistQ) -> None:
    @app.task
    def add(a: int) -> int:
        return a

    with pytest.raises(InvalidArguments):
        add.enqueue_many([(1,), ("x",)])
    assert work(app) == 0


def test_options_change_one_call_and_not_the_task(app: DistQ) -> None:
    @app.task(queue="a")
    def add(a: int) -> int:
        return a

    assert add.options(queue="b", delay=60).enqueue(1).id.startswith("b:")
    assert add.enqueue(1).id.startswith("a:")
    assert add.options(delay=60).enqueue(1).state is JobState.SCHEDULED
    with pytest.raises(ConfigurationError, match="delay"):
        add.options(delay=-1)


def test_errors_of_a_handle_are_clear(app: DistQ) -> None:
    @app.task(retries=0)
    def fail() -> None:
        raise KeyError("gone")

    job = fail.enqueue()
    with pytest.raises(ResultTimeout, match="has not ended within"):
        job.result(timeout=0)
    work(app)
    with pytest.raises(JobFailed, match="KeyError: 'gone'"):
        job.result()
    for wrong in ("nonsense", "", None, 5):
        with pytest.raises(JobNotFound, match=re.escape(f"job {wrong!r} is no job id; one looks like mail:")):
            app.job(wrong)  # pyright: ignore[reportArgumentType]
    with pytest.raises(JobNotFound, match="is not known"):
        _ = app.job("default:" + "0" * 32).state


@pytest.mark.parametrize("timeout", ["x", -1, float("nan"), float("inf"), True])
def test_a_time_to_wait_is_checked(app: DistQ, timeout: Any) -> None:
    job = app.task(name="t")(lambda: None).enqueue()
    for wait in (lambda: job.result(timeout), lambda: asyncio.run(job.aresult(timeout))):
        with pytest.raises(ConfigurationError, match=f"timeout={timeout!r}: use .*, or None to wait without"):
            wait()


def test_a_handle_knows_its_queue_and_task_and_can_replay(app: DistQ) -> None:
    @app.task(queue="mail", name="fail", retries=0)
    def fail() -> None:
        raise ValueError

    job = fail.enqueue()
    assert (job.queue, job.task, asyncio.run(job.atask())) == ("mail", "fail", "fail")
    assert job.replay() is JobState.READY
    work(app, "mail")
    assert (job.state, job.replay()) == (JobState.DEAD, JobState.READY)
    assert work(app, "mail") == 1
    assert (asyncio.run(job.areplay()), job.state) == (JobState.READY, JobState.READY)
    with pytest.raises(JobNotFound):
        app.job("default:" + "0" * 32).replay()


def test_the_error_of_the_last_try_has_the_remote_traceback(app: DistQ) -> None:
    @app.task(retries=1, backoff=0)
    def fail() -> None:
        raise ValueError("no")

    job = fail.enqueue()
    assert (work(app), work(app), work(app)) == (1, 1, 0)
    with pytest.raises(JobFailed) as caught:
        job.result()
    assert 'raise ValueError("no")' in caught.value.traceback


# -- arguments ---------------------------------------------------------------------------------------


class Colour(StrEnum):
    RED = "red"


class Order(BaseModel):
    lines: list[int]
    at: datetime


@dataclasses.dataclass
class Point:
    x: float
    y: float = 0.0


def everything(
    order: Order,
    /,
    when: datetime,
    raw: bytes,
    *,
    colour: Colour,
    ids: set[UUID],
    point: Point,
    pair: tuple[int, str] = (1, "a"),
    missing: int | None = None,
    **extra: int,
) -> Order: ...


def test_arguments_survive_the_journey_with_their_types() -> None:
    now = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
    ids = {UUID(int=1), UUID(int=2)}
    signature = Signature("t", everything)
    named: dict[str, Any] = {"colour": Colour.RED, "ids": ids, "point": Point(1.5), "extra": 7}
    arguments = signature.encode((Order(lines=[1], at=now), now, b"\x00\xff"), named)
    payload = encode_payload(NO_HEADERS, arguments)
    args, kwargs = signature.decode(payload)
    bound = {**dict(zip(["order", "when", "raw"], args, strict=True)), **kwargs}
    assert bound == {
        "order": Order(lines=[1], at=now),
        "when": now,
        "raw": b"\x00\xff",
        "pair": (1, "a"),
        "missing": None,
        **named,
    }


def test_arguments_are_coerced_where_pydantic_does() -> None:
    def task(n: int, at: datetime) -> None: ...

    signature = Signature("t", task)
    args, _ = signature.decode(
        encode_payload(NO_HEADERS, signature.encode(("5", "2026-11-24T12:00:00Z"), {}))
    )
    assert args == (5, datetime(2026, 11, 24, 12, tzinfo=UTC))


@pytest.mark.parametrize(
    ("args", "kwargs", "words"),
    [
        ((), {}, "a: Missing required argument"),
        (("x",), {}, "a: Input should be a valid integer"),
        ((1, 2, 3), {}, "Unexpected positional argument"),
        ((1,), {"c": 1}, "c: Unexpected keyword argument"),
        ((1,), {"a": 1}, "a: Got multiple values"),
    ],
)
def test_a_wrong_call_is_refused_with_the_place(args: Any, kwargs: Any, words: str) -> None:
    def task(a: int, b: str = "") -> None: ...

    with pytest.raises(InvalidArguments, match=words):
        Signature("t", task).encode(args, kwargs)


def test_what_json_cannot_hold_is_refused() -> None:
    def anything(a: Any) -> None: ...

    class Opaque: ...

    def opaque(a: Opaque) -> None: ...

    with pytest.raises(InvalidArguments, match="Unable to serialize"):
        Signature("t", anything).encode((object(),), {})
    with pytest.raises(ConfigurationError, match="cannot be enqueued"):
        Signature("t", opaque).encode((Opaque(),), {})


def test_a_result_has_the_type_of_the_annotation(app: DistQ) -> None:
    @app.task
    def point(x: float) -> Point:
        return Point(x)

    @app.task
    def model(n: int) -> Order:
        return Order(lines=[n], at=datetime(2026, 1, 1, tzinfo=UTC))

    @app.task
    def untyped(n):  # pyright: ignore[reportMissingParameterType]
        return {"n": n}

    jobs = [point.enqueue(2), model.enqueue(3), untyped.enqueue(4)]
    work(app)
    assert jobs[0].result() == Point(2.0)
    assert jobs[1].result() == Order(lines=[3], at=datetime(2026, 1, 1, tzinfo=UTC))
    assert jobs[2].result() == {"n": 4}


class Opaque: ...


def test_a_result_that_does_not_fit_the_annotation_is_a_clear_error(app: DistQ) -> None:
    @app.task(name="point")
    def point() -> Point:
        return {"x": "far"}  # pyright: ignore[reportReturnType]

    def opaque() -> Opaque | None: ...

    jobs = [point.enqueue(), app.task(name="opaque")(opaque).enqueue()]
    work(app)
    with pytest.raises(
        InvalidResult, match=r"does not fit .* of task 'point': x: Input should be a valid num"
    ):
        jobs[0].result()
    with pytest.raises(InvalidResult):
        asyncio.run(jobs[0].aresult())
    with pytest.raises(ConfigurationError, match="task 'opaque' has a return annotation that cannot be read"):
        jobs[1].result()


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


# -- options -----------------------------------------------------------------------------------------------


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
