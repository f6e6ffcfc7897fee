"""Whether, when and with which status a worker process ends."""

from __future__ import annotations

import time
from collections.abc import Callable

from distq.job import JobState
from distq.storage import Storage
from distq.worker.intake import Intake
from distq.worker.memory import peak
from distq.worker.settings import Settings
from distq.worker.watchdog import Watchdog

FAREWELL = 4.0
"""Seconds beyond the grace time for telling the storage what was given back."""

RECYCLED, STUCK = 75, 76
"""The exit statuses of a process that is to be replaced: by plan, and because it stood still."""

LOOK = 1.0
"""Seconds between looks at the counts of a burst."""

_MEBIBYTE = 2**20


class Ending:
    """The end of one worker process, which begins when it takes no more jobs. For the I/O thread."""

    def __init__(self, settings: Settings, storage: Storage, intake: Intake) -> None:
        self._settings, self._storage, self._intake = settings, storage, intake
        self._watchdog = Watchdog(storage, settings.queues, settings.watchdog)
        self._began_at = float("inf")
        self._look_at = float("-inf")
        self.status = 0

    def begin(self, status: int = 0) -> None:
        """Take no more jobs: those that run have the grace time. The first status counts."""
        if not self.begun:
            self._began_at, self.status = time.monotonic(), status

    def hasten(self) -> None:
        """Give no grace time."""
        self.begin()
        self._began_at = min(self._began_at, time.monotonic() - self._settings.grace)

    @property
    def begun(self) -> bool:
        """Whether no more jobs are taken."""
        return self._began_at < float("inf")

    @property
    def overdue(self) -> bool:
        """Whether the grace time is over."""
        return time.monotonic() > self._began_at + self._settings.grace

    @property
    def too_late(self) -> bool:
        """Whether the storage does not take what it is to be told in time."""
        return time.monotonic() > self._began_at + self._settings.grace + FAREWELL

    def limit(self) -> None:
        """Begin to end where the process has had its share of jobs or of memory."""
        if self._intake.spent or self._too_large():
            self.begin(RECYCLED)

    def consider(self, idle: bool, reconnect: Callable[[], None]) -> None:
        """Begin to end where it stands still, or at the end of a burst. Raises StorageError."""
        if self._watchdog.stuck(self._intake.hungry_since, reconnect):
            self.begin(STUCK)
        elif self._settings.burst and idle and self._all_done():
            self.begin()

    def _too_large(self) -> bool:
        limit = self._settings.max_memory
        return bool(limit) and peak() > limit * _MEBIBYTE

    def _all_done(self) -> bool:
        """Whether nothing is ready or runs, in other processes too: what fails there may be ready again."""
        if time.monotonic() < self._look_at:
            return False
        self._look_at = time.monotonic() + LOOK
        paused = self._storage.run(self._storage.queues())
        open_ones = [queue for queue in self._settings.queues if not paused.get(queue)]
        counts = [self._storage.run(self._storage.counts(queue)) for queue in open_ones]
        return not any(count.get(JobState.READY) or count.get(JobState.LEASED) for count in counts)
