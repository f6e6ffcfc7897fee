"""Lanes run leased jobs inside a worker process: threads for sync tasks, an event loop for async ones.

They are fed with batches, hold what has not begun in their inboxes, and hand every outcome to `done`.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import threading
import time
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

from distq.app import DistQ
from distq.context import CurrentJob
from distq.job import Lease, Outcome, OutcomeKind
from distq.options import NO_LIMITS
from distq.telemetry.watch import Watch
from distq.worker import execution
from distq.worker.holdings import Holdings
from distq.worker.running import Run, Running, TaskRun, ThreadRun


class Context(NamedTuple):
    """What the lanes of a worker process share."""

    app: DistQ
    running: Running
    holdings: Holdings
    done: Callable[[Outcome, float, Watch | None], None]
    """Called with each outcome, the seconds that the job ran, and who watched it."""

    def unfit(self, lease: Lease, now: float) -> bool:
        """Whether the lease may be lost, as after a freeze, or the job is unwanted; then it is given back."""
        if now <= self.holdings.fresh_until and lease.id not in self.running.unwanted:
            return False
        self.done(Outcome(lease.id, lease.token, OutcomeKind.RELEASE), 0.0, None)
        return True


class Lanes:
    """The lanes that an app needs: `concurrency` threads, the caller's among them, and a loop."""

    def __init__(self, context: Context, concurrency: int) -> None:
        self._app = context.app
        kinds = [execution.is_async(self._app, task) for task in self._app.tasks]
        hooks = [*self._app.hooks.start, *self._app.hooks.stop]
        self._lane = ThreadLane(context)
        self._threads = 1 if all(kinds) else concurrency
        wants_loop = any(kinds) or any(map(inspect.iscoroutinefunction, hooks))
        self._loop = LoopLane(context, concurrency) if wants_loop else None

    def serve(self) -> None:
        """Run jobs, sync ones in the calling thread too, until `finish`."""
        for _ in range(self._threads - 1):
            threading.Thread(target=self._lane.serve, daemon=True).start()
        self._lane.serve()

    def feed(self, leases: Sequence[Lease]) -> None:
        """Take jobs to run."""
        if self._loop:
            self._loop.feed([lease for lease in leases if execution.is_async(self._app, lease.task)])
            leases = [lease for lease in leases if not execution.is_async(self._app, lease.task)]
        self._lane.feed(leases)

    def recall(self) -> list[Lease]:
        """Take back what has not begun."""
        return self._lane.recall() + (self._loop.recall() if self._loop else [])

    def call(self, function: Callable[[], Any]) -> None:
        """Call a function here, or a coroutine function on the loop. Raises what it raises."""
        if self._loop and inspect.iscoroutinefunction(function):
            self._loop.call(function)
        else:
            function()

    def finish(self) -> None:
        """Let `serve` return."""
        self._lane.finish(self._threads)

    def close(self) -> None:
        """End the loop. The calls of `serve` have returned."""
        if self._loop:
            self._loop.close()


class ThreadLane:
    """Runs sync jobs one after another in each thread that calls `serve`."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._inbox: SimpleQueue[Lease | None] = SimpleQueue()

    def feed(self, leases: Sequence[Lease]) -> None:
        """Take jobs to run."""
        for lease in leases:
            self._inbox.put(lease)

    def recall(self) -> list[Lease]:
        """Take back what has not begun."""
        recalled: list[Lease] = []
        while True:
            try:
                lease = self._inbox.get_nowait()
            except Empty:
                return recalled
            if lease is not None:
                recalled.append(lease)

    def serve(self) -> None:
        """Run jobs in the calling thread until `finish`."""
        app, running, holdings, done = self._context
        unfit, get, clock, waited = self._context.unfit, self._inbox.get, time.monotonic, holdings.waited
        while (lease := get()) is not None:
            started = clock()
            if unfit(lease, started):
                continue
            limits = execution.limits(app, lease)
            kind = Run if limits is NO_LIMITS else ThreadRun
            attempt = kind(lease, CurrentJob(lease, holdings.note), limits)
            attempt.waited = waited
            running.begin(attempt, started)
            outcome = execution.run(app, attempt)
            running.end(attempt)
            done(outcome, clock() - started, attempt.watch)

    def finish(self, threads: int) -> None:
        """Let that many `serve` calls return when the inbox is empty."""
        for _ in range(threads):
            self._inbox.put(None)


class LoopLane:
    """Runs up to `concurrency` async jobs at once on one event loop in a thread of its own."""

    def __init__(self, context: Context, concurrency: int) -> None:
        self._context = context
        self._concurrency = concurrency
        self._inbox: list[Lease] = []
        self._running: set[asyncio.Task[None]] = set()
        self._lock = threading.Lock()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name="distq-loop", daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        for task in self._running:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*self._running))
        self._loop.run_until_complete(self._context.app.aclose())
        self._loop.close()

    def feed(self, leases: Sequence[Lease]) -> None:
        """Take jobs to run."""
        with self._lock:
            self._inbox.extend(leases)
        # A context of its own: in the caller's, the I/O thread's, telemetry keeps quiet.
        self._loop.call_soon_threadsafe(self._begin, context=contextvars.Context())

    def recall(self) -> list[Lease]:
        """Take back what has not begun."""
        with self._lock:
            recalled, self._inbox = self._inbox, []
        return recalled

    def _begin(self) -> None:
        with self._lock:
            room = self._concurrency - len(self._running)
            batch, self._inbox = self._inbox[:room], self._inbox[room:]
        for lease in batch:
            task = self._loop.create_task(self._run(lease))
            self._running.add(task)
            task.add_done_callback(self._ended)

    async def _run(self, lease: Lease) -> None:
        context, started = self._context, time.monotonic()
        if context.unfit(lease, started):
            return
        limits = execution.limits(context.app, lease)
        attempt = TaskRun(lease, CurrentJob(lease, context.holdings.note), limits)
        attempt.waited = context.holdings.waited
        context.running.begin(attempt, started)
        outcome = await execution.arun(context.app, attempt)
        context.running.end(attempt)
        context.done(outcome, time.monotonic() - started, attempt.watch)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._begin()

    def call(self, function: Callable[[], Any]) -> None:
        """Run a coroutine function on the loop and wait for it. Raises what it raises."""
        asyncio.run_coroutine_threadsafe(function(), self._loop).result()

    def close(self) -> None:
        """End the loop; what still runs is cancelled."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
