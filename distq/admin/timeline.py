"""What has happened to a job, in order, from its record."""

from __future__ import annotations

from datetime import datetime

from distq.admin.views import ErrorView, JobView, View
from distq.job import JobRecord, JobState


class Event(View):
    """Something that happened, or is about to. `at` is when; of an attempt that is when it ended.

    `what` is `enqueued`, an attempt's kind (`retry`, `snooze`, `crash`, `dead`, `cancelled`), `leased` of the
    attempt that is under way, `due`, or the state in which the job ended. `ran` is that of an attempt.
    """

    at: datetime
    what: str
    worker: str | None = None
    began: datetime | None = None
    ran: float | None = None
    error: str | None = None


def timeline(record: JobRecord) -> list[Event]:
    """The events of a job; of its attempts without a result the latest 25."""
    job = JobView.of(record)
    events = [Event(at=job.enqueued_at, what="enqueued")]
    events += [
        Event(
            at=attempt.ended_at,
            what=attempt.kind,
            worker=attempt.worker,
            began=attempt.leased_at,
            ran=attempt.ran,
            error=_line(attempt.error),
        )
        for attempt in job.attempts
    ]
    return events + _last(job, events[-1])


def _last(job: JobView, latest: Event) -> list[Event]:
    """What comes after the attempts that are remembered."""
    if job.ended_at:
        is_known = latest.began is not None and latest.began == job.leased_at
        # The attempt that ended the job is among them.
        if is_known and latest.what == job.state:
            return []
        end = Event(at=job.ended_at, what=job.state, worker=job.worker, error=_line(job.error))
        # Where it is another one, a crash was one too many, or it was to be cancelled.
        return [end.model_copy(update={"began": job.leased_at}) if job.worker and not is_known else end]
    if job.state is JobState.LEASED and job.leased_at:
        return [Event(at=job.leased_at, what="leased", worker=job.worker)]
    if job.state is JobState.SCHEDULED and job.ready_at:
        return [Event(at=job.ready_at, what="due")]
    return []


def _line(error: ErrorView | None) -> str | None:
    return error.line if error else None
