"""MemoryStorage: the Storage Protocol over `model`. One process only; everything is gone with it."""

from __future__ import annotations

import threading
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
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
    Schedule,
    Schedules,
    Tallies,
    Tick,
    one_of_each,
    rank,
)
from distq.memory import examination
from distq.memory.listener import MemoryListener
from distq.memory.model import Entry, Queue
from distq.storage import Op, T

TICK_GAP = 0.25
"""Seconds within which a second maintenance pass has nothing to do."""


class MemoryStorage:
    """Storage in this process's memory. `clock` gives seconds since 1970; tests may pass their own."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.clock = clock
        self._queues: dict[str, Queue] = {}
        self._workers: dict[str, tuple[Presence, float]] = {}
        self._past: Tallies = {}
        self._watched: set[str] = set()
        self._listeners: set[MemoryListener] = set()
        self._lock = threading.RLock()

    # -- the life of a job -------------------------------------------------------------------------

    def enqueue(self, jobs: Sequence[NewJob]) -> Op[list[Enqueued]]:
        def add() -> list[Enqueued]:
            now = self.clock()
            first, later = one_of_each(jobs)
            for job in first:
                self._queue(job.queue).check_key(job, now)
            answers = {job.id: self._queue(job.queue).add(job, now) for job in first}
            answers |= {job_id: Enqueued(answers[holder].id, False) for job_id, holder in later.items()}
            return [answers[job.id] for job in jobs]

        return _op(add)

    def lease(self, queue: str, *, worker: str, limit: int, ttl: float, alone: bool) -> Op[list[Lease]]:
        def take() -> list[Lease]:
            model, token = self._queue(queue), uuid.uuid4().hex
            ready = model.ready()
            suspects = [entry for entry in ready if entry.record.crashes]
            clean = [entry for entry in ready if not entry.record.crashes]
            chosen = suspects[:1] if alone and suspects else clean[:limit]
            for entry in chosen:
                model.lease(entry, token, worker, self.clock(), ttl)
            records = (entry.record for entry in chosen)
            return [
                Lease(r.id, token, r.task, r.payload, r.tries, r.crashes, self._waited(r)) for r in records
            ]

        return _op(take)

    def _waited(self, record: JobRecord) -> float:
        return self.clock() - rank(record.ready_at or 0.0, record.priority)

    def waited(self, lease: Lease) -> float:
        return lease.waited

    def extend(
        self, leases: Sequence[Lease], *, ttl: float, progress: Mapping[str, bytes] | None = None
    ) -> Op[Extended]:
        def prolong() -> Extended:
            ours = [entry for lease in leases if (entry := self._held(lease.id, lease.token))]
            for entry in ours:
                noted = (progress or {}).get(entry.record.id, entry.record.progress)
                entry.change(leased_until=self.clock() + ttl, progress=noted)
            ids = {entry.record.id: entry.reason is not None for entry in ours}
            return Extended(set(ids), {job_id for job_id, asked in ids.items() if asked})

        return _op(prolong)

    def settle(self, outcomes: Sequence[Outcome], *, keep: float) -> Op[set[str]]:
        def end() -> set[str]:
            ours: set[str] = set()
            for outcome in outcomes:
                if entry := self._held(outcome.id, outcome.token):
                    self._queue_of(outcome.id).settle(entry, outcome, self.clock(), keep)
                    ours.add(outcome.id)
            return ours

        return _op(end)

    def forfeit(
        self, queue: str, *, worker: str, begun: Collection[str], kept: Collection[str] = ()
    ) -> Op[int]:
        def give_back() -> int:
            model = self._queue(queue)
            leased = model.in_state(JobState.LEASED)
            held = [e for e in leased if e.record.worker == worker and e.record.id not in kept]
            for entry in held:
                model.crash(entry, self.clock(), charge=entry.record.id in begun)
            return len(held)

        return _op(give_back)

    def tick(self, queue: str, *, limit: int, grace: float, outage: float, eager: bool = False) -> Op[Tick]:
        def maintain() -> Tick:
            model, now = self._queue(queue), self.clock()
            gap = now - model.ticked
            if gap < TICK_GAP and not eager:
                return Tick(ready=bool(model.ready()))
            due = [e for e in model.in_state(JobState.SCHEDULED) if (e.record.ready_at or 0) <= now][:limit]
            for entry in due:
                model.make_ready(entry)
            leased = model.in_state(JobState.LEASED)
            expired = [e for e in leased if (e.record.leased_until or 0) <= now][:limit]
            # Not while leases are left that an outage let run out: the next pass is to know of it too.
            if gap <= outage or len(expired) < limit:
                model.ticked = now
            reclaimed = buried = 0
            for entry in expired:
                if gap > outage:
                    entry.change(leased_until=now + grace)
                elif model.crash(entry, now):
                    buried += 1
                else:
                    reclaimed += 1
            pruned = self._expire(model, now, limit)
            suspects = sum(entry.record.crashes > 0 for entry in model.in_state(JobState.READY))
            return Tick(len(due), reclaimed, buried, pruned, suspects, bool(model.ready()))

        return _op(maintain)

    @staticmethod
    def _expire(model: Queue, now: float, limit: int) -> int:
        for key in [key for key, claim in model.claims.items() if claim.until <= now][:limit]:
            del model.claims[key]
        expired = [entry for entry in model.jobs.values() if entry.expires_at <= now][:limit]
        for entry in expired:
            model.remove(entry)
        return len(expired)

    # -- steering ----------------------------------------------------------------------------------

    def cancel(self, ids: Sequence[str], *, reason: bytes) -> Op[dict[str, JobState]]:
        def ask() -> dict[str, JobState]:
            answers = {
                entry.record.id: self._queue_of(entry.record.id).cancel(entry, reason, self.clock())
                for entry in self._known(ids)
            }
            running = [job_id for job_id, state in answers.items() if state is JobState.LEASED]
            workers = frozenset(entry.record.worker for entry in self._known(running))
            if workers:
                self._tell(Heard(cancel=workers), lambda listener: bool(listener.queues))
            return {job_id: state for job_id, state in answers.items() if state}

        return _op(ask)

    def replay(self, ids: Sequence[str]) -> Op[set[str]]:
        def again() -> set[str]:
            return {
                entry.record.id
                for entry in self._known(ids)
                if self._queue_of(entry.record.id).replay(entry, self.clock())
            }

        return _op(again)

    def remove(self, ids: Sequence[str]) -> Op[set[str]]:
        def forget() -> set[str]:
            known = {entry.record.id for entry in self._known(ids)}
            entries = [e for e in self._entries(ids) if e.record.state is not JobState.LEASED]
            for entry in entries:
                self._queue_of(entry.record.id).remove(entry)
            return known & {entry.record.id for entry in entries}

        return _op(forget)

    def prune(self, queue: str, state: JobState, *, older: float, beyond: int, limit: int) -> Op[int]:
        def forget() -> int:
            model, now = self._queue(queue), self.clock()
            ended = model.in_state(state)
            surplus = len(ended) - beyond
            old = [
                entry
                for number, entry in enumerate(ended)
                if number < surplus or (entry.record.ended_at or now) < now - older
            ]
            for entry in old[:limit]:
                model.remove(entry)
            return len(old[:limit])

        return _op(forget)

    def pause(self, queue: str, *, paused: bool) -> Op[None]:
        def switch() -> None:
            self._queue(queue).paused = paused
            self._ready(queue)

        return _op(switch)

    # -- looking -----------------------------------------------------------------------------------

    def get(self, job_id: str) -> Op[JobRecord | None]:
        split_id(job_id)
        return _op(lambda: next((entry.record for entry in self._known([job_id])), None))

    def find(self, filter: Filter, *, after: str = "", limit: int, latest: bool = False) -> Op[Page]:
        def search() -> Page:
            model, now = self._queue(filter.queue), self.clock()
            entries = [e for e in model.in_state(filter.state) if e.expires_at > now]
            if latest:
                entries.reverse()
            if after:
                position, _, arrival = after.partition("/")
                start = float(position), int(arrival)
                entries = [e for e in entries if (e.position < start if latest else e.position > start)]
            found = [entry for entry in entries if model.matches(entry, filter, now)]
            more = len(found) > limit
            last = "{!r}/{}".format(*found[limit - 1].position) if more else ""
            return Page([entry.record for entry in found[:limit]], last)

        return _op(search)

    def holder(self, queue: str, key: str) -> Op[str | None]:
        def look() -> str | None:
            claim = self._queue(queue).claims.get(key)
            return claim.job_id if claim else None

        return _op(look)

    def recent(self, queue: str, *, within: float, most: int) -> Op[Mapping[JobState, Recent]]:
        def look() -> Mapping[JobState, Recent]:
            now, model = self.clock(), self._queue(queue)
            found: dict[JobState, Recent] = {}
            for state in filter(lambda state: state.ended, JobState):
                ages = [now - (entry.record.ended_at or 0.0) for entry in model.in_state(state)]
                late = sorted(age for age in ages if 0 <= age <= within)[:most]
                if late:
                    found[state] = Recent(len(late), late[-1])
            return found

        return _op(look)

    def counts(self, queue: str) -> Op[Mapping[JobState, int]]:
        def tally() -> Mapping[JobState, int]:
            now = self.clock()
            jobs = self._queue(queue).jobs.values()
            return Counter(entry.record.state for entry in jobs if entry.expires_at > now)

        return _op(tally)

    def queues(self) -> Op[dict[str, bool]]:
        def names() -> dict[str, bool]:
            known = {name for name, model in self._queues.items() if model.jobs or model.paused}
            known |= {queue for presence in self._alive(ALIVE) for queue in presence.queues}
            return {name: self._queue(name).paused for name in sorted(known)}

        return _op(names)

    # -- workers and schedules ---------------------------------------------------------------------

    def announce(self, presence: Presence) -> Op[None]:
        kept = presence._replace(tallies=_sum([presence.tallies]))  # the caller goes on counting
        return _op(lambda: self._workers.update({presence.name: (kept, self.clock())}))

    def leave(self, worker: str, *, tallies: Tallies | None = None) -> Op[None]:
        def forget() -> None:
            presence, _ = self._workers.pop(worker, (None, 0.0))
            if presence:
                self._past = _sum([self._past, presence.tallies if tallies is None else tallies])

        return _op(forget)

    def tallies(self) -> Op[Tallies]:
        return _op(lambda: _sum([self._past, *(presence.tallies for presence, _ in self._workers.values())]))

    def workers(self, *, within: float) -> Op[list[Presence]]:
        return _op(lambda: self._alive(within))

    def _alive(self, within: float) -> list[Presence]:
        now = self.clock()
        seen = [presence._replace(seen=now - at) for presence, at in self._workers.values()]
        return [presence for presence in seen if presence.seen <= within]

    def schedules(self, queue: str, names: Sequence[str]) -> Op[Schedules]:
        def register() -> Schedules:
            now, known = self.clock(), self._queue(queue).schedules
            for name in names:
                known.setdefault(name, Schedule(name, int(now), False))
            return Schedules(now, list(known.values()))

        return _op(register)

    def fire(self, queue: str, name: str, *, last: int, tick: int, job: NewJob | None) -> Op[bool]:
        def move() -> bool:
            now, known = self.clock(), self._queue(queue).schedules
            schedule = known.get(name)
            if schedule is None or schedule.last != last or schedule.paused or not last < tick <= now:
                return False
            known[name] = schedule._replace(last=tick)
            if job:
                self._queue(job.queue).add(job, now)
            return True

        return _op(move)

    def switch(self, queue: str, name: str, *, paused: bool) -> Op[bool]:
        def flip() -> bool:
            known = self._queue(queue).schedules
            if name in known:
                known[name] = known[name]._replace(paused=paused)
            return name in known

        return _op(flip)

    # -- hints -------------------------------------------------------------------------------------

    def watch(self, ids: Sequence[str]) -> Op[set[str]]:
        def add() -> set[str]:
            live = {entry.record.id for entry in self._known(ids) if not entry.record.state.ended}
            self._watched |= live
            return live

        return _op(add)

    def listener(self, *, queues: Sequence[str] = (), ended: Sequence[str] = ()) -> MemoryListener:
        listener = MemoryListener(self._lock, self._listeners, frozenset(queues), frozenset(ended))
        with self._lock:
            self._listeners.add(listener)
            listener.tell(Heard(gap=True, sure=True))
        return listener

    def told(self, queues: Collection[str], heard: Heard) -> None:
        """As the Protocol says: `lease` looks nowhere in vain."""

    def _tell(self, heard: Heard, whom: Callable[[MemoryListener], bool]) -> None:
        for listener in filter(whom, self._listeners):
            listener.tell(heard)

    def _ready(self, queue: str) -> None:
        self._tell(Heard({queue: float("-inf")}), lambda listener: queue in listener.queues)

    def _ended(self, job_id: str) -> None:
        if job_id in self._watched:
            self._watched.discard(job_id)
            queue = split_id(job_id)[0]
            self._tell(Heard(ended=frozenset([job_id])), lambda listener: queue in listener.ended)

    # -- execution ---------------------------------------------------------------------------------

    @property
    def where(self) -> str:
        return "memory://"

    def examine(self) -> list[Finding]:
        return examination.examine()

    def migrate(self) -> list[str]:
        return ["memory storage: nothing to migrate"]

    def run(self, op: Op[T], connection: Any = None) -> T:
        if connection is not None:
            raise ConfigurationError("connection=: memory:// has no transactions; PostgreSQL has")
        with self._lock:
            return op.decode(op.request())

    async def arun(self, op: Op[T], connection: Any = None) -> T:
        return self.run(op, connection)

    def close(self) -> None:
        """Nothing to close: the jobs stay."""

    async def aclose(self) -> None:
        """Nothing to close: the jobs stay."""

    def _queue(self, name: str) -> Queue:
        if name not in self._queues:
            self._queues[name] = Queue(lambda: self._ready(name), self._ended)
        return self._queues[name]

    def _queue_of(self, job_id: str) -> Queue:
        return self._queue(split_id(job_id)[0])

    def _known(self, ids: Sequence[str]) -> list[Entry]:
        now = self.clock()
        return [entry for entry in self._entries(ids) if entry.expires_at > now]

    def _entries(self, ids: Sequence[str]) -> Iterator[Entry]:
        """Those of expired results too."""
        for job_id in dict.fromkeys(ids):
            if entry := self._queue_of(job_id).jobs.get(job_id):
                yield entry

    def _held(self, job_id: str, token: str) -> Entry | None:
        return self._queue_of(job_id).held(job_id, token)


def _sum(all_of_them: Iterable[Tallies]) -> Tallies:
    totals: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for tallies in all_of_them:
        for queue, kinds in tallies.items():
            totals[queue].update(kinds)
    return {queue: dict(kinds) for queue, kinds in totals.items()}


def _op(call: Callable[[], T]) -> Op[T]:
    return Op(call, lambda answer: answer)
