"""The span of an enqueue, and what of it travels with the jobs."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Any

from distq.job import NewJob
from distq.telemetry import faults, quiet
from distq.telemetry.carrier import PRIORITY, inject
from distq.telemetry.instruments import Instruments, instruments


def begin(task: str, queue: str) -> Enqueuing | None:
    """An enqueue to be entered; None where nobody wants to know."""
    if (found := instruments()) is None:
        return None
    try:
        with quiet.interrupted():
            return Enqueuing(found, task, queue)
    # What the user's processors raise is no failure of the enqueue.
    except Exception as error:  # noqa: BLE001
        faults.tell(error)
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

    def discard(self) -> None:
        """Nothing was enqueued after all, and nobody need know."""
        self._span, self._jobs = None, 0

    def __enter__(self) -> None:
        self._token = self._found.contexts.attach(self._context)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None and self._found.enqueued is not None and self._jobs:
                self._found.enqueued.add(self._jobs, {"queue": self._queue, "task": self._task})
            if self._span is not None:
                if error is not None:
                    self._found.record(self._span, error)
                self._span.end()
        except Exception as mistake:  # noqa: BLE001
            faults.tell(mistake)
        self._found.contexts.detach(self._token)
