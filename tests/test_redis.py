"""What the contract cannot see of the Redis storage: scripts, order, search, records and their bounds."""

from __future__ import annotations

import time
from typing import Any

import pytest

from distq.errors import ConfigurationError, JobNotFound
from distq.job import Filter, Hold, JobState, Outcome, OutcomeKind, Presence
from distq.redis import scripts
from distq.redis.storage import RedisStorage
from tests.contract.steps import QUEUE, WHY, add, keyed, make, record, settle, take, tick
from tests.helpers import eventually
from tests.prefixes import client as client
from tests.prefixes import prefix as prefix
from tests.prefixes import storage as storage


def together(storage: RedisStorage, *ops: Any) -> list[Any]:
    """Run operations in one round trip, so that many fall in one millisecond."""
    requests = [call for op in ops for call in op.request]
    return storage._executor.run(requests, repeatable=False)


# -- scripts ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", scripts.names())
def test_a_scripts_header_lists_each_key_that_it_uses(name: str) -> None:
    code = scripts.text(name)
    numbers = {number for number, _ in enumerate(scripts.key_names(name), 1)}
    assert "key." not in code
    assert all(f"KEYS[{number}]" in code for number in numbers), scripts.key_names(name)


def test_every_key_is_in_the_table_of_keys() -> None:
    table = (scripts._FOLDER.parent / "keys.md").read_text()  # pyright: ignore[reportAttributeAccessIssue]
    names = {key for name in scripts.names() for key in scripts.key_names(name) if not key.startswith("v1_")}
    assert {
        name for name in names if f"`P:{{Q}}:{name}`" not in table and f"`P:{name}`" not in table
    } == set()


def test_a_callers_connection_is_refused(storage: RedisStorage) -> None:
    with pytest.raises(ConfigurationError, match="use PostgreSQL, or enqueue after the commit"):
        storage.run(storage.counts(QUEUE), connection=object())


def test_foreign_ids_are_refused_before_anything_is_sent(storage: RedisStorage) -> None:
    for build in (storage.replay, storage.remove, storage.watch):
        with pytest.raises(JobNotFound):
            build(["no such id"])


# -- order -----------------------------------------------------------------------------------------------


def test_calls_of_one_millisecond_are_in_the_order_of_arrival(storage: RedisStorage) -> None:
    batches = [make(3) for _ in range(100)]
    singles = [make()[0] for _ in range(30)]
    storage.run(storage.enqueue(make()))
    take(storage)
    together(storage, *(storage.enqueue(jobs) for jobs in [*batches, singles]))
    expected = [job.id for jobs in [*batches, singles] for job in jobs]
    assert [lease.id for lease in take(storage, 1000)] == expected


def test_returns_of_one_millisecond_are_in_their_order(storage: RedisStorage) -> None:
    add(storage, 40)
    leases = take(storage)
    snoozes = [Outcome(lease.id, lease.token, OutcomeKind.SNOOZE) for lease in leases[::-1]]
    together(storage, *(storage.settle(snoozes[n : n + 4], keep=60) for n in range(0, 40, 4)))
    assert [lease.id for lease in take(storage)] == [outcome.id for outcome in snoozes]


def test_a_clock_that_was_set_back_keeps_the_order_for_a_second_only(
    storage: RedisStorage, client: Any, prefix: str
) -> None:
    arrival = f"{prefix}:{{{QUEUE}}}:arrival"
    now = int(time.time() * 1e6)
    client.set(arrival, now + 500_000)
    first, second = add(storage)[0], add(storage)[0]
    assert int(client.get(arrival)) == now + 500_002
    client.set(arrival, now + 10**10)
    (third,) = add(storage)
    assert int(client.get(arrival)) < now + 10**8
    assert sorted(lease.id for lease in take(storage)) == sorted([first, second, third])


# -- search ----------------------------------------------------------------------------------------------


def test_pages_among_jobs_of_one_moment_survive_removals(storage: RedisStorage) -> None:
    ids = add(storage, 130)
    settle(storage, take(storage, 200), OutcomeKind.DEAD, body=WHY)
    found: list[str] = []
    after = ""
    while True:
        page = storage.run(storage.find(Filter(QUEUE, JobState.DEAD), after=after, limit=7))
        found += [job.id for job in page.jobs]
        storage.run(storage.remove(found[-2:]))
        if not (after := page.after):
            break
    assert found == ids


def test_a_search_looks_at_some_thousands_at_most_and_goes_on(storage: RedisStorage) -> None:
    jobs = make(5200)
    jobs[-1] = jobs[-1]._replace(task="app.rare")
    storage.run(storage.enqueue(jobs))
    wanted = Filter(QUEUE, JobState.READY, task="app.rare")
    first = storage.run(storage.find(wanted, limit=5))
    assert first.jobs == []
    second = storage.run(storage.find(wanted, after=first.after, limit=5))
    assert ([job.id for job in second.jobs], second.after) == ([jobs[-1].id], "")


