"""The leases that a worker process holds: renewed, reported on, and disowned where an answer was lost."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from distq import telemetry
from distq.errors import StorageError
from distq.job import Lease, Outcome
from distq.storage import Storage
from distq.telemetry.instruments import instruments

PROGRESS_PAUSE = 0.5
"""Seconds between two reports of progress."""


class Holdings:
    """Leases by id and token. For the I/O thread; `note` is for any."""

    def __init__(self, storage: Storage, worker: str, ttl: float) -> None:
        self._storage, self._worker, self._ttl = storage, worker, ttl
        self._leases: dict[tuple[str, str], Lease] = {}
        self._doubtful: set[str] = set()
        self._leased_at: dict[str, float] = {}
        """By id and on the monotonic clock; empty where nobody wants to know how long jobs waited."""
        self._progress: dict[str, bytes] = {}
        self._extended_at = time.monotonic()
        self.asked = False
        """Whether to ask soon who is to be cancelled, for a hint said so."""

    def __len__(self) -> int:
        return len(self._leases)

    def __iter__(self) -> Iterator[Lease]:
        return iter(self._leases.values())

    @property
    def fresh_until(self) -> float:
        """Until when, on the monotonic clock, the leases are surely ours."""
        return self._extended_at + self._ttl

    @property
    def age(self) -> float:
        """How many seconds ago the leases were taken or renewed; 0 where there are none."""
        return time.monotonic() - self._extended_at if self._leases else 0.0

    def note(self, job_id: str, progress: bytes) -> None:
        """Take a job's progress to the storage at the next renewal."""
        self._progress[job_id] = progress

    def lease(self, queue: str, limit: int) -> list[Lease]:
        """Take jobs of a queue; where nothing is held, a suspect alone. Raises StorageError."""
        began, idle = time.monotonic(), not self._leases
        self._doubtful.add(queue)
        leases = self._storage.run(
            self._storage.lease(queue, worker=self._worker, limit=limit, ttl=self._ttl, alone=idle)
        )
        self._doubtful.discard(queue)
        if idle:
            self._extended_at = began
        self._leases.update(((lease.id, lease.token), lease) for lease in leases)
        if instruments():
            self._leased_at.update(dict.fromkeys([lease.id for lease in leases], began))
        return leases

    def waited(self, lease: Lease, now: float) -> float | None:
        """How many seconds a held job has been ready at a moment on the monotonic clock, as `Storage.waited`
        counts; None where that was not noted. For any thread.
        """
        leased_at = self._leased_at.get(lease.id)
        return None if leased_at is None else self._storage.waited(lease) + now - leased_at

    def drop(self, outcomes: Sequence[Outcome]) -> None:
        """These have been settled."""
        for outcome in outcomes:
            self._leases.pop((outcome.id, outcome.token), None)
            if self._leased_at:
                self._leased_at.pop(outcome.id, None)

    def renew(self, *, urgent: bool) -> set[str]:
        """Extend the leases where it is time. Returns the ids of those that somebody wants cancelled.

        Progress goes out sooner than leases need, and at once where it is `urgent`, as when the jobs that
        made it are about to be settled. Raises StorageError.
        """
        now = time.monotonic()
        if not self._leases or now - self._extended_at <= self._pause(urgent):
            return set()
        held, progress = list(self._leases.values()), dict(self._take_progress())
        try:
            answer = self._storage.run(self._storage.extend(held, ttl=self._ttl, progress=progress))
        except StorageError:
            for job_id, latest in progress.items():
                self._progress.setdefault(job_id, latest)
            raise
        self._extended_at, self.asked = now, False
        for lease in held:
            if lease.id not in answer.ours:
                telemetry.emit("warn", "job {id}: lease lost while it ran", id=lease.id)
        return answer.cancelled

    def _pause(self, urgent: bool) -> float:
        if self.asked or (self._progress and urgent):
            return 0.0
        return PROGRESS_PAUSE if self._progress else self._ttl / 3

    def _take_progress(self) -> Iterator[tuple[str, bytes]]:
        while self._progress:
            yield self._progress.popitem()

    def disown(self) -> None:
        """Give back what a lease may have given whose answer never came. Raises StorageError."""
        for queue in list(self._doubtful):
            kept = {job_id for job_id, _ in self._leases}
            self._storage.run(self._storage.forfeit(queue, worker=self._worker, begun=(), kept=kept))
            self._doubtful.discard(queue)
