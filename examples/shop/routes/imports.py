"""Importing price lists: started, watched by server-sent events, stopped."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request, Response, UploadFile
from pydantic import BaseModel
from sse_starlette import EventSourceResponse, ServerSentEvent

from distq import Job, JobNotFound
from examples.shop import pricelists, tasks
from examples.shop.answers import made
from examples.shop.outcomes import outcome
from examples.shop.placing import keep
from examples.shop.tasks import app, database
from examples.shop.uploads import content_of

router = APIRouter(prefix="/imports")

LOOK = 0.25
"""Seconds between looks at a job that somebody watches."""


class Step(BaseModel):
    """How far an import is."""

    state: str
    fraction: float = 0
    message: str = ""


@router.post("", status_code=201)
async def start(
    request: Request, sample: Annotated[int, Form(ge=1, le=50_000)] = 2_000, file: UploadFile | None = None
) -> Response:
    """Import a price list: the file, or where there is none a sample of so many rows."""
    given = await content_of(file, pricelists.LARGEST) if file else b""
    async with database.coroutines.connection() as connection:
        insert = partial(pricelists.insert, connection, given or pricelists.sample(sample))
        number, job = await keep(connection, insert, tasks.import_products, pricelists.note_job)
    return made(request, f"/imports/{number}/events", {"id": number, "job": job.id})


@router.get("/{number}/events")
async def watch(number: int) -> EventSourceResponse:
    """The progress of an import as it changes, events `progress`; at last what became of it, `end`."""
    return EventSourceResponse(_events(await _job(number)))


@router.post("/{number}/cancel")
async def stop(request: Request, number: int) -> Response:
    """Stop an import: what is imported stays."""
    job = await _job(number)
    state = await job.acancel("somebody pressed the button")
    return made(request, f"/imports/{number}/events", {"job": job.id, "state": state}, 200)


async def _job(number: int) -> Job[Any]:
    async with database.coroutines.connection() as connection:
        return app.job(await pricelists.job_of(connection, number))


async def _events(job: Job[Any]) -> AsyncIterator[ServerSentEvent]:
    told = None
    with suppress(JobNotFound):  # `end` says so
        while not (state := await job.astate()).ended:
            progress = await job.aprogress()
            now = Step(state=state, **(progress._asdict() if progress else {}))
            if now != told:
                yield ServerSentEvent(now.model_dump_json(), event="progress")
            told = now
            await asyncio.sleep(LOOK)
    last = await outcome(job)
    yield ServerSentEvent(last.model_dump_json(exclude={"events"}), event="end")
