"""Runs one leased job and says how it ended. No I/O of its own."""

from __future__ import annotations

from typing import Any

from pydantic_core import PydanticSerializationError

from distq import context, retry, telemetry
from distq.app import DistQ
from distq.context import CurrentJob
from distq.control import Cancel, Control, Retry, Snooze
from distq.errors import DistqError, InvalidArguments
from distq.job import Lease, Outcome, OutcomeKind
from distq.messages import encode_error, encode_value, headers_of, remote_error
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


def run(app: DistQ, lease: Lease, job: CurrentJob) -> Outcome:
    """Run a sync job here; never raises."""
    task = app.tasks.get(lease.task)
    if task is None:
        return _unknown(lease)
    token = context.enter(job)
    try:
        args, kwargs = task.signature.decode(lease.payload)
        return _returned(task, lease, task.function(*args, **kwargs))
    # Whatever user code raises, SystemExit too, is the job's failure and not the worker's end.
    except BaseException as error:  # noqa: BLE001
        return _raised(task, lease, error)
    finally:
        context.leave(token)


async def arun(app: DistQ, lease: Lease, job: CurrentJob) -> Outcome:
    """Run an async job on this event loop, in an asyncio task of its own; never raises."""
    task = app.find_task(lease.task)
    context.enter(job)
    try:
        args, kwargs = task.signature.decode(lease.payload)
        return _returned(task, lease, await task.function(*args, **kwargs))
    except BaseException as error:  # noqa: BLE001
        return _raised(task, lease, error)


def _returned(task: BaseTask[..., Any], lease: Lease, value: Any) -> Outcome:
    if isinstance(value, Control):
        return _controlled(task, lease, value)
    body = encode_value(value)
    if len(body) > LARGEST_RESULT:
        raise ResultTooLarge(len(body))
    return Outcome(lease.id, lease.token, OutcomeKind.DONE, body)


def _raised(task: BaseTask[..., Any], lease: Lease, error: BaseException) -> Outcome:
    return _controlled(task, lease, error) if isinstance(error, Control) else _failed(task, lease, error)


def _controlled(task: BaseTask[..., Any], lease: Lease, control: Control) -> Outcome:
    body = encode_error(remote_error(control))
    match control:
        case Cancel():
            return Outcome(lease.id, lease.token, OutcomeKind.CANCELLED, body)
        case Snooze(delay=delay):
            return Outcome(lease.id, lease.token, OutcomeKind.SNOOZE, body, retry.bounded(delay))
        case _:
            return _failed(task, lease, control)


def _unknown(lease: Lease) -> Outcome:
    telemetry.emit("warn", "job {id}: this worker knows no task {task!r}", id=lease.id, task=lease.task)
    return Outcome(lease.id, lease.token, OutcomeKind.RELEASE, delay=UNKNOWN_TASK_DELAY)


def dead(lease: Lease | Outcome, error: BaseException) -> Outcome:
    """The outcome of a job that this error ends, whatever tries it has left."""
    remote = remote_error(error)
    telemetry.emit(
        "error", "job {id} is dead: {type}: {error}", id=lease.id, type=remote.type, error=remote.message
    )
    return Outcome(lease.id, lease.token, OutcomeKind.DEAD, encode_error(remote))


def _failed(task: BaseTask[..., Any], lease: Lease, error: BaseException) -> Outcome:
    tries = lease.tries + 1
    allowed = headers_of(lease.payload).get("retries", task.declared.retries)
    if not _worth_another_try(task, error) or tries > allowed:
        return dead(lease, error)
    try:
        asked = error.delay if isinstance(error, Retry) else None
        delay = retry.delay(task.backoff, tries) if asked is None else retry.bounded(asked)
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
        of=allowed + 1,
        delay=delay,
        type=remote.type,
        error=remote.message,
    )
    return Outcome(lease.id, lease.token, OutcomeKind.RETRY, encode_error(remote), delay)


def _worth_another_try(task: BaseTask[..., Any], error: BaseException) -> bool:
    if isinstance(error, Retry):
        return True
    options = task.declared
    given_up = isinstance(error, (_HOPELESS, options.give_up_on))
    return isinstance(error, options.retry_on) and not given_up
