"""The handle of a queue: steering it, looking at it, waiting for it. `app.queue("mail")`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Unpack

from distq.admin import bulk
from distq.admin.bulk import Cancelled, Replayed, Which
from distq.admin.overview import queue_views
from distq.admin.views import JobView, QueueView
from distq.checks import check_timeout
from distq.errors import DrainTimeout
from distq.ids import check_queue
from distq.job import Filter, JobState
from distq.messages import encode_cancellation
from distq.steps import Pause, Steps, arun, do, run
from distq.storage import Storage

PAUSES = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
"""Seconds between looks at a queue that is to be drained; the last repeats."""


class Queue:
    """The handle of one queue. Methods that begin with `a` are for coroutines.

    They raise ConfigurationError for a filter, a limit or a time that is none, before anything is done.
    """

    __slots__ = ("_storage", "name")

    def __init__(self, storage: Storage, name: str) -> None:
        """Raises ConfigurationError for what cannot name a queue."""
        self._storage = storage
        self.name = check_queue(name)

    def __repr__(self) -> str:
        return f"Queue({self.name!r})"

    # -- pausing -----------------------------------------------------------------------------------

    def pause(self) -> None:
        """Let no job of the queue be leased until it is resumed. What runs goes on."""
        self._storage.run(self._storage.pause(self.name, paused=True))

    async def apause(self) -> None:
        """`pause` for coroutines."""
        await self._storage.arun(self._storage.pause(self.name, paused=True))

    def resume(self) -> None:
        """Let jobs of the queue be leased again."""
        self._storage.run(self._storage.pause(self.name, paused=False))

    async def aresume(self) -> None:
        """`resume` for coroutines."""
        await self._storage.arun(self._storage.pause(self.name, paused=False))

    @property
    def paused(self) -> bool:
        """Whether the queue is paused."""
        return self._storage.run(self._storage.queues()).get(self.name, False)

    async def apaused(self) -> bool:
        """`paused` for coroutines."""
        return (await self._storage.arun(self._storage.queues())).get(self.name, False)

    # -- looking -----------------------------------------------------------------------------------

    def counts(self) -> Mapping[JobState, int]:
        """How many jobs are in each state."""
        return run(self._storage, self._look()).counts

    async def acounts(self) -> Mapping[JobState, int]:
        """`counts` for coroutines."""
        return (await arun(self._storage, self._look())).counts

    def find(self, *, limit: int = 100, **which: Unpack[Which]) -> list[JobView]:
        """Up to `limit` jobs, of all states unless `state` says which, in the order of a job's life.

        Within a state they come in the order of leasing, of when they are due, or of their end.
        """
        return run(self._storage, self._find(limit, which))

    async def afind(self, *, limit: int = 100, **which: Unpack[Which]) -> list[JobView]:
        """`find` for coroutines."""
        return await arun(self._storage, self._find(limit, which))

    # -- changing many -----------------------------------------------------------------------------

    def cancel(self, *, reason: str = "", **which: Unpack[Which]) -> Cancelled:
        """Cancel jobs: those that wait at once, those that run are asked to end. All of them by default."""
        return run(self._storage, self._cancel(reason, which))

    async def acancel(self, *, reason: str = "", **which: Unpack[Which]) -> Cancelled:
        """`cancel` for coroutines."""
        return await arun(self._storage, self._cancel(reason, which))

    def replay(self, **which: Unpack[Which]) -> Replayed:
        """Make dead jobs, or cancelled ones, ready again, tries and crashes at 0. Dead ones by default."""
        return run(self._storage, self._replay(which))

    async def areplay(self, **which: Unpack[Which]) -> Replayed:
        """`replay` for coroutines."""
        return await arun(self._storage, self._replay(which))

    def purge(self, **which: Unpack[Which]) -> int:
        """Forget jobs that nobody holds, and return how many. Those that wait by default."""
        return run(self._storage, self._purge(which))

    async def apurge(self, **which: Unpack[Which]) -> int:
        """`purge` for coroutines."""
        return await arun(self._storage, self._purge(which))

    def prune(self, *, older: float | None = None, beyond: int | None = None) -> int:
        """Forget jobs that ended more than `older` seconds ago, or are not among the latest `beyond` of
        their state. Returns how many.
        """
        return run(self._storage, self._prune(older, beyond))

    async def aprune(self, *, older: float | None = None, beyond: int | None = None) -> int:
        """`prune` for coroutines."""
        return await arun(self._storage, self._prune(older, beyond))

    # -- waiting -----------------------------------------------------------------------------------

    def drain(self, timeout: float | None = None) -> None:
        """Wait until no job of the queue is ready or running. Scheduled ones do not count.

        Raises:
            DrainTimeout: some still were after `timeout` seconds.
        """
        run(self._storage, self._drain(timeout))

    async def adrain(self, timeout: float | None = None) -> None:
        """`drain` for coroutines."""
        await arun(self._storage, self._drain(timeout))

    # -- the steps ---------------------------------------------------------------------------------

    def _look(self) -> Steps[QueueView]:
        return (yield from queue_views(self._storage, [self.name]))[0]

    def _find(self, limit: int, which: Which) -> Steps[list[JobView]]:
        filters = bulk.filters(self.name, tuple(JobState), **which)
        return [JobView.of(record) for record in (yield from bulk.find(self._storage, filters, limit=limit))]

    def _cancel(self, reason: str, which: Which) -> Steps[Cancelled]:
        filters = bulk.filters(self.name, bulk.CANCELLABLE, **which)
        return bulk.cancel(self._storage, filters, reason=encode_cancellation(reason))

    def _replay(self, which: Which) -> Steps[Replayed]:
        filters = bulk.filters(self.name, bulk.REPLAYABLE, (JobState.DEAD,), **which)
        return bulk.replay(self._storage, filters)

    def _purge(self, which: Which) -> Steps[int]:
        return bulk.remove(self._storage, bulk.filters(self.name, bulk.REMOVABLE, bulk.WAITING, **which))

    def _prune(self, older: float | None, beyond: int | None) -> Steps[int]:
        return bulk.prune(self._storage, self.name, bulk.ENDED, older=older, beyond=beyond)

    def _drain(self, timeout: float | None) -> Steps[None]:
        check_timeout(timeout)
        deadline = float("inf") if timeout is None else time.monotonic() + timeout
        looks = 0
        while (yield from self._is_busy()):
            left = deadline - time.monotonic()
            if left <= 0:
                raise self._busy(timeout or 0, (yield from self._look()))
            yield Pause(min(PAUSES[min(looks, len(PAUSES) - 1)], left))
            looks += 1

    def _is_busy(self) -> Steps[bool]:
        """Whether a job is ready or runs. One given back between two looks is in neither: all are counted."""
        busy = [Filter(self.name, state) for state in (JobState.READY, JobState.LEASED)]
        if (yield from bulk.find(self._storage, busy, limit=1)):
            return True
        counts = yield from do(self._storage.counts(self.name))
        return bool(counts.get(JobState.READY) or counts.get(JobState.LEASED))

    def _busy(self, timeout: float, view: QueueView) -> DrainTimeout:
        ready, leased = view.counts[JobState.READY], view.counts[JobState.LEASED]
        return DrainTimeout(self.name, timeout, ready=ready, leased=leased, paused=view.paused)
