"""A worker process says that it is alive, and how it is: who asks why a job does not run wants to know who
could run it, and who looks at the workers what each does.
"""

from __future__ import annotations

import os
import socket
import time

from distq.admin.crew import SHOWN, Activity, Vitals
from distq.app import DistQ
from distq.job import Presence
from distq.worker.holdings import Holdings
from distq.worker.memory import resident
from distq.worker.running import Running
from distq.worker.settings import Settings
from distq.worker.tally import Tally

INTERVAL = 5.0
"""Seconds between announcements."""


class Announcer:
    """Announces one worker process of an app. For the I/O thread."""

    def __init__(
        self, app: DistQ, name: str, settings: Settings, holdings: Holdings, running: Running, tally: Tally
    ) -> None:
        self._storage, self._name, self._settings = app.storage, name, settings
        self._holdings, self._running, self._tally = holdings, running, tally
        self._crons = tuple(cron.timetable for cron in app.crons.values())
        tasks = tuple(sorted(app.tasks))
        self._presence = Presence(name, socket.gethostname(), os.getpid(), settings.queues, tasks)
        self._due_at = time.monotonic()

    def make(self) -> None:
        """Announce where it is time. Raises StorageError."""
        if time.monotonic() >= self._due_at:
            now = self._presence._replace(vitals=self._vitals().encode(), tallies=self._tally.tallies)
            self._storage.run(self._storage.announce(now))
            self._due_at = time.monotonic() + INTERVAL

    def leave(self) -> None:
        """Say that the process ends, and what it has done. Raises StorageError."""
        self._storage.run(self._storage.leave(self._name, tallies=self._tally.tallies))

    def _vitals(self) -> Vitals:
        return Vitals(
            memory=resident(),
            concurrency=self._settings.concurrency,
            held=len(self._holdings),
            renewed=self._holdings.age,
            running=tuple(
                Activity(id=lease.id, task=lease.task, ran=seconds)
                for lease, seconds in self._running.longest(SHOWN)
            ),
            crons=self._crons,
        )
