"""The supervisor: N worker processes, each from a fresh interpreter; a dead one is replaced.

It shares with each process the slots that say which jobs have begun, so it can forfeit a dead process's
leases at once and charge only the jobs that were running, and end a process that cannot even stop itself.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time

from distq import telemetry
from distq.admin.wording import plural
from distq.aside import aside
from distq.errors import ConfigurationError, SchemaError, StorageError, StorageUnavailable
from distq.locate import URL_VARIABLE, load_app
from distq.polling import nudge, readable, unblocking_pipe
from distq.telemetry import quiet
from distq.worker.aftermath import Aftermath
from distq.worker.ending import FAREWELL, RECYCLED, STUCK
from distq.worker.hearing import Hearing
from distq.worker.maintenance import maintenance, tell
from distq.worker.place import Place, Plan
from distq.worker.settings import Settings

CHECK = 1.0
"""Seconds between looks at the processes when no signal comes."""

ATTEMPTS = 3
"""Processes in one place that end early and without a job, before a burst is given up."""

PATIENCE = 5.0
"""Seconds that the storage has to answer before the processes are started all the same."""

LATE, OVER = FAREWELL + 0.5, FAREWELL + 1.0
"""Seconds beyond the grace time when a process that has not ended is killed, and when the pool ends."""

_ENDS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)


class Pool:
    """A pool's whole life is one call of `run`."""

    def __init__(
        self, app: str, settings: Settings, processes: int, *, url: str = "", json: bool = False
    ) -> None:
        """`app` is `module:attribute`; it is imported here too, so that a mistake shows once. `url` is for
        another storage than its own, `json` for logs of JSON. Raises ConfigurationError.
        """
        self._settings = settings
        loaded = load_app(app, url)
        self._storage = loaded.storage
        self._places = [Place() for _ in range(processes)]
        self._aftermath = Aftermath(loaded, settings.queues, settings.ttl)
        self._stopping_at = float("inf")
        self._status = 0
        self._looked_at = self._awake_since = time.monotonic()
        self._wakeup, self._waker = unblocking_pipe()
        try:
            self._hearing = Hearing(self._storage, settings.queues, self._wake)
        except OSError as error:
            raise ConfigurationError(f"no memory for the processes to share: {error}") from error
        lifeline, self._grip = os.pipe()
        self._plan = Plan(
            app=app,
            settings=settings,
            json=json,
            environment={URL_VARIABLE: url} if url else {},
            channel=self._hearing.channel,
            lifeline=lifeline,
        )

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
        self._hearing.start()
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
        with quiet.keeping():
            answer = aside(lambda: self._storage.run(maintenance(self._storage, queue, ttl)))
        answer.add_done_callback(lambda _: self._wake())
        until = time.monotonic() + PATIENCE
        while not (answer.done() or self._stopping or time.monotonic() > until):
            self._wait()
        if self._stopping:
            return
        try:
            if not answer.done():
                raise StorageUnavailable(self._storage.where, f"no answer within {PATIENCE:g} s")
            tell(queue, answer.result())
        except SchemaError:
            raise
        except StorageError as error:
            telemetry.emit("warn", "{error}; the workers wait for it", error=error)

    def _end(self) -> None:
        """Tell the storage of all who have ended, but do not wait for a silent one."""
        self._hearing.stop()
        over = min(self._stopping_at + self._settings.grace + OVER, time.monotonic() + FAREWELL)
        self._aftermath.finish(over)
        if self._stopping:
            telemetry.emit("info", "stopped")

    @property
    def _stopping(self) -> bool:
        return self._stopping_at < float("inf")

    def _wake(self) -> None:
        """Let the pool's thread look around; from any thread."""
        nudge(self._waker, b"\0")

    def _attend_all(self) -> None:
        self._note_sleep()
        self._pass_cancels()
        for place in self._places:
            self._attend(place)

    def _pass_cancels(self) -> None:
        while self._hearing.cancels:
            worker = self._hearing.cancels.popleft()
            for place in self._places:
                if worker in ("", place.name):
                    place.cancel()

    # -- one place ---------------------------------------------------------------------------------

    def _attend(self, place: Place) -> None:
        now = time.monotonic()
        if place.process is None:
            place.finished = place.finished or self._stopping
            if not place.finished and now >= place.start_at:
                place.start(self._plan)
        elif place.process.poll() is not None:
            self._bury(place, place.process.returncode)
        elif now > self._stopping_at + self._settings.grace + LATE:
            self._end_late(place, place.process)
        else:
            place.watch(place.process, now - self._awake_since, self._settings.watchdog)

    def _end_late(self, place: Place, process: subprocess.Popen[bytes]) -> None:
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

    def _bury(self, place: Place, status: int) -> None:
        done = status == 0 and self._settings.burst
        told = self._stopping and -status in _ENDS  # it had not come so far as to hear of signals
        planned = done or told or place.late or status in (RECYCLED, STUCK)
        if status == RECYCLED:
            telemetry.emit("info", "worker {name} ended to be replaced", name=place.name)
        elif not planned and (status or not self._stopping):
            telemetry.emit(
                "error", "worker {name} ended with status {status}", name=place.name, status=status
            )
        overran = place.overran
        self._aftermath.add(place.name, charged=place.clear(planned=planned), overran=overran)
        # It may have taken one.
        self._hearing.tokens.give()
        place.finished = done or self._stopping or self._gives_up(place)

    def _gives_up(self, place: Place) -> bool:
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
        running = sum(place.running for place in self._places)
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
