"""What is wrong that only who looks for a while sees: who went silent, what is behind, what fails."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from distq.admin.overview import LIVE
from distq.admin.picture import QueueStatus
from distq.admin.wording import plural, spell
from distq.finding import Finding, Severity
from distq.job import JobState, Presence

BEHIND = 60.0
"""Seconds that the next job of a queue has waited where it is behind."""

NAMED = 5
"""Processes of a machine that are named."""

MOST_FAIL = 0.5
"""The share of failing attempts at which a queue is in trouble."""


def silent(workers: Sequence[Presence]) -> list[Finding]:
    """Worker processes that were there and do not say so any more, by the machine they are on."""
    by_host: defaultdict[str, list[Presence]] = defaultdict(list)
    for worker in workers:
        if worker.seen > LIVE:
            by_host[worker.host].append(worker)
    return [_silence(host, gone) for host, gone in sorted(by_host.items())]


def _silence(host: str, gone: Sequence[Presence]) -> Finding:
    since = spell(min(worker.seen for worker in gone))
    who = f"worker {gone[0].name} has" if len(gone) == 1 else f"{len(gone)} worker processes have"
    processes = ", ".join(str(worker.pid) for worker in gone[:NAMED]) + (", …" if len(gone) > NAMED else "")
    return Finding(
        Severity.WARNING,
        f"{who} not been heard of for {since}, on {host}",
        "frozen, cut off, or dead with the supervisor; the jobs run again when their leases end",
        f"look at {host}, process {processes}",
        kind="silent",
    )


def late(queues: Sequence[QueueStatus]) -> list[Finding]:
    """Queues that are served, and behind."""
    return [
        Finding(
            Severity.WARNING,
            f"queue {queue.name}: is behind: its next job has waited {spell(queue.oldest)},"
            f" and {plural(queue.counts[JobState.READY], 'job')} could run",
            "more comes than its workers do, or they are held up",
            f"distq worker MODULE:APP --queues {queue.name}   (more of them)",
            kind="late",
            queue=queue.name,
        )
        for queue in queues
        if queue.workers and not queue.paused and queue.oldest is not None and queue.oldest > BEHIND
    ]


def failing(queues: Sequence[QueueStatus]) -> list[Finding]:
    """Queues of whose attempts most fail."""
    return [
        Finding(
            Severity.WARNING,
            f"queue {queue.name}: {share:.0%} of the attempts of the last minute failed",
            "they are tried again until their tries are spent, and are dead then",
            f"distq list {queue.name} --state scheduled; distq pause {queue.name} while you mend it",
            kind="failing",
            queue=queue.name,
        )
        for queue in queues
        if queue.rates and (share := queue.rates.failing) is not None and share >= MOST_FAIL
    ]
