"""How leases end: outcomes gather here from all lanes, and go to the storage in batches."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Sequence

from distq import telemetry
from distq.errors import SchemaError, StorageError, StorageUnavailable
from distq.job import DONE, Lease, Outcome, OutcomeKind
from distq.storage import Storage
from distq.worker import execution
from distq.worker.tally import Tally

GATHER = 0.025
"""Seconds that an outcome waits for others, at most, while jobs wait in the process anyway."""


class Outbox:
    """The outcomes of one worker process that the storage has not taken yet."""

    def __init__(self, storage: Storage, keep: float, batch: int, tally: Tally) -> None:
        """`keep` is the time to live of results in seconds, `batch` how many outcomes go at once."""
        self._storage, self._keep, self._batch, self._tally = storage, keep, batch, tally
        self._fresh: deque[tuple[Outcome, float]] = deque()
        self._unsettled: list[Outcome] = []
        self._settled_at = 0.0
        self.mean = float("inf")
        """How long jobs run, in seconds: of the latest batches, the last one counts half."""

    def __len__(self) -> int:
        return len(self._fresh) + len(self._unsettled)

    def add(self, outcome: Outcome, seconds: float) -> None:
        """Take an outcome and how long its job ran; from any thread."""
        self._fresh.append((outcome, seconds))

    def release(self, leases: Iterable[Lease]) -> None:
        """Give back leases that have no outcome yet."""
        self._collect()
        ended = {(outcome.id, outcome.token) for outcome in self._unsettled}
        self._unsettled += [
            Outcome(lease.id, lease.token, OutcomeKind.RELEASE)
            for lease in leases
            if (lease.id, lease.token) not in ended
        ]

    def due(self, enough: int) -> bool:
        """Whether there are outcomes, and so many, or for so long, that they are to be settled."""
        count = len(self)
        return count >= enough or (count > 0 and time.monotonic() > self._settled_at + GATHER)

    def settle(self) -> Sequence[Outcome]:
        """Send a batch of what has gathered. Returns what was sent: those leases are held no more.

        Raises:
            StorageUnavailable: nothing is lost, call again.
        """
        self._collect()
        if not self._unsettled:
            return []
        outcomes = self._unsettled[: self._batch]
        ours = self._send(outcomes)
        self._settled_at = time.monotonic()
        del self._unsettled[: self._batch]
        for outcome in outcomes if len(ours) < len(outcomes) else ():
            if outcome.id not in ours and outcome.kind is not OutcomeKind.RELEASE:
                telemetry.emit(
                    "warn", "job {id}: lease lost, its {kind} is void", id=outcome.id, kind=outcome.kind
                )
        return outcomes

    def _collect(self) -> None:
        seconds, jobs = 0.0, 0
        while self._fresh:
            outcome, ran = self._fresh.popleft()
            # Who has done its work leaves no account of how long it took.
            self._unsettled.append(outcome if outcome.kind is DONE else outcome._replace(ran=ran))
            # Who has not run says nothing of how long jobs do.
            seconds, jobs = seconds + ran, jobs + (ran > 0)
        if jobs:
            latest = seconds / jobs
            self.mean = latest if self.mean == float("inf") else (self.mean + latest) / 2

    def _send(self, outcomes: Sequence[Outcome]) -> set[str]:
        """Settle; where the storage refuses the batch, one by one, and what it refuses then is dead."""
        settle = self._storage.settle
        try:
            return self._storage.run(settle(outcomes, keep=self._keep))
        except (StorageUnavailable, SchemaError):
            raise
        except StorageError as error:
            if len(outcomes) == 1:
                return self._storage.run(settle([execution.dead(outcomes[0], error)], keep=self._keep))
            return {job_id for outcome in outcomes for job_id in self._send([outcome])}
