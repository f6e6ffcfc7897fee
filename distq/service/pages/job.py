"""One job: what it carries, what became of it, why it does not run."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

from fastapi import Response

from distq.admin.overview import time_of
from distq.admin.timeline import timeline
from distq.admin.views import JobView, moment
from distq.admin.why import Why, explain_record
from distq.errors import JobNotFound
from distq.job import JobRecord
from distq.service.hiding import hidden
from distq.service.pages import bulk, drawing
from distq.service.pages.stream import Parts, stream
from distq.service.pages.visit import Page, Visit
from distq.service.pages.wanted import ALLOWED, Search
from distq.steps import Steps, arun, do
from distq.telemetry.carrier import TRACE

LOOK_AGAIN = 5.0
"""Seconds after which a job that has not changed is asked about again: why it waits may have."""


class Look(NamedTuple):
    """What is known of a job, and may be shown, at a moment of the storage's clock."""

    record: JobRecord
    why: Why
    now: float


async def show(visit: Visit) -> Response:
    """The page. Raises JobNotFound."""
    job_id = visit.request.path_params["job"]
    found = await arun(visit.service.storage, _look(visit, job_id))
    if found is None:
        raise JobNotFound(job_id)
    return visit.show("job.html", **_context(visit, found))


async def watch(visit: Visit) -> Response:
    """Its events, until it has ended."""
    return stream(visit, _parts(visit, visit.request.path_params["job"]))


async def _parts(visit: Visit, job_id: str) -> Parts:
    async for found in _looks(visit, job_id):
        context = _context(visit, found)
        yield {name: visit.fragment(f"_{name}.html", **context) for name in ("job_state", "job_carries")}


async def _looks(visit: Visit, job_id: str) -> AsyncIterator[Look]:
    """A look each second; why it waits is asked for where it has changed, or for long enough."""
    storage, seen, found, looked_at = visit.service.storage, None, None, 0.0
    async for picture in visit.service.live.pictures():
        if picture is None:
            continue
        record = await storage.arun(storage.get(job_id))
        age = time.monotonic() - looked_at
        if found is None or record != seen or age > LOOK_AGAIN:
            seen, found, looked_at, age = (
                record,
                await arun(storage, _look(visit, job_id)),
                time.monotonic(),
                0.0,
            )
        if found is None:
            return
        yield found._replace(now=found.now + age)
        if found.record.state.ended:
            return


def _look(visit: Visit, job_id: str) -> Steps[Look | None]:
    storage = visit.service.storage
    record = yield from do(storage.get(job_id))
    if record is None:
        return None
    shown = record if visit.operates else hidden(record)
    why = yield from explain_record(storage, shown)
    return Look(shown, why, (yield from time_of(storage, job_id.partition(":")[0])))


def _context(visit: Visit, look: Look) -> dict[str, Any]:
    job = JobView.of(look.record)
    return {
        "job": job,
        "why": look.why,
        "rows": drawing.draw(timeline(look.record), moment(look.now)),
        "width": drawing.WIDTH,
        "trace": _trace_of(visit, job),
        "can": [action for action, states in ALLOWED.items() if job.state in states],
        "is_paused": (look.why.remedy or "").startswith("distq resume "),
    }


def _trace_of(visit: Visit, job: JobView) -> str:
    """Where the trace of a job is seen; empty where nobody said, or it has none."""
    carried = job.headers.get(TRACE)
    parent = carried.get("traceparent", "") if isinstance(carried, dict) else ""
    parts = parent.split("-") if isinstance(parent, str) else []
    is_trace = len(parts) == 4 and len(parts[1]) == 32 and parts[1].isalnum()
    return visit.service.trace_url.replace("{trace_id}", parts[1]) if is_trace else ""


async def cancel(visit: Visit) -> Response:
    """Cancel it."""
    return await _steer(visit, "cancel")


async def replay(visit: Visit) -> Response:
    """Make it ready again."""
    return await _steer(visit, "replay")


async def _steer(visit: Visit, action: str) -> Response:
    job_id = visit.request.path_params["job"]
    deed = bulk.Deed(action, (job_id,), Search(), "")
    return visit.go(f"/jobs/{job_id}", did=action, **(await bulk.do_it(visit, deed)))


PAGES = (
    Page("/jobs/{job}", show),
    Page("/live/jobs/{job}", watch),
    Page("/jobs/{job}/cancel", cancel, "POST"),
    Page("/jobs/{job}/replay", replay, "POST"),
)
