"""Runs one leased job and says how it ended. No I/O of its own."""

from __future__ import annotations

from typing import Any

from pydantic_core import PydanticSerializationError

from distq import retry, telemetry
from distq.app import DistQ
from distq.errors import DistqError, InvalidArguments
from distq.job import Lease, Outcome, OutcomeKind
from distq.messages import encode_error, encode_value, remote_error
from distq.task import AsyncTask, BaseTask

UNKNOWN_TASK_DELAY = 5.0
"""Seconds that a job waits for a worker that knows its task: a rolling deploy has both kinds."""


LARGEST_RESULT = 64 * 2**20
"""Bytes of an encoded result at most; a store may refuse more, or choke on it."""


class ResultTooLarge(DistqError):
    """A result is larger than a job may have."""

    def __init__(self, size: int) -> None:
        super().__init__(f"the result has {size:,} bytes, more than {LARGEST_RESULT:,}; store it elsewhere")


_HOPELESS = (InvalidArguments, PydanticSerializationError, ResultTooLarge)


def is_async(app: DistQ, task: str) -> bool:
    """Whether the task of a name is a coroutine function."""
    return isinstance(app.tasks.get(task), AsyncTask)


def run(app: DistQ, lease: Lease) -> Outcome:
    """Run a sync job here; never raises."""
    task = app.tasks.get(lease.task)
    if task is None:
        return _unknown(lease)
    try:
        args, kwargs = task.signature.decode(lease.payload)
        return _done(lease, task.function(*args, **kwargs))
    # Whatever user code raises, SystemExit too, is the job's failure and not the worker's end.
    except BaseException as error:  # noqa: BLE001
        return _failed(task, lease, error)


async def arun(app: DistQ, lease: Lease) -> Outcome:
    """Run an async job on this event loop; never raises."""
    task = app.find_task(lease.task)
    try:
        args, kwargs = task.signature.decode(lease.payload)
        return _done(lease, await task.function(*args, **kwargs))
    except BaseException as error:  # noqa: BLE001
        return _failed(task, lease, error)


def _done(lease: Lease, value: Any) -> Outcome:
    body = encode_value(value)
    if len(body) > LARGEST_RESULT:
        raise ResultTooLarge(len(body))
    return Outcome(lease.id, lease.token, OutcomeKind.DONE, body)


def _unknown(lease: Lease) -> Outcome:
    telemetry.emit("warn", "job {id}: this worker knows no task {task!r}", id=lease.id, task=lease.task)
    return Outcome(lease.id, lease.token, OutcomeKind.SNOOZE, delay=UNKNOWN_TASK_DELAY)


def dead(lease: Lease | Outcome, error: BaseException) -> Outcome:
    """The outcome of a job that this error ends, whatever tries it has left."""
    remote = remote_error(error)
    telemetry.emit(
        "error", "job {id} is dead: {type}: {error}", id=lease.id, type=remote.type, error=remote.message
    )
    return Outcome(lease.id, lease.token, OutcomeKind.DEAD, encode_error(remote))


def _failed(task: BaseTask[..., Any], lease: Lease, error: BaseException) -> Outcome:
    tries = lease.tries + 1
    if isinstance(error, _HOPELESS) or tries > task.declared.retries:
        return dead(lease, error)
    try:
        delay = retry.delay(task.backoff, tries)
    # A back-off function is user code too.
    except Exception as mistake:  # noqa: BLE001
        return dead(lease, mistake)
    remote = remote_error(error)
    telemetry.emit(
        "warn",
        "job {id} ({task}) failed, try {tries} of {of}, next in {delay:.3g} s: {type}: {error}",
        id=lease.id,
        task=task.name,
        tries=tries,
        of=task.declared.retries + 1,
        delay=delay,
        type=remote.type,
        error=remote.message,
    )
    return Outcome(lease.id, lease.token, OutcomeKind.RETRY, encode_error(remote), delay)
