"""Runs one leased job and says how it ended. No I/O of its own."""

from __future__ import annotations

from typing import Any

from pydantic_core import PydanticSerializationError

from distq import telemetry
from distq.app import DistQ
from distq.errors import InvalidArguments
from distq.job import Lease, Outcome, OutcomeKind
from distq.messages import encode_error, encode_value, remote_error
from distq.task import AsyncTask, BaseTask

UNKNOWN_TASK_DELAY = 5.0
"""Seconds that a job waits for a worker that knows its task: a rolling deploy has both kinds."""


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
    return Outcome(lease.id, lease.token, OutcomeKind.DONE, encode_value(value))


def _unknown(lease: Lease) -> Outcome:
    telemetry.emit("warn", "job {id}: this worker knows no task {task!r}", id=lease.id, task=lease.task)
    return Outcome(lease.id, lease.token, OutcomeKind.SNOOZE, delay=UNKNOWN_TASK_DELAY)


def _failed(task: BaseTask[..., Any], lease: Lease, error: BaseException) -> Outcome:
    remote = remote_error(error)
    body = encode_error(remote)
    tries = lease.tries + 1
    hopeless = isinstance(error, InvalidArguments | PydanticSerializationError)
    if hopeless or tries > task.declared.retries:
        telemetry.emit(
            "error",
            "job {id} ({task}) is dead: {type}: {error}",
            id=lease.id,
            task=task.name,
            type=remote.type,
            error=remote.message,
        )
        return Outcome(lease.id, lease.token, OutcomeKind.DEAD, body)
    delay = task.backoff(tries)
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
    return Outcome(lease.id, lease.token, OutcomeKind.RETRY, body, delay)
