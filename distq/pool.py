"""The supervisor: N worker processes, each from a fresh interpreter; a dead one is replaced.

It shares with each process the slots that say which jobs have begun, so it can forfeit a dead process's
leases at once and charge only the jobs that were running.
"""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass

from distq import telemetry
from distq.errors import SchemaError, StorageError
from distq.locate import load_app
from distq.maintenance import maintenance
from distq.polling import readable
from distq.process import Birth, slot_count
from distq.slots import Slots
from distq.worker import FAREWELL, RECYCLED, Settings

HEALTHY = 5.0
"""A process that lived this many seconds is replaced at once; one that did not, after a pause."""

LONGEST_PAUSE = 5.0
"""Seconds between attempts to start a process that keeps dying, at most."""

CHECK = 1.0
"""Seconds between looks at the processes when no signal comes."""


@dataclass
class _Place:
    """A place in the pool and the process that fills it now."""

    process: subprocess.Popen[bytes] | None = None
    name: str = ""
    slots: Slots | None = None
    started_at: float = 0.0
    start_at: float = 0.0
    pause: float = 0.1


@dataclass
class _Forfeit:
    """What the storage is to be told of a dead process.

    It is told again and again until `until`: a lease that was under way when the process died may be
    committed after the first time.
    """

    worker: str
    begun: set[str]
    until: float


class Pool:
    """A pool's whole life is one call of `run`."""

    def __init__(self, app: str, settings: Settings, processes: int) -> None:
        """`app` is `module:attribute`; it is imported here too, so that a mistake shows once."""
        self._reference, self._settings = app, settings
        self._storage = load_app(app).storage
        self._places = [_Place() for _ in range(processes)]
        self._forfeits: list[_Forfeit] = []
        self._stopping_at = float("inf")
        self._wakeup, self._waker = os.pipe()
        os.set_blocking(self._waker, False)
        os.set_blocking(self._wakeup, False)
        self._lifeline, self._grip = os.pipe()

    def run(self) -> None:
        """Work until SIGTERM or SIGINT, and until every process has ended. Call it in the main thread.

        Raises:
            SchemaError: the storage needs `distq migrate` first.
        """
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
            signal.signal(number, lambda *_: None)
        signal.set_wakeup_fd(self._waker, warn_on_full_buffer=False)
        self._check_storage()
        while not self._stopping or any(place.process for place in self._places):
            for place in self._places:
                self._attend(place)
            self._tell_forfeits()
            self._wait()
        self._tell_forfeits()
        self._storage.close()

    def _check_storage(self) -> None:
        try:
            self._storage.run(maintenance(self._storage, self._settings.queues[0], self._settings.ttl))
        except SchemaError:
            raise
        except StorageError as error:
            telemetry.emit("warn", "{error}; the workers wait for it", error=error)

    @property
    def _stopping(self) -> bool:
        return self._stopping_at < float("inf")

    # -- one place ---------------------------------------------------------------------------------

    def _attend(self, place: _Place) -> None:
        now = time.monotonic()
        if place.process is None:
            if not self._stopping and now >= place.start_at:
                self._start(place)
        elif place.process.poll() is not None:
            self._bury(place, place.process.returncode)
        elif now > self._stopping_at + self._settings.grace + 2 * FAREWELL:
            place.process.kill()

    def _start(self, place: _Place) -> None:
        descriptor = Slots.allocate(slot_count(self._settings))
        place.slots = Slots(descriptor, slot_count(self._settings))
        place.name = f"{socket.gethostname()}:{secrets.token_hex(4)}"
        birth = Birth(
            app=self._reference,
            name=place.name,
            settings=self._settings,
            slots=descriptor,
            lifeline=self._lifeline,
        )
        place.started_at = time.monotonic()
        argv = [sys.executable, "-m", "distq.process", birth.encode()]
        try:
            place.process = subprocess.Popen(argv, pass_fds=(descriptor, self._lifeline))
        except OSError as error:  # no memory, no process number: there may be later
            telemetry.emit("error", "a worker process cannot be started: {error}", error=error)
            place.start_at = place.started_at + LONGEST_PAUSE
        finally:
            os.close(descriptor)

    def _bury(self, place: _Place, status: int) -> None:
        assert place.slots is not None
        recycled = status == RECYCLED
        if recycled:
            telemetry.emit("info", "worker {name} ended to be replaced", name=place.name)
        elif status or not self._stopping:
            telemetry.emit(
                "error", "worker {name} ended with status {status}", name=place.name, status=status
            )
        until = time.monotonic() + self._settings.ttl
        self._forfeits.append(_Forfeit(place.name, set() if recycled else place.slots.begun(), until))
        place.slots.close()
        lived = time.monotonic() - place.started_at
        healthy = recycled or lived > HEALTHY
        place.pause = 0.1 if healthy else min(place.pause * 2, LONGEST_PAUSE)
        place.start_at = time.monotonic() + (0 if healthy else place.pause)
        place.process = None

    def _tell_forfeits(self) -> None:
        for forfeit in list(self._forfeits):
            try:
                for queue in self._settings.queues:
                    begun = {job_id for job_id in forfeit.begun if job_id.startswith(f"{queue}:")}
                    self._storage.run(self._storage.forfeit(queue, worker=forfeit.worker, begun=begun))
            except StorageError as error:
                telemetry.emit("warn", "{error}; leases of {worker} wait", error=error, worker=forfeit.worker)
                continue
            if time.monotonic() > forfeit.until:
                self._forfeits.remove(forfeit)

    # -- signals -----------------------------------------------------------------------------------

    def _wait(self) -> None:
        readable([self._wakeup], CHECK)
        try:
            numbers = os.read(self._wakeup, 4096)
        except BlockingIOError:
            return
        if not self._stopping and (signal.SIGTERM in numbers or signal.SIGINT in numbers):
            self._stopping_at = time.monotonic()
            for place in self._places:
                if place.process:
                    place.process.terminate()
