"""From what the Storage Protocol speaks of to the arguments of scripts."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from distq.job import Lease, NewJob, Outcome, OutcomeKind, Presence

CHUNK = 1000
"""Jobs that one script call carries: Lua's unpack and the server's other clients set the bound."""

_T = TypeVar("_T")


def new_jobs(jobs: Sequence[NewJob]) -> list[Any]:
    """The arguments of `add` in `scripts/_adding.lua`."""
    arguments: list[Any] = [len(jobs)]
    for job in jobs:
        arguments += (job.id, job.task.encode() + b"\n" + job.payload, _when(job))
    for number, job in enumerate(jobs, 1):
        if job.unique:
            key, hold, seconds, conflict = job.unique
            arguments += (number, key, hold.value, microseconds(seconds), conflict.value)
    return arguments


def _when(job: NewJob) -> str:
    if job.run_at is not None:
        return f"{job.priority} @{round(job.run_at * 1e6)}"
    if job.priority or job.delay > 0:
        return f"{job.priority} {microseconds(job.delay)}"
    return ""


def lease_pairs(leases: Sequence[Lease], progress: Mapping[str, bytes]) -> list[Any]:
    """The arguments of the extend script but for the ttl."""
    noted = ((lease.id, progress[lease.id]) for lease in leases if lease.id in progress)
    return [len(leases), *flat((lease.id, lease.token) for lease in leases), *flat(noted)]


def outcome(outcome: Outcome) -> tuple[Any, ...]:
    """The four arguments of an outcome."""
    if outcome.kind is OutcomeKind.DONE:
        return outcome.id, outcome.token, "done", outcome.body
    how = f"{outcome.kind} {microseconds(outcome.delay)} {outcome.ran!r}"
    return outcome.id, outcome.token, how, outcome.body


def presence(presence: Presence) -> str:
    """What the workers hash holds of a process, but for the time."""
    return json.dumps([presence.host, presence.pid, presence.queues, presence.tasks])


def queue_of(job_id: str) -> str:
    """The queue of a job id, or '' where it is not one of ours: no job is there then."""
    return job_id.partition(":")[0]


def chunks(items: Iterable[_T], queue_of: Callable[[_T], str]) -> Iterator[tuple[str, list[_T]]]:
    """The items by their queue, up to `CHUNK` at a time."""
    by_queue: defaultdict[str, list[_T]] = defaultdict(list)
    for item in items:
        by_queue[queue_of(item)].append(item)
    for queue, group in by_queue.items():
        for start in range(0, len(group), CHUNK):
            yield queue, group[start : start + CHUNK]


def flat(rows: Iterable[Iterable[Any]]) -> list[Any]:
    """The values of all rows."""
    return [value for row in rows for value in row]


def microseconds(seconds: float) -> int:
    """A duration as the scripts take it; what is above 0 stays so."""
    return max(round(seconds * 1e6), 1) if seconds > 0 else 0
