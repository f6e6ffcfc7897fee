"""One worker process: lease → run → settle.

The I/O thread alone talks to the storage: it leases ahead, settles in batches, renews leases, makes the
maintenance pass, and gives back what has not begun within `PATIENCE`. Lanes run the jobs beside it, so
a lease is renewed whatever the task's code does. The main thread is one of the sync lane's threads.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from traceback import format_exc

from distq import execution, telemetry
from distq.app import DistQ
from distq.errors import StorageError
from distq.holdings import Holdings
from distq.job import Lease, Outcome
from distq.lanes import Context, LoopLane, ThreadLane
from distq.maintenance import Maintenance
from distq.outbox import Outbox
from distq.polling import readable
from distq.running import Run, Running
from distq.slots import Slots

HORIZON = 0.05
"""Seconds of work that a process holds in advance."""

LARGEST_BATCH = 500
"""Jobs that a process holds in advance at most."""

PATIENCE = 1.0
"""Seconds after which a leased job that has not begun is given back."""

POLL = 1.0
"""Seconds between looks at the storage when no hint comes, at most."""

PAUSES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
"""Seconds between attempts to reach a storage that does not answer; the last repeats."""

FAREWELL = 5.0
"""Seconds beyond the grace time for telling the storage what was given back."""

RECYCLED = 75
"""The exit status of a process that ends by itself so that its supervisor replaces it."""

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a worker works. `ttl` and `grace` are in seconds."""

    queues: tuple[str, ...]
    concurrency: int = 1
    ttl: float = 30.0
    grace: float = 30.0


