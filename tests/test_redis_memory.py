"""Memory of a Redis: what is left behind, what happens when it is full, and jobs that were evicted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import redis

from distq.errors import StorageError
from distq.job import CRASH_BUDGET, Conflict, Filter, Hold, JobState, Outcome, OutcomeKind
from distq.redis.storage import RedisStorage
from scenarios.guard import Guard
from scenarios.servers.disk import find_disk
from scenarios.servers.redis import RedisServer
from tests.contract.steps import QUEUE, WHY, add, expire, keyed, make, settle, take, tick
from tests.helpers import eventually
from tests.prefixes import client as client
from tests.prefixes import keys
from tests.prefixes import prefix as prefix
from tests.prefixes import storage as storage

# -- what is left behind ---------------------------------------------------------------------------------


def end_in_every_way(storage: RedisStorage) -> list[str]:
    """Let jobs of every kind live and end; returns the ids of those that are still known."""
    tick(storage)  # the first pass ever looks like an outage
    jobs = [
        *make(3),
        *make(2, priority=3),
        *make(2, delay=60, priority=1),
        keyed("a"),
        keyed("b", Hold.WAITING),
        keyed("c", Hold.WINDOW, 0.001),
        keyed("d", seconds=0.001),
        keyed("e"),
    ]
    storage.run(storage.enqueue(jobs))
    storage.run(storage.enqueue([keyed("e", conflict=Conflict.REPLACE)]))
    storage.run(storage.watch([job.id for job in jobs]))
    for kind in (OutcomeKind.RETRY, OutcomeKind.SNOOZE, OutcomeKind.RELEASE):
        settle(storage, take(storage), kind, body=WHY)
    leases = take(storage)
    storage.run(storage.extend(leases, ttl=60, progress={lease.id: b"1" for lease in leases}))
    storage.run(storage.cancel([leases[0].id], reason=WHY))
    kinds = [OutcomeKind.DONE, OutcomeKind.DEAD, OutcomeKind.CANCELLED, OutcomeKind.RETRY]
    outcomes = [
        Outcome(lease.id, lease.token, kinds[n % 4], WHY, 30 * (n % 3)) for n, lease in enumerate(leases)
    ]
    storage.run(storage.settle(outcomes, keep=60))
    (poison,) = add(storage, priority=9)
    for _ in range(CRASH_BUDGET):
        expire(storage, [lease for lease in take(storage, 1, alone=True) if lease.id == poison])
    states = (state for state in JobState if state is not JobState.WAITING)
    pages = [storage.run(storage.find(Filter(QUEUE, state), limit=100)).jobs for state in states]
    return [job.id for page in pages for job in page]


def test_nothing_is_left_of_jobs_that_were_removed(storage: RedisStorage, client: Any, prefix: str) -> None:
    known = end_in_every_way(storage)
    storage.run(storage.replay(known[::2]))
    assert storage.run(storage.remove(known)) == set(known)
    eventually(lambda: tick(storage) and not client.exists(f"{prefix}:{{{QUEUE}}}:freed"))
    assert keys(client, prefix) == {"arrival", "pulse", "queues"}
    assert storage.run(storage.queues()) == {}


def test_nothing_is_left_of_jobs_that_were_pruned_or_expired(
    storage: RedisStorage, client: Any, prefix: str
) -> None:
    end_in_every_way(storage)
    waiting = [
        job.id
        for state in (JobState.READY, JobState.SCHEDULED)
        for job in storage.run(storage.find(Filter(QUEUE, state), limit=100)).jobs
    ]
    storage.run(storage.cancel(waiting, reason=WHY))
    (expiring,) = add(storage)
    settle(storage, take(storage), OutcomeKind.DONE, keep=0.001)
    eventually(lambda: tick(storage) and storage.run(storage.get(expiring)) is None)
    for ended in (JobState.DONE, JobState.DEAD, JobState.CANCELLED):
        assert storage.run(storage.prune(QUEUE, ended, older=1e6, beyond=0, limit=2500)) > 0
    eventually(lambda: tick(storage) and not client.exists(f"{prefix}:{{{QUEUE}}}:freed"))
    assert keys(client, prefix) == {"arrival", "pulse", "queues"}


# -- memory ----------------------------------------------------------------------------------------------


@pytest.fixture
def full() -> Iterator[tuple[RedisStorage, Any]]:
    """A private server whose memory a test may fill."""
    guard = Guard(find_disk())
    server = RedisServer(guard, "memory")
    server.start()
    storage = RedisStorage(server.url)
    with redis.Redis.from_url(server.url) as client:
        yield storage, client
    storage.close()
    guard.close()


def test_with_full_memory_jobs_still_end_and_nothing_is_half_done(full: tuple[RedisStorage, Any]) -> None:
    storage, client = full
    (expiring,) = add(storage)
    settle(storage, take(storage), OutcomeKind.DONE, keep=0.001)
    eventually(lambda: storage.run(storage.get(expiring)) is None)
    add(storage, 12)
    storage.run(storage.enqueue([keyed("a"), keyed("b", seconds=60)]))
    storage.run(storage.watch(add(storage, 1, delay=0.001)))
    leases = take(storage, 10)
    storage.run(storage.cancel([leases[4].id], reason=WHY))
    client.config_set("maxmemory", 1)
    with pytest.raises(StorageError, match="maxmemory"):
        add(storage)
    assert storage.run(storage.extend(leases, ttl=60, progress={leases[0].id: b"1"})).cancelled == {
        leases[4].id
    }
    outcomes = [
        Outcome(lease.id, lease.token, kind, WHY)
        for lease, kind in zip(leases, [*OutcomeKind, *OutcomeKind], strict=False)
    ]
    assert len(storage.run(storage.settle(outcomes, keep=60))) == 10
    passed = tick(storage)
    assert (passed.promoted, passed.pruned) == (1, 1)
    more = take(storage, 100, worker="dead")
    assert storage.run(storage.forfeit(QUEUE, worker="dead", begun=[more[0].id])) == len(more)
    waiting = [lease.id for lease in more[1:3]]
    assert set(storage.run(storage.cancel(waiting, reason=WHY)).values()) == {JobState.CANCELLED}
    assert storage.run(storage.remove(waiting)) == set(waiting)
    counts = storage.run(storage.counts(QUEUE))
    assert sum(counts.values()) == 15 - 2
    client.config_set("maxmemory", 0)
    assert len(add(storage)) == 1


def test_an_evicted_job_is_no_ghost(storage: RedisStorage, client: Any, prefix: str) -> None:
    ids = add(storage, 3)
    client.hdel(f"{prefix}:{{{QUEUE}}}:jobs", ids[1])
    assert [lease.id for lease in take(storage, worker="w")] == [ids[0], ids[2]]
    assert storage.run(storage.forfeit(QUEUE, worker="w", begun=())) == 2


def test_an_evicted_job_frees_its_key(storage: RedisStorage, client: Any, prefix: str) -> None:
    job, next_one = keyed(), keyed()
    storage.run(storage.enqueue([job]))
    client.delete(f"{prefix}:{{{QUEUE}}}:jobs")
    assert take(storage) == []
    assert storage.run(storage.enqueue([next_one]))[0].created
