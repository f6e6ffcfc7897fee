"""Runs one leased job and says how it ended. No I/O of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any, cast

from pydantic_core import PydanticSerializationError

from distq import context, retry, telemetry
from distq.app import DistQ
from distq.control import Cancel, Control, Retry, Snooze
from distq.errors import DistqError, InvalidArguments, JobTimeout
from distq.job import DONE, Lease, Outcome, OutcomeKind
from distq.messages import BARE, decode_headers, encode_error, encode_value, remote_error
from distq.options import NO_LIMITS, Limits
from distq.task import AsyncTask, BaseTask
from distq.telemetry import quiet, watch
from distq.worker.running import Run

UNKNOWN_TASK_DELAY = 5.0
"""Seconds that a job waits for a worker that knows its task: a rolling deploy has both kinds."""


LARGEST_RESULT = 64 * 2**20
"""Bytes of an encoded result at most; a store may refuse more, or choke on it."""


class ResultTooLarge(DistqError):
    """A result is larger than a job may have."""

    def __init__(self, size: int) -> None:
        super().__init__(f"the result has {size:,} bytes, more than {LARGEST_RESULT:,}; store it elsewhere")


_OVERRUN = "the job went on after its timeout; its process is ended"

_new_outcome = partial(tuple.__new__, Outcome)
"""As `Outcome(…)`, in half the time."""

_HOPELESS = (InvalidArguments, PydanticSerializationError, ResultTooLarge)


def is_async(app: DistQ, task: str) -> bool:
    """Whether the task of a name is a coroutine function."""
    return isinstance(app.tasks.get(task), AsyncTask)


def limits(app: DistQ, lease: Lease) -> Limits:
    """How long a job may run."""
    task = app.tasks.get(lease.task)
    if task is None:
        return NO_LIMITS
    if lease.payload.startswith(BARE):
        return task.limits
    return _own_limits(task, lease.payload)


_latest: tuple[BaseTask[..., Any] | None, bytes, Limits] = (None, b"", NO_LIMITS)
"""Jobs that were enqueued together have the same headers: to see that costs less than to read them."""


def _own_limits(task: BaseTask[..., Any], payload: bytes) -> Limits:
    """The limits of a job whose payload has headers."""
    global _latest
    latest, headers, found = _latest
    if latest is not task or not payload.startswith(headers):
        headers = _line(payload)
        found = task.declared.limits(_numbers(headers))
        _latest = (task, headers, found) if headers else _latest
    return found


def _line(payload: bytes) -> bytes:
    """The line of headers in a payload; empty where there is none."""
    return payload[: payload.find(b"\n") + 1]


def _numbers(headers: bytes) -> Mapping[str, Any]:
    """What a line of headers gives as numbers. What is not as distq writes it gives none: the job's arguments
    may be right all the same, and if not it is dead of that.
    """
    try:
        found = decode_headers(headers)
    except ValueError:
        return {}
    items = cast(dict[str, Any], found).items() if isinstance(found, dict) else ()
    return {name: value for name, value in items if isinstance(value, int | float)}


def run(app: DistQ, attempt: Run) -> Outcome:
    """Run a sync job here; never raises."""
    lease = attempt.lease
    task = app.tasks.get(lease.task)
    if task is None:
        return _unknown(lease)
    token, outcome = context.enter(attempt.job), None
    watched = attempt.watch = watch.begin(lease, attempt.waited, task.declared.priority)
    try:
        attempt.start()
        args, kwargs = task.signature.decode(lease.payload)
        value = None
        try:
            if app.hooks.around_run:
                with app.hooks.running(attempt.job):
                    value = task.function(*args, **kwargs)
            else:
                value = task.function(*args, **kwargs)
        finally:
            attempt.finish()
        outcome = _returned(task, attempt, value)
        return outcome
    # Whatever user code raises, SystemExit too, is the job's failure and not the worker's end.
    except BaseException as error:  # noqa: BLE001
        attempt.finish()
        outcome = _raised(task, attempt, error)
        return outcome
    finally:
        context.leave(token)
        if watched:
            watched.end(outcome)


async def arun(app: DistQ, attempt: Run) -> Outcome:
    """Run an async job on this event loop, in an asyncio task of its own; never raises."""
    lease = attempt.lease
    task = app.find_task(lease.task)
    context.enter(attempt.job)
    outcome = None
    watched = attempt.watch = watch.begin(lease, attempt.waited, task.declared.priority)
    try:
        args, kwargs = task.signature.decode(lease.payload)
        value = None
        with app.hooks.running(attempt.job):
            value = await task.function(*args, **kwargs)
        attempt.finish()
        outcome = _returned(task, attempt, value)
        return outcome
    except BaseException as error:  # noqa: BLE001
        attempt.finish()
        outcome = _raised(task, attempt, error)
        return outcome
    finally:
        if watched:
            watched.end(outcome)


def _returned(task: BaseTask[..., Any], attempt: Run, value: Any) -> Outcome:
    lease = attempt.lease
    if attempt.job.heeded:
        return _stopped(lease)
    if isinstance(value, Control):
        return _controlled(task, lease, value)
    body = encode_value(value)
    if len(body) > LARGEST_RESULT:
        raise ResultTooLarge(len(body))
    return _new_outcome((lease.id, lease.token, DONE, body, 0.0, 0.0))


def _raised(task: BaseTask[..., Any], attempt: Run, error: BaseException) -> Outcome:
    lease = attempt.lease
    if isinstance(error, Control):
        return _controlled(task, lease, error)
    if isinstance(error, asyncio.CancelledError) and attempt.job.stopping:
        return _stopped(lease)
    if isinstance(error, asyncio.CancelledError) and attempt.timed_out:
        error = JobTimeout().with_traceback(error.__traceback__)
    if attempt.watch:
        attempt.watch.fail(error)
    task.app.hooks.failed(attempt.job, error)
    return failed(task, lease, error)


def _stopped(lease: Lease) -> Outcome:
    """The outcome of a job that stopped as it was asked to: the storage has the reason."""
    return Outcome(lease.id, lease.token, OutcomeKind.CANCELLED)


def _controlled(task: BaseTask[..., Any], lease: Lease, control: Control) -> Outcome:
    body = encode_error(remote_error(control))
    match control:
        case Cancel():
            return Outcome(lease.id, lease.token, OutcomeKind.CANCELLED, body)
        case Snooze(delay=delay):
            return Outcome(lease.id, lease.token, OutcomeKind.SNOOZE, body, retry.bounded(delay))
        case _:
            return failed(task, lease, control)


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


def abandoned(app: DistQ, attempt: Run) -> Outcome:
    """The outcome of an attempt of this process that nothing can stop; for its I/O thread."""
    outcome = overran(app, attempt.lease, cancelled=attempt.job.stopping)
    with quiet.interrupted():
        if attempt.watch and not attempt.job.stopping:
            attempt.watch.fail(JobTimeout(_OVERRUN))
        if attempt.watch:
            attempt.watch.conclude(outcome)
    return outcome


def overran(app: DistQ, lease: Lease, *, cancelled: bool = False) -> Outcome:
    """The outcome of a job that went on after it was interrupted, or asked to stop."""
    task = app.find_task(lease.task)
    if cancelled:
        telemetry.emit(
            "warn", "job {id} did not stop when it was cancelled: its process is ended", id=lease.id
        )
        return _stopped(lease)
    return failed(task, lease, JobTimeout(_OVERRUN))


def failed(task: BaseTask[..., Any], lease: Lease, error: BaseException) -> Outcome:
    """The outcome of a failed attempt: another try, or dead."""
    tries = lease.tries + 1
    allowed = _numbers(_line(lease.payload)).get("retries", task.declared.retries)
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