class Worker:
    """A worker process's whole life is one call of `run`."""

    def __init__(self, app: DistQ, name: str, settings: Settings, slots: Slots) -> None:
        self._app, self._storage, self._name, self._settings = app, app.storage, name, settings
        self._holdings = Holdings(app.storage, name, settings.ttl)
        self._running = Running()
        context = Context(app, slots, self._running, self._holdings, self._done)
        kinds = [execution.is_async(app, task) for task in app.tasks]
        self._loop = LoopLane(context, settings.concurrency) if any(kinds) else None
        self._lane = ThreadLane(context)
        self._threads = 1 if all(kinds) else settings.concurrency
        self._outbox = Outbox(app.storage, app.result_ttl)
        self._maintenance = Maintenance(app.storage, settings.queues, settings.ttl)
        self._listener = app.storage.listener(queues=settings.queues, worker=name)
        self._queues = deque(settings.queues)
        self._alone = False
        self._doomed: set[str] = set()
        self._fed_at = time.monotonic()
        self._beat = min(POLL, settings.ttl / 4)
        self._failures = 0
        self._parked = False
        self._stopping_at = float("inf")
        self._wakeup, self._waker = os.pipe()
        for descriptor in (self._wakeup, self._waker):
            os.set_blocking(descriptor, False)

    # -- life --------------------------------------------------------------------------------------

    def run(self) -> None:
        """Work until SIGTERM, SIGINT or `stop`; call it in the main thread.

        What runs then may finish within the grace time. A job that does not is given back and the
        process ends at once, for nothing can stop its thread.
        """
        descriptor = signal.set_wakeup_fd(self._waker, warn_on_full_buffer=False)
        handlers = {number: signal.signal(number, _ignore) for number in _SIGNALS}
        os.register_at_fork(after_in_child=_forget_signals)
        for _ in range(self._threads - 1):
            threading.Thread(target=self._lane.serve, daemon=True).start()
        io = threading.Thread(target=self._work, name="distq-io", daemon=True)
        io.start()
        self._lane.serve()
        io.join()
        signal.set_wakeup_fd(descriptor)
        for number, handler in handlers.items():
            signal.signal(number, handler)

    def stop(self) -> None:
        """Ask the worker to end, from any thread."""
        os.write(self._waker, bytes([signal.SIGTERM]))

    def _work(self) -> None:
        try:
            while not self._over():
                self._listen()
                try:
                    self._step()
                    self._failures = 0
                except StorageError as error:
                    self._back_off(error)
        # Without its I/O thread the process would live on and do nothing: end it, to be replaced.
        except BaseException:  # noqa: BLE001
            telemetry.emit(
                "error", "worker {name} cannot go on\n{trace}", name=self._name, trace=format_exc()
            )
            _quit(1)
        self._listener.close()
        if self._doomed:
            _quit(RECYCLED)
        if self._overdue():
            _quit(0)
        self._lane.stop(self._threads)
        if self._loop:
            self._loop.stop()

    def _step(self) -> None:
        # Renew first: what cannot be settled must not cost the others their leases.
        self._running.cancel(self._holdings.renew(urgent=bool(self._outbox)))
        self._doom(self._running.overdue())
        self._settle()
        self._recall_idle()
        self._holdings.disown()
        if self._stopping:
            self._give_back()
        else:
            self._maintenance.make()
            if self._lease() or self._maintenance.pending:
                return
        self._park()

    @property
    def _stopping(self) -> bool:
        return self._stopping_at < float("inf")

    def _over(self) -> bool:
        """Nothing is left to do, or no time."""
        settled = self._stopping and not self._holdings and not self._outbox
        return settled or time.monotonic() > self._stopping_at + self._settings.grace + FAREWELL

    def _overdue(self) -> bool:
        return time.monotonic() > self._stopping_at + self._settings.grace

    # -- settle ------------------------------------------------------------------------------------

    def _done(self, outcome: Outcome, seconds: float) -> None:
        """Called by the lanes, in their threads."""
        self._outbox.add(outcome, seconds)
        if self._parked:
            self._parked = False
            os.write(self._waker, b"\0")

    def _settle(self) -> None:
        outcomes = self._outbox.settle()
        self._holdings.drop(outcomes)
        if self._running.unwanted:
            self._running.unwanted.difference_update(outcome.id for outcome in outcomes)

    def _doom(self, overdue: Sequence[Run]) -> None:
        """Settle jobs that nothing can stop, and end the process, for it has their threads.

        Its other jobs may finish within the grace time, and are given back then.
        """
        for attempt in overdue:
            if attempt.lease.id not in self._doomed:
                self._doomed.add(attempt.lease.id)
                self._outbox.add(execution.overran(self._app, attempt.lease), 0.0)
        if self._doomed and not self._stopping:
            self._stopping_at = time.monotonic()

    def _give_back(self) -> None:
        self._outbox.release(self._recall())
        if self._overdue():
            self._outbox.release(self._holdings)
        self._settle()

    # -- lease -------------------------------------------------------------------------------------

    def _lease(self) -> bool:
        """Fill what room there is. Returns whether there may be more to lease."""
        for _ in self._settings.queues:
            if not (room := self._room()):
                return False
            self._queues.rotate(-1)
            if self._lease_from(self._queues[-1], room) == room:
                return True
        return False

    def _room(self) -> int:
        """How many jobs to lease now: none where it would be a sliver of what is held in advance."""
        if self._holdings and (self._alone or self._maintenance.draining):
            return 0
        slots, mean = self._settings.concurrency, self._outbox.mean
        ahead = min(int(slots * HORIZON / mean), LARGEST_BATCH) if mean < HORIZON else 0
        room = slots + ahead - len(self._holdings)
        return room if room > ahead // 2 else 0

    def _lease_from(self, queue: str, limit: int) -> int:
        idle = not self._holdings
        leases = self._holdings.lease(queue, limit)
        if idle:
            self._alone = any(lease.crashes for lease in leases)
            self._maintenance.drained()
        if leases:
            self._feed(leases)
        return len(leases)

    def _feed(self, leases: Sequence[Lease]) -> None:
        self._fed_at = time.monotonic()
        if self._loop:
            self._loop.feed([lease for lease in leases if execution.is_async(self._app, lease.task)])
            leases = [lease for lease in leases if not execution.is_async(self._app, lease.task)]
        self._lane.feed(leases)

    def _recall(self) -> list[Lease]:
        return self._lane.recall() + (self._loop.recall() if self._loop else [])

    def _recall_idle(self) -> None:
        """Give back what has not begun for too long."""
        if time.monotonic() - self._fed_at > PATIENCE and (recalled := self._recall()):
            self._outbox.release(recalled)
            self._outbox.mean = max(self._outbox.mean, PATIENCE)
            self._settle()

    # -- wait --------------------------------------------------------------------------------------

    def _park(self) -> None:
        """Wait for a hint from the storage, an outcome, a signal, a time limit, or the next pass."""
        self._parked = True
        beat = self._beat / 10 if self._stopping else self._beat
        until = min(time.monotonic() + beat, self._running.next_limit)
        while not self._outbox and (left := until - time.monotonic()) > 0:
            heard = self._listener.wait(timeout=left, wakeup=self._wakeup)
            self._holdings.asked = self._holdings.asked or heard.cancel
            # That jobs became ready is of no use to who has no room for them.
            if self._stopping or not heard.ready or heard.cancel or self._room():
                break
        self._parked = False

    def _listen(self) -> None:
        """Read what woke the I/O thread: the numbers of signals, and zeros from the lanes."""
        try:
            signals = os.read(self._wakeup, 4096)
        except BlockingIOError:
            return
        if not self._stopping and (signal.SIGTERM in signals or signal.SIGINT in signals):
            self._stopping_at = time.monotonic()

    def _back_off(self, error: StorageError) -> None:
        pause = PAUSES[min(self._failures, len(PAUSES) - 1)]
        self._failures += 1
        telemetry.emit("warn", "{error}; next attempt in {pause:g} s", error=error, pause=pause)
        readable([self._wakeup], pause)


def _quit(status: int) -> None:
    """End the process now, whatever its other threads are at."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _forget_signals() -> None:
    """A process that a task forks must not end this worker when it is told to end, and must end itself."""
    signal.set_wakeup_fd(-1)
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_DFL)


def _ignore(number: int, frame: object) -> None:
    """The signal's number reaches the I/O thread through the wake-up descriptor."""
