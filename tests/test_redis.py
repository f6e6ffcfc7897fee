"""What the contract cannot see of the Redis storage: older keys, full memory, order, what is left behind."""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from distq.connect import connect
from distq.errors import ConfigurationError, JobNotFound, SchemaError, StorageError, StorageUnavailable
from distq.ids import new_ids
from distq.job import (
    CRASH_BUDGET,
    Conflict,
    Filter,
    Heard,
    Hold,
    JobState,
    Lease,
    NewJob,
    Outcome,
    OutcomeKind,
    Presence,
    Unique,
)
from distq.redis import scripts, target
from distq.redis.storage import RedisStorage
from scenarios.guard import Guard
from scenarios.servers.disk import find_disk
from scenarios.servers.redis import RedisServer
from tests.contract.steps import QUEUE, WHY, add, expire, keyed, make, record, settle, take, tick
from tests.helpers import eventually


@pytest.fixture
def prefix() -> str:
    return f"t{uuid.uuid4().hex[:12]}"


@pytest.fixture
def storage(redis_url: str, prefix: str) -> Iterator[RedisStorage]:
    storage = RedisStorage(f"{redis_url}?prefix={prefix}")
    yield storage
    storage.close()


@pytest.fixture
def client(redis_url: str) -> Iterator[Any]:
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        yield client


def keys(client: Any, prefix: str) -> set[str]:
    """The names of a prefix's keys, those of the queue without its name."""
    return {
        key.removeprefix(f"{prefix}:").removeprefix(f"{{{QUEUE}}}:") for key in client.keys(f"{prefix}:*")
    }


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


def test_keys_that_are_free_do_not_pile_up_without_a_tick(
    storage: RedisStorage, client: Any, prefix: str
) -> None:
    for n in range(20):
        storage.run(storage.enqueue([keyed(f"k{n}", Hold.WINDOW, 0.001)]))
    assert eventually(lambda: storage.run(storage.enqueue([keyed("again", Hold.WINDOW, 60)])))
    for n in range(10):
        storage.run(storage.enqueue([keyed(f"long{n}", Hold.WINDOW, 60)]))
    assert not {key for key in client.hkeys(f"{prefix}:{{{QUEUE}}}:keys") if key.startswith("k")}


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


# -- versions --------------------------------------------------------------------------------------------


class Old:
    """Keys of version 1, as that version's scripts left them."""

    def __init__(self, client: Any, prefix: str) -> None:
        self._client, self._prefix = client, prefix
        self.ready, self.suspect = new_ids(QUEUE, 1200), new_ids(QUEUE, 2)
        self.scheduled, self.leased, self.dead, self.done = (new_ids(QUEUE, 2) for _ in range(4))
        now = int(time.time() * 1000)
        living = [*self.ready, *self.suspect, *self.scheduled, *self.leased, *self.dead]
        client.hset(self.key("jobs"), mapping=dict.fromkeys(living, "app.task\n{}\n{1}"))
        client.rpush(self.key("ready"), *self.ready)
        client.rpush(self.key("suspect"), *self.suspect)
        client.zadd(self.key("scheduled"), {self.scheduled[0]: now + 60_000, self.scheduled[1]: now - 1})
        client.zadd(self.key("leased"), dict.fromkeys(self.leased, now + 60_000))
        client.hset(self.key("tokens"), mapping=dict.fromkeys(self.leased, f"host:1/{uuid.uuid4().hex}"))
        client.hset(self.key("tries"), mapping={self.ready[0]: 2, self.dead[0]: 3})
        client.hset(self.key("crashes"), mapping={self.suspect[0]: 1, self.suspect[1]: 2})
        client.hset(
            self.key("errors"), mapping={self.ready[0]: "r", self.dead[0]: "why\n", self.dead[1]: "d"}
        )
        client.zadd(self.key("dead"), {self.dead[0]: now - 2000, self.dead[1]: now - 1000})
        client.zadd(self.key("ended"), {self.done[0]: now + 50_000, self.done[1]: now + 60_000})
        client.hset(self.key("results"), mapping=dict.fromkeys(self.done, 'done\napp.task\n1\n0\n{"a":\n1}'))
        client.set(self.key("pulse"), now)

    def key(self, name: str) -> str:
        return f"{self._prefix}:{{{QUEUE}}}:{name}"


