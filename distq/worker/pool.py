"""The supervisor: N worker processes, each from a fresh interpreter; a dead one is replaced.

It shares with each process the slots that say which jobs have begun, so it can forfeit a dead process's
leases at once and charge only the jobs that were running, and end a process that cannot even stop itself.
"""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field

from distq import telemetry
from distq.admin.wording import plural
from distq.aside import aside
from distq.errors import SchemaError, StorageError, StorageUnavailable
from distq.locate import URL_VARIABLE, load_app
from distq.polling import readable
from distq.worker.aftermath import Aftermath
from distq.worker.ending import FAREWELL, RECYCLED, STUCK
from distq.worker.maintenance import maintenance
from distq.worker.process import Birth, slot_count
from distq.worker.settings import Settings
from distq.worker.slots import Begun, Slots

HEALTHY = 5.0
"""A process that lived this many seconds is replaced at once; one that did not, after a pause."""

LONGEST_PAUSE = 5.0
"""Seconds between attempts to start a process that keeps dying, at most."""

CHECK = 1.0
"""Seconds between looks at the processes when no signal comes."""

ATTEMPTS = 3
"""Processes in one place that end early and without a job, before a burst is given up."""

PATIENCE = 5.0
"""Seconds that the storage has to answer before the processes are started all the same."""

LATE, OVER = FAREWELL + 0.5, FAREWELL + 1.0
"""Seconds beyond the grace time when a process that has not ended is killed, and when the pool ends."""

_ENDS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)

OVERRUN = 2.0
"""Seconds after a job's hard limit, by when its process has acted unless it cannot: then it is killed."""


@dataclass
class _Place:
    """A place in the pool and the process that fills it now."""

    process: subprocess.Popen[bytes] | None = None
    name: str = ""
    slots: Slots | None = None
    started_at: float = 0.0
    start_at: float = 0.0
    pause: float = 0.1
    failures: int = 0
    finished: bool = False
    overran: list[Begun] = field(default_factory=list)
    late: bool = False


