"""Enqueue jobs, by the tasks of the application."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from hashlib import sha256
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Header, Response

from distq.errors import ConfigurationError
from distq.job import Enqueued, Hold, JobState, NewJob, Unique
from distq.service.api.common import WRITING, routes_of
from distq.service.core import Service
from distq.service.problems import Problem, documented, problem_of
from distq.service.routing import Here, Operator
from distq.service.schemas import (
    VISIBLE,
    BatchEntry,
    BatchView,
    Call,
    EnqueueOptions,
    NewBatch,
    NewCall,
    NewJobView,
)
from distq.task import BaseTask

PATHS = ("/api/jobs", "/api/jobs/batch")

WINDOW = 86_400.0
"""Seconds for which an idempotency key gives the same job."""

IdempotencyKey = Annotated[
    str | None,
    Header(
        pattern=VISIBLE,
        description="With the same key the same task's call gives the same job for 24 hours.",
        examples=["0198c0ffee007000"],
    ),
]
_ANSWERS = WRITING | documented(409)


def router(service: Service) -> APIRouter:
    """The routes; none where no application is known."""
    routes = routes_of(service, "enqueue")
    if service.app is None:
        return routes
    known = {200: {"model": NewJobView, "description": "The job that has had the key."}}
    routes.post("/jobs", status_code=201, responses=_ANSWERS | known)(enqueue)
    known = {200: {"model": BatchView, "description": "The jobs that have had the key."}}
    routes.post("/jobs/batch", status_code=201, responses=_ANSWERS | known)(enqueue_batch)
    return routes


def refusal() -> Problem:
    """Why there is no route that enqueues."""
    error = ConfigurationError("this service knows no tasks: start it with --app module:attribute")
    return problem_of(error).model_copy(update={"status": 405, "title": HTTPStatus(405).phrase})


async def enqueue(
    call: NewCall,
    service: Here,
    visitor: Operator,
    response: Response,
    idempotency_key: IdempotencyKey = None,
) -> NewJobView:
    """Enqueue one call of a task."""
    task = _choose(service, call.task, call.options, idempotency_key)
    with service.audit.noting(visitor, "enqueue", task=call.task) as entry:
        (job,) = await _enqueue(service, task, [call], idempotency_key)
        entry.outcome = job.id
    if job.created:
        return NewJobView(id=job.id, state=_first_state(task), created=True)
    response.status_code = 200
    record = await service.storage.arun(service.storage.get(job.id))
    return NewJobView(id=job.id, state=record.state if record else None, created=False)


async def enqueue_batch(
    batch: NewBatch,
    service: Here,
    visitor: Operator,
    response: Response,
    idempotency_key: IdempotencyKey = None,
) -> BatchView:
    """Enqueue calls of one task together: all or none."""
    task = _choose(service, batch.task, batch.options, idempotency_key)
    with service.audit.noting(visitor, "enqueue", task=batch.task, calls=len(batch.calls)):
        jobs = await _enqueue(service, task, batch.calls, idempotency_key)
    if not any(job.created for job in jobs):
        response.status_code = 200
    return BatchView(jobs=[BatchEntry(id=job.id, created=job.created) for job in jobs])


def _choose(service: Service, name: str, options: EnqueueOptions, key: str | None) -> BaseTask[..., Any]:
    """The task with its options. Raises ConfigurationError, UnknownTask is one."""
    assert service.app
    task = service.app.find_task(name).options(**options.model_dump(exclude_none=True))
    if key is not None and task.chosen.key:
        raise ConfigurationError(
            "an Idempotency-Key is a key, and the job has another: leave out one of both"
        )
    return task


async def _enqueue(
    service: Service, task: BaseTask[..., Any], calls: Sequence[Call], key: str | None
) -> list[Enqueued]:
    with ExitStack() as around:
        jobs, span = task.new_jobs([(tuple(call.args), call.kwargs) for call in calls], around)
        if key is not None:
            jobs = [_keyed(job, key, number) for number, job in enumerate(jobs)]
        enqueued = await service.storage.arun(service.storage.enqueue(jobs))
        if span:
            span.enqueued(enqueued)
    if task.app.inlined:
        await task.app.inlined.awork()
    return enqueued


def _keyed(job: NewJob, key: str, number: int) -> NewJob:
    """The job with the key of its request, task and place in it."""
    task = sha256(job.task.encode()).hexdigest()[:8]
    return job._replace(unique=Unique(f"idempotency:{task}:{key}:{number}", Hold.WINDOW, WINDOW))


def _first_state(task: BaseTask[..., Any]) -> JobState:
    run_at = task.chosen.run_at
    waits = task.chosen.delay > 0 or (run_at is not None and run_at > datetime.now(UTC))
    return JobState.SCHEDULED if waits else JobState.READY
