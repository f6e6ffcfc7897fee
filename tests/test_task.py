"""Declaring tasks and enqueuing calls of them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from functools import partial
from typing import Any

import pytest

from distq import (
    AsyncTask,
    ConfigurationError,
    DistQ,
    InvalidArguments,
    JobFailed,
    JobNotFound,
    JobState,
    ResultTimeout,
    Task,
)
from tests.working import app as app
from tests.working import work

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
