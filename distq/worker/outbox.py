"""How leases end: outcomes gather here from all lanes, and go to the storage in batches."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from operator import itemgetter

from distq import telemetry
from distq.errors import SchemaError, StorageError, StorageUnavailable
from distq.job import DONE, Lease, Outcome, OutcomeKind, first_of_each
from distq.storage import Storage
from distq.telemetry import figures, settling
from distq.telemetry.watch import Watch
from distq.worker import execution
from distq.worker.tally import Tally

GATHER = 0.025
"""Seconds that an outcome waits for others, at most, while jobs wait in the process anyway."""

_key = itemgetter(0, 1)
"""An outcome's id and token."""


class Outbox:
    """The outcomes of one worker process that the storage has not taken yet."""

    def __init__(self, storage: Storage, keep: float, batch: int, tally: Tally) -> None:
        """`keep` is the time to live of results in seconds, `batch` how many outcomes go at once."""
        self._storage, self._keep, self._batch, self._tally = storage, keep, batch, tally
        self._fresh: deque[tuple[Outcome, float, Watch | None]] = deque()
        self._unsettled: list[Outcome] = []
        self._watches: list[Watch | None] = []
        """Of each of those outcomes, who watched the attempt; nobody without telemetry."""
        self._settled_at = 0.0
        self.mean = float("inf")
        """How long jobs run, in seconds: of the latest batches, the last one counts half."""

    def __len__(self) -> int:
        return len(self._fresh) + len(self._unsettled)

    def add(self, outcome: Outcome, seconds: float, watch: Watch | None = None) -> None:
        """Take an outcome, how long its job ran, and who watched it; from any thread."""
        self._fresh.append((outcome, seconds, watch))

    def release(self, leases: Iterable[Lease]) -> None:
        """Give back leases that have no outcome yet."""
        self._collect()
        ended = set(map(_key, self._unsettled))
        released = [
            Outcome(lease.id, lease.token, OutcomeKind.RELEASE)
            for lease in leases
            if (lease.id, lease.token) not in ended
        ]
        self._unsettled += released
        self._watches += [None] * len(released)

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
        watches = self._watches[: self._batch]
        taken = self._send_watched(outcomes, watches) if any(watches) else self._send(outcomes)
        self._settled_at = time.monotonic()
        del self._unsettled[: self._batch], self._watches[: self._batch]
        self._tally.add(taken)
        if len(taken) < len(outcomes):
            self._mourn(_void(outcomes, taken))
        return outcomes

    def _mourn(self, voids: Sequence[Outcome]) -> None:
        for queue, count in Counter(outcome.id.partition(":")[0] for outcome in voids).items():
            figures.lost(queue, count)
        for outcome in voids:
            if outcome.kind is not OutcomeKind.RELEASE:
                telemetry.emit(
                    "warn", "job {id}: lease lost, its {kind} is void", id=outcome.id, kind=outcome.kind
                )

    def _collect(self) -> None:
        seconds, jobs = 0.0, 0
        while self._fresh:
            outcome, ran, watch = self._fresh.popleft()
            self._watches.append(watch)
            # Who has done its work leaves no account of how long it took.
            self._unsettled.append(outcome if outcome.kind is DONE else outcome._replace(ran=ran))
            # Who has not run says nothing of how long jobs do.
            seconds, jobs = seconds + ran, jobs + (ran > 0)
        if jobs:
            latest = seconds / jobs
            self.mean = latest if self.mean == float("inf") else (self.mean + latest) / 2

    def _send_watched(
        self, outcomes: Sequence[Outcome], watches: Sequence[Watch | None]
    ) -> Sequence[Outcome]:
        """Send within a span that leads to those of the jobs, and let the metrics know."""
        span = settling.begin(outcomes, watches)
        with span or nullcontext():
            taken = self._send(outcomes)
            if span:
                span.taken(len(_void(outcomes, taken)))
        if taken is not outcomes:
            watch_of = dict(zip(map(_key, outcomes), watches, strict=True))
            watches = [watch_of[_key(outcome)] for outcome in taken]
        figures.ended(taken, watches)
        return taken

    def _send(self, outcomes: Sequence[Outcome]) -> Sequence[Outcome]:
        """Settle; where the storage refuses the batch, one by one, and what it refuses then is dead.

        Returns the outcomes that the storage took for ours.
        """
        try:
            return self._settle(outcomes)
        except (StorageUnavailable, SchemaError):
            raise
        except StorageError as error:
            if len(outcomes) == 1:
                return self._settle([execution.dead(outcomes[0], error)])
            return [taken for outcome in outcomes for taken in self._send([outcome])]

    def _settle(self, outcomes: Sequence[Outcome]) -> Sequence[Outcome]:
        ours = self._storage.run(self._storage.settle(outcomes, keep=self._keep))
        if len(ours) == len(outcomes):
            return outcomes
        return [outcome for outcome in first_of_each(outcomes) if outcome.id in ours]


def _void(outcomes: Sequence[Outcome], taken: Sequence[Outcome]) -> list[Outcome]:
    """Those that were another's by then."""
    ours = {outcome.id for outcome in taken}
    return [outcome for outcome in outcomes if outcome.id not in ours]
