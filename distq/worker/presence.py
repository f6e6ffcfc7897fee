"""A worker process says that it is alive: who asks why a job does not run wants to know who could run it."""

from __future__ import annotations

import os
import socket
import time

from distq.app import DistQ
from distq.job import Presence

INTERVAL = 5.0
"""Seconds between announcements."""


class Announcer:
    """Announces one worker process of an app."""

    def __init__(self, app: DistQ, name: str, queues: tuple[str, ...]) -> None:
        self._storage, self._name = app.storage, name
        self._presence = Presence(name, socket.gethostname(), os.getpid(), queues, tuple(sorted(app.tasks)))
        self._due_at = time.monotonic()

    def make(self) -> None:
        """Announce where it is time. Raises StorageError."""
        if time.monotonic() >= self._due_at:
            self._storage.run(self._storage.announce(self._presence))
            self._due_at = time.monotonic() + INTERVAL

    def leave(self) -> None:
        """Say that the process ends. Raises StorageError."""
        self._storage.run(self._storage.leave(self._name))
