"""Search for jobs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from fastapi import Response

from distq.admin.listing import CHUNK, ORDER, Listing, browse, locate
from distq.admin.views import ErrorView, error_of, moment, tries_of
from distq.errors import ConfigurationError
from distq.ids import split_id
from distq.job import JobRecord, JobState
from distq.messages import decode_progress
from distq.service.hiding import hidden
from distq.service.pages.rendering import path_of
from distq.service.pages.visit import Page, Visit
from distq.service.pages.wanted import ALLOWED, Search
from distq.steps import arun


class Row(NamedTuple):
    """A job as a list shows it: what its payload and its result hold is not even decoded."""

    id: str
    queue: str
    short: str
    task: str
    state: JobState
    key: str
    tries: int
    at: datetime
    worker: str
    error: ErrorView | None
    fraction: float | None

    @classmethod
    def of(cls, record: JobRecord) -> Row:
        """The row of a record. `at` is when it came to the state that it is in, or is due."""
        queue, uuid = split_id(record.id)
        error = None if record.state is JobState.DONE else error_of(record.body)
        moments = {JobState.LEASED: record.leased_at, JobState.SCHEDULED: record.ready_at}
        at = record.ended_at or moments.get(record.state) or record.enqueued_at
        return cls(
            id=record.id,
            queue=queue,
            short=uuid[-12:],
            task=record.task,
            state=record.state,
            key=record.key,
            tries=tries_of(record),
            at=moment(at),
            worker=record.worker,
            error=error,
            fraction=_fraction(record.progress),
        )


async def show(visit: Visit) -> Response:
    """The page. An id leads to its job."""
    search = Search.of(visit.request.query_params)
    if job_id := await arun(visit.service.storage, locate(visit.service.storage, search.q)):
        return visit.go(f"/jobs/{job_id}")
    after = visit.request.query_params.get("after", "")
    queues = sorted((await visit.service.storage.arun(visit.service.storage.queues())).keys())
    flaw, listing = "", Listing([], "")
    try:
        wanted = search.wanted(operates=visit.operates)
        steps = browse(visit.service.storage, wanted, after=after, secret=visit.service.secret)
        listing = await arun(visit.service.storage, steps)
    except ConfigurationError as error:
        flaw = str(error)
    return visit.show(
        "jobs.html",
        status=422 if flaw else 200,
        search=search,
        after=after,
        listing=listing,
        rows=[Row.of(record if visit.operates else hidden(record)) for record in listing.jobs],
        queues=queues,
        flaw=flaw,
        states=ORDER,
        limit=CHUNK,
        here=path_of("", "/jobs", search.query),
        actions=[action for action, states in ALLOWED.items() if _fits(search, states)],
    )


def _fits(search: Search, states: Sequence[JobState]) -> bool:
    """Whether something that is done to jobs in these states can be done to what the search finds."""
    return not search.q and (not search.state or not set(search.state).isdisjoint(states))


def _fraction(progress: bytes) -> float | None:
    try:
        found = decode_progress(progress)
    except (ValueError, TypeError):
        return None
    return found and found.fraction


PAGES = (Page("/jobs", show),)
