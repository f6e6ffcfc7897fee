"""The span of an enqueue, and what of it travels with the jobs."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Any

from distq.job import Enqueued, NewJob
from distq.telemetry import quiet
from distq.telemetry.carrier import PRIORITY, inject
from distq.telemetry.faults import contained
from distq.telemetry.instruments import Instruments, instruments


def begin(task: str, queue: str) -> Enqueuing | None:
    """An enqueue to be entered; None where nobody wants to know."""
    if (found := instruments()) is None:
        return None
    with contained, quiet.interrupted():
        return Enqueuing(found, task, queue)
    return None


class Enqueuing:
    """An enqueue under way. Entered, its span is the current one: what happens within is of its trace."""

    def __init__(self, found: Instruments, task: str, queue: str) -> None:
        self._found, self._task, self._queue, self._jobs = found, task, queue, 0
        self._span = self._token = None
        context = found.contexts.get_current()
        around = found.traces.get_current_span(context).get_span_context()
        # In a trace that is not sampled the jobs join it, and nothing is told of that.
        if found.tracer is not None and not (around.is_valid and not around.trace_flags.sampled):
            attributes = {"task": task, "queue": queue}
            self._span = found.start("enqueue", attributes, found.producer, context)
            context = found.traces.set_span_in_context(self._span, context)
        self._context = context
        self._carrier = inject(context) if found.tracer is not None else {}

    def headers(self, priority: int | None) -> dict[str, Any]:
        """What to send with the jobs; `priority` where it is not their task's."""
        return self._carrier if priority is None else {**self._carrier, PRIORITY: priority}

    def made(self, jobs: Sequence[NewJob]) -> None:
        """These are to be enqueued."""
        self._jobs = len(jobs)
        if self._span is not None and self._span.is_recording():
            self._span.set_attribute("jobs", len(jobs))
            if len(jobs) == 1:
                self._span.set_attribute("id", jobs[0].id)

    def enqueued(self, entries: Sequence[Enqueued]) -> None:
        """So it went: another job may have had the key."""
        if all(entry.created for entry in entries):
            return
        self._jobs = sum(entry.created for entry in entries)
        if self._span is not None and self._span.is_recording():
            self._span.set_attribute("jobs", self._jobs)
            if len(entries) == 1:
                self._span.set_attribute("id", entries[0].id)

    def discard(self) -> None:
        """Nothing was enqueued after all, and nobody need know; but Logfire has told that the span began."""
        span, self._span, self._jobs = self._span, None, 0
        if span is not None and self._found.tells_begins:
            with contained:
                span.set_attribute("jobs", 0)
                span.end()

    def __enter__(self) -> None:
        self._token = self._found.contexts.attach(self._context)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            with contained:
                if error is None and self._found.enqueued is not None and self._jobs:
                    self._found.enqueued.add(self._jobs, {"queue": self._queue, "task": self._task})
            with contained:
                if self._span is not None:
                    self._found.end(self._span, error)
        finally:
            self._found.contexts.detach(self._token)
