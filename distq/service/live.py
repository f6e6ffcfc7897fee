"""The state of the deployment, looked at once for all who watch.

Looks are made while somebody is interested, each a second after the last, or as seldom as keeps them below a
twentieth of the time: to count a million jobs takes a store a while.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence

from distq import telemetry
from distq.admin.monitor import Monitor, Picture, Point, Trouble
from distq.errors import DistqError, StorageUnavailable
from distq.finding import Severity
from distq.steps import arun
from distq.storage import Storage

INTERVAL = 1.0
"""Seconds between two looks, at least."""

SHARE = 20
"""Of the time, one part in so many is spent looking, at most."""

PATIENCE = 5.0
"""Seconds that a look may take before the storage is called silent."""

INTEREST = 60.0
"""Seconds for which looks go on after the last one that somebody wanted."""

EXAMINATION = 60.0
"""Seconds between two examinations of the storage itself."""


class Live:
    """Looks at a storage for many. For one event loop."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._monitor = Monitor(storage)
        self._task: asyncio.Task[None] | None = None
        self._changed = asyncio.Condition()
        self._wanted_at = float("-inf")
        self._looks = 0
        self._settings: list[Trouble] = []
        self.latest: Picture | None = None
        """What the last look that succeeded saw."""
        self.error: DistqError | None = None
        """Why the last look did not succeed; None where it did."""

    def history(self, queue: str) -> Sequence[Point]:
        """What the looks saw of a queue, up to ten minutes of them."""
        return self._monitor.history(queue)

    async def picture(self) -> Picture:
        """What there is now. Raises StorageError."""
        was_watched = self._watching()
        self._want()
        if not was_watched or self._looks == 0:
            await self._next(self._looks)
        if self.error:
            raise self.error
        assert self.latest
        return self.latest

    async def pictures(self) -> AsyncIterator[Picture | None]:
        """What there is now, and each time that it was looked at again; None while the storage is away."""
        seen = 0 if self._watching() else self._looks
        while True:
            self._want()
            seen = await self._next(seen)
            yield None if self.error else self.latest

    async def close(self) -> None:
        """End the looks. Twice is safe."""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def _next(self, seen: int) -> int:
        """Wait until more looks than so many have been made. Returns how many."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._looks > seen)
            return self._looks

    # -- looking -----------------------------------------------------------------------------------

    def _watching(self) -> bool:
        return self._task is not None and not self._task.done()

    def _want(self) -> None:
        self._wanted_at = time.monotonic()
        if not self._watching():
            self._task = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        examined_at = float("-inf")
        while (began := time.monotonic()) < self._wanted_at + INTEREST:
            await self._look()
            if began > examined_at + EXAMINATION and not self.error:
                examined_at = began
                await self._examine()
            await asyncio.sleep(max(INTERVAL, SHARE * (time.monotonic() - began)))

    async def _look(self) -> None:
        was_away = self.error is not None
        try:
            picture = await asyncio.wait_for(arun(self._storage, self._monitor.look()), PATIENCE)
            self.latest = picture.model_copy(update={"troubles": [*self._settings, *picture.troubles]})
            self.error = None
        except TimeoutError:
            self.error = StorageUnavailable(self._storage.where, f"no answer within {PATIENCE:g} s")
        except DistqError as error:
            self.error = error
        if self.error and not was_away:
            telemetry.emit("warn", "{error}; the dashboard shows what was last seen", error=self.error)
        async with self._changed:
            self._looks += 1
            self._changed.notify_all()

    async def _examine(self) -> None:
        """What is wrong with the storage itself: its settings, its indexes, its clock."""
        try:
            found = await asyncio.wait_for(asyncio.to_thread(self._storage.examine), PATIENCE)
        except (DistqError, TimeoutError):
            return  # the next look says that it is away
        bad = (Severity.WARNING, Severity.PROBLEM)
        self._settings = [Trouble.of(finding) for finding in found if finding.severity in bad]
