"""Examines a deployment: the storage, what waits in it, who is there to run it, and an application."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from distq.admin.bulk import find
from distq.admin.overview import live_workers, queue_views, time_of
from distq.admin.views import QueueView
from distq.admin.wording import plural, spell
from distq.app import DistQ
from distq.errors import SchemaError
from distq.finding import Finding, Severity
from distq.job import Filter, JobState, Presence
from distq.steps import Steps, run
from distq.storage import Storage
from distq.worker.settings import Settings

SAMPLE = 500
"""Jobs of a queue whose tasks are looked at, the next ones."""

SOON = 10.0
"""Seconds within which a job is due that is looked at: workers put off for less what they do not know."""

MANY_DEAD = 100
"""Dead jobs of a queue that somebody should look at."""


def diagnose(storage: Storage, app: DistQ | None = None) -> list[Finding]:
    """Examine the storage, its queues, and the application if there is one. Raises StorageUnavailable."""
    findings = storage.examine()
    try:
        findings += run(storage, examine_queues(storage))
        if app:
            findings += run(storage, examine_app(storage, app))
    except SchemaError:
        pass  # the storage's own findings say so
    return findings


def examine_queues(storage: Storage) -> Steps[list[Finding]]:
    """What waits in the queues, and whether anybody can run it."""
    views = yield from queue_views(storage)
    workers = yield from live_workers(storage)
    running = f"{len(views)} with jobs or workers, {len(workers)} live worker processes"
    findings = yield from examine_views(storage, views, workers)
    return findings or [Finding(Severity.OK, f"queues: {running}, nothing is stuck")]


def examine_views(
    storage: Storage, views: Sequence[QueueView], workers: Sequence[Presence]
) -> Steps[list[Finding]]:
    """What is wrong with these queues, which these workers serve."""
    return [
        *(finding for view in views for finding in examine_view(view)),
        *(yield from look_into(storage, views, workers)),
    ]


def examine_view(view: QueueView) -> list[Finding]:
    """What is wrong with a queue, by its view alone."""
    return [finding for finding in (_unserved(view), _paused(view), _dead(view)) if finding]


def look_into(
    storage: Storage, views: Sequence[QueueView], workers: Sequence[Presence]
) -> Steps[list[Finding]]:
    """What takes queries to find in these queues, which these workers serve."""
    findings: list[Finding] = []
    for view in views:
        crew = [worker for worker in workers if view.name in worker.queues]
        findings += yield from _unknown_tasks(storage, view, crew)
        findings += yield from _overdue(storage, view)
    return findings


def _unserved(view: QueueView) -> Finding | None:
    ready, leased = view.counts[JobState.READY], view.counts[JobState.LEASED]
    if view.workers or not ready + leased:
        return None
    if ready:
        return _nobody(view, f"{plural(ready, 'job')} could run")
    return _nobody(view, f"{plural(leased, 'job')} of workers that are gone could run again")


def _overdue(storage: Storage, view: QueueView) -> Steps[list[Finding]]:
    """Scheduled jobs become ready by the workers of their queue."""
    counts = view.counts
    if view.workers or not counts[JobState.SCHEDULED] or counts[JobState.READY] or counts[JobState.LEASED]:
        return []
    now = yield from time_of(storage, view.name)
    first = yield from find(storage, [Filter(view.name, JobState.SCHEDULED)], limit=1)
    late = [now - (job.ready_at or now) for job in first]
    return [_nobody(view, f"its first scheduled job was due {spell(s)} ago") for s in late if s > 0]


def _nobody(view: QueueView, what: str) -> Finding:
    return Finding(
        Severity.PROBLEM,
        f"queue {view.name}: no live worker serves it, and {what}",
        "nothing of it runs",
        f"distq worker MODULE:APP --queues {view.name}",
        kind="unserved",
        queue=view.name,
    )


def _paused(view: QueueView) -> Finding | None:
    waiting = view.counts[JobState.READY]
    if not view.paused or not waiting:
        return None
    what = f"queue {view.name} is paused, and {plural(waiting, 'job')} could run"
    remedy = f"distq resume {view.name}"
    return Finding(Severity.WARNING, what, "nothing of it starts", remedy, kind="paused", queue=view.name)


def _dead(view: QueueView) -> Finding | None:
    dead = view.counts[JobState.DEAD]
    if dead < MANY_DEAD:
        return None
    return Finding(
        Severity.WARNING,
        f"queue {view.name}: {dead:,} jobs are dead",
        "they failed for good, and nobody has replayed or removed them",
        f"distq list {view.name} --state dead; then distq replay --queue {view.name}, or distq purge",
        kind="dead",
        queue=view.name,
    )


def _unknown_tasks(storage: Storage, view: QueueView, crew: list[Presence]) -> Steps[list[Finding]]:
    """The tasks of the next jobs that none of the queue's workers knows, who put them off again and again."""
    states = [state for state in (JobState.READY, JobState.SCHEDULED) if view.counts[state]]
    if not crew or not states:
        return []
    now = yield from time_of(storage, view.name)
    found = yield from find(storage, [Filter(view.name, state) for state in states], limit=SAMPLE)
    soon = [job for job in found if (job.ready_at or now) <= now + SOON]
    known = {task for worker in crew for task in worker.tasks}
    unknown = Counter(job.task for job in soon if job.task not in known)
    return [
        Finding(
            Severity.PROBLEM,
            f"task {task}: {number:,} of the next {plural(len(soon), 'job')} of queue {view.name} are of it,"
            " and no live worker knows it",
            "they wait until a worker comes that does",
            f"deploy workers that know it, or distq cancel --queue {view.name} --task {task}",
            kind="unknown-task",
            queue=view.name,
        )
        for task, number in unknown.most_common()
    ]


