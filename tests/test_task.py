"""Declaring tasks, enqueuing calls, and what the arguments become on their way."""

from __future__ import annotations

import asyncio
import dataclasses
import re
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

import pytest
from pydantic import BaseModel

from distq import (
    AsyncTask,
    ConfigurationError,
    DistQ,
    InvalidArguments,
    JobCancelled,
    JobExists,
    JobFailed,
    JobNotFound,
    JobState,
    ResultTimeout,
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
    with pytest.raises(JobNotFound):
        app.job("nonsense")
    with pytest.raises(JobNotFound):
        _ = app.job("default:" + "0" * 32).state


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
