"""Fires cron schedules. Every worker process does, and the storage lets one of them fire each tick."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable
from contextlib import ExitStack

from distq import telemetry
from distq.cron import Cron
from distq.job import Schedule
from distq.storage import Storage
from distq.telemetry import quiet

REFRESH = 10.0
"""Seconds after which the storage is asked anew at the latest: for its clock, and for what was resumed."""


class Scheduler:
    """An app's schedules, as one worker process sees them."""

    def __init__(self, storage: Storage, crons: Iterable[Cron]) -> None:
        self._storage = storage
        self._crons: dict[str, dict[str, Cron]] = defaultdict(dict)
        for cron in crons:
            self._crons[cron.task.declared.queue][cron.name] = cron
        self.next_at = time.monotonic() if self._crons else float("inf")
        """When `make` has something to do, on the monotonic clock."""

    def make(self) -> None:
        """Fire what is due. Raises StorageError."""
        if time.monotonic() < self.next_at:
            return
        waits = [self._fire_queue(queue, crons) for queue, crons in self._crons.items()]
        self.next_at = time.monotonic() + min(*waits, REFRESH)

    def _fire_queue(self, queue: str, crons: dict[str, Cron]) -> float:
        """Fire what is due in a queue. Returns how many seconds it is to the next tick."""
        known = self._storage.run(self._storage.schedules(queue, sorted(crons)))
        wait = REFRESH
        for schedule in known.schedules:
            if (cron := crons.get(schedule.name)) and not schedule.paused:
                self._fire(queue, cron, schedule, known.now)
                tick = cron.next(known.now)
                wait = min(wait, tick - known.now if tick else REFRESH)
        return wait

    def _fire(self, queue: str, cron: Cron, schedule: Schedule, now: float) -> None:
        last = schedule.last
        for tick in cron.due(last, now):
            with ExitStack() as around:
                job, span = cron.task.job_of(tick, around)
                fire = self._storage.fire(queue, cron.name, last=last, tick=tick, job=job)
                # Others try too: of a tick that is not ours nothing is to be seen.
                with quiet.keeping():
                    fired = self._storage.run(fire)
                if not fired:
                    if span:
                        span.discard()
                    return
            telemetry.emit("info", "schedule {name}: job {id}", name=cron.name, id=job.id)
            last = tick
