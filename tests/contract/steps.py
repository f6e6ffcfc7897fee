"""What the tests of the contract do again and again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from distq.ids import new_ids
from distq.job import Conflict, Hold, JobRecord, JobState, Lease, NewJob, Outcome, OutcomeKind, Unique
from distq.storage import Storage
from tests.helpers import eventually

QUEUE = "mail"
#: No gap between passes is an outage, but where a test says so.
NEVER = 1e6
WHY = b'{"type":"Cancelled","message":"for the test","traceback":""}'


def make(count: int = 1, *, queue: str = QUEUE, payload: bytes = b"{}\n{}", **fields: Any) -> list[NewJob]:
    return [NewJob(job_id, queue, "app.task", payload, **fields) for job_id in new_ids(queue, count)]


def add(storage: Storage, count: int = 1, **fields: Any) -> list[str]:
    return [entry.id for entry in storage.run(storage.enqueue(make(count, **fields)))]


def keyed(
    key: str = "k", hold: Hold = Hold.ACTIVE, seconds: float = 0.0, conflict: Conflict = Conflict.RETURN
) -> NewJob:
    return make(unique=Unique(key, hold, seconds, conflict))[0]


def take(
    storage: Storage, limit: int = 100, *, worker: str = "w1", ttl: float = 60, alone: bool = False
) -> list[Lease]:
    return storage.run(storage.lease(QUEUE, worker=worker, limit=limit, ttl=ttl, alone=alone))


def settle(
    storage: Storage,
    leases: Sequence[Lease],
    kind: OutcomeKind,
    *,
    body: bytes = b"",
    delay: float = 0,
    keep: float = 60,
) -> set[str]:
    outcomes = [Outcome(lease.id, lease.token, kind, body, delay) for lease in leases]
    return storage.run(storage.settle(outcomes, keep=keep))


def record(storage: Storage, job_id: str) -> JobRecord:
    found = storage.run(storage.get(job_id))
    assert found is not None
    return found


def state(storage: Storage, job_id: str) -> JobState:
    return record(storage, job_id).state


def tick(storage: Storage, *, limit: int = 100) -> Any:
    return storage.run(storage.tick(QUEUE, limit=limit, grace=60, outage=NEVER, eager=True))


def tick_until(storage: Storage, done: Callable[[], bool]) -> None:
    def step() -> bool:
        tick(storage)
        return done()

    eventually(step)


def expire(storage: Storage, leases: Sequence[Lease]) -> None:
    """Let leases end now, and wait until the storage has taken them away."""
    storage.run(storage.extend(leases, ttl=0.001))
    tick_until(storage, lambda: all(state(storage, lease.id) is not JobState.LEASED for lease in leases))
