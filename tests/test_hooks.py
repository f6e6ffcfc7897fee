"""Middleware around enqueuing and running, error hooks, and the limit of what is enqueued."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest

from distq import ConfigurationError, CurrentJob, DistQ, InvalidArguments, StorageUnavailable
from distq.hooks import Call
from distq.job import JobState, Lease, Outcome, OutcomeKind
from distq.messages import headers_of
from distq.options import NO_LIMITS
from distq.worker.execution import arun, run
from distq.worker.running import Run, TaskRun


@pytest.fixture
def app() -> DistQ:
    return DistQ("memory://")


def lease(app: DistQ) -> Lease:
    (lease,) = app.storage.run(app.storage.lease("default", worker="w", limit=1, ttl=60, alone=True))
    return lease


def ran(app: DistQ) -> Outcome:
    """Run the next job."""
    taken = lease(app)
    return run(app, Run(taken, CurrentJob(taken, lambda job_id, progress: None), NO_LIMITS))


def aran(app: DistQ) -> Outcome:
    taken = lease(app)

    async def work() -> Outcome:
        return await arun(app, TaskRun(taken, CurrentJob(taken, lambda job_id, progress: None), NO_LIMITS))

    return asyncio.run(work())


# -- around enqueuing ------------------------------------------------------------------------------------


def test_middleware_sees_and_changes_each_call(app: DistQ) -> None:
    seen: list[Any] = []

    @app.around_enqueue
    def note(call: Call) -> Iterator[None]:
        seen.append((call.task, call.args, dict(call.kwargs)))
        call.headers["tenant"] = len(seen)
        call.kwargs["b"] = 10
        yield
        seen.append("enqueued")

    @app.task(name="add")
    def add(a: int, b: int) -> int:
        return a + b

    add.options(retries=7).enqueue(1, b=2)
    payload = lease(app).payload
    assert headers_of(payload) == {"retries": 7, "tenant": 1}
    assert add.signature.decode(payload) == ((1, 10), {})
    assert asyncio.run(add.aenqueue(3, b=4)).state == "ready"
    add.enqueue_many([[5], {"a": 7, "b": 8}])
    assert seen == [
        ("add", (1,), {"b": 2}),
        "enqueued",
        ("add", (3,), {"b": 4}),
        "enqueued",
        ("add", (5,), {}),
        ("add", (), {"a": 7, "b": 8}),
        "enqueued",
        "enqueued",
    ]


def test_what_fails_in_the_middle_is_raised_at_the_yield(app: DistQ, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[BaseException] = []

    @app.around_enqueue
    def note(call: Call) -> Iterator[None]:
        try:
            yield
        except StorageUnavailable as error:
            seen.append(error)
            raise

    def fail(*_: object) -> None:
        raise StorageUnavailable("there", "gone")

    monkeypatch.setattr(app.storage, "run", fail)
    task = app.task(name="t")(lambda: None)
    with pytest.raises(StorageUnavailable):
        task.enqueue()
    assert len(seen) == 1


def test_middleware_that_raises_lets_nothing_be_enqueued(app: DistQ) -> None:
    @app.around_enqueue
    def refuse(call: Call) -> Iterator[None]:
        raise PermissionError("not you")
        yield

    task = app.task(name="t")(lambda: None)
    with pytest.raises(PermissionError):
        task.enqueue()
    assert not any(app.storage.run(app.storage.counts("default")).values())


def test_what_middleware_raises_after_its_yield_reaches_the_caller_of_a_job_that_is_there(app: DistQ) -> None:
    @app.around_enqueue
    def late(call: Call) -> Iterator[None]:
        yield
        raise PermissionError("too late")

    task = app.task(name="t")(lambda: None)
    with pytest.raises(PermissionError, match="too late"):
        task.enqueue()
    assert app.storage.run(app.storage.counts("default"))[JobState.READY] == 1


# -- around running --------------------------------------------------------------------------------------


def test_middleware_wraps_each_run_the_first_outermost(app: DistQ) -> None:
    seen: list[str] = []

    def wrap(name: str) -> None:
        @app.around_run
        def note(job: CurrentJob) -> Iterator[None]:
            seen.append(f"{name} {job.task}")
            try:
                yield
            finally:
                seen.append(f"{name} ends")

    wrap("outer")
    wrap("inner")

    @app.task(name="fail", retries=0)
    def fail() -> None:
        raise ValueError("no")

    @app.task(name="agood")
    async def agood() -> int:
        return 3

    fail.enqueue()
    assert ran(app).kind is OutcomeKind.DEAD
    assert seen == ["outer fail", "inner fail", "inner ends", "outer ends"]
    seen.clear()
    agood.enqueue()
    assert aran(app).body == b"3"
    assert seen == ["outer agood", "inner agood", "inner ends", "outer ends"]


def test_middleware_that_raises_fails_the_job(app: DistQ) -> None:
    told: list[BaseException] = []

    @app.around_run
    def refuse(job: CurrentJob) -> Iterator[None]:
        raise PermissionError("not here")
        yield

    @app.on_error
    def tell(job: CurrentJob, error: BaseException) -> None:
        told.append(error)

    task = app.task(name="t", retries=0)(lambda: None)
    task.enqueue()
    outcome = ran(app)
    assert outcome.kind is OutcomeKind.DEAD
    assert b"not here" in outcome.body
    assert [str(error) for error in told] == ["not here"]


def test_an_error_hook_that_fails_is_recorded_and_changes_nothing(
    app: DistQ, caplog: pytest.LogCaptureFixture
) -> None:
    @app.on_error
    def tell(job: CurrentJob, error: BaseException) -> None:
        raise RuntimeError("the hook's own")

    @app.task(name="fail", retries=0)
    def fail() -> None:
        raise ValueError("the job's own")

    fail.enqueue()
    with caplog.at_level(logging.ERROR, "distq"):
        outcome = ran(app)
    assert b"the job's own" in outcome.body
    assert "the hook's own" in caplog.text


# -- mistakes ------------------------------------------------------------------------------------------


def plain(one: object) -> None: ...
def yields(one: object) -> Iterator[None]:
    yield


async def waits() -> None: ...
async def tells(job: object, error: object) -> None: ...
async def streams(one: object) -> AsyncIterator[None]:
    yield


@pytest.mark.parametrize(
    ("hook", "function", "wanted"),
    [
        ("around_run", plain, "a generator function of one argument"),
        ("around_run", streams, "a generator function of one argument"),
        ("around_run", contextmanager(yields), "a generator function of one argument"),
        ("around_enqueue", lambda: (yield), "a generator function of one argument"),
        ("around_enqueue", None, "a generator function of one argument"),
        ("on_start", plain, "a function, or a coroutine function, without arguments"),
        ("on_start", lambda: (yield), "a function, or a coroutine function, without arguments"),
        ("on_stop", "waits", "a function, or a coroutine function, without arguments"),
        ("on_error", plain, "a function of two arguments, the job and the error"),
        ("on_error", tells, "a function of two arguments, the job and the error"),
    ],
)
def test_what_cannot_be_a_hook_is_refused_when_it_is_declared(
    app: DistQ, hook: str, function: Any, wanted: str
) -> None:
    with pytest.raises(ConfigurationError, match=f"^{hook}: .* cannot be it; use {wanted}"):
        getattr(app, hook)(function)


def test_what_can_be_a_hook_is_given_back(app: DistQ) -> None:
    assert app.on_start(waits) is waits
    assert app.on_stop(plain_ := partial(plain, 1)) is plain_
    assert app.around_run(yields) is yields


# -- the size of a call --------------------------------------------------------------------------------


def test_a_call_that_is_too_large_is_refused() -> None:
    app = DistQ("memory://", max_payload=1000)
    task = app.task(name="t")(lambda text: None)
    with pytest.raises(InvalidArguments, match=r"2,0\d\d bytes, more than max_payload=1,000"):
        task.enqueue("x" * 2000)
    with pytest.raises(InvalidArguments):
        task.enqueue_many([["small"], ["x" * 2000]])
    assert not any(app.storage.run(app.storage.counts("default")).values())
    task.enqueue("x" * 900)


@pytest.mark.parametrize("value", [0, "1", float("nan"), None, True])
@pytest.mark.parametrize("option", ["max_payload", "dead_ttl", "dead_limit", "result_ttl"])
def test_options_of_an_app_are_checked(option: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"{option}={value!r}: use "):
        DistQ("memory://", **{option: value})


@pytest.mark.parametrize("url", [None, 5, b"redis://:secret@h"])
def test_a_url_is_a_text(url: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"is a text, e.g. .*, not {type(url).__name__}$"):
        DistQ(url)
