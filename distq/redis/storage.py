"""RedisStorage: each operation is one script of `scripts/` for each queue it touches."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from distq.errors import ConfigurationError
from distq.finding import Finding
from distq.ids import split_id
from distq.job import (
    ALIVE,
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
    first_of_each,
    one_of_each,
)
from distq.redis import calls, migration, records, scripts
from distq.redis.calls import CHUNK, chunks, microseconds, queues_of
from distq.redis.examination import Examination
from distq.redis.executor import AsyncExecutor, Call, Chain, Executor
from distq.redis.listener import RedisListener
from distq.redis.target import parse
from distq.storage import Op, T

_COUNTED = (
    JobState.READY,
    JobState.SCHEDULED,
    JobState.LEASED,
    JobState.DONE,
    JobState.DEAD,
    JobState.CANCELLED,
)


class RedisStorage:
    """Jobs under a prefix in Redis, 6.2 or newer, or Valkey."""

    def __init__(self, url: str) -> None:
        """`url` is redis-py's, plus `?prefix=` (default `distq`). Raises ConfigurationError."""
        self._target = parse(url)
        self._executor = Executor(self._target)
        self._async_executor = AsyncExecutor(self._target)
        self._registered: set[str] = set()

    # -- the life of a job -------------------------------------------------------------------------

    def enqueue(self, jobs: Sequence[NewJob]) -> Op[list[Enqueued]]:
        """As the Protocol says; a conflict that is an error leaves out all of a queue, or of 1000 jobs."""
        first, later = one_of_each(jobs)
        requests = [
            self._call("enqueue", queue, *calls.new_jobs(chunk))
            for queue, chunk in chunks(first, [job.queue for job in first])
        ]

        def decode(answers: list[list[bytes]]) -> list[Enqueued]:
            others = records.others(answers)
            others |= {job_id: others.get(holder, holder) for job_id, holder in later.items()}
            return [Enqueued(others.get(job.id, job.id), job.id not in others) for job in jobs]

        return self._registering({job.queue for job in jobs}, requests, decode)

    def lease(self, queue: str, *, worker: str, limit: int, ttl: float, alone: bool) -> Op[list[Lease]]:
        token = f"{worker}/{secrets.token_hex(8)}"
        call = self._call("lease", queue, min(limit, CHUNK), microseconds(ttl), token, int(alone))
        return Op([call], lambda answers: records.leases(answers[0]), repeatable=False)

    def waited(self, lease: Lease) -> float:
        return records.waited(lease.token)

    def extend(
        self, leases: Sequence[Lease], *, ttl: float, progress: Mapping[str, bytes] | None = None
    ) -> Op[Extended]:
        requests = [
            self._call("extend", queue, microseconds(ttl), *calls.lease_pairs(chunk, progress or {}))
            for queue, chunk in chunks(leases, queues_of(lease.id for lease in leases))
        ]
        return Op(requests, lambda answers: Extended(*map(records.ids, records.columns(answers))))

    def settle(self, outcomes: Sequence[Outcome], *, keep: float) -> Op[set[str]]:
        first = calls.done_first(first_of_each(outcomes))
        sent = list(chunks(first, queues_of(outcome.id for outcome in first)))
        requests = [
            self._call("settle", queue, microseconds(keep), *calls.ends(chunk)) for queue, chunk in sent
        ]
        return Op(requests, lambda answers: records.ours([chunk for _, chunk in sent], answers))

    def forfeit(
        self, queue: str, *, worker: str, begun: Collection[str], kept: Collection[str] = ()
    ) -> Op[int]:
        call = self._call("forfeit", queue, worker, len(begun), *begun, *kept)
        return Op([call], lambda answers: answers[0])

    def tick(self, queue: str, *, limit: int, grace: float, outage: float, eager: bool = False) -> Op[Tick]:
        durations = microseconds(grace), microseconds(outage)
        call = self._call("tick", queue, min(limit, CHUNK), *durations, int(eager))
        return Op([call], lambda answers: Tick(*answers[0][:5], ready=answers[0][5] > 0))

    # -- steering ----------------------------------------------------------------------------------

    def cancel(self, ids: Sequence[str], *, reason: bytes) -> Op[dict[str, JobState]]:
        def decode(answers: list[list[list[bytes]]]) -> dict[str, JobState]:
            cancelled, asked = map(records.ids, records.columns(answers))
            return dict.fromkeys(cancelled, JobState.CANCELLED) | dict.fromkeys(asked, JobState.LEASED)

        return Op(self._for_each_queue("cancel", ids, reason), decode)

    def replay(self, ids: Sequence[str]) -> Op[set[str]]:
        return Op(self._for_each_queue("replay", ids), records.ids)

    def remove(self, ids: Sequence[str]) -> Op[set[str]]:
        return Op(self._for_each_queue("remove", ids), records.ids)

    def prune(self, queue: str, state: JobState, *, older: float, beyond: int, limit: int) -> Op[int]:
        requests = [
            self._call("prune", queue, state.value, microseconds(older), beyond, min(CHUNK, limit - start))
            for start in range(0, limit, CHUNK)
        ]
        return Op(requests, sum)

    def pause(self, queue: str, *, paused: bool) -> Op[None]:
        return self._registering({queue}, [self._call("pause", queue, int(paused))], _nothing)

    # -- looking -----------------------------------------------------------------------------------

    def get(self, job_id: str) -> Op[JobRecord | None]:
        call = self._call("get", split_id(job_id)[0], job_id)
        return Op([call], lambda answers: answers[0] and records.job_record(answers[0]))

    def find(self, filter: Filter, *, after: str = "", limit: int, latest: bool = False) -> Op[Page]:
        place, _, last = after.partition(" ")
        ages = microseconds(filter.older), microseconds(filter.newer)
        arguments = [filter.task, filter.text, *ages, int(latest), place, last]
        call = self._call("find", filter.queue, filter.state.value, min(limit, CHUNK), *arguments)

        def decode(answers: list[Any]) -> Page:
            place, last, rows = answers[0]
            return Page([records.job_record(row) for row in rows], b" ".join((place, last)).decode().strip())

        return Op([call], decode)

    def holder(self, queue: str, key: str) -> Op[str | None]:
        return Op([self._call("holder", queue, key)], lambda answers: answers[0] and answers[0].decode())

    def recent(self, queue: str, *, within: float, most: int) -> Op[Mapping[JobState, Recent]]:
        call = self._call("recent", queue, microseconds(within), most)
        return Op([call], lambda answers: records.recent(answers[0]))

    def counts(self, queue: str) -> Op[Mapping[JobState, int]]:
        call = self._call("counts", queue)
        return Op([call], lambda answers: dict(zip(_COUNTED, answers[0], strict=True)))

    def queues(self) -> Op[dict[str, bool]]:
        first = [self._shared_call("queues"), self._shared_call("workers", microseconds(ALIVE), 0)]

        def names(answers: list[Any]) -> list[str]:
            return sorted({name.decode() for name in answers[0]} | records.served(answers[1]))

        def decode(answers: list[Any]) -> dict[str, bool]:
            served = records.served(answers[1])
            found = zip(names(answers), answers[2:], strict=True)
            return {name: paused == 1 for name, (used, paused) in found if used or paused or name in served}

        def glances(answers: list[Any]) -> list[Call]:
            return [self._call("glance", name) for name in names(answers)]

        return Op(Chain(first, glances), decode)

    # -- workers and schedules ---------------------------------------------------------------------

    def announce(self, presence: Presence) -> Op[None]:
        known = sorted(self._registered.union(presence.queues))
        requests = [self._shared_call("announce", presence.name, *calls.presence(presence))]
        if known:
            requests.append(self._shared_call("register", *known))
        return Op(requests, _nothing)

    def leave(self, worker: str, *, tallies: Tallies | None = None) -> Op[None]:
        last = [] if tallies is None else [calls.tallies(tallies)]
        return Op([self._shared_call("leave", worker, *last)], _nothing)

    def tallies(self) -> Op[Tallies]:
        return Op([self._shared_call("tallies")], lambda answers: records.tallies(answers[0]))

    def workers(self, *, within: float) -> Op[list[Presence]]:
        call = self._shared_call("workers", microseconds(within), 1)
        return Op([call], lambda answers: records.presences(answers[0]))

    def schedules(self, queue: str, names: Sequence[str]) -> Op[Schedules]:
        def decode(answers: list[Any]) -> Schedules:
            values = iter(answers[0][1])
            found = [records.schedule(name, known) for name, known in zip(values, values, strict=True)]
            return Schedules(records.seconds(answers[0][0]), found)

        return Op([self._call("schedules", queue, *names)], decode)

    def fire(self, queue: str, name: str, *, last: int, tick: int, job: NewJob | None) -> Op[bool]:
        arguments = calls.new_jobs([job] if job else [])
        call = self._call("fire", queue, name, last, tick, *arguments)
        return self._registering({queue}, [call], lambda answers: answers[0] == 1)

    def switch(self, queue: str, name: str, *, paused: bool) -> Op[bool]:
        call = self._call("switch", queue, name, int(paused))
        return Op([call], lambda answers: answers[0] == 1)

    # -- hints -------------------------------------------------------------------------------------

    def watch(self, ids: Sequence[str]) -> Op[set[str]]:
        return Op(self._for_each_queue("watch", ids), records.ids)

    def listener(self, *, queues: Sequence[str] = (), ended: Sequence[str] = ()) -> RedisListener:
        def channels(name: str, queues: Sequence[str]) -> dict[str, str]:
            return {f"{self._target.prefix}:{{{queue}}}:{name}": queue for queue in queues}

        return RedisListener(
            self._target,
            wake=channels("wake", queues),
            cancel=channels("cancel", queues),
            ended=channels("ended", ended),
        )

    def told(self, queues: Collection[str], heard: Heard) -> None:
        """As the Protocol says: `lease` looks nowhere in vain."""

    # -- execution ---------------------------------------------------------------------------------

    @property
    def where(self) -> str:
        return self._target.where

    def examine(self) -> list[Finding]:
        """As the Protocol says."""
        return Examination(self._executor, self._target).make()

    def migrate(self) -> list[str]:
        """Check the server, load the scripts, convert older keys, write the version. Raises StorageError."""
        return migration.migrate(self._executor, self._target)

    def run(self, op: Op[T], connection: Any = None) -> T:
        _refuse(connection)
        return op.decode(self._executor.run(op.request, repeatable=op.repeatable))

    async def arun(self, op: Op[T], connection: Any = None) -> T:
        _refuse(connection)
        return op.decode(await self._async_executor.run(op.request, repeatable=op.repeatable))

    def close(self) -> None:
        self._executor.close()

    async def aclose(self) -> None:
        await self._async_executor.close()

    # -- calls -------------------------------------------------------------------------------------

    def _call(self, script: str, queue: str, *arguments: Any) -> Call:
        return Call(script, scripts.queue_keys(script, self._target.prefix, queue), arguments)

    def _shared_call(self, script: str, *arguments: Any) -> Call:
        return Call(script, [self._target.key(name) for name in scripts.key_names(script)], arguments)

    def _for_each_queue(self, script: str, ids: Iterable[str], *arguments: Any) -> list[Call]:
        """Calls of a script that takes ids, each once. Raises JobNotFound for one that is not ours."""
        each = list(dict.fromkeys(ids))
        queues = [split_id(job_id)[0] for job_id in each]
        return [self._call(script, queue, *arguments, *chunk) for queue, chunk in chunks(each, queues)]

    def _registering(self, queues: set[str], requests: list[Call], decode: Callable[[Any], T]) -> Op[T]:
        """Calls before which this process makes the queues known, once each."""
        new = queues - self._registered
        if not new:
            return Op(requests, decode)

        def note(answers: list[Any]) -> T:
            self._registered |= new
            return decode(answers[1:])

        return Op([self._shared_call("register", *sorted(new)), *requests], note)


def _nothing(answers: list[Any]) -> None:
    """Nothing is to be read from the answers."""


def _refuse(connection: Any) -> None:
    if connection is not None:
        raise ConfigurationError(
            "connection=: Redis has no transaction that distq could join;"
            " use PostgreSQL, or enqueue after the commit"
        )
