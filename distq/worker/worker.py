"""One worker process: lease → run → settle.

The I/O thread alone talks to the storage: it leases ahead, settles in batches, renews leases, does the
duties that come round, and gives back what has not begun in time. Lanes run the jobs beside it, so a lease
is renewed whatever the task's code does. The main thread is one of the sync lane's threads.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import wait
from traceback import format_exc

from distq import telemetry
from distq.app import DistQ
from distq.aside import aside
from distq.errors import StorageError
from distq.job import JobState, Outcome
from distq.polling import nudge, readable
from distq.telemetry import quiet
from distq.telemetry.providers import flush
from distq.telemetry.watch import Watch
from distq.worker import execution
from distq.worker.ending import RECYCLED, Ending
from distq.worker.hints import Hints
from distq.worker.holdings import Holdings
from distq.worker.intake import PATIENCE, Intake
from distq.worker.lanes import Context, Lanes
from distq.worker.maintenance import Maintenance
from distq.worker.outbox import GATHER, Outbox
from distq.worker.presence import Announcer
from distq.worker.retention import Keep, Retention
from distq.worker.running import Run, Running
from distq.worker.scheduler import Scheduler
from distq.worker.settings import Settings
from distq.worker.slots import Slots
from distq.worker.tally import Tally

HASTE = 0.1
"""Seconds between rounds of a process that ends, at most."""

HEARING = 0.05
"""Seconds after which a process reads its hints, though it does not wait for any."""

CANCEL = 255
"""What the pool writes to wake a process one of whose jobs is to be cancelled; it is no signal's number."""

PAUSES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
"""Seconds between attempts to reach a storage that does not answer; the last repeats."""

PARTING = 2.0
"""Seconds that a process which ends at once gives telemetry to get out what it has been told."""

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)


