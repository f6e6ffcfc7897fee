"""The jobs that run in a worker process, and the ways to stop one."""

from __future__ import annotations

import asyncio
import ctypes
import threading
import time
from operator import itemgetter

from distq.context import CurrentJob
from distq.errors import JobTimeout
from distq.job import Lease
from distq.options import HARD_AFTER, NO_LIMITS, Limits
from distq.telemetry.watch import Waited, Watch, unknown
from distq.worker.slots import NEVER, Slots


class Run:
    """One attempt under way, from the moment it is made. This one can only be asked to stop."""

    __slots__ = ("doomed", "hard_at", "job", "lease", "place", "soft_at", "timed_out", "waited", "watch")

    def __init__(self, lease: Lease, job: CurrentJob, limits: Limits) -> None:
        self.lease, self.job = lease, job
        self.timed_out = False
        self.doomed = False
        """Whether its hard limit is over: it is settled, whatever it does."""
        self.place = 0
        self.waited: Waited = unknown
        """Tells how long the job waited."""
        self.watch: Watch | None = None
        self.soft_at = self.hard_at = NEVER
        if limits is not NO_LIMITS:
            now = time.monotonic()
            self.soft_at = NEVER if limits.soft is None else now + limits.soft
            self.hard_at = NEVER if limits.hard is None else now + limits.hard

    def cancel(self) -> None:
        """Ask the job to stop; from any thread."""
        self.job.stop()

    def time_out(self) -> None:
        """Interrupt the job, for it has run too long; from any thread. Once."""
        self.timed_out = True

    def start(self) -> None:
        """From here on an interruption is caught."""

    def finish(self) -> None:
        """The function has ended, in whatever way: interrupt it no more. Twice is safe."""


class ThreadRun(Run):
    """An attempt in the thread that makes it: the time-out is raised there as an exception."""

    def __init__(self, lease: Lease, job: CurrentJob, limits: Limits) -> None:
        super().__init__(lease, job, limits)
        self._thread = threading.get_ident()
        self._lock = threading.Lock()
        self._catching = False

    def start(self) -> None:
        self._catching = True

    def time_out(self) -> None:
        with self._lock:
            if self._catching:
                self.timed_out = True
                _raise_in(self._thread, JobTimeout)

    def finish(self) -> None:
        with self._lock:
            self._catching = False
            if self.timed_out:
                _raise_in(self._thread, None)


class TaskRun(Run):
    """An attempt in the asyncio task that makes it: it is cancelled at its next await."""

    def __init__(self, lease: Lease, job: CurrentJob, limits: Limits) -> None:
        super().__init__(lease, job, limits)
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        self._ended = False

    def cancel(self) -> None:
        super().cancel()
        self._loop.call_soon_threadsafe(self._interrupt)

    def time_out(self) -> None:
        super().time_out()
        self._loop.call_soon_threadsafe(self._interrupt)

    def _interrupt(self) -> None:
        if self._task and not self._ended:
            self._task.cancel()

    def finish(self) -> None:
        self._ended = True


class Running:
    """All attempts under way in a process. The lanes begin and end them, the I/O thread stops them.

    The slots tell the supervisor of them.
    """

    def __init__(self, slots: Slots, *, hard_cancel: bool) -> None:
        """With `hard_cancel` one that does not stop when it is asked to has a hard limit."""
        self._slots, self._hard_cancel = slots, hard_cancel
        # Not by the job's id: a lease that was lost may come back while its attempt still runs.
        self._runs: dict[Run, float] = {}
        self._limited: dict[Run, None] = {}
        self.doomed = False
        """Whether the process has a job that nothing can stop."""
        self.unwanted: set[str] = set()
        """Jobs that are to be cancelled and have not begun, as far as anybody knew."""

    def begin(self, run: Run, now: float) -> None:
        """An attempt begins, at a moment on the monotonic clock."""
        run.place = self._slots.begin(run.lease, run.hard_at)
        self._runs[run] = now
        if run.hard_at < NEVER or run.soft_at < NEVER:
            self._limited[run] = None

    def end(self, run: Run) -> None:
        del self._runs[run]
        if self._limited:
            self._limited.pop(run, None)
        self._slots.end(run.place)

    def _limit(self, run: Run, hard_at: float) -> None:
        """Let the supervisor know of another hard limit."""
        self._limited[run] = None
        self._slots.limit(run.place, hard_at)
        # `end` takes no lock: it may have ended meanwhile, and its place be another's.
        if run not in self._runs:
            self._limited.pop(run, None)
            for other in list(self._runs):
                if other.place == run.place:
                    self._slots.limit(other.place, NEVER if other.doomed else other.hard_at)

    def longest(self, count: int) -> list[tuple[Lease, float]]:
        """The leases of up to `count` attempts that have run for longest, and for how many seconds."""
        # A copy is made in one step, whatever the other threads do.
        runs = sorted(self._runs.copy().items(), key=itemgetter(1))
        now = time.monotonic()
        return [(run.lease, now - began) for run, began in runs[:count]]

    def cancel(self, ids: set[str]) -> None:
        """Ask jobs to stop. Asking twice is asking once."""
        if not ids:
            return
        self.unwanted |= ids
        for run in list(self._runs):
            if run.lease.id in ids and not run.job.stopping:
                run.cancel()
                if self._hard_cancel:
                    run.hard_at = min(run.hard_at, time.monotonic() + HARD_AFTER)
                    self._limit(run, run.hard_at)

    def overdue(self) -> list[Run]:
        """Time out whom it is time for, and return those whose hard limit is over now, each once."""
        now = time.monotonic()
        limited = list(self._limited)
        for run in limited:
            if now >= run.soft_at and not run.timed_out:
                run.time_out()
        overdue = [run for run in limited if now >= run.hard_at and not run.doomed]
        for run in overdue:
            run.doomed = self.doomed = True
            self._limit(run, NEVER)
        return overdue

    @property
    def next_limit(self) -> float:
        """When `overdue` is to be called next, on the monotonic clock."""
        limited = list(self._limited)
        return min(
            (
                run.hard_at if run.timed_out else min(run.soft_at, run.hard_at)
                for run in limited
                if not run.doomed
            ),
            default=NEVER,
        )


def _raise_in(thread: int, error: type[BaseException] | None) -> None:
    """Let a thread raise an error at its next step of Python, or take back what was to be raised."""
    what = ctypes.py_object(error) if error else None
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), what)
