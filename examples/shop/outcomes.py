"""What has become of a job, as the shop tells its customers."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from distq import Event, Job, JobCancelled, JobFailed, JobNotFound, JobState, ResultTimeout


class Outcome(BaseModel):
    """A job's state, and its result or its error; `forgotten` where its record has expired."""

    id: str
    state: str
    result: Any = None
    error: str | None = None
    events: list[Event] = []


async def outcome(job: Job[Any], wait: float = 0) -> Outcome:
    """What has become of a job, in `wait` seconds or as soon as it has ended."""
    try:
        return await _outcome(job, wait)
    except JobNotFound:
        return Outcome(id=job.id, state="forgotten")


async def _outcome(job: Job[Any], wait: float) -> Outcome:
    result, error = None, None
    state = JobState.DONE
    try:
        result = await job.aresult(timeout=wait)
    except JobFailed as failure:
        state, error = JobState.DEAD, f"{failure.type}: {failure.message}"
    except JobCancelled as cancellation:
        state, error = JobState.CANCELLED, str(cancellation)
    except ResultTimeout:
        state = await job.astate()
        if state.ended:  # since a moment ago
            return await _outcome(job, 0)
    return Outcome(id=job.id, state=state, result=result, error=error, events=await job.atimeline())


async def standing(job: Job[Any]) -> str:
    """The same in a few words: `scheduled, tried 2 times: SMTPDataError: …`."""
    found = await outcome(job)
    failures = [event for event in found.events if event.what == "retry"]
    if found.error:
        return f"{found.state}: {found.error}"
    if not failures:
        return found.state
    return f"{found.state}, tried {len(failures)} times: {failures[-1].error}"