@pytest.fixture(params=[True, False], ids=["meta", "no meta"])
def old(request: pytest.FixtureRequest, client: Any, prefix: str) -> Old:
    if request.param:
        client.hset(f"{prefix}:meta", mapping={"version": 1, "oldest_code": 1})
    return Old(client, prefix)


def test_keys_of_version_1_are_converted(storage: RedisStorage, client: Any, prefix: str, old: Old) -> None:
    said = storage.migrate()
    assert f"queue {QUEUE}: " in said[0]
    assert said[1] == f"keys {prefix}:*: set version 2"
    assert "nothing to do" in storage.migrate()[0]
    assert storage.run(storage.queues()) == {QUEUE: False}
    assert dict(storage.run(storage.counts(QUEUE))) == {
        JobState.READY: 1202,
        JobState.SCHEDULED: 2,
        JobState.LEASED: 2,
        JobState.DONE: 2,
        JobState.DEAD: 2,
        JobState.CANCELLED: 0,
    }
    first = record(storage, old.ready[0])
    assert (first.tries, first.body, first.payload, first.task) == (2, b"r", b"{}\n{1}", "app.task")
    assert first.enqueued_at == pytest.approx(time.time(), abs=20)
    dead = record(storage, old.dead[0])
    assert (dead.tries, dead.body, dead.payload) == (3, b"why\n", b"{}\n{1}")
    assert dead.ended_at == pytest.approx(time.time() - 2, abs=10)
    done = record(storage, old.done[0])
    assert (done.task, done.tries, done.body) == ("app.task", 1, b'{"a":\n1}')
    leased = record(storage, old.leased[0])
    assert (leased.worker, leased.state) == ("host:1", JobState.LEASED)
    assert leased.leased_until == pytest.approx(time.time() + 60, abs=10)
    assert not {key for key in keys(client, prefix) if "v1_" in key or key == "ended"}


def test_converted_jobs_go_on(storage: RedisStorage, old: Old) -> None:
    storage.migrate()
    assert storage.run(storage.replay(old.dead)) == set(old.dead)
    taken: list[Lease] = []
    while leases := take(storage, 500):
        taken += leases
    assert [lease.id for lease in taken] == [*old.ready, *old.dead]
    assert [take(storage, alone=True)[0].id for _ in range(2)] == old.suspect
    assert tick(storage).promoted == 1
    assert [lease.id for lease in take(storage)] == old.scheduled[1:]
    assert len(settle(storage, taken, OutcomeKind.DONE)) == 1202
    assert storage.run(storage.forfeit(QUEUE, worker="host:1", begun=())) == 2
    assert [lease.id for lease in take(storage)] == old.leased


