"""Metrics of attempts, leases and queues; those of enqueues are the business of `enqueuing`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from distq.job import JobState, Outcome, OutcomeKind
from distq.telemetry.faults import contained
from distq.telemetry.instruments import instruments
from distq.telemetry.watch import Watch

TIMED = 16
"""Attempts of a task and an outcome that are timed of one batch: a histogram takes 5 µs for each."""


@contained
def ended(outcomes: Sequence[Outcome], watches: Sequence[Watch | None]) -> None:
    """Attempts of a batch ended so. All that were watched are counted, of very many some are timed."""
    found = instruments()
    if not found or found.ended is None or found.run is None or found.wait is None:
        return
    groups: dict[tuple[str, str, OutcomeKind], list[Watch]] = defaultdict(list)
    for outcome, watch in zip(outcomes, watches, strict=True):
        if watch:
            groups[watch.queue, watch.task, outcome.kind].append(watch)
    for (queue, task, kind), watches in groups.items():
        attributes = {"queue": queue, "task": task, "outcome": kind.value}
        found.ended.add(len(watches), attributes)
        for watch in watches[:: -(-len(watches) // TIMED)]:
            found.run.record(watch.ran or 0.0, attributes)
            if (wait := watch.wait()) is not None:
                found.wait.record(wait, attributes)


@contained
def lost(queue: str, leases: int) -> None:
    """Leases were another's when they were to be settled."""
    if (found := instruments()) and found.lost is not None:
        found.lost.add(leases, {"queue": queue})


@contained
def reclaimed(queue: str, leases: int) -> None:
    """Leases ran out and were taken back."""
    if (found := instruments()) and found.reclaimed is not None:
        found.reclaimed.add(leases, {"queue": queue})


@contained
def depth(queue: str, counts: Mapping[JobState, int]) -> None:
    """So many jobs of a queue are in each state.

    For who looks anyway, and is one: a worker that counted would cost the storage more the more there is to
    do, and each of many would report the same jobs.
    """
    if (found := instruments()) and found.depth is not None:
        for state, jobs in counts.items():
            found.depth.set(jobs, {"queue": queue, "state": state.value})