class Pool:
    """A pool's whole life is one call of `run`."""

    def __init__(
        self, app: str, settings: Settings, processes: int, *, url: str = "", json: bool = False
    ) -> None:
        """`app` is `module:attribute`; it is imported here too, so that a mistake shows once. `url` is for
        another storage than its own, `json` for logs of JSON.
        """
        self._reference, self._settings, self._url, self._json = app, settings, url, json
        loaded = load_app(app, url)
        self._storage = loaded.storage
        self._places = [_Place() for _ in range(processes)]
        self._aftermath = Aftermath(loaded, settings.queues, settings.ttl)
        self._stopping_at = float("inf")
        self._status = 0
        self._looked_at = self._awake_since = time.monotonic()
        self._wakeup, self._waker = os.pipe()
        os.set_blocking(self._waker, False)
        os.set_blocking(self._wakeup, False)
        self._lifeline, self._grip = os.pipe()

    def run(self) -> int:
        """Work until SIGTERM or SIGINT, or the end of a burst, and until every process has ended.

        Returns the exit status: 1 where a burst was given up. A second SIGINT, or SIGQUIT, gives no grace
        time. Call it in the main thread.

        Raises:
            SchemaError: the storage needs `distq migrate` first.
        """
        for number in (*_ENDS, signal.SIGCHLD):
            signal.signal(number, lambda *_: None)
        signal.set_wakeup_fd(self._waker, warn_on_full_buffer=False)
        self._announce()
        self._check_storage()
        self._attend_all()
        while not all(place.finished for place in self._places):
            self._wait()
            self._attend_all()
        self._end()
        return self._status

    def _announce(self) -> None:
        telemetry.emit(
            "info",
            "{processes} processes of {concurrency} on {queues}",
            processes=len(self._places),
            concurrency=self._settings.concurrency,
            queues=", ".join(self._settings.queues),
        )

    def _check_storage(self) -> None:
        """Raises SchemaError. The storage may be silent: signals are heard meanwhile."""
        queue, ttl = self._settings.queues[0], self._settings.ttl
        answer = aside(lambda: self._storage.run(maintenance(self._storage, queue, ttl)))
        answer.add_done_callback(lambda _: os.write(self._waker, b"\0"))
        until = time.monotonic() + PATIENCE
        while not (answer.done() or self._stopping or time.monotonic() > until):
            self._wait()
        if self._stopping:
            return
        try:
            if not answer.done():
                raise StorageUnavailable(self._storage.where, f"no answer within {PATIENCE:g} s")
            answer.result()
        except SchemaError:
            raise
        except StorageError as error:
            telemetry.emit("warn", "{error}; the workers wait for it", error=error)

    def _end(self) -> None:
        """Tell the storage of all who have ended, but do not wait for a silent one."""
        over = min(self._stopping_at + self._settings.grace + OVER, time.monotonic() + FAREWELL)
        self._aftermath.finish(over)
        if self._stopping:
            telemetry.emit("info", "stopped")

    @property
    def _stopping(self) -> bool:
        return self._stopping_at < float("inf")

    def _attend_all(self) -> None:
        self._note_sleep()
        for place in self._places:
            self._attend(place)

    # -- one place ---------------------------------------------------------------------------------

    def _attend(self, place: _Place) -> None:
        now = time.monotonic()
        if place.process is None:
            place.finished = place.finished or self._stopping
            if not place.finished and now >= place.start_at:
                self._start(place)
        elif place.process.poll() is not None:
            self._bury(place, place.process.returncode)
        elif now > self._stopping_at + self._settings.grace + LATE:
            self._end_late(place, place.process)
        else:
            self._watch(place, place.process)

    def _end_late(self, place: _Place, process: subprocess.Popen[bytes]) -> None:
        """Kill a process that waits for a silent storage, or cannot stop itself."""
        if not place.late:
            telemetry.emit("warn", "worker {name} has not ended in time and is killed", name=place.name)
        place.late = True
        process.kill()
        place.finished = time.monotonic() > self._stopping_at + self._settings.grace + OVER

    def _note_sleep(self) -> None:
        """Whoever was frozen with its processes must not blame them for it."""
        now = time.monotonic()
        if now - self._looked_at > 5 * CHECK:
            self._awake_since = now
        self._looked_at = now

    def _watch(self, place: _Place, process: subprocess.Popen[bytes]) -> None:
        """Kill a process that cannot stop itself, as when C code holds the interpreter, or it is frozen."""
        assert place.slots is not None
        now, awake = time.monotonic(), time.monotonic() - self._awake_since
        if awake > OVERRUN:
            place.overran = [begun for begun in place.slots.begun() if now > begun.hard_at + OVERRUN]
        silence = min(place.slots.silence, awake)
        if place.overran:
            telemetry.emit(
                "error",
                "job {id} is over its hard limit, worker {name} is killed",
                id=place.overran[0].id,
                name=place.name,
            )
            process.kill()
        elif silence > 2 * self._settings.watchdog:
            process.kill()
        elif silence > self._settings.watchdog:
            telemetry.emit("error", "worker {name} makes no rounds, it is aborted", name=place.name)
            process.send_signal(signal.SIGABRT)

    def _start(self, place: _Place) -> None:
        descriptor = Slots.allocate(slot_count(self._settings))
        place.slots = Slots(descriptor, slot_count(self._settings))
        place.name = f"{socket.gethostname()}:{secrets.token_hex(4)}"
        birth = Birth(
            app=self._reference,
            name=place.name,
            settings=self._settings,
            json=self._json,
            slots=descriptor,
            lifeline=self._lifeline,
        )
        place.started_at = time.monotonic()
        argv = [sys.executable, "-m", "distq.worker.process", birth.encode()]
        try:
            environment = os.environ | ({URL_VARIABLE: self._url} if self._url else {})
            descriptors = (descriptor, self._lifeline)
            place.process = subprocess.Popen(argv, pass_fds=descriptors, env=environment)
        except OSError as error:  # no memory, no process number: there may be later
            telemetry.emit("error", "a worker process cannot be started: {error}", error=error)
            place.start_at = place.started_at + LONGEST_PAUSE
        finally:
            os.close(descriptor)

    def _bury(self, place: _Place, status: int) -> None:
        assert place.slots is not None
        done = status == 0 and self._settings.burst
        told = self._stopping and -status in _ENDS  # it had not come so far as to hear of signals
        planned = done or told or place.late or status in (RECYCLED, STUCK)
        if status == RECYCLED:
            telemetry.emit("info", "worker {name} ended to be replaced", name=place.name)
        elif not planned and (status or not self._stopping):
            telemetry.emit(
                "error", "worker {name} ended with status {status}", name=place.name, status=status
            )
        charged = [] if planned or place.overran else place.slots.begun()
        self._aftermath.add(place.name, charged=charged, overran=place.overran)
        place.slots.close()
        place.overran = []
        lived = time.monotonic() - place.started_at
        healthy = planned or lived > HEALTHY
        place.failures += not healthy and not charged
        place.finished = done or self._stopping or self._gives_up(place)
        place.pause = 0.1 if healthy else min(place.pause * 2, LONGEST_PAUSE)
        place.start_at = time.monotonic() + (0 if healthy else place.pause)
        place.process = None

    def _gives_up(self, place: _Place) -> bool:
        """Whether a burst is not worth another process: they end before they have begun a job."""
        if not self._settings.burst or place.failures < ATTEMPTS:
            return False
        telemetry.emit("error", "the burst is given up: its processes end before they begin a job")
        self._status = 1
        return True

    # -- signals -----------------------------------------------------------------------------------

    def _wait(self) -> None:
        readable([self._wakeup], CHECK / 5 if self._stopping else CHECK)
        try:
            numbers = os.read(self._wakeup, 4096)
        except BlockingIOError:
            return
        interrupts = numbers.count(signal.SIGINT) + (self._stopping and signal.SIGINT in numbers)
        if signal.SIGQUIT in numbers or interrupts > 1:
            self._stop(signal.SIGQUIT, time.monotonic() - self._settings.grace)
        elif not self._stopping and (signal.SIGTERM in numbers or signal.SIGINT in numbers):
            self._stop(signal.SIGTERM, time.monotonic())

    def _stop(self, number: int, since: float) -> None:
        running = sum(len(place.slots.begun()) for place in self._places if place.process and place.slots)
        if number == signal.SIGTERM:
            telemetry.emit(
                "info",
                "stopping: up to {grace:g} s for {jobs}, another Ctrl-C or SIGQUIT stops at once",
                grace=self._settings.grace,
                jobs=plural(running, "running job"),
            )
        elif since < self._stopping_at:
            telemetry.emit("info", "stopping now: {jobs} given back", jobs=plural(running, "running job"))
        self._stopping_at = since
        for place in self._places:
            if place.process:
                place.process.send_signal(number)
