"""Redis driven by bare commands and one script a transition, no Python per job: a queue's ceiling here.

The same transitions as a job of distq makes, with the same token and expiry for each job:

    ready    list   ids
    payload  hash   id → payload
    leased   zset   id by the end of its lease, server's clock, ms
    token    hash   id → token of its lease
    result   hash   id → result, kept a day
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import islice
from typing import Any
from uuid import uuid4

import redis

from adapters import processes
from adapters.base import Adapter, Cell, JobSpec, Profile, Promises, Service, Submission
from adapters.stores import LAST_SECOND, RedisStore

_BATCH: dict[Profile, int] = {"default": 200, "matched": 200, "tuned": 1000}
_ENQUEUE = 1000
_TTL_S = 3
_WAIT_S = 0.2
_KEYS = ("ready", "payload", "leased", "token", "result")

_NOW = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
"""

_LEASE = f"""
-- ARGV: limit, token, ttl in ms. Returns the ids as integers.
local ids = redis.call('LPOP', KEYS[1], ARGV[1])
if not ids then return {{}} end
{_NOW}
local tokens, expiries = {{}}, {{}}
for i, id in ipairs(ids) do
  tokens[2 * i - 1], tokens[2 * i] = id, ARGV[2]
  expiries[2 * i - 1], expiries[2 * i] = now + ARGV[3], id
  ids[i] = tonumber(id)
end
redis.call('HSET', KEYS[4], unpack(tokens))
redis.call('ZADD', KEYS[3], unpack(expiries))
return ids
"""

_SETTLE = """
-- ARGV: token, ids. Returns how many were still ours.
local ids = {unpack(ARGV, 2)}
local tokens = redis.call('HMGET', KEYS[4], unpack(ids))
local payloads = redis.call('HMGET', KEYS[2], unpack(ids))
local ours, results = {}, {}
for i, id in ipairs(ids) do
  if tokens[i] == ARGV[1] then
    ours[#ours + 1] = id
    results[#results + 1] = id
    results[#results + 1] = id + #payloads[i]
  end
end
if #ours == 0 then return 0 end
redis.call('HSET', KEYS[5], unpack(results))
redis.call('EXPIRE', KEYS[5], 86400)
redis.call('HDEL', KEYS[4], unpack(ours))
redis.call('HDEL', KEYS[2], unpack(ours))
redis.call('ZREM', KEYS[3], unpack(ours))
return #ours
"""

_RECLAIM = f"""
{_NOW}
local ids = redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now, 'LIMIT', 0, 1000)
if #ids == 0 then return 0 end
redis.call('ZREM', KEYS[3], unpack(ids))
redis.call('HDEL', KEYS[4], unpack(ids))
redis.call('LPUSH', KEYS[1], unpack(ids))
return #ids
"""


class RawRedis(Adapter):
    """RPUSH and HSET in, `LPOP` with a count out, results computed by the server."""

    name = "raw-redis"
    needs = frozenset({Service.REDIS})
    unequal = (
        "A ceiling of the server, no queue: no Python runs for a job and none of its work is done. A batch is"
        " recorded as started and finished at once, and Lua computes the results.",
        f"{_BATCH['matched']} jobs are leased, and settled, in one script (tuned: {_BATCH['tuned']}), and"
        f" {_ENQUEUE} enqueued in one transaction.",
        "No retries, errors, history, priorities, schedules or pausing: distq's scripts carry them all.",
        LAST_SECOND,
    )

    def __init__(self, cell: Cell) -> None:
        self._cell = cell
        self._store = RedisStore(cell)
        self._batch = cell.batch or _BATCH[cell.profile]
        self._keys = [self._store.key(name) for name in _KEYS]
        self._ready, self._payload, self._leased, _, self._result = self._keys

    @classmethod
    def promises(cls, profile: Profile) -> Promises:
        return Promises(
            delivery="at least once",
            acked="after the batch, result stored",
            fenced=True,
            results="a hash, kept a day",
            prefetch=f"{_BATCH[profile]}, leased as one batch",
            batch=f"up to {_ENQUEUE} enqueued, up to {_BATCH[profile]} leased and settled",
            redelivery_s=_TTL_S + _WAIT_S,
        )

    def setup(self) -> None:
        self._store.clear()

    def submit(self, jobs: Iterable[JobSpec]) -> Iterator[Submission]:
        waiting = iter(jobs)
        while chunk := list(islice(waiting, _ENQUEUE)):
            pipeline = self._sender.pipeline()
            pipeline.hset(self._payload, mapping={str(job.id): job.payload for job in chunk})
            pipeline.rpush(self._ready, *(job.id for job in chunk))
            try:
                pipeline.execute()
                status = "accepted"
            except redis.ConnectionError:
                status = "unknown"
            for job in chunk:
                yield Submission(job.id, status)

    @cached_property
    def _sender(self) -> redis.Redis:
        return self._store.connect()

    def run_pool(self) -> None:
        processes.run(self._work, self._cell.processes)

    def _work(self, stop: processes.Stop) -> None:
        handler = self._cell.make_handler()
        with self._store.connect() as client:
            lease, settle, reclaim = map(client.register_script, (_LEASE, _SETTLE, _RECLAIM))
            while not stop:
                token = uuid4().hex
                ids: Any = lease(self._keys, [self._batch, token, _TTL_S * 1000])
                if ids:
                    handler.batch(ids)
                    if settle(self._keys, [token, *ids]) == len(ids):  # else nobody knows which are not ours
                        handler.settled(ids)
                elif not reclaim(self._keys):
                    # From a list's head to the same head: it waits for a job and takes none.
                    client.blmove(self._ready, self._ready, _WAIT_S, "LEFT", "LEFT")  # pyright: ignore[reportArgumentType]

    def depth(self) -> int:
        with self._store.connect() as client:
            pipeline = client.pipeline()
            pipeline.llen(self._ready)
            pipeline.zcard(self._leased)
            return sum(pipeline.execute())

    def results(self, ids: Sequence[int]) -> Mapping[int, int]:
        if not ids:
            return {}
        with self._store.connect() as client:
            values: Any = client.hmget(self._result, [str(id) for id in ids])
        return {id: int(value) for id, value in zip(ids, values, strict=True) if value is not None}

    def effective_settings(self) -> Mapping[str, str]:
        return {
            "concurrency": "1 (processes only)",
            "redis-py": redis.__version__,
            **self._store.settings(),
        }

    def teardown(self) -> None:
        if "_sender" in self.__dict__:
            self._sender.close()
        self._store.clear()
