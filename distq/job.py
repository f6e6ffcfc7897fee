"""Values that cross the Storage Protocol. No I/O, no functions: bytes, names and ids."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from distq.errors import ConfigurationError, JobNotFound

CRASH_BUDGET = 3
"""How often a job's worker may die before the job goes to dead."""

CRASHED = b'{"type":"CrashBudgetSpent","message":"its worker died in it again and again","traceback":""}'
"""The body of a job that goes to dead because of its crashes, as `messages.decode_error` reads it."""

QUEUE_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_JOB_ID = re.compile(rf"({QUEUE_NAME.pattern}):([0-9a-f]{{32}})")


class JobState(StrEnum):
    """Where a job is in its life; docs/architecture.md has the drawing."""

    WAITING = "waiting"
    SCHEDULED = "scheduled"
    READY = "ready"
    LEASED = "leased"
    DONE = "done"
    DEAD = "dead"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """Whether the job will not run again by itself."""
        return self in (JobState.DONE, JobState.DEAD, JobState.CANCELLED)


class OutcomeKind(StrEnum):
    """How a lease ends."""

    DONE = "done"
    RETRY = "retry"
    """Failed, runs again after the delay; costs a try."""
    SNOOZE = "snooze"
    """Runs again after the delay; costs no try."""
    DEAD = "dead"
    RELEASE = "release"
    """Not begun, or given back while stopping: to the front of the queue, no try, no crash."""


class NewJob(NamedTuple):
    """A job to enqueue. `delay` is in seconds from the moment the storage receives it."""

    id: str
    queue: str
    task: str
    payload: bytes
    delay: float = 0.0


class Enqueued(NamedTuple):
    """What became of a `NewJob`. `created` is False where a job of that id was already known."""

    id: str
    created: bool


class Lease(NamedTuple):
    """A job that this worker may run until the lease's ttl ends, fenced by `token`.

    `tries` counts the failed attempts before this one, `crashes` the workers that died in it.
    """

    id: str
    token: str
    task: str
    payload: bytes
    tries: int
    crashes: int


class Outcome(NamedTuple):
    """The end of a lease. `body` is the encoded result (done) or the encoded error (retry, dead)."""

    id: str
    token: str
    kind: OutcomeKind
    body: bytes = b""
    delay: float = 0.0


class JobRecord(NamedTuple):
    """What the storage knows of a job. `body` is its result or its last error, empty where it has none."""

    id: str
    task: str
    state: JobState
    tries: int
    crashes: int
    body: bytes


class Tick(NamedTuple):
    """What one maintenance pass did: how many jobs it promoted, reclaimed, buried and pruned.

    `suspects` is how many jobs wait to be leased alone because a worker died in them; 0 where the pass
    was left to another worker.
    """

    promoted: int = 0
    reclaimed: int = 0
    buried: int = 0
    pruned: int = 0
    suspects: int = 0


def first_of_each(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """The outcomes, in order, without the later ones of a lease that has two: the first counts."""
    return list({(o.id, o.token): o for o in reversed(outcomes)}.values())[::-1]


def check_queue(name: str) -> str:
    """Return the name; raise ConfigurationError where it cannot name a queue."""
    if not QUEUE_NAME.fullmatch(name):
        raise ConfigurationError(
            f"{name!r} cannot name a queue: 1 to 64 letters, digits, '_', '.' and '-' are allowed"
        )
    return name


def new_ids(queue: str, count: int) -> list[str]:
    """New job ids: the queue, which finds the job on Redis, and a UUIDv7 (RFC 9562) in hex.

    The ids of one call ascend. The client makes them, so that an enqueue whose answer was lost can
    be repeated safely.
    """
    milliseconds = time.time_ns() // 1_000_000
    tail = int.from_bytes(os.urandom(9), "big")
    head = (milliseconds << 16 | 0x7000) << 64
    return [
        f"{queue}:{head | (n >> 62 & 0xFFF) << 64 | 1 << 63 | n & 0x3FFFFFFFFFFFFFFF:032x}"
        for n in range(tail, tail + count)
    ]


def split_id(job_id: str) -> tuple[str, str]:
    """The queue and the UUID of a job id; raises JobNotFound where it is not one of ours."""
    match = _JOB_ID.fullmatch(job_id)
    if match is None:
        raise JobNotFound(job_id)
    return match[1], match[2]
