"""RedisStorage: each operation is one script of `scripts/` for each queue it touches."""

from __future__ import annotations

import re
import uuid
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import redis

from distq.errors import ConfigurationError, StorageError
from distq.job import (
    CRASH_BUDGET,
    CRASHED,
    Enqueued,
    JobRecord,
    JobState,
    Lease,
    NewJob,
    Outcome,
    Tick,
    first_of_each,
    split_id,
)
from distq.redis.executor import CODE_VERSION, OLDEST_CODE, AsyncExecutor, Call, Executor, Listener, Target
from distq.storage import Op, T

DEFAULT_PREFIX = "distq"
CHUNK = 1000
"""Jobs that one script call carries: Lua's unpack and the server's other clients set the bound."""

OLDEST_SERVER = (6, 2)
"""LPOP takes a count since this version of Redis."""

_COUNTED = (JobState.READY, JobState.SCHEDULED, JobState.LEASED, JobState.DEAD, JobState.DONE)


class RedisStorage:
    """Jobs under a prefix in Redis, 6.2 or newer, or Valkey."""

    def __init__(self, url: str) -> None:
        """`url` is redis-py's, plus `?prefix=` (default `distq`). Raises ConfigurationError."""
        self._target = _parse(url)
        self._executor = Executor(self._target)
        self._async_executor = AsyncExecutor(self._target)
        self._listener = Listener(self._target)

    def enqueue(self, jobs: Sequence[NewJob]) -> Op[list[Enqueued]]:
        calls = [
            self._call("enqueue", queue, "jobs ready scheduled results wake", _flat(map(_new, chunk)))
            for queue, chunk in _chunks(jobs, lambda job: job.queue)
        ]

        def decode(answers: list[list[bytes]]) -> list[Enqueued]:
            created = _ids(answers)
            return [Enqueued(job.id, job.id in created) for job in jobs]

        return Op(calls, decode)

    def lease(self, queue: str, *, worker: str, limit: int, ttl: float, alone: bool) -> Op[list[Lease]]:
        token = f"{worker}/{uuid.uuid4().hex}"

        def decode(answers: list[list[bytes]]) -> list[Lease]:
            values = iter(answers[0])
            return [
                Lease(job_id.decode(), token, *_message(message), int(tries), int(crashes))
                for job_id, message, tries, crashes in zip(values, values, values, values, strict=True)
            ]

        arguments = [min(limit, CHUNK), _ms(ttl), token, int(alone)]
        names = "jobs ready suspect leased tokens tries crashes"
        return Op([self._call("lease", queue, names, arguments)], decode, repeatable=False)

    def extend(self, leases: Sequence[Lease], *, ttl: float) -> Op[set[str]]:
        calls = [
            self._call("extend", queue, "leased tokens", [_ms(ttl), *_flat((x.id, x.token) for x in chunk)])
            for queue, chunk in _chunks(leases, _queue_of)
        ]
        return Op(calls, _ids)

    def settle(self, outcomes: Sequence[Outcome], *, keep: float) -> Op[set[str]]:
        names = "jobs ready suspect scheduled leased tokens tries crashes errors dead ended results wake"
        calls = [
            self._call("settle", queue, names, [_ms(keep), *_flat(map(_outcome, chunk))])
            for queue, chunk in _chunks(first_of_each(outcomes), _queue_of)
        ]
        return Op(calls, _ids)

    def forfeit(
        self, queue: str, *, worker: str, begun: Collection[str], kept: Collection[str] = ()
    ) -> Op[int]:
        names = "ready suspect leased tokens crashes errors dead wake"
        call = self._call("forfeit", queue, names, [worker, CRASH_BUDGET, CRASHED, len(begun), *begun, *kept])
        return Op([call], lambda answers: answers[0])

    def tick(self, queue: str, *, limit: int, grace: float, outage: float, eager: bool = False) -> Op[Tick]:
        names = "ready suspect scheduled leased tokens tries crashes errors dead ended results pulse wake"
        arguments = [min(limit, CHUNK), _ms(grace), _ms(outage), CRASH_BUDGET, CRASHED, int(eager)]
        call = self._call("tick", queue, names, arguments)
        return Op([call], lambda answers: Tick(*answers[0]))

    def get(self, job_id: str) -> Op[JobRecord | None]:
        def decode(answers: list[bytes | None]) -> JobRecord | None:
            if answers[0] is None:
                return None
            state, task, tries, crashes, body = answers[0].split(b"\n", 4)
            return JobRecord(job_id, task.decode(), JobState(state.decode()), int(tries), int(crashes), body)

        names = "jobs scheduled leased tries crashes errors dead ended results"
        return Op([self._call("get", split_id(job_id)[0], names, [job_id])], decode)

    def counts(self, queue: str) -> Op[Mapping[JobState, int]]:
        call = self._call("counts", queue, "ready suspect scheduled leased dead ended", [])
        return Op([call], lambda answers: dict(zip(_COUNTED, answers[0], strict=True)))

    def migrate(self) -> list[str]:
        """Check the server, load the scripts, write the version. Raises StorageError."""
        client, prefix = self._executor.client, self._target.prefix
        with self._target.translated():
            version: dict[str, Any] = client.info("server")  # pyright: ignore[reportAssignmentType]
            _check_server(str(version["redis_version"]))
            found = client.hmget(self._target.meta, ["version", "oldest_code"])
            self._target.check(found)  # pyright: ignore[reportArgumentType]
            self._executor.load_scripts()
            if int(found[0] or 0) >= CODE_VERSION:  # pyright: ignore[reportIndexIssue]
                return [f"keys {prefix}:*: nothing to do, they are at version {found[0].decode()}"]  # pyright: ignore
            client.hset(self._target.meta, items=["version", CODE_VERSION, "oldest_code", OLDEST_CODE])
        return [f"keys {prefix}:*: set version {CODE_VERSION}", "scripts: loaded"]

    def run(self, op: Op[T]) -> T:
        return op.decode(self._executor.run(op.request, repeatable=op.repeatable) if op.request else [])

    async def arun(self, op: Op[T]) -> T:
        calls, repeatable = op.request, op.repeatable
        return op.decode(await self._async_executor.run(calls, repeatable=repeatable) if calls else [])

    def wait(self, queues: Sequence[str], *, timeout: float, wakeup: int) -> None:
        channels = [self._key(queue, "wake") for queue in queues]
        self._listener.wait(channels, timeout=timeout, wakeup=wakeup)

    def close(self) -> None:
        self._executor.close()
        self._listener.close()

    async def aclose(self) -> None:
        await self._async_executor.close()

    def _key(self, queue: str, name: str) -> str:
        return f"{self._target.prefix}:{{{queue}}}:{name}"

    def _call(self, script: str, queue: str, names: str, arguments: Sequence[Any]) -> Call:
        return Call(script, [self._key(queue, name) for name in names.split()], arguments)