def examine_app(storage: Storage, app: DistQ) -> Steps[list[Finding]]:
    """Whether the workers that are there fit the application, and its tasks the workers' defaults."""
    workers = yield from live_workers(storage)
    looks = [_unmanned(app, workers), _unprepared(app, workers), _endless(app), _longest(app)]
    return [finding for finding in looks if finding]


def _unmanned(app: DistQ, workers: list[Presence]) -> Finding | None:
    unmanned = sorted(set(app.queues) - {queue for worker in workers for queue in worker.queues})
    if not unmanned:
        return None
    return Finding(
        Severity.WARNING,
        f"application: no live worker serves its queues {', '.join(unmanned)}",
        "what is enqueued there waits",
        f"distq worker MODULE:APP --queues {','.join(unmanned)}",
    )


def _unprepared(app: DistQ, workers: list[Presence]) -> Finding | None:
    """Tasks whose queues are served, though by nobody who knows them."""
    crews = {queue: [worker for worker in workers if queue in worker.queues] for queue in app.queues}
    unknown = [
        name
        for name, task in sorted(app.tasks.items())
        if (crew := crews[task.declared.queue]) and not any(name in worker.tasks for worker in crew)
    ]
    if not unknown:
        return None
    return Finding(
        Severity.WARNING,
        f"application: no live worker knows its tasks {', '.join(unknown)}",
        "their jobs wait until one comes that does",
        "deploy the application's present version to the workers",
    )


def _endless(app: DistQ) -> Finding | None:
    endless = [name for name, task in sorted(app.tasks.items()) if task.declared.limits({}).hard is None]
    if not endless:
        return None
    return Finding(
        Severity.NOTE,
        f"timeouts: tasks without one are {', '.join(endless)}",
        "a lease is renewed for as long as its process lives, so a job that hangs keeps its slot for ever",
        "@app.task(timeout=…)",
    )


def _longest(app: DistQ) -> Finding | None:
    """A timeout above the ttl is harmless, for leases are renewed; one above the grace time is not."""
    times = {name: task.declared.limits({}).soft or 0.0 for name, task in app.tasks.items()}
    longest = max(times, key=times.__getitem__, default="")
    if not times.get(longest):
        return None
    defaults = Settings(weights={})
    what = f"timeouts: the longest is {spell(times[longest])}, of task {longest}"
    if times[longest] <= defaults.grace:
        return Finding(Severity.OK, f"{what}; leases of {defaults.ttl:.0f} s are renewed while a job runs")
    return Finding(
        Severity.NOTE,
        f"{what}, longer than the grace time of {defaults.grace:.0f} s that workers have by default",
        "a job that runs for longer when its workers are stopped, as by a deployment, begins again elsewhere"
        f" (the ttl of {defaults.ttl:.0f} s does not matter: leases are renewed)",
        f"distq worker --grace {times[longest]:.0f}",
    )
