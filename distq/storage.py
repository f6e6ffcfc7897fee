"""The Storage Protocol: what a store must do so that the rest of distq can rely on it.

The contract, each rule proven on every storage by `tests/contract/`:

1. At least once. A job whose enqueue returned is never lost, whichever process dies at whichever
   line. Ids are made by the client, so an enqueue whose answer was lost is repeated safely.
2. Fenced. Each lease has a new random token. `extend` and `settle` act only where the token is still
   the job's, and return the ids that were really ours.
3. The server's clock. No rule compares the clocks of two machines.
4. Atomic and batched. Each call is one statement, or one script a queue, for many jobs.
5. Crashes are counted apart from failures. A job whose worker died `CRASH_BUDGET` times is dead,
   however many tries it has left. A job with a charge (a *suspect*) is leased alone.
6. A wake-up is a hint. Polling alone keeps the queue correct.
7. Waiting jobs wait in the storage, never in a worker's memory.
8. An outage of the store charges nobody: leases that ran out while no one could renew them get a
   grace time.
9. A key is one job's at a time in its queue, whoever enqueues at the same moment.
10. A tick of a schedule fires once, whoever tries.
11. What was asked to be cancelled does not run again: cancelled at once where it waits, at its next
   settle, reclaim or forfeit where it runs, unless it is done or dead by then.

Operations are values: a method builds an `Op` and does no I/O; `run` and `arun` execute it. So the
sync and the async world share every operation, and none has a twin.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from distq.finding import Finding
from distq.job import (
    Enqueued,
    Extended,
    Filter,
    Heard,
    JobRecord,
    JobState,
    Lease,
    NewJob,
    Outcome,
    Page,
    Presence,
    Recent,
    Schedules,
    Tallies,
    Tick,
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Op(Generic[T]):
    """One storage operation: what to send, in the storage's own terms, and how to read the answer."""

    request: Any
    decode: Callable[[Any], T]
    repeatable: bool = True
    """Whether it may be sent again when its answer was lost; a lease may not, for it would give more."""


class Listener(Protocol):
    """Waits for hints on a connection of its own. For one thread."""

    def wait(self, *, timeout: float, wakeup: int) -> Heard:
        """Return what was heard, or nothing after `timeout` seconds or when `wakeup` is readable.

        It may return early. A connection that is lost, or new, is a gap in what is heard. Where hints cannot
        be had it just waits, and tries again the next time.
        """
        ...

    def close(self) -> None:
        """Close the connection. Twice is safe; the next wait opens another."""
        ...


