"""MemoryStorage: the contract in plain Python. The reference for the other storages, and a test double.

One process only; everything is gone with it.
"""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from distq.job import (
    CRASH_BUDGET,
    CRASHED,
    Enqueued,
    JobRecord,
    JobState,
    Lease,
    NewJob,
    Outcome,
    OutcomeKind,
    Tick,
    split_id,
)
from distq.polling import readable
from distq.storage import Op, T

_ENDS = {OutcomeKind.DONE: JobState.DONE, OutcomeKind.DEAD: JobState.DEAD}


TICK_GAP = 0.25
"""Seconds within which a second maintenance pass has nothing to do."""


@dataclass(slots=True)
class _Job:
    new: NewJob
    state: JobState
    position: tuple[float, int]
    """When it became or becomes ready, and its arrival: the order of leasing."""
    tries: int = 0
    crashes: int = 0
    body: bytes = b""
    token: str = ""
    worker: str = ""
    until: float = 0.0
    """End of the lease, or of the record's time to live."""


@dataclass(slots=True)
class _Queue:
    jobs: dict[str, _Job] = field(default_factory=dict)
    ticked: float = float("-inf")


class MemoryStorage:
    """Storage in this process's memory. `clock` gives seconds; tests may pass their own."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._queues: dict[str, _Queue] = {}
        self._arrivals = 0
        self._lock = threading.Lock()
        self._waiters: set[int] = set()

    def enqueue(self, jobs: Sequence[NewJob]) -> Op[list[Enqueued]]:
        return self._op(lambda: [self._add(job) for job in jobs])

    def _add(self, job: NewJob) -> Enqueued:
        jobs = self._queue(job.queue).jobs
        if job.id in jobs:
            return Enqueued(job.id, False)
        state = JobState.SCHEDULED if job.delay > 0 else JobState.READY
        jobs[job.id] = _Job(job, state, self._position(self._clock() + job.delay))
        self._wake(state)
        return Enqueued(job.id, True)

    def lease(self, queue: str, *, worker: str, limit: int, ttl: float, alone: bool) -> Op[list[Lease]]:
        def take() -> list[Lease]:
            ready = self._in_state(queue, JobState.READY)
            suspects = [job for job in ready if job.crashes]
            chosen = suspects[:1] if alone and suspects else [job for job in ready if not job.crashes][:limit]
            token = uuid.uuid4().hex
            for job in chosen:
                job.state, job.token, job.worker = JobState.LEASED, token, worker
                job.until = self._clock() + ttl
            return [
                Lease(job.new.id, token, job.new.task, job.new.payload, job.tries, job.crashes)
                for job in chosen
            ]

        return self._op(take)

    def extend(self, leases: Sequence[Lease], *, ttl: float) -> Op[set[str]]:
        def prolong() -> set[str]:
            ours = [job for lease in leases if (job := self._held(lease.id, lease.token))]
            for job in ours:
                job.until = self._clock() + ttl
            return {job.new.id for job in ours}

        return self._op(prolong)

    def settle(self, outcomes: Sequence[Outcome], *, keep: float) -> Op[set[str]]:
        def end() -> set[str]:
            ours: set[str] = set()
            for outcome in outcomes:
                if job := self._held(outcome.id, outcome.token):
                    self._end(job, outcome, keep)
                    ours.add(outcome.id)
            return ours

        return self._op(end)

    def _end(self, job: _Job, outcome: Outcome, keep: float) -> None:
        job.body = outcome.body or job.body
        if outcome.kind in _ENDS:
            job.state, job.token = _ENDS[outcome.kind], ""
            job.until = float("inf") if outcome.kind is OutcomeKind.DEAD else self._clock() + keep
            return
        job.tries += outcome.kind is OutcomeKind.RETRY
        if outcome.kind is not OutcomeKind.RELEASE:
            job.position = self._position(self._clock() + outcome.delay)
        self._return(job, JobState.SCHEDULED if outcome.delay > 0 else JobState.READY)

    def forfeit(
        self, queue: str, *, worker: str, begun: Collection[str], kept: Collection[str] = ()
    ) -> Op[int]:
        def give_back() -> int:
            leased = self._in_state(queue, JobState.LEASED)
            held = [job for job in leased if job.worker == worker and job.new.id not in kept]
            for job in held:
                self._reclaim(job, charge=job.new.id in begun)
            return len(held)

        return self._op(give_back)

    def tick(self, queue: str, *, limit: int, grace: float, outage: float, eager: bool = False) -> Op[Tick]:
        def maintain() -> Tick:
            now, before = self._clock(), self._queue(queue).ticked
            if now - before < TICK_GAP and not eager:
                return Tick()
            self._queue(queue).ticked = now
            due = [job for job in self._in_state(queue, JobState.SCHEDULED) if job.position[0] <= now][:limit]
            for job in due:
                self._return(job, JobState.READY)
            expired = [job for job in self._in_state(queue, JobState.LEASED) if job.until <= now][:limit]
            spare = now - before > outage
            buried = sum(self._prolong(job, grace) if spare else self._reclaim(job) for job in expired)
            reclaimed = 0 if spare else len(expired) - buried
            pruned = self._prune(queue, now, limit)
            return Tick(len(due), reclaimed, buried, pruned, self._suspects(queue))

        return self._op(maintain)

    def _suspects(self, queue: str) -> int:
        return sum(job.crashes > 0 for job in self._in_state(queue, JobState.READY))

    def _prolong(self, job: _Job, grace: float) -> bool:
        job.until = self._clock() + grace
        return False

    def _reclaim(self, job: _Job, *, charge: bool = True) -> bool:
        """End a lease whose worker is gone. Returns whether that buried the job."""
        job.crashes += charge
        if job.crashes < CRASH_BUDGET:
            self._return(job, JobState.READY)
            return False
        job.state, job.token, job.body, job.until = JobState.DEAD, "", CRASHED, float("inf")
        return True

    def _prune(self, queue: str, now: float, limit: int) -> int:
        jobs = self._queue(queue).jobs
        expired = [key for key, job in jobs.items() if job.state.ended and job.until <= now][:limit]
        for key in expired:
            del jobs[key]
        return len(expired)

    def get(self, job_id: str) -> Op[JobRecord | None]:
        queue, _ = split_id(job_id)

        def find() -> JobRecord | None:
            job = self._queue(queue).jobs.get(job_id)
            if job is None or (job.state.ended and job.until <= self._clock()):
                return None
            return JobRecord(job_id, job.new.task, job.state, job.tries, job.crashes, job.body)

        return self._op(find)

    def counts(self, queue: str) -> Op[Mapping[JobState, int]]:
        return self._op(lambda: Counter(job.state for job in self._queue(queue).jobs.values()))

    def migrate(self) -> list[str]:
        return ["memory storage: nothing to migrate"]

    def run(self, op: Op[T]) -> T:
        with self._lock:
            return op.decode(op.request())

    async def arun(self, op: Op[T]) -> T:
        return self.run(op)

    def wait(self, queues: Sequence[str], *, timeout: float, wakeup: int) -> None:
        reader, writer = os.pipe()
        with self._lock:
            self._waiters.add(writer)
            ready = any(self._in_state(queue, JobState.READY) for queue in queues)
        try:
            readable([reader, wakeup], 0 if ready else timeout)
        finally:
            with self._lock:
                self._waiters.discard(writer)
            os.close(reader)
            os.close(writer)

    def close(self) -> None:
        """Nothing to close: the jobs stay."""

    async def aclose(self) -> None:
        """Nothing to close: the jobs stay."""

    @staticmethod
    def _op(call: Callable[[], T]) -> Op[T]:
        return Op(call, lambda answer: answer)

    def _queue(self, name: str) -> _Queue:
        return self._queues.setdefault(name, _Queue())

    def _in_state(self, queue: str, state: JobState) -> list[_Job]:
        jobs: Iterable[_Job] = (job for job in self._queue(queue).jobs.values() if job.state is state)
        return sorted(jobs, key=lambda job: job.position)

    def _held(self, job_id: str, token: str) -> _Job | None:
        job = self._queue(split_id(job_id)[0]).jobs.get(job_id)
        return job if job and job.state is JobState.LEASED and job.token == token else None

    def _position(self, ready: float) -> tuple[float, int]:
        self._arrivals += 1
        return (ready, self._arrivals)

    def _return(self, job: _Job, state: JobState) -> None:
        job.state, job.token, job.worker = state, "", ""
        self._wake(state)

    def _wake(self, state: JobState) -> None:
        if state is JobState.READY:
            for writer in self._waiters:
                os.write(writer, b"!")
