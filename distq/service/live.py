"""The state of the deployment, looked at once for all who watch.

Looks are made while somebody is interested, each a second after the last, or as seldom as keeps them below a
twentieth of the time: to count a million jobs takes a store a while. Who has just changed something and asks
need not wait for the second to pass. `distq serve` looks now and then all the same, so that a page has
something to show at once, and a history.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from traceback import format_exception
from typing import TypeVar

from distq import telemetry
from distq.admin.monitor import INTERVAL, Monitor, Pace, Picture, Point, Trouble
from distq.aside import aside
from distq.errors import DistqError, StorageUnavailable
from distq.finding import Severity
from distq.service.patience import begin
from distq.steps import arun
from distq.storage import Storage

T = TypeVar("T")

PATIENCE = 5.0
"""Seconds that a look may take before the storage is called silent."""

INTEREST = 60.0
"""Seconds for which looks go on after the last one that somebody wanted."""

IDLE = 15.0
"""Seconds between two looks that nobody has asked for."""

EXAMINATION = 60.0
"""Seconds between two examinations of the storage itself."""


class Live:
    """Looks at a storage for many. For one event loop at a time."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._monitor = Monitor(storage, lapse=INTERVAL / 2)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._watchers = 0
        self._wanted_at = float("-inf")
        self._pace = Pace()
        self._begun = self._looks = 0
        self._steady = self._idle = False
        self.closed = False
        """Whether the service ends; who waits for something else need not any more."""
        self._settings: list[Trouble] = []
        self.latest: Picture | None = None
        """What the last look that succeeded saw."""
        self.error: DistqError | None = None
        """Why the last look did not succeed; None where it did."""

    def _settle_in(self) -> None:
        """Begin anew where another event loop runs than before: what waited in that one is gone."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._loop = loop
            self._changed = asyncio.Condition()
            self._wanted = asyncio.Event()
            self._task: asyncio.Task[None] | None = None
            self._looking: asyncio.Task[Picture] | None = None
            self._watchers = 0

    @property
    def watchers(self) -> int:
        """How many wait for looks now."""
        return self._watchers

    def history(self, queue: str) -> Sequence[Point]:
        """What the looks saw of a queue, up to ten minutes of them."""
        return self._monitor.history(queue)

    async def picture(self, *, linger: bool = True, stale: bool = False) -> Picture:
        """What there is now; of a store that is looked at seldom, or is away, what was last seen. Raises
        StorageError. With `linger` looks go on for a while: who asks will ask again. With `stale` what was
        seen `IDLE` seconds ago will do: there will be another.
        """
        self._settle_in()
        will_do = self._will_do(stale=stale)
        with self._interest(linger=linger):
            if not will_do:
                self._wanted.set()
                await self._next(self._begun)
        if self.error:
            raise self.error.with_traceback(None)
        assert self.latest
        return self.latest

    def _will_do(self, *, stale: bool) -> bool:
        """Whether what was last seen is as new as can be had, or as is asked for."""
        if self._looks == 0 or not self._watching():
            return False
        return stale or (not self._idle and (self.error is not None or self._pace.least > INTERVAL))

    async def pictures(self) -> AsyncIterator[Picture | None]:
        """What there is now, and each time that it was looked at again; None while the storage is away. Ends
        when this is closed.
        """
        self._settle_in()
        seen = 0 if self._watching() else self._looks
        with self._interest():
            while not self.closed:
                seen = await self._next(seen)
                if not self.closed:
                    yield None if self.error else self.latest

    def open(self) -> None:
        """Begin; it is open already where it was never closed."""
        if self.closed:
            self.closed, self.error, self._begun, self._looks = False, None, 0, 0

    def keep_looking(self) -> None:
        """Look now and then, though nobody asks, until this is closed."""
        self._settle_in()
        self._steady = True
        self._start()

    async def close(self) -> None:
        """End the looks, and what waits for them. Twice is safe."""
        self._settle_in()
        self.closed = True
        self.error = StorageUnavailable(self._storage.where, "the service ends")
        tasks = [task for task in (self._task, self._looking) if task]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=INTERVAL)
        self._task = self._looking = None
        async with self._changed:
            self._changed.notify_all()

    async def _next(self, seen: int) -> int:
        """Wait until more looks than so many have been made, or this is closed. Returns how many."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._looks > seen or self.closed)
            return self._looks

    # -- looking -----------------------------------------------------------------------------------

    def _watching(self) -> bool:
        return self._task is not None and not self._task.done()

    def _start(self) -> None:
        if not self._watching():
            self._task = asyncio.create_task(self._watch())

    def _interesting(self) -> bool:
        return self._watchers > 0 or time.monotonic() < self._wanted_at + INTEREST

    @contextmanager
    def _interest(self, *, linger: bool = True) -> Iterator[None]:
        """Somebody wants looks."""
        loop = self._loop
        self._watchers += 1
        if self._idle:
            self._wanted.set()
        self._start()
        try:
            yield
        finally:
            if linger:
                self._wanted_at = time.monotonic()
            if loop is self._loop:
                self._watchers -= 1

    async def _watch(self) -> None:
        examined_at = float("-inf")
        while self._steady or self._interesting():
            began = time.monotonic()
            await self._look()
            if not self.error:
                self._pace.note(time.monotonic() - began)
            if began > examined_at + EXAMINATION and not self.error:
                examined_at = began
                begin(self._examine())
            await self._rest()

    async def _rest(self) -> None:
        """Wait until the next look is due: soon where somebody waits for it, and where nobody is interested
        until somebody is.
        """
        least, pause = self._pace.least, self._pace.rest
        await asyncio.sleep(least)
        if await self._is_wanted(pause - least) or not self._steady or self._interesting():
            return
        self._idle = True
        await self._is_wanted(IDLE - pause)
        self._idle = False

    async def _is_wanted(self, seconds: float) -> bool:
        """Whether somebody waits for a look before so many seconds are over."""
        try:
            await asyncio.wait_for(self._wanted.wait(), seconds)
        except TimeoutError:
            return False
        return True

    async def _look(self) -> None:
        self._begun = self._looks + 1
        self._wanted.clear()
        was_away = self.error is not None
        # One that was given up may still be on its way: there is one at a time.
        self._looking = self._looking or asyncio.create_task(arun(self._storage, self._monitor.look()))
        await asyncio.wait({self._looking}, timeout=PATIENCE)
        if not self._looking.done():
            self.error = StorageUnavailable(self._storage.where, f"no answer within {PATIENCE:g} s")
        else:
            looking, self._looking = self._looking, None
            self._take(looking)
        if self.error and not was_away:
            telemetry.emit("warn", "{error}; the dashboard shows what was last seen", error=self.error)
        async with self._changed:
            self._looks += 1
            self._changed.notify_all()

    def _take(self, looking: asyncio.Task[Picture]) -> None:
        """Keep what a look saw, or why it saw nothing."""
        try:
            picture = looking.result()
            self.latest = picture.model_copy(update={"troubles": [*self._settings, *picture.troubles]})
            self.error = None
        except DistqError as error:
            self.error = error
        # Who waits for a look is told that it failed, whatever it was.
        except Exception as error:  # noqa: BLE001
            _tell(error)
            self.error = DistqError("the service has a fault; its log says more")

    async def _examine(self) -> None:
        """What is wrong with the storage itself: its settings, its indexes, its clock."""
        try:
            found = await _aside(self._storage.examine, PATIENCE)
        except (DistqError, TimeoutError):
            return  # the next look says that it is away
        except Exception as error:  # noqa: BLE001
            _tell(error)
            return
        bad = (Severity.WARNING, Severity.PROBLEM)
        self._settings = [Trouble.of(finding) for finding in found if finding.severity in bad]


def _tell(error: Exception) -> None:
    telemetry.emit("error", "a look failed\n{trace}", trace="".join(format_exception(error)))


async def _aside(function: Callable[[], T], timeout: float) -> T:
    """Call a function in a thread, and leave it there where it takes longer. Raises TimeoutError then."""
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    answer = aside(function)
    answer.add_done_callback(lambda _: None if loop.is_closed() else loop.call_soon_threadsafe(ended.set))
    await asyncio.wait_for(ended.wait(), timeout)
    return answer.result()
