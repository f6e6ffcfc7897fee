"""Looks at a storage, one after the other, beside who shows what they see."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from datetime import UTC, datetime
from typing import Any

from distq.admin.monitor import Monitor, Pace
from distq.admin.picture import Picture
from distq.admin.wording import spell
from distq.aside import aside
from distq.cli.session import PATIENCE
from distq.errors import DistqError, StorageUnavailable
from distq.steps import Steps, run
from distq.storage import Storage

SILENCE = 2 * PATIENCE
"""Seconds without an answer that are told."""

BEAT = 1.0
"""Seconds after which is shown again for how long nothing was heard."""


class Watch:
    """For one thread. `picture` is what was last seen."""

    def __init__(self, storage: Storage, monitor: Monitor, picture: Picture, interval: float) -> None:
        self.where = storage.where
        self.picture = picture
        self._storage, self._monitor, self._pace = storage, monitor, Pace(interval)
        self._look: Future[Picture] | None = None
        self._error: DistqError | None = None
        self._next_at = time.monotonic() + interval
        self._heard_at = time.monotonic()

    @property
    def due(self) -> float:
        """Seconds until the next step has something to do, or to show."""
        return BEAT if self._look or self._error else max(self._next_at - time.monotonic(), 0.0)

    @property
    def silence(self) -> str:
        """Why nothing new is seen, and since when; empty where all is well."""
        silent = time.monotonic() - self._heard_at
        if not self._error and (not self._look or silent < SILENCE):
            return ""
        since = datetime.fromtimestamp(time.time() - silent, UTC)
        is_away = self._error is None or isinstance(self._error, StorageUnavailable)
        what = "the storage does not answer; " if is_away else ""  # first, for a line may be cut
        why = self._error or f"storage {self.where} is silent"
        return f"for {spell(int(silent))}, since {since:%H:%M:%S} UTC: {what}{why}"

    def step(self, done: Callable[[], None]) -> None:
        """Take what a look saw, if it has ended; begin the next one when its time has come. `done` is called
        when that ends, in another thread.
        """
        if self._look and self._look.done():
            look, self._look = self._look, None
            self._take(look)
        if not self._look and time.monotonic() >= self._next_at:
            self._began_at = time.monotonic()
            if not self._error:
                self._heard_at = self._began_at
            # One that is met with silence is waited for: its storage may go on where it was.
            self._look = aside(lambda: run(self._storage, self._noting(self._monitor.look())))
            self._look.add_done_callback(lambda _: done())

    def _take(self, look: Future[Picture]) -> None:
        now = time.monotonic()
        try:
            self.picture, self._error = look.result(), None
            self._pace.note(now - self._began_at)
        except DistqError as error:
            self._error = error
        self._next_at = now + self._pace.rest

    def _noting(self, work: Steps[Picture]) -> Steps[Picture]:
        """The same steps, and when each was answered."""
        reply: Any = None
        while True:
            try:
                step = work.send(reply)
            except StopIteration as end:
                return end.value
            reply = yield step
            self._heard_at = time.monotonic()
