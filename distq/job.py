"""Values that cross the Storage Protocol. No I/O, no functions: bytes, names and ids.

Times are seconds since 1970 by the storage's clock, durations are seconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

CRASH_BUDGET = 3
"""How often a job's worker may die before the job goes to dead."""

CRASHED = b'{"type":"CrashBudgetSpent","message":"its worker died in it again and again","traceback":""}'
"""The body of a job that goes to dead because of its crashes, as `messages.decode_error` reads it."""

REPLACED = b'{"type":"Replaced","message":"a new job of its key took its place","traceback":""}'
"""The body of a job that `Conflict.REPLACE` cancelled."""

HIGHEST_PRIORITY = 9

AGEING = 3600.0
"""Seconds of waiting that weigh as much as one level of priority: so no job starves."""

ALIVE = 60.0
"""Seconds within which a worker process must have announced itself for its queues to be listed."""

Tallies = Mapping[str, Mapping[str, int]]
"""How many attempts ended, by queue and by kind of outcome; kinds with none may be absent."""

HISTORY = 25
"""Attempts that a job remembers, the latest ones."""


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
    """How a lease ends. A job whose cancellation was asked for is cancelled instead of run again."""

    DONE = "done"
    RETRY = "retry"
    """Failed, runs again after the delay; costs a try."""
    SNOOZE = "snooze"
    """Runs again after the delay; costs no try."""
    DEAD = "dead"
    CANCELLED = "cancelled"
    RELEASE = "release"
    """Not begun, or given back while stopping: to where it was in the queue, no try, no crash."""


DONE = OutcomeKind.DONE
"""For what asks or says it for each job: an enum's members are slow to reach on Python 3.11."""


class Hold(StrEnum):
    """How long a unique key is taken."""

    WAITING = "waiting"
    """Until the job is leased for the first time."""
    ACTIVE = "active"
    """Until the job has ended, and `Unique.seconds` longer."""
    WINDOW = "window"
    """For `Unique.seconds` from the enqueue, whatever becomes of the job."""


class Conflict(StrEnum):
    """What an enqueue does where the key is taken."""

    RETURN = "return"
    """Add nothing; the job that has the key is the answer."""
    REPLACE = "replace"
    """Cancel the job that has the key if it has not been leased, else as RETURN."""
    ERROR = "error"
    """Add nothing of the whole call and raise JobExists."""


class Unique(NamedTuple):
    """A key that one job of a queue has at a time. `seconds` is explained at `Hold`."""

    key: str
    hold: Hold = Hold.ACTIVE
    seconds: float = 0.0
    conflict: Conflict = Conflict.RETURN


class NewJob(NamedTuple):
    """A job to enqueue.

    It becomes ready `delay` seconds after the storage receives it, or at `run_at` where that is given.
    """

    id: str
    queue: str
    task: str
    payload: bytes
    delay: float = 0.0
    run_at: float | None = None
    priority: int = 0
    unique: Unique | None = None


class Enqueued(NamedTuple):
    """What became of a `NewJob`: the id is another's where its key was taken.

    `created` is False there, and where a job of that id was already known.
    """

    id: str
    created: bool


class Lease(NamedTuple):
    """A job that this worker may run until the lease's ttl ends, fenced by `token`.

    `tries` counts the failed attempts before this one, `crashes` the workers that died in it. `waited` is for
    storages that need it to know how long the job waited.
    """

    id: str
    token: str
    task: str
    payload: bytes
    tries: int
    crashes: int
    waited: float = 0.0


class Extended(NamedTuple):
    """The ids of the leases that are still ours, and those of them that somebody wants cancelled."""

    ours: set[str]
    cancelled: set[str]


class Outcome(NamedTuple):
    """The end of a lease. `body` is the encoded result (done) or the encoded error (others); of what was
    cancelled it may be empty, and is the reason then that `cancel` gave.

    `ran` is how long the job ran, by the worker's clock.
    """

    id: str
    token: str
    kind: OutcomeKind
    body: bytes = b""
    delay: float = 0.0
    ran: float = 0.0


class Attempt(NamedTuple):
    """An attempt that did not end the job well. `kind` is an outcome's, or "crash"."""

    kind: str
    worker: str
    leased_at: float
    ended_at: float
    ran: float
    error: bytes


