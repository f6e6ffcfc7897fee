"""One queue's state machine in plain Python: no locks, no I/O, and the time is an argument."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

from distq.errors import JobExists
from distq.job import (
    CRASH_BUDGET,
    CRASHED,
    HISTORY,
    REPLACED,
    Attempt,
    Conflict,
    Enqueued,
    Filter,
    Hold,
    JobRecord,
    JobState,
    NewJob,
    Outcome,
    OutcomeKind,
    Schedule,
    Unique,
    rank,
)

FOREVER = float("inf")

_ENDS = {
    OutcomeKind.DONE: JobState.DONE,
    OutcomeKind.DEAD: JobState.DEAD,
    OutcomeKind.CANCELLED: JobState.CANCELLED,
}


@dataclass(slots=True)
class Entry:
    """A job: its record, and what only the storage needs."""

    record: JobRecord
    arrival: int
    unique: Unique | None
    token: str = ""
    expires_at: float = FOREVER
    reason: bytes | None = None
    """Why it is to be cancelled; None while nobody asked."""

    @property
    def position(self) -> tuple[float, int]:
        """The order of leasing, of when they are due, or of the end."""
        record = self.record
        if record.ended_at is not None:
            return record.ended_at, self.arrival
        priority = 0 if record.state is JobState.SCHEDULED else record.priority
        return rank(record.ready_at or 0.0, priority), self.arrival

    def change(self, **fields: object) -> None:
        self.record = self.record._replace(**fields)

    def remember(self, kind: str, now: float, error: bytes = b"", ran: float = 0.0) -> None:
        """Add the attempt that the lease was to the history."""
        record = self.record
        attempt = Attempt(kind, record.worker, record.leased_at or now, now, ran, error)
        self.change(attempts=(*record.attempts, attempt)[-HISTORY:])


@dataclass(slots=True)
class _Claim:
    job_id: str
    unique: Unique
    until: float = FOREVER


@dataclass(slots=True)
class Queue:
    """A queue's jobs, keys, schedules and switches. `became_ready` and `ended` are told what happened."""

    became_ready: Callable[[], None]
    ended: Callable[[str], None]
    jobs: dict[str, Entry] = field(default_factory=dict)
    claims: dict[str, _Claim] = field(default_factory=dict)
    schedules: dict[str, Schedule] = field(default_factory=dict)
    paused: bool = False
    ticked: float = float("-inf")
    arrivals: count[int] = field(default_factory=count)

    def in_state(self, state: JobState) -> list[Entry]:
        """In the order of leasing, or of their end."""
        found = (entry for entry in self.jobs.values() if entry.record.state is state)
        return sorted(found, key=lambda entry: entry.position)

    def ready(self) -> list[Entry]:
        """What may be leased, in that order."""
        return [] if self.paused else self.in_state(JobState.READY)

    # -- enqueue -----------------------------------------------------------------------------------

    def check_key(self, job: NewJob, now: float) -> None:
        """Raises JobExists where the job's key is taken and it asks for an error."""
        if job.unique and job.unique.conflict is Conflict.ERROR and job.id not in self.jobs:
            holder = self._holder(job.unique.key, now)
            if holder not in ("", job.id):
                raise JobExists(job.unique.key, holder)

    def add(self, job: NewJob, now: float) -> Enqueued:
        if job.id in self.jobs:
            return Enqueued(job.id, False)
        if job.unique:
            holder = self._holder(job.unique.key, now)
            if holder and not self._replaced(holder, job, now):
                return Enqueued(holder, False)
            until = now + job.unique.seconds if job.unique.hold is Hold.WINDOW else FOREVER
            self.claims[job.unique.key] = _Claim(job.id, job.unique, until)
        ready_at = now + job.delay if job.run_at is None else job.run_at
        record = JobRecord(
            job.id,
            job.task,
            JobState.SCHEDULED,
            job.payload,
            job.priority,
            job.unique.key if job.unique else "",
            enqueued_at=now,
            ready_at=ready_at,
        )
        self.jobs[job.id] = entry = Entry(record, next(self.arrivals), job.unique)
        if ready_at <= now:
            self.make_ready(entry)
        return Enqueued(job.id, True)

    def _holder(self, key: str, now: float) -> str:
        claim = self.claims.get(key)
        return claim.job_id if claim and claim.until > now else ""

    def _replaced(self, holder: str, job: NewJob, now: float) -> bool:
        entry = self.jobs.get(holder)
        waits = entry and entry.record.state in (JobState.SCHEDULED, JobState.READY)
        if not entry or not waits or not job.unique or job.unique.conflict is not Conflict.REPLACE:
            return False
        self.end(entry, JobState.CANCELLED, REPLACED, now)
        return True

    def make_ready(self, entry: Entry) -> None:
        entry.token = ""
        entry.change(state=JobState.READY, worker="", leased_at=None, leased_until=None)
        self.became_ready()

    # -- lease -------------------------------------------------------------------------------------

    def lease(self, entry: Entry, token: str, worker: str, now: float, ttl: float) -> None:
        entry.token = token
        entry.change(state=JobState.LEASED, worker=worker, leased_at=now, leased_until=now + ttl)
        if entry.unique and entry.unique.hold is Hold.WAITING:
            self._free(entry, now)

    def held(self, job_id: str, token: str) -> Entry | None:
        """The job, where the token is still its fence."""
        entry = self.jobs.get(job_id)
        return entry if entry and entry.record.state is JobState.LEASED and entry.token == token else None

    def settle(self, entry: Entry, outcome: Outcome, now: float, keep: float) -> None:
        if outcome.kind not in (OutcomeKind.DONE, OutcomeKind.RELEASE):
            entry.remember(outcome.kind, now, outcome.body, outcome.ran)
        if state := _ENDS.get(outcome.kind):
            reason = entry.reason if state is JobState.CANCELLED else None
            body = outcome.body or reason or b""
            self.end(entry, state, body, now, keep if state is JobState.DONE else FOREVER)
            return
        if outcome.body:
            entry.change(body=outcome.body)
        if outcome.kind is OutcomeKind.RETRY:
            entry.change(tries=entry.record.tries + 1)
        if outcome.kind is not OutcomeKind.RELEASE or outcome.delay > 0:
            entry.change(ready_at=now + outcome.delay)
            entry.arrival = next(self.arrivals)
        self._give_back(entry, now, delayed=outcome.delay > 0)

    def _give_back(self, entry: Entry, now: float, *, delayed: bool = False) -> None:
        """To be run again, unless it was asked to be cancelled."""
        if entry.reason is not None:
            self.end(entry, JobState.CANCELLED, entry.reason, now)
            return
        self.make_ready(entry)
        if delayed:
            entry.change(state=JobState.SCHEDULED)

    def crash(self, entry: Entry, now: float, *, charge: bool = True) -> bool:
        """End a lease whose worker is gone. Returns whether that buried the job."""
        if charge:
            entry.remember("crash", now)
            entry.change(crashes=entry.record.crashes + 1)
        if entry.record.crashes < CRASH_BUDGET or entry.reason is not None:
            self._give_back(entry, now)
            return False
        self.end(entry, JobState.DEAD, CRASHED, now)
        return True

    def end(self, entry: Entry, state: JobState, body: bytes, now: float, keep: float = FOREVER) -> None:
        entry.token, entry.reason, entry.expires_at = "", None, now + keep
        entry.change(state=state, body=body, ended_at=now, ready_at=None, leased_until=None, cancelling=False)
        if state is JobState.DONE:
            entry.change(payload=b"")
        if entry.unique and entry.unique.hold is not Hold.WINDOW:
            self._free(entry, now + entry.unique.seconds * (entry.unique.hold is Hold.ACTIVE))
        self.ended(entry.record.id)

    def _free(self, entry: Entry, until: float) -> None:
        claim = self.claims.get(entry.record.key)
        if claim and claim.job_id == entry.record.id:
            claim.until = min(claim.until, until)

    # -- steering ----------------------------------------------------------------------------------

    def cancel(self, entry: Entry, reason: bytes, now: float) -> JobState | None:
        if entry.record.state is JobState.LEASED:
            entry.reason = reason
            entry.change(cancelling=True)
            return JobState.LEASED
        if entry.record.state.ended:
            return None
        self.end(entry, JobState.CANCELLED, reason, now)
        return JobState.CANCELLED

    def replay(self, entry: Entry, now: float) -> bool:
        if entry.record.state not in (JobState.DEAD, JobState.CANCELLED):
            return False
        if entry.unique and entry.unique.hold is not Hold.WINDOW:
            if self._holder(entry.record.key, now) not in ("", entry.record.id):
                return False
            self.claims[entry.record.key] = _Claim(entry.record.id, entry.unique)
        entry.arrival, entry.expires_at = next(self.arrivals), FOREVER
        entry.change(tries=0, crashes=0, ended_at=None, ready_at=now, cancelling=False, progress=b"")
        self.make_ready(entry)
        return True

    def remove(self, entry: Entry) -> None:
        del self.jobs[entry.record.id]
        if not entry.record.state.ended:
            self._free(entry, float("-inf"))

    def matches(self, entry: Entry, filter: Filter, now: float) -> bool:
        record = entry.record
        since = record.enqueued_at if record.ended_at is None else record.ended_at
        return (
            filter.task in ("", record.task)
            and filter.text.encode() in record.body
            and since <= now - filter.older
            and (not filter.newer or since > now - filter.newer)
        )