def test_a_search_stops_at_some_megabytes(storage: RedisStorage) -> None:
    ids = add(storage, 30, payload=bytes(10**6))
    page = storage.run(storage.find(Filter(QUEUE, JobState.READY), limit=30))
    assert 1 <= len(page.jobs) < 30
    rest = storage.run(storage.find(Filter(QUEUE, JobState.READY), after=page.after, limit=1))
    assert [job.id for job in (*page.jobs, *rest.jobs)] == ids[: len(page.jobs) + 1]


# -- records ---------------------------------------------------------------------------------------------


def test_any_bytes_are_remembered_as_they_are(storage: RedisStorage) -> None:
    (job_id,) = add(storage)
    errors = [b"", b"\n\n3 4 5 retry x\n", bytes(range(256)), b"9 9 9 dead w/0/0 0\n" * 3]
    for error in errors:
        settle(storage, take(storage, worker="a b/c:1"), OutcomeKind.RETRY, body=error)
    settle(storage, take(storage, worker="w 2"), OutcomeKind.DEAD, body=bytes(range(256)))
    found = record(storage, job_id)
    assert [attempt.error for attempt in found.attempts] == [*errors, bytes(range(256))]
    assert (found.body, found.worker) == (bytes(range(256)), "w 2")
    assert {attempt.worker for attempt in found.attempts[:-1]} == {"a b/c:1"}
    storage.run(storage.replay([job_id]))
    assert record(storage, job_id).body == bytes(range(256))


def test_a_done_job_keeps_its_key_and_its_priority(storage: RedisStorage) -> None:
    job = keyed("a\nkey é")._replace(priority=4)
    storage.run(storage.enqueue([job]))
    before = record(storage, job.id)
    settle(storage, take(storage, worker="w9"), OutcomeKind.DONE, body=b"\n1\n")
    after = record(storage, job.id)
    assert (after.key, after.priority, after.body, after.worker) == ("a\nkey é", 4, b"\n1\n", "w9")
    assert after.enqueued_at == before.enqueued_at


def test_results_of_different_times_to_live_expire_each_in_time(storage: RedisStorage) -> None:
    ids = add(storage, 4)
    leases = take(storage)
    settle(storage, leases[:1], OutcomeKind.DONE, keep=60)
    settle(storage, leases[1:3], OutcomeKind.DONE, keep=0.001)
    settle(storage, leases[3:], OutcomeKind.DONE, keep=60)
    eventually(lambda: storage.run(storage.counts(QUEUE))[JobState.DONE] == 2)
    done = Filter(QUEUE, JobState.DONE)
    assert [job.id for job in storage.run(storage.find(done, limit=9)).jobs] == [ids[0], ids[3]]
    assert [tick(storage, limit=1).pruned for _ in range(3)] == [1, 1, 0]
    assert storage.run(storage.counts(QUEUE))[JobState.DONE] == 2


# -- bounds ----------------------------------------------------------------------------------------------


def test_a_worker_may_forfeit_more_than_lua_unpacks(storage: RedisStorage) -> None:
    ids = add(storage, 9000)
    while take(storage, 1000, worker="dead"):
        pass
    storage.run(storage.cancel(ids[:4500], reason=WHY))
    assert storage.run(storage.forfeit(QUEUE, worker="dead", begun=ids[4500:4600])) == 9000
    counts = storage.run(storage.counts(QUEUE))
    assert (counts[JobState.CANCELLED], counts[JobState.READY], counts[JobState.LEASED]) == (4500, 4500, 0)
    assert len(take(storage, 1000, alone=True)) == 1


def test_what_nobody_waits_for_any_more_is_forgotten(storage: RedisStorage, client: Any, prefix: str) -> None:
    watched = f"{prefix}:{{{QUEUE}}}:watched"
    (job_id,) = add(storage)
    storage.run(storage.watch([job_id]))
    client.zadd(watched, {"mail:stale": (time.time() - 3700) * 1e6})
    tick(storage)
    assert client.zrange(watched, 0, -1) == [job_id]


def test_workers_of_the_day_before_are_dropped(storage: RedisStorage, client: Any, prefix: str) -> None:
    client.hset(f"{prefix}:workers", "old", f"{(time.time() - 90_000) * 1e6:.0f} []")
    storage.run(storage.announce(Presence("new", "host", 1, (QUEUE,), ())))
    assert set(client.hgetall(f"{prefix}:workers")) == {"new"}


def clock_of(client: Any) -> float:
    seconds, micros = client.time()
    return seconds + micros / 1e6


def test_keys_that_are_free_do_not_pile_up_without_a_tick(
    storage: RedisStorage, client: Any, prefix: str
) -> None:
    for n in range(20):
        storage.run(storage.enqueue([keyed(f"k{n}", Hold.WINDOW, 0.001)]))
    began = clock_of(client)
    eventually(lambda: clock_of(client) > began + 0.002)
    storage.run(storage.enqueue([keyed("again", Hold.WINDOW, 60)]))
    for n in range(10):
        storage.run(storage.enqueue([keyed(f"long{n}", Hold.WINDOW, 60)]))
    assert not {key for key in client.hkeys(f"{prefix}:{{{QUEUE}}}:keys") if key.startswith("k")}