def _new(job: NewJob) -> tuple[Any, ...]:
    return (job.id, job.task.encode() + b"\n" + job.payload, _ms(job.delay))


def _outcome(outcome: Outcome) -> tuple[Any, ...]:
    return (outcome.id, outcome.token, outcome.kind.value, outcome.body, _ms(outcome.delay))


def _message(message: bytes) -> tuple[str, bytes]:
    task, _, payload = message.partition(b"\n")
    return task.decode(), payload


def _flat(rows: Any) -> list[Any]:
    return [value for row in rows for value in row]


def _ids(answers: list[list[bytes]]) -> set[str]:
    return {job_id.decode() for answer in answers for job_id in answer}


def _queue_of(item: Lease | Outcome) -> str:
    return item.id[: item.id.index(":")]


def _chunks(items: Sequence[Any], queue_of: Callable[[Any], str]) -> Iterator[tuple[str, list[Any]]]:
    by_queue: defaultdict[str, list[Any]] = defaultdict(list)
    for item in items:
        by_queue[queue_of(item)].append(item)
    for queue, group in by_queue.items():
        for start in range(0, len(group), CHUNK):
            yield queue, group[start : start + CHUNK]


def _ms(seconds: float) -> int:
    return max(round(seconds * 1000), 1) if seconds > 0 else 0


def _check_server(version: str) -> None:
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST_SERVER:
        raise StorageError(f"this Redis is {version}; distq needs 6.2 or newer, or Valkey")


def _parse(url: str) -> Target:
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    prefix = options.pop("prefix", DEFAULT_PREFIX)
    if not re.fullmatch(r"[A-Za-z0-9_.:-]{1,64}", prefix):
        raise ConfigurationError(
            f"?prefix={prefix!r} cannot be a prefix: letters, digits, '_', '.', ':', '-'"
        )
    plain = f"{parts.scheme}://{parts.netloc}{parts.path}" + (
        f"?{urlencode(options, quote_via=quote)}" if options else ""
    )
    try:
        redis.ConnectionPool.from_url(plain)
    except (ValueError, TypeError) as error:
        raise ConfigurationError(f"not a Redis URL: {error}") from error
    return Target(plain, prefix)
