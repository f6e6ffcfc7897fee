"""Why a job does not run, or what became of it: one sentence, and what would help. As steps."""

from __future__ import annotations

from distq.admin.bulk import BATCH, find
from distq.admin.overview import live_workers, time_of
from distq.admin.views import View, error_of, moment, tries_of
from distq.admin.wording import plural, spell
from distq.job import Filter, JobRecord, JobState, Presence
from distq.steps import Steps, do
from distq.storage import Storage

AHEAD = 2 * BATCH
"""Jobs before one that are looked at, at most."""


class Why(View):
    """The answer. `state` is None for a job that is not known, `remedy` is a command, or what to do."""

    id: str
    state: JobState | None
    answer: str
    remedy: str | None = None


def explain(storage: Storage, job_id: str) -> Steps[Why]:
    """Why a job is not running. Raises JobNotFound for what is no job id."""
    record = yield from do(storage.get(job_id))
    if record is None:
        answer = "it is not known: never enqueued here, or its record has expired"
        return Why(id=job_id, state=None, answer=answer)
    return (yield from explain_record(storage, record))


def explain_record(storage: Storage, record: JobRecord) -> Steps[Why]:
    """The same of a job whose record is at hand."""
    return (yield from _Case(storage, record).explain())


class _Case:
    """One job, at one moment."""

    def __init__(self, storage: Storage, record: JobRecord) -> None:
        self._storage, self._record = storage, record
        self._queue = record.id.partition(":")[0]
        self._now = 0.0
        self._workers: list[Presence] = []

    def explain(self) -> Steps[Why]:
        self._now = yield from time_of(self._storage, self._queue)
        match self._record.state:
            case JobState.DONE | JobState.DEAD | JobState.CANCELLED:
                return self._ended()
            case JobState.WAITING:
                return self._why("it waits to be admitted: others of its group come first")
        self._workers = yield from live_workers(self._storage, self._queue)
        if self._record.state is JobState.LEASED:
            return self._leased()
        hindrance = yield from self._hindrance()
        if self._record.state is JobState.SCHEDULED:
            return self._scheduled(hindrance)
        return hindrance or (yield from self._in_line())

    def _why(self, answer: str, remedy: str | None = None) -> Why:
        return Why(id=self._record.id, state=self._record.state, answer=answer, remedy=remedy)

    def _ended(self) -> Why:
        record = self._record
        when = f"ended {self._ago(record.ended_at)}" + (f" on {record.worker}" if record.worker else "")
        if record.state is JobState.DONE:
            return self._why(f"it is done: it {when}")
        error = error_of(record.body)
        reason = f": {error.line}" if error else ""
        spent = f", after {plural(record.crashes, 'crash')}" if record.crashes else ""
        return self._why(f"it is {record.state}: it {when}{spent}{reason}", f"distq replay {record.id}")

    def _leased(self) -> Why:
        record = self._record
        until = record.leased_until or 0.0
        held = f"leased by {record.worker} {self._ago(record.leased_at)}"
        if until <= self._now:
            answer = f"its lease is overdue: {held}, it ended {self._ago(until)}, and nobody took it back yet"
            return self._why(answer, None if self._workers else self._start())
        answer = f"it is running: {held}, until {_clock(until)} unless it is renewed"
        if record.cancelling:
            answer += "; it was asked to end, which its worker hears of when it next renews the lease"
        elif self._workers and record.worker not in {worker.name for worker in self._workers}:
            answer += "; that worker has not announced itself lately, and may be dead"
        return self._why(answer)

    def _hindrance(self) -> Steps[Why | None]:
        """What keeps the queue's workers from the job."""
        queue, task = self._queue, self._record.task
        if (yield from do(self._storage.queues())).get(queue):
            return self._why(f"queue {queue} is paused", f"distq resume {queue}")
        if not self._workers:
            return self._why(f"no live worker serves queue {queue}", self._start())
        if not any(task in worker.tasks for worker in self._workers):
            answer = f"no live worker of queue {queue} knows task {task} ({self._crew()})"
            return self._why(answer, "deploy workers whose application declares the task")
        return None

    def _scheduled(self, hindrance: Why | None) -> Why:
        record = self._record
        due = record.ready_at or 0.0
        again = f" for try {tries_of(record) + 1}" if record.tries else ""
        error = error_of(record.body)
        failed = f"; the last one failed: {error.line}" if record.tries and error else ""
        if due > self._now:
            answer = f"it is scheduled{again}: due in {spell(due - self._now)}, at {_clock(due)}{failed}"
            if hindrance:
                return self._why(f"{answer}; besides, {hindrance.answer}", hindrance.remedy)
            return self._why(answer)
        if not self._workers:
            answer = f"it was due {self._ago(due)}, and no live worker of queue {self._queue} makes it ready"
            return self._why(answer, self._start())
        return self._why(f"it was due {self._ago(due)}: the next maintenance pass makes it ready")

    def _in_line(self) -> Steps[Why]:
        record = self._record
        running = yield from find(self._storage, [Filter(self._queue, JobState.LEASED)], limit=AHEAD)
        busy = f"{_many(running)} running on {self._crew()}"
        if record.crashes:
            answer = (
                f"a worker died in it ({plural(record.crashes, 'crash')}), so it runs alone:"
                f" it waits for a worker that holds nothing else; {busy}"
            )
            return self._why(answer)
        ready = yield from find(self._storage, [Filter(self._queue, JobState.READY)], limit=AHEAD)
        ids = [job.id for job in ready]
        before = ids.index(record.id) if record.id in ids else len(ids)
        line = f"{before:,}{'' if before < AHEAD else ' or more'} ready before it" if before else "it is next"
        return self._why(f"it waits its turn: {line}; {busy}", self._start())

    def _crew(self) -> str:
        return plural(len(self._workers), "live worker")

    def _ago(self, seconds: float | None) -> str:
        return f"{spell(self._now - (seconds or 0.0))} ago"

    def _start(self) -> str:
        return f"distq worker MODULE:APP --queues {self._queue}"


def _clock(seconds: float) -> str:
    return f"{moment(seconds):%Y-%m-%d %H:%M:%S} UTC"


def _many(jobs: list[JobRecord]) -> str:
    return f"{len(jobs):,}" if len(jobs) < AHEAD else f"{AHEAD:,} or more"