def test_a_conversion_may_be_broken_off_and_begun_again(
    storage: RedisStorage, client: Any, prefix: str, old: Old
) -> None:
    storage._executor.load_scripts()
    names = scripts.queue_keys("convert", prefix, QUEUE)
    while not client.evalsha(scripts.sha("convert"), len(names), *names):
        pass
    client.evalsha(scripts.sha("convert"), len(names), *names)
    assert client.exists(old.key("jobs"), old.key("v1_jobs")) == 2
    threads = [threading.Thread(target=storage.migrate) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [lease.id for lease in take(storage, 1000)] == old.ready[:1000]
    assert len(storage.run(storage.remove(old.ready))) == 200


def test_keys_that_are_not_migrated_are_refused_with_what_to_do(
    storage: RedisStorage, client: Any, prefix: str, old: Old
) -> None:
    lease = storage.lease(QUEUE, worker="w", limit=1, ttl=9, alone=False)
    ops: list[Any] = [storage.enqueue(make()), lease, storage.counts(QUEUE)]
    for op in ops:
        with pytest.raises(SchemaError, match="run `distq migrate`"):
            storage.run(op)
    assert client.hlen(old.key("jobs")) == 1208
    storage.migrate()
    storage.run(storage.enqueue(make()))


def test_jobs_without_meta_are_left_as_they_are(storage: RedisStorage, client: Any, prefix: str) -> None:
    (job_id,) = add(storage, payload=b"1\n2\n3")
    assert not client.exists(f"{prefix}:meta")
    assert storage.migrate()[0] == f"queue {QUEUE}: 0 entries converted"
    assert [(lease.id, lease.payload) for lease in take(storage)] == [(job_id, b"1\n2\n3")]


def test_older_code_is_refused(
    storage: RedisStorage, redis_url: str, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage.migrate()
    monkeypatch.setattr(target, "CODE_VERSION", 1)
    older = RedisStorage(f"{redis_url}?prefix={prefix}")
    with pytest.raises(SchemaError, match="needs code of version 2 or newer; this distq is 1: upgrade distq"):
        older.run(older.counts(QUEUE))
    older.close()


# -- hints -----------------------------------------------------------------------------------------------


def test_a_listener_whose_connection_is_lost_opens_another(storage: RedisStorage, client: Any) -> None:
    listener = storage.listener(queues=[QUEUE])
    reader, writer = os.pipe()
    assert listener.wait(timeout=5, wakeup=reader) == Heard(gap=True, sure=True)
    client.client_kill_filter(_type="pubsub", skipme=True)
    assert listener.wait(timeout=5, wakeup=reader) == Heard(gap=True)
    assert listener.wait(timeout=5, wakeup=reader) == Heard(gap=True, sure=True)
    add(storage)
    assert listener.wait(timeout=5, wakeup=reader).ready
    listener.close()
    os.close(reader)
    os.close(writer)


@pytest.mark.parametrize("url", ["redis://127.0.0.1:1/0", "postgresql://127.0.0.1:1/none"])
def test_a_listener_without_a_server_just_waits(url: str) -> None:
    listener = connect(url).listener(queues=[QUEUE])
    reader, writer = os.pipe()
    for _ in range(2):
        began, spent = time.monotonic(), time.process_time()
        assert not listener.wait(timeout=0.3, wakeup=reader)
        assert time.monotonic() - began >= 0.3
        assert time.process_time() - spent < 0.2
    listener.close()
    os.close(reader)
    os.close(writer)


# -- URLs --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("redis://u:pw@h/0?nope=1", "there is no option 'nope'"),
        ("redis://h/0?decode_responses=1", "there is no option 'decode_responses'"),
        ("redis://h/0?ssl_ca_certs=ca.pem", "there is no option 'ssl_ca_certs'"),
        ("unix:///s?socket_keepalive=1", "there is no option 'socket_keepalive'"),
        ("redis://u:pw@h/abc", "'/abc' is no number of a database, as in /0"),
        ("redis://h/0?socket_timeout=x", "Invalid value for 'socket_timeout'"),
        ("unix://tmp/socket", "a socket is unix:///and/its/path"),
    ],
)
def test_a_url_that_cannot_work_is_refused_in_one_line(url: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        RedisStorage(url)
    assert said in str(refused.value)
    assert "pw" not in str(refused.value)
    assert "\n" not in str(refused.value)


class SocketServer(RedisServer):
    """A server that listens on a socket of the file system too."""

    @property
    def socket(self) -> str:
        return f"{self.directory}/s"

    def spawn(self, argv: Any, **options: Any) -> Any:
        return super().spawn([*argv, "--unixsocket", self.socket], **options)


def test_a_server_may_be_reached_by_a_socket(prefix: str) -> None:
    guard = Guard(find_disk())
    server = SocketServer(guard, "memory")
    server.start()
    storage = RedisStorage(f"unix://{server.socket}?db=1&prefix={prefix}")
    assert storage.where == f"unix://{server.socket}"
    listener = storage.listener(queues=[QUEUE])
    reader, writer = os.pipe()
    listener.wait(timeout=0, wakeup=reader)
    (job,) = make(1)
    storage.run(storage.enqueue([job]))
    assert listener.wait(timeout=5, wakeup=reader).ready
    assert record(storage, job.id).state is JobState.READY

    async def found() -> Any:
        answer = await storage.arun(storage.get(job.id))
        await storage.aclose()
        return answer

    assert asyncio.run(found()) == record(storage, job.id)
    guard.close()
    with pytest.raises(StorageUnavailable, match=f"unix://{server.socket} does not answer"):
        storage.run(storage.get(job.id))
    listener.close()
    storage.close()
    os.close(reader)
    os.close(writer)


# -- workers ---------------------------------------------------------------------------------------------


def test_processes_of_an_older_distq_are_seen_and_see_ours(
    storage: RedisStorage, client: Any, prefix: str
) -> None:
    workers, now = f"{prefix}:workers", round(time.time() * 1e6)
    client.hset(workers, "old", f'{now} ["host", 1, ["mail"], ["app.old"]]')
    done = {"mail": {"done": 3}}
    storage.run(storage.announce(Presence("new", "host", 2, ("mail",), ("app.new",), 0.0, b"{}", done)))
    found = {worker.name: worker for worker in storage.run(storage.workers(within=60))}
    assert found["old"]._replace(seen=0) == Presence("old", "host", 1, ("mail",), ("app.old",))
    assert found["new"].tallies == done
    host, pid, queues, tasks = json.loads(client.hget(workers, "new").partition(" ")[2])
    assert (host, pid, queues, tasks) == ("host", 2, ["mail"], ["app.new"])
    assert storage.run(storage.queues()) == {"mail": False}
    storage.run(storage.leave("old"))
    assert storage.run(storage.tallies()) == done


def test_who_was_dropped_by_an_older_distq_counts_once(
    storage: RedisStorage, client: Any, prefix: str
) -> None:
    done = {"mail": {"done": 3}}
    for name in ("new1", "new2"):
        storage.run(storage.announce(Presence(name, "host", 2, (), (), 0.0, b"{}", done)))
        client.hdel(f"{prefix}:workers", name)
    storage.run(storage.leave("new1"))
    assert storage.run(storage.tallies()) == {"mail": {"done": 6}}
    storage.run(storage.announce(Presence("other", "host", 3, (), ())))
    assert client.hkeys(f"{prefix}:vitals") == ["other"]
    assert storage.run(storage.tallies()) == {"mail": {"done": 6}}


# -- repeats ---------------------------------------------------------------------------------------------


def test_calls_whose_answer_was_lost_may_be_sent_again(storage: RedisStorage) -> None:
    def twice(op: Any) -> Any:
        assert op.repeatable
        storage.run(op)
        return storage.run(op)

    jobs = [*make(4), keyed(conflict=Conflict.REPLACE)]
    twice(storage.enqueue(jobs))
    assert storage.run(storage.counts(QUEUE))[JobState.READY] == 5
    leases = take(storage, 3)
    twice(storage.cancel([jobs[3].id, leases[1].id], reason=WHY))
    outcomes = [
        Outcome(lease.id, lease.token, kind, WHY)
        for lease, kind in zip(leases, (OutcomeKind.DONE, OutcomeKind.RETRY, OutcomeKind.DEAD), strict=True)
    ]
    assert twice(storage.settle(outcomes, keep=60)) == set()
    assert len(record(storage, leases[2].id).attempts) == 1
    twice(storage.replay([leases[2].id]))
    twice(storage.pause(QUEUE, paused=True))
    twice(storage.pause(QUEUE, paused=False))
    (last,) = storage.run(storage.schedules(QUEUE, ["s"])).schedules
    fired = NewJob(new_ids(QUEUE, 1)[0], QUEUE, "t", b"", unique=Unique("s"))
    eventually(lambda: storage.run(storage.schedules(QUEUE, [])).now >= last.last + 1)
    twice(storage.fire(QUEUE, "s", last=last.last, tick=last.last + 1, job=fired))
    assert [lease.id for lease in take(storage)] == [jobs[4].id, leases[2].id, fired.id]
