"""One worker process: lease → run → settle.

The I/O thread alone talks to the storage: it leases ahead, settles in batches, renews leases, makes the
maintenance pass, and gives back what has not begun within `PATIENCE`. Lanes run the jobs beside it, so
a lease is renewed whatever the task's code does. The main thread is one of the sync lane's threads.
"""

from __future__ import annotations

import os
import random
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
from distq.errors import SchemaError, StorageError, StorageUnavailable
from distq.job import Lease, Outcome, OutcomeKind, Tick
from distq.lanes import Context, LoopLane, ThreadLane
from distq.polling import readable
from distq.slots import Slots
from distq.storage import Op, Storage

HORIZON = 0.05
"""Seconds of work that a process holds in advance."""

LARGEST_BATCH = 500
"""Jobs that a process holds in advance at most."""

PATIENCE = 1.0
"""Seconds after which a leased job that has not begun is given back."""

POLL = 1.0
"""Seconds between looks at the storage when no hint comes, and between maintenance passes."""

TICK_LIMIT = 1000
"""Jobs that one maintenance pass promotes, reclaims or prunes at most."""

_SIGNALS = (signal.SIGTERM, signal.SIGINT)

PAUSES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
"""Seconds between attempts to reach a storage that does not answer; the last repeats."""

OUTAGE = 3 * POLL
"""Seconds without a maintenance pass by anybody that mean that the storage was out of reach; more
where half a ttl is more, for leases outlast that."""

DRAIN, DRAIN_PAUSE, DRAIN_CHANCE = 5.0, 30.0, 0.2
"""A process that sees a suspect wait ends what it has, to take it alone: for so many seconds at most, then
not again for so many, and only by so much chance, for others see it too."""