class JobRecord(NamedTuple):
    """What the storage knows of a job. What does not apply is None or empty.

    `payload` is empty once it is done; `body` is its result or its last error; `ready_at` since when it
    waits, or when it will be ready; `worker` and `leased_at` are those of the lease it has, or had when it
    ended; `cancelling` says that it runs and was asked to end; `attempts` are the latest `HISTORY` of those
    that failed.
    """

    id: str
    task: str
    state: JobState
    payload: bytes = b""
    priority: int = 0
    key: str = ""
    tries: int = 0
    crashes: int = 0
    body: bytes = b""
    progress: bytes = b""
    enqueued_at: float = 0.0
    ready_at: float | None = None
    worker: str = ""
    leased_at: float | None = None
    leased_until: float | None = None
    ended_at: float | None = None
    cancelling: bool = False
    attempts: tuple[Attempt, ...] = ()


class Filter(NamedTuple):
    """Which jobs of a queue: in a state, and of a task, with a text in the error, of an age in seconds.

    Age counts from the end for jobs that have ended, else from the enqueue. `newer` is what it is less than;
    0 for any.
    """

    queue: str
    state: JobState
    task: str = ""
    text: str = ""
    older: float = 0.0
    newer: float = 0.0


class Page(NamedTuple):
    """Jobs that a filter found. `after` leads to the next page; it is empty on the last one."""

    jobs: list[JobRecord]
    after: str


class Tick(NamedTuple):
    """What one maintenance pass did: how many jobs it promoted, reclaimed, buried and pruned.

    `suspects` is how many jobs wait to be leased alone because a worker died in them; 0 where the pass
    was left to another worker. `ready` says whether a lease of the queue would find something, also then.
    """

    promoted: int = 0
    reclaimed: int = 0
    buried: int = 0
    pruned: int = 0
    suspects: int = 0
    ready: bool = False


class Presence(NamedTuple):
    """A worker process that is alive: where it runs, which queues it serves, which tasks it knows.

    `seen` is how many seconds ago it last said so. `vitals` is what else it says of itself, kept by storages
    as it is. `tallies` are those of the process, from its start.
    """

    name: str
    host: str
    pid: int
    queues: tuple[str, ...]
    tasks: tuple[str, ...]
    seen: float = 0.0
    vitals: bytes = b""
    tallies: Tallies = MappingProxyType({})


class Recent(NamedTuple):
    """How many jobs ended lately, and how many seconds ago the first of them did; 0 where none."""

    jobs: int = 0
    since: float = 0.0


class Schedule(NamedTuple):
    """A cron schedule as the storage knows it: the last tick that was fired or skipped, and the switch."""

    name: str
    last: int
    paused: bool


class Schedules(NamedTuple):
    """The schedules of a queue, and the storage's time."""

    now: float
    schedules: list[Schedule]


class Heard(NamedTuple):
    """What a listener heard."""

    ready: Mapping[str, float] = MappingProxyType({})
    """Queues where jobs became ready, and a moment (`ready_at`) before which none did; -inf if unknown."""
    cancel: frozenset[str] = frozenset()
    """Workers of whose jobs some are to be cancelled."""
    ended: frozenset[str] = frozenset()
    """Watched jobs that have ended."""
    gap: bool = False
    """Anything may have happened that was not heard; and `sure` is so no more."""
    sure: bool = False
    """From here on everything is heard, until a gap."""

    def __bool__(self) -> bool:
        return any(self)


def rank(ready_at: float, priority: int) -> float:
    """The place in the order of leasing, the lowest first: the moment, less `AGEING` for each level."""
    return ready_at - priority * AGEING


def one_of_each(jobs: Sequence[NewJob]) -> tuple[list[NewJob], dict[str, str]]:
    """The first job of each id but those whose key an earlier one has; of these the id and the earlier's."""
    first: dict[str, NewJob] = {}
    holders: dict[tuple[str, str], str] = {}
    later: dict[str, str] = {}
    for job in jobs:
        if first.setdefault(job.id, job) is not job:
            continue
        if job.unique and holders.setdefault((job.queue, job.unique.key), job.id) != job.id:
            later[job.id] = holders[job.queue, job.unique.key]
    return [job for job in first.values() if job.id not in later], later


def first_of_each(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """The outcomes, in order, without the later ones of a lease that has two: the first counts."""
    if len({outcome.id for outcome in outcomes}) == len(outcomes):
        return list(outcomes)
    return list({(o.id, o.token): o for o in reversed(outcomes)}.values())[::-1]
