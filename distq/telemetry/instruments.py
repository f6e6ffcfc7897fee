"""The tracer and the metrics of distq, at the providers that the user has configured."""

from __future__ import annotations

import importlib
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from distq.messages import remote_error
from distq.telemetry.faults import contained
from distq.telemetry.providers import logfire, of_logfire, of_sdk

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200)
"""Seconds at which the histograms are divided, unless the user's views say otherwise."""

PAUSE = 1.0
"""Seconds after which the SDK's providers, where one is missing, are looked for again."""


class Instruments:
    """What to tell the providers with. `tracer`, and all metrics, are None where there is no provider."""

    def __init__(self, tracers: Any, meters: Any) -> None:
        self._tracers, self._meters = tracers, meters
        self.complete = tracers is not None and meters is not None
        """Whether these are all that there will be: Logfire has both, and the SDK's are set once."""
        self.traces = importlib.import_module("opentelemetry.trace")
        self.contexts = importlib.import_module("opentelemetry.context")
        kinds = self.traces.SpanKind
        self.producer, self.consumer, self.internal = kinds.PRODUCER, kinds.CONSUMER, kinds.INTERNAL
        self.tracer = None if tracers is None else tracers.get_tracer("distq")
        module = logfire()
        self._logfire = module and module.DEFAULT_LOGFIRE_INSTANCE.config
        self.wait = self.run = self.ended = self.enqueued = self.lost = self.reclaimed = self.depth = None
        self._meter = None if meters is None else meters.get_meter("distq")
        """Kept: Logfire, when it is configured anew, forgets the instruments of one that nobody holds."""
        if self._meter is not None:
            self._measure(self._meter)

    def _measure(self, meter: Any) -> None:
        seconds: dict[str, Any] = {"unit": "s", "explicit_bucket_boundaries_advisory": BUCKETS}
        said = "Seconds that a job had been ready when its attempt began"
        self.wait = meter.create_histogram("distq.job.wait", description=said, **seconds)
        said = "Seconds that an attempt ran"
        self.run = meter.create_histogram("distq.job.run", description=said, **seconds)
        said = "Attempts that ended"
        self.ended = meter.create_counter("distq.attempts.ended", unit="{attempt}", description=said)
        said = "Jobs that were enqueued"
        self.enqueued = meter.create_counter("distq.jobs.enqueued", unit="{job}", description=said)
        said = "Leases that were another's when they were to be settled"
        self.lost = meter.create_counter("distq.leases.lost", unit="{lease}", description=said)
        said = "Leases that ran out and were taken back"
        self.reclaimed = meter.create_counter("distq.leases.reclaimed", unit="{lease}", description=said)
        said = "Jobs of a queue, by state"
        self.depth = meter.create_gauge("distq.queue.depth", unit="{job}", description=said)

    @property
    def lapsed(self) -> bool:
        """Whether they are Logfire's, and it is configured no more."""
        return self._logfire is not None and self._logfire._initialized is not True

    @property
    def tells_begins(self) -> bool:
        """Whether what begins is told before it has ended, as Logfire does."""
        return self._logfire is not None

    def at(self, tracers: Any, meters: Any) -> bool:
        """Whether these are at the providers."""
        return self._tracers is tracers and self._meters is meters

    def record(self, span: Any, error: BaseException) -> None:
        """Let a span have failed of an error."""
        said = remote_error(error)
        # In texts of ours: a lone surrogate in one of the error's costs an exporter the event, or the batch.
        texts = {"exception.message": said.message, "exception.stacktrace": said.traceback}
        try:
            span.record_exception(error, texts, escaped=True)
        # The SDK asks the error for its text, which may fail.
        except Exception:  # noqa: BLE001
            span.add_event("exception", {"exception.type": said.type, **texts})
        # Last, for Logfire has set a status of the error's text.
        span.set_status(self.traces.Status(self.traces.StatusCode.ERROR, f"{said.type}: {said.message}"))

    def end(self, span: Any, error: BaseException | None) -> None:
        """End a span, of an error if there is one."""
        if error is not None:
            self.record(span, error)
        span.end()

    def start(
        self, name: str, attributes: Mapping[str, Any], kind: Any, context: Any, links: Sequence[Any] = ()
    ) -> Any:
        """A new span. Logfire gets what its own calls give it: a message for people, and its template."""
        assert self.tracer is not None
        if self._logfire:
            task = attributes.get("task")
            template, message = (f"{name} {{task}}", f"{name} {task}") if task else (name, name)
            attributes = {"logfire.msg_template": template, "logfire.msg": message, **attributes}
        return self.tracer.start_span(name, context, kind, attributes, links)


_latest: Instruments | None = None
_look_at = float("-inf")


def instruments() -> Instruments | None:
    """Those of now; None where nothing is configured. Asked for each job, so it is quick."""
    global _latest, _look_at
    if _latest is not None:
        if _latest.lapsed:
            _latest = None
        elif _latest.complete:
            return _latest
    if "opentelemetry.trace" not in sys.modules:
        return None
    tracers, meters = of_logfire()
    if tracers is None:
        if (now := time.monotonic()) < _look_at:
            return _latest
        _look_at, (tracers, meters) = now + PAUSE, of_sdk()
    if (tracers is not None or meters is not None) and not (_latest and _latest.at(tracers, meters)):
        _latest = _made(tracers, meters)
    return _latest


def _made(tracers: Any, meters: Any) -> Instruments | None:
    with contained:
        return Instruments(tracers, meters)
    return None
