"""The span of a batch that a worker sends to the storage to be settled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from types import TracebackType
from typing import Any

from distq.job import Outcome
from distq.telemetry import quiet
from distq.telemetry.faults import contained
from distq.telemetry.instruments import Instruments, instruments

LINKS = 32
"""Spans of jobs that a batch leads to at most."""


def begin(trails: Sequence[Any], outcomes: Sequence[Outcome]) -> Settling | None:
    """A batch to be entered, some of whose jobs left trails; None where nobody wants to know any more."""
    found = instruments()
    if found is None or found.tracer is None:
        return None
    with contained, quiet.interrupted():
        return Settling(found, trails, outcomes)
    return None


class Settling:
    """A batch under way. Of one traced job it belongs to the trace; of many it leads to theirs."""

    def __init__(self, found: Instruments, trails: Sequence[Any], outcomes: Sequence[Outcome]) -> None:
        self._found, traces, context = found, found.traces, found.contexts.Context()
        links: list[Any] = []
        if len(trails) == 1:
            context = traces.set_span_in_context(traces.NonRecordingSpan(trails[0]), context)
        else:
            links = [traces.Link(trail) for trail in trails[:LINKS]]
        kinds = Counter([outcome.kind.value for outcome in outcomes])
        self._span = found.settle({"jobs": len(outcomes), **kinds}, context, links)
        self._context, self._token = traces.set_span_in_context(self._span, context), None

    def taken(self, voids: int) -> None:
        """The storage has taken the batch, but for what was another's."""
        self._span.set_attribute("voids", voids)

    def __enter__(self) -> None:
        self._token = self._found.contexts.attach(self._context)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            with contained:
                self._found.end(self._span, error)
        finally:
            self._found.contexts.detach(self._token)
