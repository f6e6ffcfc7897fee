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
from distq.telemetry.watch import Watch

LINKS = 32
"""Spans of jobs that a batch leads to at most."""

_SHARED = ("task", "queue", "attempt", "outcome")


def begin(outcomes: Sequence[Outcome], watches: Sequence[Watch | None]) -> Settling | None:
    """A batch to be entered, and who watched its jobs; None where none left a trail, or nobody wants to know
    any more.
    """
    trails = [watch.trail for watch in watches if watch and watch.trail]
    if not trails or (found := instruments()) is None or found.tracer is None:
        return None
    with contained, quiet.interrupted():
        return Settling(found, trails, outcomes, watches)
    return None


class Settling:
    """A batch under way. Of one traced job it belongs to the trace; of many it leads to theirs."""

    def __init__(
        self,
        found: Instruments,
        trails: Sequence[Any],
        outcomes: Sequence[Outcome],
        watches: Sequence[Watch | None],
    ) -> None:
        self._found, traces, context = found, found.traces, found.contexts.Context()
        links: list[Any] = []
        if len(trails) == 1:
            context = traces.set_span_in_context(traces.NonRecordingSpan(trails[0]), context)
        else:
            links = [traces.Link(trail) for trail in trails[:LINKS]]
        self._span = found.start("settle", {"jobs": len(outcomes)}, found.internal, context, links)
        if self._span.is_recording():
            self._span.set_attributes(_said(outcomes, watches))
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


def _said(outcomes: Sequence[Outcome], watches: Sequence[Watch | None]) -> dict[str, Any]:
    """How many of each outcome there are, what all have in common, and how long a single one waited."""
    groups = Counter(
        [
            (watch and watch.task, outcome.id.partition(":")[0], watch and watch.attempt, outcome.kind.value)
            for outcome, watch in zip(outcomes, watches, strict=True)
        ]
    )
    kinds: Counter[str] = Counter()
    for (*_, kind), jobs in groups.items():
        kinds[kind] += jobs
    said: dict[str, Any] = dict(kinds)
    for name, values in zip(_SHARED, zip(*groups, strict=True), strict=True):
        if len(set(values)) == 1 and values[0] is not None:
            said[name] = values[0]
    if len(watches) == 1 and watches[0] and (wait := watches[0].wait()) is not None:
        said["wait"] = wait
    return said