class Worker:
    """A worker process's whole life is one call of `run`."""

    def __init__(
        self, app: DistQ, name: str, settings: Settings, slots: Slots, hints: Hints, wakeup: tuple[int, int]
    ) -> None:
        """`wakeup` is the pipe that `hints` watches: where it ends and where it begins."""
        storage, queues = app.storage, settings.queues
        self._hints, (self._wakeup, self._waker) = hints, wakeup
        self._app, self._storage, self._name, self._settings, self._slots = (
            app,
            storage,
            name,
            settings,
            slots,
        )
        self._holdings = Holdings(storage, name, settings.ttl)
        self._running = Running(slots, hard_cancel=settings.hard_cancel)
        tally = Tally(queues)
        self._outbox = Outbox(storage, app.result_ttl, settings.batch, tally)
        self._lanes = Lanes(Context(app, self._running, self._holdings, self._done), settings.concurrency)
        self._maintenance = Maintenance(storage, settings, self._holdings, hints)
        parts = self._holdings, self._lanes, self._outbox, self._maintenance
        self._intake = Intake(settings, *parts, hints)
        self._scheduler = Scheduler(storage, app.crons.values())
        self._announcer = Announcer(app, name, settings, self._holdings, self._running, tally)
        keep = Keep(app.dead_ttl, app.dead_limit)
        retention = Retention(storage, queues, {JobState.DEAD: keep, JobState.CANCELLED: keep})
        self._duties = (self._maintenance, self._scheduler, self._announcer, retention)
        self._ending = Ending(settings, storage, self._intake)
        self._failures = 0
        self._parked = False
        self._enough = 1
        self._heard_at = 0.0

    # -- life --------------------------------------------------------------------------------------

    def run(self) -> int:
        """Work until SIGTERM or `stop`, at once until SIGQUIT; returns the exit status. For the main thread.

        What runs then may finish within the grace time. A job that does not is given back and the
        process ends at once, for nothing can stop its thread.
        """
        descriptor = signal.set_wakeup_fd(self._waker, warn_on_full_buffer=False)
        handlers = {number: signal.signal(number, _ignore) for number in _SIGNALS}
        os.register_at_fork(after_in_child=_forget_signals)
        for hook in self._app.hooks.start:
            self._lanes.call(hook)
        io = threading.Thread(target=self._work, name="distq-io", daemon=True)
        io.start()
        self._lanes.serve()
        io.join()
        for hook in self._app.hooks.stop:
            self._lanes.call(hook)
        self._lanes.close()
        signal.set_wakeup_fd(descriptor)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        return self._ending.status

    def stop(self) -> None:
        """Ask the worker to end, from any thread."""
        os.write(self._waker, bytes([signal.SIGTERM]))

    @quiet.keeping()
    def _work(self) -> None:
        try:
            while not self._over():
                self._slots.beat()
                self._listen()
                try:
                    self._step()
                    self._failures = 0
                except StorageError as error:
                    self._back_off(error)
            self._leave()
        # Without its I/O thread the process would live on and do nothing: end it, to be replaced.
        except BaseException:  # noqa: BLE001
            telemetry.emit(
                "error", "worker {name} cannot go on\n{trace}", name=self._name, trace=format_exc()
            )
            _quit(1)
        if self._ending.overdue or self._running.doomed:
            _quit(self._ending.status)
        self._lanes.finish()

    def _step(self) -> None:
        # Also who is too busy to wait hears what there is: a storage may rely on that.
        if time.monotonic() > self._heard_at + HEARING:
            self._hear(0.0)
        due = self._due()
        # Renew first: what cannot be settled must not cost the others their leases.
        self._running.cancel(self._holdings.renew(urgent=due))
        self._doom(self._running.overdue())
        if due or self._ending.begun:
            self._settle()
        self._recall_idle()
        self._holdings.disown()
        self._ending.limit()
        if self._ending.begun:
            self._give_back()
        else:
            for duty in self._duties:
                duty.make()
            if self._intake.lease() or self._maintenance.pending:
                return
            self._ending.consider(not self._holdings and not self._outbox, self._reconnect)
        self._park()

    def _over(self) -> bool:
        """Nothing is left to do, or no time."""
        settled = self._ending.begun and not self._holdings and not self._outbox
        return settled or self._ending.too_late

    def _reconnect(self) -> None:
        self._storage.close()
        self._intake.rouse()

    def _leave(self) -> None:
        try:
            self._announcer.leave()
        except StorageError as error:
            telemetry.emit("warn", "{error}; it will notice that this worker is gone", error=error)

    def _give_back(self) -> None:
        self._outbox.release(self._intake.recall())
        if self._ending.overdue:
            self._outbox.release(self._holdings)
        self._settle()

    # -- settle ------------------------------------------------------------------------------------

    def _done(self, outcome: Outcome, seconds: float, watch: Watch | None) -> None:
        """Called by the lanes, in their threads."""
        self._outbox.add(outcome, seconds, watch)
        if self._parked and len(self._outbox) >= self._enough:
            self._parked = False
            nudge(self._waker, b"\0")

    def _due(self) -> bool:
        self._enough = self._intake.enough()
        return self._outbox.due(self._enough)

    def _settle(self) -> None:
        outcomes = self._outbox.settle()
        self._holdings.drop(outcomes)
        if outcomes:
            self._intake.rouse(doubting=True)
        if self._running.unwanted:
            self._running.unwanted.difference_update(outcome.id for outcome in outcomes)

    def _doom(self, overdue: Sequence[Run]) -> None:
        """Settle jobs that nothing can stop, and end the process, for it has their threads.

        Its other jobs may finish within the grace time, and are given back then.
        """
        for run in overdue:
            self._outbox.add(execution.abandoned(self._app, run), 0.0, run.watch)
        if overdue:
            self._ending.begin(RECYCLED)

    def _recall_idle(self) -> None:
        """Give back what has not begun for too long."""
        if recalled := self._intake.recall(after=PATIENCE):
            self._outbox.release(recalled)
            self._outbox.mean = max(self._outbox.mean, PATIENCE)
            self._settle()

    # -- wait --------------------------------------------------------------------------------------

    def _park(self) -> None:
        """Wait for a hint from the storage, outcomes, a signal, a time limit, or the next pass."""
        self._parked = True
        next_round = time.monotonic() + HASTE if self._ending.begun else self._maintenance.next_at
        until = min(next_round, self._running.next_limit, self._scheduler.next_at)
        if self._enough > 1:
            until = min(until, time.monotonic() + GATHER)
        if not self._due() and (left := until - time.monotonic()) > 0:
            self._hear(left)
        self._parked = False

    def _hear(self, timeout: float) -> None:
        hungry = not self._ending.begun and self._intake.room() > 0
        if self._hints.wait(timeout, hungry=hungry):
            self._intake.rouse()
        self._heard_at = time.monotonic()

    def _listen(self) -> None:
        """Read what woke the I/O thread: the numbers of signals, zeros from the lanes, and `CANCEL`.

        SIGINT is for the pool: a terminal sends it to the whole process group.
        """
        try:
            signals = os.read(self._wakeup, 4096)
        except BlockingIOError:
            return
        if CANCEL in signals:
            self._holdings.asked = True
        if signal.SIGTERM in signals:
            self._ending.begin()
        if signal.SIGQUIT in signals:
            self._ending.hasten()

    def _back_off(self, error: StorageError) -> None:
        pause = PAUSES[min(self._failures, len(PAUSES) - 1)]
        self._failures += 1
        telemetry.emit("warn", "{error}; next attempt in {pause:g} s", error=error, pause=pause)
        readable([self._wakeup], pause)


def _quit(status: int) -> None:
    """End the process now, whatever its other threads are at."""
    wait([aside(flush)], PARTING)
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