FAREWELL = 5.0
"""Seconds beyond the grace time for telling the storage what was given back."""


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
        context = Context(app, slots, self._done, lambda: self._extended_at + settings.ttl)
        kinds = [execution.is_async(app, task) for task in app.tasks]
        self._loop = LoopLane(context, settings.concurrency) if any(kinds) else None
        self._lane = ThreadLane(context)
        self._threads = 1 if all(kinds) else settings.concurrency
        self._beat = min(POLL, settings.ttl / 4)
        self._held: dict[str, Lease] = {}
        self._outbox: deque[tuple[Outcome, float]] = deque()
        self._unsettled: list[Outcome] = []
        self._doubtful: set[str] = set()
        self._queues = deque(settings.queues)
        self._fed_at = self._extended_at = time.monotonic()
        self._tick_at = dict.fromkeys(settings.queues, self._fed_at)
        self._mean = float("inf")
        self._alone, self._drain_until = False, float("-inf")
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
        if self._overdue():
            _quit(0)
        self._lane.stop(self._threads)
        if self._loop:
            self._loop.stop()

    def _step(self) -> None:
        # Renew first: what cannot be settled must not cost the others their leases.
        self._renew()
        self._settle()
        self._recall_idle()
        self._disown()
        if self._stopping:
            self._give_back()
        else:
            self._maintain()
            if self._lease():
                return
        if not self._unsettled:
            self._park()

    @property
    def _stopping(self) -> bool:
        return self._stopping_at < float("inf")

    def _over(self) -> bool:
        """Nothing is left to do, or no time."""
        settled = self._stopping and not self._held and not self._unsettled
        return settled or time.monotonic() > self._stopping_at + self._settings.grace + FAREWELL

    def _overdue(self) -> bool:
        return time.monotonic() > self._stopping_at + self._settings.grace

    # -- settle ------------------------------------------------------------------------------------

    def _done(self, outcome: Outcome, seconds: float) -> None:
        """Called by the lanes, in their threads."""
        self._outbox.append((outcome, seconds))
        if self._parked:
            self._parked = False
            os.write(self._waker, b"\0")

    def _settle(self) -> None:
        self._collect()
        if not self._unsettled:
            return
        outcomes = self._unsettled
        ours = self._send(outcomes)
        self._unsettled = []
        for outcome in outcomes:
            self._held.pop(outcome.id, None)
        for outcome in outcomes if len(ours) < len(outcomes) else ():
            if outcome.id not in ours and outcome.kind is not OutcomeKind.RELEASE:
                telemetry.emit(
                    "warn", "job {id}: lease lost, its {kind} is void", id=outcome.id, kind=outcome.kind
                )

    def _send(self, outcomes: Sequence[Outcome]) -> set[str]:
        """Settle; where the storage refuses the batch, one by one, and what it refuses then is dead."""
        settle, keep = self._storage.settle, self._app.result_ttl
        try:
            return self._storage.run(settle(outcomes, keep=keep))
        except (StorageUnavailable, SchemaError):
            raise
        except StorageError as error:
            if len(outcomes) == 1:
                return self._storage.run(settle([execution.dead(outcomes[0], error)], keep=keep))
            return {job_id for outcome in outcomes for job_id in self._send([outcome])}

    def _collect(self) -> None:
        seconds, jobs = 0.0, 0
        while self._outbox:
            outcome, ran = self._outbox.popleft()
            self._unsettled.append(outcome)
            seconds, jobs = seconds + ran, jobs + 1
        if jobs:
            latest = seconds / jobs
            self._mean = latest if self._mean == float("inf") else (self._mean + latest) / 2

    def _release(self, leases: Sequence[Lease]) -> None:
        ended = {outcome.id for outcome in self._unsettled}
        self._unsettled += [
            Outcome(lease.id, lease.token, OutcomeKind.RELEASE) for lease in leases if lease.id not in ended
        ]

    def _give_back(self) -> None:
        self._release(self._recall())
        if self._overdue():
            self._release(list(self._held.values()))
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
        if self._held and (self._alone or time.monotonic() < self._drain_until):
            return 0
        slots = self._settings.concurrency
        ahead = min(int(slots * HORIZON / self._mean), LARGEST_BATCH) if self._mean < HORIZON else 0
        room = slots + ahead - len(self._held)
        return room if room > ahead // 2 else 0

    def _lease_from(self, queue: str, limit: int) -> int:
        began, idle = time.monotonic(), not self._held
        self._doubtful.add(queue)
        leases = self._storage.run(
            self._storage.lease(queue, worker=self._name, limit=limit, ttl=self._settings.ttl, alone=idle)
        )
        self._doubtful.discard(queue)
        if idle:
            self._extended_at, self._drain_until = began, float("-inf")
            self._alone = any(lease.crashes for lease in leases)
        if leases:
            self._held.update((lease.id, lease) for lease in leases)
            self._feed(leases)
        return len(leases)

    def _disown(self) -> None:
        """Give back what a lease may have given whose answer never came."""
        for queue in list(self._doubtful):
            op = self._storage.forfeit(queue, worker=self._name, begun=(), kept=self._held.keys())
            self._storage.run(op)
            self._doubtful.discard(queue)

    def _feed(self, leases: Sequence[Lease]) -> None:
        self._fed_at = time.monotonic()
        if self._loop:
            self._loop.feed([lease for lease in leases if execution.is_async(self._app, lease.task)])
            leases = [lease for lease in leases if not execution.is_async(self._app, lease.task)]
        self._lane.feed(leases)

    def _recall(self) -> list[Lease]:
        return self._lane.recall() + (self._loop.recall() if self._loop else [])

    # -- renew, maintain ---------------------------------------------------------------------------

    def _renew(self) -> None:
        now = time.monotonic()
        if self._held and now - self._extended_at > self._settings.ttl / 3:
            held = list(self._held.values())
            ours = self._storage.run(self._storage.extend(held, ttl=self._settings.ttl))
            self._extended_at = now
            for lease in held:
                if lease.id not in ours:
                    telemetry.emit("warn", "job {id}: lease lost while it ran", id=lease.id)

    def _recall_idle(self) -> None:
        """Give back what has not begun for too long."""
        if time.monotonic() - self._fed_at > PATIENCE and (recalled := self._recall()):
            self._mean = max(self._mean, PATIENCE)
            self._release(recalled)
            self._settle()

    def _maintain(self) -> None:
        now = time.monotonic()
        for queue in self._settings.queues:
            if now >= self._tick_at[queue]:
                tick = self._storage.run(
                    maintenance(self._storage, queue, self._settings.ttl, eager=self._tick_at[queue] == 0)
                )
                # Where a pass was full there is more to do: make the next one at once.
                full = TICK_LIMIT in (tick.promoted, tick.pruned, tick.reclaimed + tick.buried)
                self._tick_at[queue] = 0.0 if full else now + self._beat
                self._take_note(queue, tick)

    def _take_note(self, queue: str, tick: Tick) -> None:
        now = time.monotonic()
        if tick.suspects and now > self._drain_until + DRAIN_PAUSE and random.random() < DRAIN_CHANCE:
            self._drain_until = now + DRAIN
        if tick.reclaimed or tick.buried:
            telemetry.emit(
                "warn",
                "queue {queue}: {reclaimed} expired leases taken back, {buried} jobs dead of crashes",
                queue=queue,
                reclaimed=tick.reclaimed,
                buried=tick.buried,
            )

    # -- wait --------------------------------------------------------------------------------------

    def _park(self) -> None:
        """Wait for a hint from the storage, an outcome, a signal, or the next pass."""
        self._parked = True
        if not self._outbox:
            if self._stopping or not self._room():
                readable([self._wakeup], self._beat / 10 if self._stopping else self._beat)
            else:
                self._storage.wait(self._settings.queues, timeout=self._beat, wakeup=self._wakeup)
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


def maintenance(storage: Storage, queue: str, ttl: float, *, eager: bool = False) -> Op[Tick]:
    """The maintenance pass that a worker whose leases last `ttl` seconds makes."""
    return storage.tick(queue, limit=TICK_LIMIT, grace=ttl, outage=max(OUTAGE, ttl / 2), eager=eager)


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
