"""The Storage Protocol: what a store must do so that the rest of distq can rely on it.

The contract, each rule proven on every storage by `tests/test_storage_contract.py`:

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

Operations are values: a method builds an `Op` and does no I/O; `run` and `arun` execute it. So the
sync and the async world share every operation, and none has a twin.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from distq.job import Enqueued, JobRecord, JobState, Lease, NewJob, Outcome, Tick

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Op(Generic[T]):
    """One storage operation: what to send, in the storage's own terms, and how to read the answer."""

    request: Any
    decode: Callable[[Any], T]
    repeatable: bool = True
    """Whether it may be sent again when its answer was lost; a lease may not, for it would give more."""


class Storage(Protocol):
    """A store of jobs. Every method that returns an `Op` only builds it."""

    def enqueue(self, jobs: Sequence[NewJob]) -> Op[list[Enqueued]]:
        """Add jobs: ready at once, or scheduled where they have a delay. A known id is left alone."""
        ...

    def lease(self, queue: str, *, worker: str, limit: int, ttl: float, alone: bool) -> Op[list[Lease]]:
        """Take up to `limit` ready jobs, the longest ready first, for `ttl` seconds.

        With `alone`, which a worker says when it holds nothing, a suspect comes first and by itself;
        without it suspects are passed over.
        """
        ...

    def extend(self, leases: Sequence[Lease], *, ttl: float) -> Op[set[str]]:
        """Let leases end `ttl` seconds from now. Returns the ids that are still ours."""
        ...

    def settle(self, outcomes: Sequence[Outcome], *, keep: float) -> Op[set[str]]:
        """End leases. Returns the ids that were still ours; of the others nothing is changed.

        Of two outcomes of one lease the first counts.

        `keep` is the time to live of results in seconds. Dead jobs are kept until they are removed.
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
        """Promote due jobs, reclaim expired leases, prune expired results: up to `limit` of each.

        Cheap when another worker has just done it, unless `eager`. Where nobody has for `outage` seconds
        the store was out of reach, and expired leases are prolonged by `grace` seconds instead of reclaimed.
        """
        ...

    def get(self, job_id: str) -> Op[JobRecord | None]:
        """What is known of a job, or None. Raises JobNotFound for an id that is not one of ours."""
        ...

    def counts(self, queue: str) -> Op[Mapping[JobState, int]]:
        """How many jobs of a queue are in each state; states with none may be absent."""
        ...

    def migrate(self) -> list[str]:
        """Create or upgrade what the storage needs. Safe to repeat. Says what it did, a line each."""
        ...

    def run(self, op: Op[T]) -> T:
        """Execute an operation. Raises StorageUnavailable or SchemaError."""
        ...

    async def arun(self, op: Op[T]) -> T:
        """Execute an operation without blocking the event loop. Raises as `run`."""
        ...

    def wait(self, queues: Sequence[str], *, timeout: float, wakeup: int) -> None:
        """Return when a job may be ready, `timeout` seconds are over or `wakeup` becomes readable.

        A hint, for one thread: it may return early, and where the hint cannot be had it just waits.
        """
        ...

    def close(self) -> None:
        """Close sync connections. Twice is safe; the next `run` opens anew."""
        ...

    async def aclose(self) -> None:
        """Close the connections of the running event loop. Twice is safe."""
        ...
