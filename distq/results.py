"""Waiting for jobs to end: one listener for all who wait in a process, however many they are.

Each waiter is woken when its job has ended. Hints may be lost, so the jobs are looked at each second
too, all of them in one call.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

from distq import telemetry
from distq.errors import StorageError
from distq.ids import split_id
from distq.polling import nudge, readable, unblocking_pipe
from distq.storage import Listener, Storage
from distq.telemetry import quiet

LOOK = 1.0
"""Seconds between looks at the jobs that are waited for."""

AGAIN = 0.03
"""Seconds after which a job that is newly waited for is looked at again: PostgreSQL gives no hint of one
that was being settled when its end began to be watched.
"""

NOW = float("-inf")

IDLE = 10.0
"""Seconds that the listener stays when nobody waits any more: the next one will come soon."""

Wake = Callable[[], None]


class _Ear:
    """The listener for the ends of jobs of some queues, which become more."""

    def __init__(self, storage: Storage, wakeup: int) -> None:
        self._storage, self._wakeup = storage, wakeup
        self._queues: frozenset[str] = frozenset()
        self._listener: Listener | None = None

    def follow(self, queues: Collection[str]) -> bool:
        """Listen to these queues too. Returns whether something may have been missed."""
        if self._queues.issuperset(queues):
            return False
        self.close()
        self._queues |= frozenset(queues)
        self._listener = self._storage.listener(ended=sorted(self._queues))
        self._listener.wait(timeout=0, wakeup=self._wakeup)
        return True

    def hear(self, *, until: float) -> Collection[str]:
        """The jobs that have ended, when some have, or somebody else waits, or at a moment (monotonic)."""
        left = max(until - time.monotonic(), 0)
        ended = self._listener.wait(timeout=left, wakeup=self._wakeup).ended if self._listener else ()
        if readable([self._wakeup], 0):
            os.read(self._wakeup, 4096)
        return ended

    def close(self) -> None:
        """Close the listener. Twice is safe."""
        if self._listener:
            self._listener.close()


class Results:
    """Those who wait for the ends of jobs of one storage. Safe from any thread, and after a fork."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._outage = False
        self._reset()

    def _reset(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._waiters: dict[str, list[Wake]] = {}
        self._fresh: set[str] = set()
        self._due: dict[str, float] = {}
        self._needed_at = time.monotonic()
        self._thread: threading.Thread | None = None
        self._closing = False

    @contextmanager
    def waiting(self, job_id: str, wake: Wake) -> Iterator[None]:
        """Let `wake` be called, in another thread, when the job seems to have ended; perhaps twice."""
        if self._pid != os.getpid():
            self._reset()
        with self._lock:
            self._waiters.setdefault(job_id, []).append(wake)
            self._fresh.add(job_id)
            self._closing = False
            if self._thread is None:
                self._start()
            nudge(self._waker, b"!")
        try:
            yield
        finally:
            with self._lock:
                self._waiters[job_id].remove(wake)
                if not self._waiters[job_id]:
                    del self._waiters[job_id]

    def close(self) -> None:
        """Close the listener, unless somebody waits. Twice is safe."""
        if self._pid != os.getpid():
            return
        with self._lock:
            thread, self._closing = self._thread, True
            if thread:
                nudge(self._waker, b"!")
        if thread:
            thread.join(LOOK)

    # -- the thread --------------------------------------------------------------------------------

    def _start(self) -> None:
        pipe = unblocking_pipe()
        self._waker = pipe[1]
        self._thread = threading.Thread(target=self._serve, args=pipe, name="distq-results", daemon=True)
        self._thread.start()

    @quiet.keeping()
    def _serve(self, wakeup: int, waker: int) -> None:
        ear = _Ear(self._storage, wakeup)
        try:
            while (waited := self._waited()) is not None:
                if ear.follow({split_id(job_id)[0] for job_id in waited}):
                    self._due.clear()
                self._wake(ear.hear(until=self._look(waited)))
        finally:
            ear.close()
            with self._lock:
                if self._thread is threading.current_thread():
                    self._thread = None
            os.close(wakeup)
            os.close(waker)

    def _waited(self) -> set[str] | None:
        """The jobs that are waited for; None when the thread is to end."""
        with self._lock:
            now = time.monotonic()
            for job_id in self._fresh:
                self._due.pop(job_id, None)
            self._fresh.clear()
            if self._waiters:
                self._needed_at = now
            elif self._closing or now - self._needed_at > IDLE:
                self._thread = None
                return None
            return set(self._waiters)

    def _look(self, waited: set[str]) -> float:
        """Wake those whose jobs have ended, watch the others, where it is time. Returns when it is next."""
        now = time.monotonic()
        looks = {job_id: self._due.get(job_id, NOW) for job_id in waited}
        ids = [job_id for job_id, at in looks.items() if at <= now]
        soon, later = (now // AGAIN + 2) * AGAIN, (now // LOOK + 1) * LOOK
        try:
            live = self._storage.run(self._storage.watch(sorted(ids))) if ids else set[str]()
            self._wake(set(ids) - live)
            self._due = looks | {job_id: soon if looks[job_id] == NOW else later for job_id in ids}
        except StorageError as error:
            if not self._outage:
                telemetry.emit("warn", "{error}; results are waited for", error=error)
            self._outage = True
            return later
        if self._outage and ids:
            telemetry.emit("info", "storage {where} answers again", where=self._storage.where)
            self._outage = False
        return min(self._due.values(), default=later)

    def _wake(self, ids: Collection[str]) -> None:
        with self._lock:
            wakes = [wake for job_id in ids for wake in self._waiters.get(job_id, ())]
        for wake in wakes:
            wake()
