"""What a type checker knows of a user's code. Pyright reads it, in strict mode; nothing runs it."""

# pyright: strict, reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import assert_type

from distq import AsyncTask, CurrentJob, DistQ, Job, JobState, Snooze, Task, current_job
from distq.hooks import Call
from distq.messages import Progress

app = DistQ("memory://", result_ttl=60, dead_ttl=3600, dead_limit=10, max_payload=1000)


@app.task
def add(a: int, b: int) -> int:
    return a + b


@app.task(queue="mail", retries=5, backoff=[1, 2, 3], timeout=30, priority=9, retry_on=(OSError,), unique=60)
async def send(to: str, *, subject: str = "") -> str | None:
    job = current_job()
    assert_type(job.attempt, int)
    assert_type(job.tick, datetime | None)
    job.progress(0.5, to)
    return None if job.should_stop() else subject


@app.cron("*/5 * * * *", tz="Europe/Berlin")
@app.task(queue="reports")
def report() -> float:
    return 1.0


@app.cron("0 0 * * *")
async def nightly() -> int | Snooze:
    return 1


@app.on_start
async def opened() -> None: ...


@app.on_error
def failed(job: CurrentJob, error: BaseException) -> None: ...


@app.around_run
def around(job: CurrentJob) -> Iterator[None]:
    yield


@app.around_enqueue
def enqueued(call: Call) -> Iterator[None]:
    call.headers["a"] = 1
    yield


assert_type(report, Task[[], float])
assert_type(nightly, AsyncTask[[], int | Snooze])
assert_type(add(1, 2), int)
assert_type(add.enqueue(1, b=2), Job[int])
assert_type(add.options(run_at=datetime.now(UTC), key="k", on_conflict="replace").enqueue(1, 2), Job[int])
assert_type(add.enqueue_many([(1, 2), {"a": 1, "b": 2}]), list[Job[int]])
assert_type(add.enqueue(1, 2).result(timeout=1), int)
assert_type(add.enqueue(1, 2).state, JobState)
assert_type(add.enqueue(1, 2).replay(), JobState)
assert_type(add.enqueue(1, 2).progress, Progress | None)

add.enqueue("1", 2)  # pyright: ignore[reportArgumentType]
add.enqueue(1)  # pyright: ignore[reportCallIssue]
send.enqueue("a", subjekt="b")  # pyright: ignore[reportCallIssue]
add.options(prority=1)  # pyright: ignore[reportCallIssue]
app.task(retrys=1)  # pyright: ignore[reportCallIssue]
app.queue("mail").purge(taks="a")  # pyright: ignore[reportCallIssue]
app.queue("mail").find(older="1h")  # pyright: ignore[reportArgumentType]
app.task(priority="high")  # pyright: ignore[reportArgumentType]


async def use() -> None:
    assert_type(await send("a"), str | None)
    assert_type(await send.aenqueue("a", subject="b"), Job[str | None])
    assert_type(await (await send.aenqueue("a")).aresult(), str | None)
    assert_type(await add.aenqueue_many([(1, 2)]), list[Job[int]])
