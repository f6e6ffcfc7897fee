"""A place in a pool: the process that fills it, what it shares with the pool, and when the next may begin."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from distq import telemetry
from distq.polling import nudge, unblocking_pipe
from distq.worker.hints import Channel
from distq.worker.process import Birth, slot_count
from distq.worker.settings import Settings
from distq.worker.slots import Begun, Slots
from distq.worker.worker import CANCEL

HEALTHY = 5.0
"""A process that lived this many seconds is replaced at once; one that did not, after a pause."""

LONGEST_PAUSE = 5.0
"""Seconds between attempts to start a process that keeps dying, at most."""

OVERRUN = 2.0
"""Seconds after a job's hard limit, by when its process has acted unless it cannot: then it is killed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What all processes of a pool have in common."""

    app: str
    settings: Settings
    json: bool
    environment: Mapping[str, str]
    channel: Channel
    lifeline: int


@dataclass
class Place:
    """A place in the pool and the process that fills it now."""

    process: subprocess.Popen[bytes] | None = None
    name: str = ""
    slots: Slots | None = None
    wakeup: tuple[int, int] | None = None
    started_at: float = 0.0
    start_at: float = 0.0
    pause: float = 0.1
    failures: int = 0
    finished: bool = False
    overran: list[Begun] = field(default_factory=list)
    late: bool = False

    @property
    def running(self) -> int:
        """How many jobs the process has begun and not ended."""
        return len(self.slots.begun()) if self.process and self.slots else 0

    def start(self, plan: Plan) -> None:
        """Start a process; where that cannot be, later."""
        self.started_at = time.monotonic()
        try:
            self._start(plan)
        except OSError as error:  # no memory, no process number, no descriptor: there may be later
            telemetry.emit("error", "a worker process cannot be started: {error}", error=error)
            self.start_at = self.started_at + LONGEST_PAUSE
            self._unshare()

    def _start(self, plan: Plan) -> None:
        self.name = f"{socket.gethostname()}:{secrets.token_hex(4)}"
        self.wakeup = unblocking_pipe()
        descriptor = Slots.allocate(slot_count(plan.settings))
        self.slots = Slots(descriptor, slot_count(plan.settings))
        birth = Birth(
            app=plan.app,
            name=self.name,
            settings=plan.settings,
            json=plan.json,
            slots=descriptor,
            channel=plan.channel,
            wakeup=self.wakeup,
            lifeline=plan.lifeline,
        )
        argv = [sys.executable, "-m", "distq.worker.process", birth.encode()]
        try:
            environment = os.environ | plan.environment
            self.process = subprocess.Popen(argv, pass_fds=birth.descriptors, env=environment)
        finally:
            os.close(descriptor)

    def cancel(self) -> None:
        """Let the process ask which of its jobs are to be cancelled."""
        if self.process and self.wakeup:
            nudge(self.wakeup[1], bytes([CANCEL]))

    def watch(self, process: subprocess.Popen[bytes], awake: float, patience: float) -> None:
        """Kill a process that cannot stop itself, as when C code holds the interpreter, or it is frozen.

        The pool is awake for so many seconds; for `patience` seconds a process may make no rounds.
        """
        assert self.slots is not None
        now, silence = time.monotonic(), min(self.slots.silence, awake)
        if awake > OVERRUN:
            self.overran = [begun for begun in self.slots.begun() if now > begun.hard_at + OVERRUN]
        if self.overran:
            telemetry.emit(
                "error",
                "job {id} is over its hard limit, worker {name} is killed",
                id=self.overran[0].id,
                name=self.name,
            )
            process.kill()
        elif silence > 2 * patience:
            process.kill()
        elif silence > patience:
            telemetry.emit("error", "worker {name} makes no rounds, it is aborted", name=self.name)
            process.send_signal(signal.SIGABRT)

    def clear(self, *, planned: bool) -> list[Begun]:
        """The process has ended, as was planned or not. Returns the jobs that are charged for that."""
        assert self.slots is not None
        charged = [] if planned or self.overran else self.slots.begun()
        self._unshare()
        healthy = planned or time.monotonic() - self.started_at > HEALTHY
        self.failures += not healthy and not charged
        self.pause = 0.1 if healthy else min(self.pause * 2, LONGEST_PAUSE)
        self.start_at = time.monotonic() + (0 if healthy else self.pause)
        self.process, self.overran = None, []
        return charged

    def _unshare(self) -> None:
        if self.slots:
            self.slots.close()
        for end in self.wakeup or ():
            os.close(end)
        self.slots, self.wakeup = None, None
