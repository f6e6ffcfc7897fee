"""Older keys and older code on Redis: conversion, refusal, worker processes of both."""

from __future__ import annotations

import json
import threading
import time
import uuid
from typing import Any

import pytest

from distq.errors import SchemaError
from distq.ids import new_ids
from distq.job import JobState, Lease, OutcomeKind, Presence
from distq.redis import scripts, target
from distq.redis.storage import RedisStorage
from tests.contract.steps import QUEUE, add, make, record, settle, take, tick
from tests.prefixes import client as client
from tests.prefixes import keys
from tests.prefixes import prefix as prefix
from tests.prefixes import storage as storage

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
