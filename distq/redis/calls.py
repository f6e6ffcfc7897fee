"""From what the Storage Protocol speaks of to the arguments of scripts."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from distq.job import DONE, Lease, NewJob, Outcome, Presence, Tallies

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


def done_first(outcomes: Sequence[Outcome]) -> Sequence[Outcome]:
    """The outcomes in the order in which the settle script takes them."""
    others = [outcome for outcome in outcomes if outcome.kind is not DONE]
    return [*(outcome for outcome in outcomes if outcome.kind is DONE), *others] if others else outcomes


def ends(outcomes: Sequence[Outcome]) -> list[Any]:
    """The arguments of the settle script but for the time to live, for outcomes in its order."""
    ids, tokens, kinds, bodies, *_ = zip(*outcomes, strict=True)
    done = kinds.count(DONE)
    hows = [f"{o.kind} {microseconds(o.delay)} {o.ran!r}" for o in outcomes[done:]]
    return [len(ids), done, *ids, *tokens, *bodies, *hows]


def presence(presence: Presence) -> tuple[str, bytes]:
    """What the workers hash holds of a process, but for the time; and what the vitals hash does."""
    known = json.dumps([presence.host, presence.pid, presence.queues, presence.tasks])
    return known, tallies(presence.tallies).encode() + b"\n" + presence.vitals


def tallies(tallies: Tallies) -> str:
    """As the scripts add them."""
    return " ".join(
        f"{queue} {kind} {number}" for queue, kinds in tallies.items() for kind, number in kinds.items()
    )


def queues_of(ids: Iterable[str]) -> list[str]:
    """The queues of job ids; of one that is not ours any name, for no job is there then."""
    return [job_id.partition(":")[0] for job_id in ids]


def chunks(items: Sequence[_T], queues: Sequence[str]) -> Iterator[tuple[str, Sequence[_T]]]:
    """The items, whose queues are given, by their queue, up to `CHUNK` at a time."""
    for queue, group in _by_queue(items, queues).items():
        for start in range(0, len(group), CHUNK):
            yield queue, group[start : start + CHUNK]


def _by_queue(items: Sequence[_T], queues: Sequence[str]) -> Mapping[str, Sequence[_T]]:
    if len(set(queues)) == 1:
        return {queues[0]: items}
    groups: defaultdict[str, list[_T]] = defaultdict(list)
    for item, queue in zip(items, queues, strict=True):
        groups[queue].append(item)
    return groups


def flat(rows: Iterable[Iterable[Any]]) -> list[Any]:
    """The values of all rows."""
    return [value for row in rows for value in row]


def microseconds(seconds: float) -> int:
    """A duration as the scripts take it; what is above 0 stays so."""
    return max(round(seconds * 1e6), 1) if seconds > 0 else 0
