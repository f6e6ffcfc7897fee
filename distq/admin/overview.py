"""What is there at the moment: the storage's time, the live workers, the queues. As steps."""

from __future__ import annotations

from collections.abc import Collection

from distq.admin.views import QueueView
from distq.job import Filter, JobState, Presence
from distq.steps import Steps, do
from distq.storage import Storage

LIVE = 15.0
"""Seconds within which a worker process must have announced itself to count as alive: three announcements."""


def time_of(storage: Storage, queue: str) -> Steps[float]:
    """The storage's time, in seconds since 1970; a queue has to be named."""
    return (yield from do(storage.schedules(queue, ()))).now


def live_workers(storage: Storage, queue: str | None = None) -> Steps[list[Presence]]:
    """The worker processes that are alive, of all queues or of one."""
    found = yield from do(storage.workers(within=LIVE))
    return [worker for worker in found if queue is None or queue in worker.queues]


def queue_views(storage: Storage, names: Collection[str] = ()) -> Steps[list[QueueView]]:
    """The queues of these names, or all that there are."""
    paused = yield from do(storage.queues())
    workers = yield from live_workers(storage)
    found: list[QueueView] = []
    for name in names or paused:
        counts = yield from do(storage.counts(name))
        oldest = (yield from _oldest(storage, name)) if counts.get(JobState.READY) else None
        view = QueueView.of(
            name, paused=paused.get(name, False), counts=counts, workers=workers, oldest=oldest
        )
        found.append(view)
    return found


def _oldest(storage: Storage, queue: str) -> Steps[float | None]:
    """How long the job that is next has been ready."""
    page = yield from do(storage.find(Filter(queue, JobState.READY), limit=1))
    if not page.jobs:
        return None
    now = yield from time_of(storage, queue)
    return max(now - (page.jobs[0].ready_at or now), 0.0)
