"""Forgets ended jobs by age and by count, a bounded number at a time. Every worker process does."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from typing import NamedTuple

from distq.job import JobState
from distq.storage import Storage

INTERVAL = 30.0
"""Seconds between two passes of one process, about."""

LIMIT = 1000
"""Jobs that one statement forgets at most; where that was not enough the next follows in `AGAIN` seconds."""

AGAIN = 0.5


class Keep(NamedTuple):
    """How long jobs that have ended are kept, in seconds, and how many of a queue."""

    seconds: float
    jobs: int


class Retention:
    """The passes of one worker process over its queues."""

    def __init__(self, storage: Storage, queues: tuple[str, ...], keeps: Mapping[JobState, Keep]) -> None:
        self._storage, self._queues, self._keeps = storage, queues, keeps
        self._due_at = time.monotonic() + random.uniform(0, INTERVAL)

    def make(self) -> None:
        """Forget what is too much, where it is time. Raises StorageError."""
        if time.monotonic() < self._due_at:
            return
        full = False
        for queue in self._queues:
            for state, (seconds, jobs) in self._keeps.items():
                forgotten = self._storage.run(
                    self._storage.prune(queue, state, older=seconds, beyond=jobs, limit=LIMIT)
                )
                full |= forgotten == LIMIT
        self._due_at = time.monotonic() + (AGAIN if full else random.uniform(0.5, 1.5) * INTERVAL)
