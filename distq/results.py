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
from distq.polling import readable
from distq.storage import Listener, Storage

LOOK = 1.0
"""Seconds between looks at the jobs that are waited for."""

IDLE = 10.0
"""Seconds that the listener stays when nobody waits any more: the next one will come soon."""

Wake = Callable[[], None]


class Results:
    """Those who wait for the ends of jobs of one storage. Safe from any thread, and after a fork."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._reset()

    def _reset(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._waiters: dict[str, list[Wake]] = {}
        self._fresh: set[str] = set()
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
            self._nudge()
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
                self._nudge()
        if thread:
            thread.join(LOOK)

    # -- the thread --------------------------------------------------------------------------------

    def _start(self) -> None:
        wakeup, self._waker = os.pipe()
        os.set_blocking(self._waker, False)
        pipe = (wakeup, self._waker)
        self._thread = threading.Thread(target=self._serve, args=pipe, name="distq-results", daemon=True)
        self._thread.start()

    def _nudge(self) -> None:
        try:
            os.write(self._waker, b"!")
        except BlockingIOError:  # there is enough to read already
            return

    def _serve(self, wakeup: int, waker: int) -> None:
        queues: frozenset[str] = frozenset()
        listener: Listener | None = None
        look_at = needed_at = time.monotonic()
        try:
            while (waited := self._waited(needed_at)) is not None:
                now = time.monotonic()
                needed_at = now if waited else needed_at
                needed = frozenset(split_id(job_id)[0] for job_id in waited)
                if not needed <= queues:
                    queues |= needed
                    listener, look_at = self._listen(listener, queues, wakeup), now
                due = now >= look_at
                look_at = now + LOOK if due else look_at
                if not self._look(waited if due else waited & self._take_fresh()):
                    look_at = now
                if listener:
                    self._wake(listener.wait(timeout=LOOK, wakeup=wakeup).ended)
                if readable([wakeup], 0):
                    os.read(wakeup, 4096)
        finally:
            if listener:
                listener.close()
            with self._lock:
                if self._thread is threading.current_thread():
                    self._thread = None
            os.close(wakeup)
            os.close(waker)

    def _waited(self, needed_at: float) -> set[str] | None:
        """The jobs that are waited for; None when the thread is to end."""
        with self._lock:
            idle = time.monotonic() - needed_at > IDLE or self._closing
            if self._waiters or not idle:
                return set(self._waiters)
            self._thread = None
            return None

    def _take_fresh(self) -> set[str]:
        with self._lock:
            fresh, self._fresh = self._fresh, set()
        return fresh

    def _listen(self, former: Listener | None, queues: frozenset[str], wakeup: int) -> Listener:
        if former:
            former.close()
        listener = self._storage.listener(ended=sorted(queues))
        listener.wait(timeout=0, wakeup=wakeup)
        return listener

    def _look(self, ids: set[str]) -> bool:
        """Wake those whose jobs have ended, and watch the others. False where the storage does not say."""
        try:
            if ids:
                self._wake(ids - self._storage.run(self._storage.watch(sorted(ids))))
            return True
        except StorageError as error:
            telemetry.emit("warn", "{error}; results are waited for", error=error)
            return False

    def _wake(self, ids: Collection[str]) -> None:
        with self._lock:
            wakes = [wake for job_id in ids for wake in self._waiters.get(job_id, ())]
        for wake in wakes:
            wake()
