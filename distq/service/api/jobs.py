"""Jobs one by one, and lists of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import ConfigDict, Field

from distq.admin.listing import NoSuchPage, Wanted, browse
from distq.admin.timeline import timeline
from distq.admin.views import JobView
from distq.admin.why import explain_record
from distq.errors import JobNotFound
from distq.job import JobRecord, JobState
from distq.messages import encode_cancellation
from distq.service.access import Visitor
from distq.service.api.common import ABSENT, FORBIDDEN, READING, WRITING, age, check_text, routes_of
from distq.service.core import Service
from distq.service.errors import Forbidden, NotFound
from distq.service.hiding import hidden
from distq.service.routing import Here, Operator, Reader
from distq.service.schemas import (
    CURSOR,
    Body,
    ChangeView,
    Duration,
    JobDetail,
    JobEntry,
    JobPage,
    QueueName,
    Reason,
    ResultView,
    TaskName,
    Text,
)
from distq.steps import arun

LARGEST_PAGE = 200
"""Jobs of a page at most."""

LONGEST_WAIT = 9.0
"""Seconds that a request may wait for a result: many programs give up an answer after 10."""

LOOK = 1.0
"""Seconds between looks whether the service ends."""


class JobQuery(Body):
    """Which jobs, in which order, and how many of them."""

    model_config = ConfigDict(extra="forbid")

    queue: list[QueueName] = Field([], description="Of these queues; of all by default.")
    state: list[JobState] = Field([], description="In these states; in any by default.")
    task: TaskName | None = None
    text: Text | None = Field(None, description="With this text in the error or the result.")
    key: Text | None = Field(None, description="The job that had this key last, of each queue.")
    older: Duration | None = Field(None, description="Enqueued, or ended, at least so long ago.")
    newer: Duration | None = Field(None, description="Enqueued, or ended, less long ago.")
    order: Literal["latest", "first"] | None = Field(
        None, description="Which end comes first. By default the latest where they have ended, else the next."
    )
    limit: int = Field(50, ge=1, le=LARGEST_PAGE)
    after: str | None = Field(None, max_length=1000, pattern=CURSOR, description="What the page before said.")


def router(service: Service) -> APIRouter:
    """The routes."""
    routes = routes_of(service, "jobs")
    routes.get("/jobs", responses=READING | FORBIDDEN | ABSENT)(list_jobs)
    routes.get("/jobs/{id}", responses=READING | ABSENT)(job)
    routes.get("/jobs/{id}/result", responses=READING | FORBIDDEN | ABSENT)(result)
    routes.post("/jobs/{id}/cancel", responses=WRITING | ABSENT)(cancel)
    routes.post("/jobs/{id}/replay", responses=WRITING | ABSENT)(replay)
    return routes


# -- looking ---------------------------------------------------------------------------------------------


async def list_jobs(query: Annotated[JobQuery, Query()], service: Here, visitor: Reader) -> JobPage:
    """Jobs by queue, state, task, key, age, and text in the error; a page at a time."""
    check_text(visitor, query.text)
    wanted = Wanted(
        queues=query.queue,
        states=query.state,
        task=query.task or "",
        text=query.text or "",
        key=query.key or "",
        older=age(query.older) or 0.0,
        newer=age(query.newer) or 0.0,
        latest={None: None, "latest": True, "first": False}[query.order],
    )
    steps = browse(service.storage, wanted, after=query.after or "", limit=query.limit, secret=service.secret)
    try:
        page = await arun(service.storage, steps)
    except NoSuchPage as error:
        raise NotFound(str(error)) from None
    return JobPage(jobs=[_entry(record, visitor) for record in page.jobs], after=page.after or None)


async def job(id: str, service: Here, visitor: Reader) -> JobDetail:
    """A job, what has happened to it, and why it does not run."""
    record = _shown(await _record(service, id), visitor)
    why = await arun(service.storage, explain_record(service.storage, record))
    return JobDetail(**dict(_entry(record, visitor)), timeline=timeline(record), why=why)


async def result(
    id: str,
    service: Here,
    visitor: Reader,
    wait: Annotated[
        float, Query(ge=0, le=LONGEST_WAIT, description="Seconds to wait for the job to end.")
    ] = 0.0,
) -> ResultView:
    """What became of a job, once it has ended; in which state it is until then."""
    if not visitor.operates:
        raise Forbidden("this token may not see results")
    record = await _record(service, id)
    if wait and not record.state.ended:
        record = await _ended(service, id, time.monotonic() + wait)
    view = JobView.of(record)
    error = view.error if record.state.ended else None
    return ResultView(id=view.id, state=view.state, result=view.result, error=error)


async def _ended(service: Service, job_id: str, deadline: float) -> JobRecord:
    """The record of a job that has ended, or as it is at a moment (monotonic), or when the service ends."""
    ended = asyncio.Event()
    with service.waiters.waiting(job_id, _waking(ended)):
        while True:
            record = await _record(service, job_id)
            left = deadline - time.monotonic()
            if record.state.ended or left <= 0:
                return record
            while not ended.is_set() and (left := deadline - time.monotonic()) > 0:
                if service.live.closed:
                    return record
                await _wait(ended, min(left, LOOK))
            ended.clear()


async def _wait(event: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)


def _waking(event: asyncio.Event) -> Callable[[], None]:
    loop = asyncio.get_running_loop()
    return lambda: None if loop.is_closed() else loop.call_soon_threadsafe(event.set) and None


async def _record(service: Service, job_id: str) -> JobRecord:
    record = await service.storage.arun(service.storage.get(job_id))
    if record is None:
        raise JobNotFound(job_id)
    return record


def _shown(record: JobRecord, visitor: Visitor) -> JobRecord:
    return record if visitor.operates else hidden(record)


def _entry(record: JobRecord, visitor: Visitor) -> JobEntry:
    view = JobView.of(_shown(record, visitor))
    return JobEntry(**dict(view), redacted=not visitor.operates)


# -- changing --------------------------------------------------------------------------------------------


async def cancel(id: str, service: Here, visitor: Operator, why: Reason | None = None) -> ChangeView:
    """Cancel a job: at once where it waits; where it runs it is asked to end."""
    reason = encode_cancellation(why.reason if why else "")
    with service.audit.noting(visitor, "cancel", id=id) as entry:
        states = await service.storage.arun(service.storage.cancel([id], reason=reason))
        change = await _changed(service, id, states.get(id))
        entry.outcome = change.state if change.changed else f"left as it is: {change.state}"
    return change


async def replay(id: str, service: Here, visitor: Operator) -> ChangeView:
    """Make a dead or cancelled job ready again, tries and crashes at 0. One whose key another job has is
    left as it is.
    """
    with service.audit.noting(visitor, "replay", id=id) as entry:
        ready = await service.storage.arun(service.storage.replay([id]))
        change = await _changed(service, id, JobState.READY if ready else None)
        entry.outcome = change.state if change.changed else f"left as it is: {change.state}"
    return change


async def _changed(service: Service, job_id: str, state: JobState | None) -> ChangeView:
    if state:
        return ChangeView(id=job_id, state=state, changed=True)
    return ChangeView(id=job_id, state=(await _record(service, job_id)).state, changed=False)
