"""What people see of jobs, queues and workers: on the command line as JSON, and by a service."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict
from pydantic_core import from_json

from distq.ids import split_id
from distq.job import CRASH_BUDGET, Attempt, JobRecord, JobState, Presence
from distq.messages import arguments_of, decode_error, decode_progress, headers_of

_LATEST = 253_402_300_799.0
"""The last second that a datetime can be."""


class View(BaseModel):
    """Base of the views: frozen values."""

    # Built when first used: a plug-in of pydantic, as logfire has one, may take half a second to load.
    model_config = ConfigDict(frozen=True, defer_build=True)


class ErrorView(View):
    """An error of a job's."""

    type: str
    message: str
    traceback: str = ""

    @property
    def line(self) -> str:
        """The type, and the first line of the message."""
        first = next(iter(self.message.strip().splitlines()), "")
        return f"{self.type}: {first}" if first else self.type


class ProgressView(View):
    """How far a job last said it is, from 0 to 1."""

    fraction: float
    message: str = ""


class AttemptView(View):
    """An attempt that has ended. `kind` is how: `done`, `retry`, `snooze`, `crash`, `dead` or `cancelled`.

    `ran` is in seconds, by its worker's clock; None where nobody remembers: of crashes and of what is done.
    """

    kind: str
    worker: str
    leased_at: datetime
    ended_at: datetime
    ran: float | None
    error: ErrorView | None

    @classmethod
    def of(cls, attempt: Attempt) -> AttemptView:
        """The view of an attempt."""
        return cls(
            kind=attempt.kind,
            worker=attempt.worker,
            leased_at=moment(attempt.leased_at),
            ended_at=moment(attempt.ended_at),
            ran=None if attempt.kind == "crash" else attempt.ran,
            error=error_of(attempt.error),
        )


class JobView(View):
    """A job. What does not apply is None; of done jobs the arguments are not kept everywhere.

    `error` is why it ended, or the last one of a job that is to run again. `tries` counts its attempts since
    it was enqueued or replayed, as `current_job().attempt` does: also the one that is under way or ended it,
    and the `crashes` in which a worker died; what is put off costs no try. `attempts` are all that have
    ended, the oldest first, also those before a replay: of those without a result the latest 25.
    """

    id: str
    queue: str
    task: str
    state: JobState
    priority: int
    key: str | None
    tries: int
    crashes: int
    arguments: Any
    headers: dict[str, Any]
    result: Any
    error: ErrorView | None
    progress: ProgressView | None
    enqueued_at: datetime
    ready_at: datetime | None
    leased_at: datetime | None
    leased_until: datetime | None
    ended_at: datetime | None
    worker: str | None
    cancelling: bool
    attempts: list[AttemptView]

    @classmethod
    def of(cls, record: JobRecord) -> JobView:
        """The view of a record."""
        is_done = record.state is JobState.DONE
        arguments, headers = _call(record.payload)
        return cls(
            id=record.id,
            queue=split_id(record.id)[0],
            task=record.task,
            state=record.state,
            priority=record.priority,
            key=record.key or None,
            tries=tries_of(record),
            crashes=record.crashes,
            arguments=arguments,
            headers=headers,
            result=_decoded(record.body) if is_done else None,
            error=None if is_done else error_of(record.body),
            progress=_progress(record.progress),
            enqueued_at=moment(record.enqueued_at),
            worker=record.worker or None,
            cancelling=record.cancelling,
            attempts=_attempts(record),
            **{
                name: None if (at := getattr(record, name)) is None else moment(at)
                for name in ("ready_at", "leased_at", "leased_until", "ended_at")
            },
        )


def _attempts(record: JobRecord) -> list[AttemptView]:
    found = [AttemptView.of(attempt) for attempt in record.attempts]
    # Storages remember those without a result; of the other one the record itself tells.
    if record.state is JobState.DONE and record.leased_at is not None and record.ended_at is not None:
        done = AttemptView(
            kind=JobState.DONE.value,
            worker=record.worker,
            leased_at=moment(record.leased_at),
            ended_at=moment(record.ended_at),
            ran=None,
            error=None,
        )
        found.append(done)
    return found


def tries_of(record: JobRecord) -> int:
    """How often a job was tried, as its view says. The record counts what came before the last try."""
    before = record.tries + record.crashes
    match record.state:
        case JobState.LEASED | JobState.DONE:
            return before + 1
        case JobState.DEAD if record.crashes < CRASH_BUDGET:
            return before + 1
        # It may have been cancelled and replayed before: then while it waited, or as it was given back.
        case JobState.CANCELLED if _cancelled_itself(record):
            return before + 1
        case _:
            return before


def _cancelled_itself(record: JobRecord) -> bool:
    """Whether the last lease of a job ended as an attempt that was cancelled."""
    last = record.attempts[-1] if record.attempts else None
    return last is not None and last.kind == "cancelled" and last.leased_at == record.leased_at


class QueueView(View):
    """A queue: how many jobs are in each state, and the names of the live workers that serve it.

    `oldest` is how many seconds the first ready job has waited; None where none is ready.
    """

    name: str
    paused: bool
    counts: dict[JobState, int]
    workers: list[str]
    oldest: float | None = None

    @classmethod
    def of(
        cls,
        name: str,
        *,
        paused: bool,
        counts: Mapping[JobState, int],
        workers: list[Presence],
        oldest: float | None,
    ) -> QueueView:
        """The view of a queue. `workers` may serve other queues."""
        return cls(
            name=name,
            paused=paused,
            counts={state: counts.get(state, 0) for state in JobState},
            workers=[worker.name for worker in workers if name in worker.queues],
            oldest=oldest,
        )


def moment(seconds: float) -> datetime:
    """A time of the storage's."""
    return datetime.fromtimestamp(min(max(seconds, 0.0), _LATEST), UTC)


def error_of(body: bytes) -> ErrorView | None:
    """The error in a body; None for an empty one. What is not as distq writes it is shown as it is."""
    if not body:
        return None
    try:
        return ErrorView(**decode_error(body)._asdict())
    except (ValueError, TypeError):
        return ErrorView(type="Unknown", message=_text(body))


def _progress(body: bytes) -> ProgressView | None:
    try:
        progress = decode_progress(body)
        return None if progress is None else ProgressView(**progress._asdict())
    except (ValueError, TypeError):
        return ProgressView(fraction=0.0, message=_text(body))


def _call(payload: bytes) -> tuple[Any, dict[str, Any]]:
    """The arguments and the headers of a payload."""
    if not payload:
        return None, {}
    try:
        return _decoded(arguments_of(payload)), headers_of(payload)
    except ValueError:
        return _text(payload), {}


def _decoded(body: bytes) -> Any:
    try:
        return from_json(body)
    except ValueError:
        return _text(body)


def _text(body: bytes) -> str:
    return body.decode(errors="replace")
