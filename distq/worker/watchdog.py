"""Notices when a worker process stands still: jobs are ready, it has room, and it gets none.

Every queue library has seen workers that live and do nothing: a connection that is half dead, a subscription
that was lost. So trust is given up step by step: first the connections, then the process.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from distq import telemetry
from distq.job import Filter, JobState
from distq.storage import Storage


class Watchdog:
    """Of one worker process. The job at the head of a queue is remembered: it should not stay there."""

    def __init__(self, storage: Storage, queues: tuple[str, ...], patience: float) -> None:
        """`patience` is how many seconds the process may stand still."""
        self._storage, self._queues, self._patience = storage, queues, patience
        self._heads: set[str] = set()
        self._look_at = float("-inf")
        self._reconnected = False

    def stuck(self, hungry_since: float, reconnect: Callable[[], None]) -> bool:
        """Whether the process should end, for a new connection did not help. Raises StorageError."""
        now = time.monotonic()
        if now - hungry_since < self._patience / 2:
            self._heads, self._reconnected = set(), False
            return False
        if now < self._look_at:
            return False
        self._look_at = now + self._patience / 4
        heads, known = self._ready(), self._heads
        self._heads = heads
        if not heads & known:
            return False
        if self._reconnected:
            telemetry.emit("error", "job {id} is ready and cannot be leased", id=min(heads & known))
            return True
        telemetry.emit("warn", "job {id} is ready and was not leased: connecting anew", id=min(heads & known))
        self._reconnected = True
        reconnect()
        return False

    def _ready(self) -> set[str]:
        """The first job of each queue that anybody could take."""
        paused = self._storage.run(self._storage.queues())
        heads: set[str] = set()
        for queue in self._queues:
            if not paused.get(queue):
                page = self._storage.run(self._storage.find(Filter(queue, JobState.READY), limit=1))
                heads |= {job.id for job in page.jobs if not job.crashes}
        return heads
