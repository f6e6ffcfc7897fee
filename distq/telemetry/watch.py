"""What telemetry sees of one attempt: a span in the trace of its enqueue, how long it waited and ran."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from distq.job import AGEING, Lease, Outcome
from distq.telemetry.carrier import carried
from distq.telemetry.faults import contained
from distq.telemetry.instruments import Instruments, instruments

Waited = Callable[[Lease, float], float | None]
"""Tells how long a job had been ready at a moment on the monotonic clock, as `Storage.waited` counts."""


def unknown(lease: Lease, now: float) -> float | None:
    """Nobody knows."""


def begin(lease: Lease, waited: Waited, priority: int) -> Watch | None:
    """Watch an attempt that begins in this thread or asyncio task; None where nobody wants to know.

    `priority` is that of the task.
    """
    if (found := instruments()) is None:
        return None
    with contained:
        return Watch(found, lease, waited, priority)
    return None


class Watch:
    """An attempt that is watched from the moment when this is made."""

    __slots__ = (
        "_began_at",
        "_found",
        "_lease",
        "_priority",
        "_span",
        "_token",
        "_waited",
        "queue",
        "ran",
        "trail",
    )

    def __init__(self, found: Instruments, lease: Lease, waited: Waited, priority: int) -> None:
        self._found, self._lease, self._waited = found, lease, waited
        self.queue = lease.id.partition(":")[0]
        self._began_at = time.monotonic()
        context, unsampled, own = carried(lease.payload)
        self._priority = priority if own is None else own
        self.ran: float | None = None
        """How many seconds the attempt ran; None until it has ended."""
        self._span = self.trail = None
        """The span, and its context where it is recorded."""
        # What is not sampled has no span here, and by the context none within either.
        if found.tracer is not None and not unsampled:
            self._span = found.start("job", self._attributes(), found.consumer, context)
            context = found.traces.set_span_in_context(self._span, context)
            self.trail = self._span.get_span_context() if self._span.is_recording() else None
        self._token = None if context is None else found.contexts.attach(context)

    def _attributes(self) -> dict[str, Any]:
        job = {"task": self.task, "queue": self.queue, "id": self._lease.id}
        said: dict[str, Any] = {**job, "attempt": self.attempt}
        if (wait := self.wait()) is not None:
            said["wait"] = wait
        return said

    @property
    def task(self) -> str:
        return self._lease.task

    @property
    def attempt(self) -> int:
        """The number of the attempt, from 1."""
        return 1 + self._lease.tries + self._lease.crashes

    def wait(self) -> float | None:
        """How many seconds the job had been ready when the attempt began; None where nobody knows, as of a
        lease that is not held any more.
        """
        waited = self._waited(self._lease, self._began_at)
        return None if waited is None else max(0.0, waited - AGEING * self._priority)

    def fail(self, error: BaseException) -> None:
        """The attempt has failed of this, whatever becomes of the job."""
        span = self._span
        if span is None or self.trail is None:
            return
        with contained:
            self._found.record(span, error)

    def end(self, outcome: Outcome | None) -> None:
        """The attempt has ended: with an outcome, unless the caller's thread was interrupted."""
        try:
            self.conclude(outcome)
        finally:
            if self._token is not None:
                self._found.contexts.detach(self._token)

    def conclude(self, outcome: Outcome | None) -> None:
        """The attempt is over for the queue, though it may still run; from any thread. Twice is safe."""
        if self.ran is not None:
            return
        self.ran, span, self._span = time.monotonic() - self._began_at, self._span, None
        if span is None:
            return
        with contained:
            if self.trail and outcome is not None:
                span.set_attribute("outcome", outcome.kind.value)
                if outcome.delay:
                    span.set_attribute("delay", outcome.delay)
            span.end()
