"""For the tests of those who use distq: their app on a memory storage, run in the test's own thread.

`app.inline()` runs each job as it is enqueued; a `TestWorker` runs what is ready when it is told to, on a
clock that the test moves. `pytest_plugin` has them as fixtures.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from distq import checks
from distq.context import CurrentJob
from distq.job import Filter, JobRecord, JobState, Lease, Outcome, OutcomeKind
from distq.memory.storage import MemoryStorage
from distq.options import NO_LIMITS, Limits
from distq.storage import Op
from distq.worker import execution
from distq.worker.outbox import Outbox
from distq.worker.running import Run, TaskRun
from distq.worker.scheduler import Scheduler
from distq.worker.tally import Tally

if TYPE_CHECKING:
    from distq.app import DistQ

T = TypeVar("T")
R = TypeVar("R", bound=Run)

NEVER = 1e9
"""Seconds without a maintenance pass that no test sees."""

TTL = 3600.0
"""Seconds of a lease; nobody else could take it."""


class Clock:
    """A clock that stands still until it is moved. `now` is in seconds since 1970."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


class TestStorage(MemoryStorage):
    """A memory storage that has no use for the caller's transactions: an enqueue is kept at once."""

    __test__ = False

    def run(self, op: Op[T], connection: Any = None) -> T:
        """Execute an operation."""
        return super().run(op)


class _Run(Run):
    """An attempt in the caller's thread: Ctrl-C is meant for the caller there, and no failure of the job."""

    def __init__(self, lease: Lease, job: CurrentJob, limits: Limits) -> None:
        super().__init__(lease, job, limits)
        self._before = sys.exception()

    def finish(self) -> None:
        super().finish()
        error = sys.exception()
        if isinstance(error, KeyboardInterrupt) and error is not self._before:
            raise error


class _TaskRun(_Run, TaskRun):
    """The same in an asyncio task."""


class TestWorker:
    """Runs an app's jobs in the calling thread. Made with the app on any storage; time-outs do not apply."""

    __test__ = False

    def __init__(self, app: DistQ, clock: Clock) -> None:
        self._app, self._clock = app, clock
        self._scheduler = Scheduler(app.storage, app.crons.values())
        self.left: set[str] = set()
        """Jobs that asked to be run later, or whose task nobody knows."""
        self._fire()

    def run(self) -> int:
        """Run what is ready, and what becomes ready by that, until nothing is. Returns how many runs it were.

        What waits for its time, as after a failure, is not run: move the clock.
        """
        runs = 0
        while leases := list(self._lease()):
            for lease in leases:
                self._run(lease)
            runs += len(leases)
        return runs

    async def arun(self) -> int:
        """`run` for coroutines: async tasks run on this event loop."""
        runs = 0
        while leases := list(self._lease()):
            for lease in leases:
                await self._arun(lease)
            runs += len(leases)
        return runs

    def advance(self, seconds: float) -> None:
        """Let seconds pass. Schedules fire at each of their ticks; what comes due is ready, and not run."""
        checks.check("advance", seconds, "seconds, 0 or more", checks.seconds())
        until = self._clock.now + seconds
        while (tick := self._next_tick()) is not None and tick <= until:
            self._clock.now = max(self._clock.now, tick)
            self._fire()
        self._clock.now = until

    def _next_tick(self) -> float | None:
        ticks = (cron.next(self._clock.now) for cron in self._app.crons.values())
        return min((tick for tick in ticks if tick is not None), default=None)

    def _fire(self) -> None:
        self._scheduler.next_at = min(self._scheduler.next_at, 0)
        if self._app.crons:
            self._scheduler.make()

    def due(self) -> JobRecord | None:
        """The next of the jobs that wait for their time, but for those of `left`."""
        storage = self._app.storage
        pages = [
            storage.run(storage.find(Filter(queue, JobState.SCHEDULED), limit=1000))
            for queue in self._queues()
        ]
        waiting = [job for page in pages for job in page.jobs if job.id not in self.left]
        return min(waiting, key=lambda job: job.ready_at or 0, default=None)

    def _queues(self) -> list[str]:
        return sorted(self._app.storage.run(self._app.storage.queues()))

    def _lease(self) -> Iterator[Lease]:
        storage = self._app.storage
        for queue in self._queues():
            storage.run(storage.tick(queue, limit=1000, grace=TTL, outage=NEVER, eager=True))
            yield from storage.run(storage.lease(queue, worker="test", limit=100, ttl=TTL, alone=True))

    def _run(self, lease: Lease) -> None:
        if not execution.is_async(self._app, lease.task):
            attempt = self._attempt(_Run, lease)
            self._settle(execution.run(self._app, attempt), attempt)
            return
        # The caller may be inside an event loop, where another cannot run.
        ended: Future[None] = Future()

        def work() -> None:
            try:
                ended.set_result(asyncio.run(self._arun(lease)))
            except BaseException as error:  # noqa: BLE001
                ended.set_exception(error)

        threading.Thread(target=work, daemon=True).start()
        ended.result()

    async def _arun(self, lease: Lease) -> None:
        if execution.is_async(self._app, lease.task):
            attempt = self._attempt(_TaskRun, lease)
            self._settle(await execution.arun(self._app, attempt), attempt)
        else:
            self._run(lease)

    def _attempt(self, kind: type[R], lease: Lease) -> R:
        storage = self._app.storage

        def note(job_id: str, progress: bytes) -> None:
            storage.run(storage.extend([lease], ttl=TTL, progress={job_id: progress}))

        attempt = kind(lease, CurrentJob(lease, note), NO_LIMITS)
        # By the clock of the test alone.
        attempt.waited = lambda lease, now: storage.waited(lease)
        return attempt

    def _settle(self, outcome: Outcome, attempt: Run) -> None:
        if outcome.kind in (OutcomeKind.SNOOZE, OutcomeKind.RELEASE):
            self.left.add(outcome.id)
        outbox = Outbox(self._app.storage, self._app.result_ttl, 1, Tally([attempt.job.queue]))
        outbox.add(outcome, 0.0, attempt.watch)
        outbox.settle()


class Inline:
    """Runs each job of an app as it is enqueued, from when it is made until `close`, or the end of a `with`.

    A job that is to wait, and a failed one that is tried again, does not wait. What a task raises is its
    job's error, as in a worker; only Ctrl-C reaches the caller. A job that snoozes is left.
    """

    def __init__(self, app: DistQ) -> None:
        self._app = app
        self._before = app.storage
        self._clock = Clock()
        app.move(TestStorage(self._clock))
        self._worker = TestWorker(app, self._clock)

    def work(self) -> None:
        """Run everything that has been enqueued."""
        self._worker.run()
        while job := self._worker.due():
            self._clock.now = max(self._clock.now, job.ready_at or 0)
            self._worker.run()

    async def awork(self) -> None:
        """`work` for coroutines."""
        await self._worker.arun()
        while job := self._worker.due():
            self._clock.now = max(self._clock.now, job.ready_at or 0)
            await self._worker.arun()

    def close(self) -> None:
        """Let the app be as it was. Twice is safe."""
        if self._app.inlined is self:
            self._app.move(self._before)
            self._app.inlined = None

    def __enter__(self) -> DistQ:
        return self._app

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