class Storage(Protocol):
    """A store of jobs. Every method that returns an `Op` only builds it."""

    # -- the life of a job ---------------------------------------------------------------------------

    def enqueue(self, jobs: Sequence[NewJob]) -> Op[list[Enqueued]]:
        """Add jobs: ready at once, or scheduled where their time is to come. A known id is left alone.

        Of two with one id in a call the first is the job, and both get its answer; of two with one key the
        first has it. Running it raises JobExists where a job's key is taken and it says so
        (`Conflict.ERROR`).
        """
        ...

    def lease(self, queue: str, *, worker: str, limit: int, ttl: float, alone: bool) -> Op[list[Lease]]:
        """Take up to `limit` ready jobs for `ttl` seconds, in the order of `job.rank`; none where paused.

        With `alone`, which a worker says when it holds nothing, a suspect comes first and by itself;
        without it suspects are passed over.
        """
        ...

    def extend(
        self, leases: Sequence[Lease], *, ttl: float, progress: Mapping[str, bytes] | None = None
    ) -> Op[Extended]:
        """Let leases end `ttl` seconds from now, and note the progress of those that have any, by id."""
        ...

    def settle(self, outcomes: Sequence[Outcome], *, keep: float) -> Op[set[str]]:
        """End leases. Returns the ids that were still ours; of the others nothing is changed.

        Of two outcomes of one lease the first counts. An attempt that did not end in done, nor was
        released, is remembered.

        `keep` is the time to live of results in seconds. Dead and cancelled jobs are kept until `prune`.
        """
        ...

    def forfeit(
        self, queue: str, *, worker: str, begun: Collection[str], kept: Collection[str] = ()
    ) -> Op[int]:
        """Give back a worker's leases at once; only the jobs it had begun are charged a crash.

        For a dead process, or for a live one that does not know what a lease gave, since the answer was
        lost: then `kept` are those that it knows of.
        """
        ...

    def tick(self, queue: str, *, limit: int, grace: float, outage: float, eager: bool = False) -> Op[Tick]:
        """Promote due jobs, reclaim expired leases, prune expired results and keys: up to `limit` of each.

        Cheap when another worker has just done it, unless `eager`; whether jobs are ready is told all the
        same, so that an idle worker need not try to lease. Where nobody has for `outage` seconds the store
        was out of reach, and expired leases are prolonged by `grace` seconds instead of reclaimed.
        """
        ...

    # -- steering ------------------------------------------------------------------------------------

    def cancel(self, ids: Sequence[str], *, reason: bytes) -> Op[dict[str, JobState]]:
        """Cancel jobs: what waits at once (CANCELLED), what runs is asked to end (LEASED); by id.

        Others, ended or unknown, are not in the answer. `reason` is the encoded error of the first kind.
        """
        ...

    def replay(self, ids: Sequence[str]) -> Op[set[str]]:
        """Make dead and cancelled jobs ready again, tries and crashes at 0, the history kept.

        Returns the ids that were; a job whose key another has taken is not.
        """
        ...

    def remove(self, ids: Sequence[str]) -> Op[set[str]]:
        """Forget jobs that no worker holds. Returns the ids that were."""
        ...

    def prune(self, queue: str, state: JobState, *, older: float, beyond: int, limit: int) -> Op[int]:
        """Forget up to `limit` of the jobs that ended in a state: the oldest ones, of those that ended more
        than `older` seconds ago or are not among the latest `beyond`. Returns how many.
        """
        ...

    def pause(self, queue: str, *, paused: bool) -> Op[None]:
        """Let no job of the queue be leased, or let them again. Running jobs go on."""
        ...

    # -- looking -------------------------------------------------------------------------------------

    def get(self, job_id: str) -> Op[JobRecord | None]:
        """What is known of a job, or None. Raises JobNotFound for an id that is not one of ours."""
        ...

    def find(self, filter: Filter, *, after: str = "", limit: int, latest: bool = False) -> Op[Page]:
        """A page of up to `limit` jobs in the order of leasing, of when they are due, or of their end; those
        that run in any. With `latest` in the reverse order; `after` is then of a page in that order too.

        A page may be short, even empty, and yet have a next one: the search is bounded too.
        """
        ...

    def holder(self, queue: str, key: str) -> Op[str | None]:
        """The id of the job that claimed a key last, whether it still has it or not; None where that is not
        known any more.
        """
        ...

    def recent(self, queue: str, *, within: float, most: int) -> Op[Mapping[JobState, Recent]]:
        """How many jobs of a queue ended in the last `within` seconds, by the state they ended in: the latest
        `most` of each at most. Those that have been forgotten meanwhile do not count.
        """
        ...

    def counts(self, queue: str) -> Op[Mapping[JobState, int]]:
        """How many jobs of a queue are in each state; states with none may be absent."""
        ...

    def queues(self) -> Op[dict[str, bool]]:
        """The queues that have jobs, or workers announced in the last `job.ALIVE` seconds, or are paused; and
        whether they are.
        """
        ...

    # -- workers and schedules -----------------------------------------------------------------------

    def announce(self, presence: Presence) -> Op[None]:
        """Say that a worker process is alive."""
        ...

    def leave(self, worker: str, *, tallies: Tallies | None = None) -> Op[None]:
        """Say that a worker process has ended, with its last tallies where they are known."""
        ...

    def workers(self, *, within: float) -> Op[list[Presence]]:
        """The worker processes that announced themselves within so many seconds."""
        ...

    def tallies(self) -> Op[Tallies]:
        """The tallies of all worker processes, also of those that have ended, by what each said last. So no
        figure ever falls.
        """
        ...

    def schedules(self, queue: str, names: Sequence[str]) -> Op[Schedules]:
        """The schedules of a queue; those of the names that are not there are added, last fired now."""
        ...

    def fire(self, queue: str, name: str, *, last: int, tick: int, job: NewJob | None) -> Op[bool]:
        """Move a schedule from its `last` tick to a later one and add the job of it, if any, in one step.

        Does nothing and returns False where it is not at `last`, is paused, or the tick is yet to come.
        """
        ...

    def switch(self, queue: str, name: str, *, paused: bool) -> Op[bool]:
        """Pause or resume a schedule. Returns whether there is one."""
        ...

    # -- hints ---------------------------------------------------------------------------------------

    def watch(self, ids: Sequence[str]) -> Op[set[str]]:
        """Let listeners hear when these jobs end. Returns the ids of those that are there and have not."""
        ...

    def listener(self, *, queues: Sequence[str] = (), ended: Sequence[str] = ()) -> Listener:
        """For hints that jobs of `queues` are ready or to be cancelled, and that watched jobs of the queues
        in `ended` have ended.
        """
        ...

    def waited(self, lease: Lease) -> float:
        """How many seconds the job had been ready when it was leased; and `job.AGEING` more for each level of
        its priority, for that is not known here.
        """
        ...

    def told(self, queues: Collection[str], heard: Heard) -> None:
        """Take note of what a listener, of this process or another, heard of these queues: it may spare
        `lease` to look where nothing can be.
        """
        ...

    # -- execution -----------------------------------------------------------------------------------

    @property
    def where(self) -> str:
        """What to call the storage in messages: its URL without user, password and options."""
        ...

    def examine(self) -> list[Finding]:
        """Look for what, in how the storage is set up, could lose jobs, stop them or slow them down.

        For a storage that was not migrated too. What cannot be looked at is a finding as well. Raises
        StorageUnavailable.
        """
        ...

    def migrate(self) -> list[str]:
        """Create or upgrade what the storage needs. Safe to repeat. Says what it did, a line each."""
        ...

    def run(self, op: Op[T], connection: Any = None) -> T:
        """Execute an operation, on a connection of the caller's and in its transaction where one is given.

        Raises StorageUnavailable, SchemaError or StorageError; ConfigurationError for a connection that
        this storage cannot use.
        """
        ...

    async def arun(self, op: Op[T], connection: Any = None) -> T:
        """Execute an operation without blocking the event loop. Raises as `run`."""
        ...

    def close(self) -> None:
        """Close sync connections. Twice is safe; the next `run` opens anew."""
        ...

    async def aclose(self) -> None:
        """Close the connections of the running event loop. Twice is safe."""
        ...
