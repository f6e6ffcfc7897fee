"""Random sequences of operations on PostgreSQL and on Redis, each held against the memory storage.

Every operation goes to both at the same moment of a clock that only the test moves, and both must answer
alike. Left out is what the contract leaves open: who is first among equals, and how passes share their work.
"""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import initialize, invariant, rule, run_state_machine_as_test

from distq.job import Conflict, Filter, JobState, Lease, NewJob, Outcome, OutcomeKind, Presence, Tallies
from distq.storage import Storage
from tests import drafts
from tests.clocks import clocked_postgres, clocked_redis
from tests.contract.steps import NEVER, WHY
from tests.twins import Held, Twins

#: Without `explain`, which traces every line of a failing sequence.
SETTINGS = settings(
    deadline=None,
    stateful_step_count=50,
    phases=set(Phase) - {Phase.explain},
    suppress_health_check=[HealthCheck.too_slow],
)


class Machine(Twins):
    """What may be done to both."""

    @initialize(parts=drafts.parts)
    def begin(self, parts: list[tuple[NewJob, int | None]]) -> None:
        self.make_passes(eager=True, outage=NEVER)
        for queue in drafts.QUEUES:
            self.schedule(queue, ["hourly"])
        self.enqueue(parts)

    @rule(operation=drafts.operation)
    def operate(self, operation: tuple[str, dict[str, Any]]) -> None:
        name, arguments = operation
        getattr(self, name)(**arguments)

    @invariant()
    def counts_are_alike(self) -> None:
        self.both(lambda storage: [storage.run(storage.counts(queue)) for queue in drafts.QUEUES])

    def teardown(self) -> None:
        if self.alike:
            self.look_at_everything()

    # -- the life of a job ---------------------------------------------------------------------------

    def enqueue(self, parts: list[tuple[NewJob, int | None]]) -> None:
        jobs = [self.job(number, *part) for number, part in enumerate(parts)]
        # Redis adds those of other queues than the one where a job was refused.
        if any(job.unique and job.unique.conflict is Conflict.ERROR for job in jobs):
            jobs = [job for job in jobs if job.queue == jobs[0].queue]
        self.both(lambda storage: storage.run(storage.enqueue(jobs)))

    def lease(self, queue: str, worker: str, limit: int, ttl: float, alone: bool) -> list[Held]:
        def take(storage: Storage, _: int) -> list[Lease]:
            return storage.run(storage.lease(queue, worker=worker, limit=limit, ttl=ttl + 1, alone=alone))

        taken = list(zip(*self.same(take), strict=True))
        self.same(lambda storage, side: [storage.waited(pair[side]) for pair in taken])
        self.leases += taken
        return taken

    def extend(self, numbers: list[int], progress: bytes, ttl: float) -> None:
        pairs = [self.lent(number) for number in numbers if self.leases]
        told = {pair[0].id: progress for pair in pairs[1:]}

        def prolong(storage: Storage, side: int) -> Any:
            return storage.run(storage.extend([pair[side] for pair in pairs], ttl=ttl + 1, progress=told))

        self.same(prolong)

    def settle(self, ends: list[tuple[int, Outcome]], keep: float) -> None:
        self.end([(self.lent(number), outcome) for number, outcome in ends if self.leases], keep)

    def end(self, chosen: list[tuple[Held, Outcome]], keep: float) -> None:
        chosen = sorted(chosen, key=lambda one: one[0][0].id)

        def finish(storage: Storage, side: int) -> set[str]:
            outcomes = [end._replace(id=pair[side].id, token=pair[side].token) for pair, end in chosen]
            return storage.run(storage.settle(outcomes, keep=keep))

        self.same(finish)

    def work(self, queue: str, limit: int, keep: float) -> None:
        """A worker that does what it has leased."""
        done = Outcome("", "", OutcomeKind.DONE, b'{"e":1}')
        self.end([(pair, done) for pair in self.lease(queue, "w1", limit, 700, alone=True)], keep)

    def crash(self, queue: str, times: int) -> None:
        """A worker that dies in one job after another: of crashes some are enough to bury a job."""
        for _ in range(times):
            ids = [model.id for model, _ in self.lease(queue, "w3", 1, 0, alone=True)]
            self.both(lambda storage, ids=ids: storage.run(storage.forfeit(queue, worker="w3", begun=ids)))

    def freeze(self, queue: str, limit: int, passed: float) -> None:
        """A worker that does not renew its leases, which another then has."""
        self.lease(queue, "w1", limit, 0, alone=True)
        self.let_time_pass(passed)
        self.make_passes(eager=True, outage=NEVER)
        self.lease(queue, "w2", 1, 5000, alone=True)

    def die(self, number: int, begun: list[int], kept: list[int]) -> None:
        if not self.leases:
            return
        ids = [self.lent(number)[0].id for number in (number, *begun, *kept)]
        lost, left = ids[1 : len(begun) + 1], ids[len(begun) + 3 :]
        record = self.model.run(self.model.get(ids[0]))
        queue, worker = ids[0].partition(":")[0], record.worker if record else "w1"
        self.both(lambda storage: storage.run(storage.forfeit(queue, worker=worker, begun=lost, kept=left)))

    def make_passes(self, eager: bool, outage: float) -> None:
        """One over each queue: PostgreSQL's first does it all, and only eager ones then tell of suspects."""

        def work(storage: Storage) -> list[int]:
            ops = [
                storage.tick(queue, limit=100, grace=60, outage=outage, eager=eager)
                for queue in drafts.QUEUES
            ]
            ticks = [storage.run(op) for op in ops]
            return [sum(column) for column in zip(*ticks, strict=True)][: 5 if eager else 4]

        self.both(work)

    def make_short_passes(self) -> None:
        def work(storage: Storage) -> list[int]:
            ops = [
                storage.tick(queue, limit=1, grace=60, outage=NEVER, eager=True) for queue in drafts.QUEUES
            ]
            passes = [[1]]
            while any(passes[-1]):
                ticks = [storage.run(op)[:4] for op in ops]
                assert max(map(max, ticks)) <= 1
                passes.append([sum(column) for column in zip(*ticks, strict=True)])
            return [sum(column) for column in zip(*passes[1:], strict=True)]

        self.both(work)

    def let_time_pass(self, passed: float) -> None:
        self.microseconds += round(passed * 1e6)

    # -- steering and looking ------------------------------------------------------------------------

    def steer(self, verb: str, numbers: list[int]) -> None:
        ids = self.known(numbers)
        self.both(lambda storage: storage.run(getattr(storage, verb)(ids)))

    def replay(self, numbers: list[int]) -> None:
        ids = {*self.known(numbers, JobState.DEAD, JobState.CANCELLED), *self.known(numbers[1:])}
        self.both(lambda storage: storage.run(storage.replay(sorted(ids))))

    def cancel(self, numbers: list[int]) -> None:
        ids = [*self.known(numbers), "mail:" + "0" * 32]
        self.both(lambda storage: storage.run(storage.cancel(ids, reason=WHY)))

    def pause(self, queue: str, paused: bool) -> None:
        self.both(lambda storage: storage.run(storage.pause(queue, paused=paused)))

    def prune(self, queue: str, state: JobState, older: float, beyond: int, limit: int) -> None:
        """What ended at one moment goes together, for any of it may go first."""
        ends = [entry.record.ended_at for entry in self.model._queue(queue).in_state(state)]

        def apart(cut: int) -> int:
            while 0 < cut < len(ends) and ends[cut - 1] == ends[cut]:
                cut += 1
            return cut

        beyond, limit = max(len(ends) - apart(len(ends) - beyond), 0), apart(limit)
        self.both(
            lambda storage: storage.run(storage.prune(queue, state, older=older, beyond=beyond, limit=limit))
        )

    def find(self, filter: Filter, limit: int, latest: bool) -> None:
        self.both(lambda storage: drafts.found(storage, filter, limit, latest=latest))

    def look_lately(self, queue: str, within: float, most: int) -> None:
        self.both(lambda storage: storage.run(storage.recent(queue, within=within, most=most + 1)))

    def ask_for_key(self, queue: str, key: str) -> None:
        """Of a key that nobody has some storages know longer than others who had it."""
        if self.model._queue(queue)._holder(key, self.now):
            self.both(lambda storage: storage.run(storage.holder(queue, key)))

    def look_at_everything(self) -> None:
        self.both(lambda storage: drafts.everything(storage, self.ids))

    # -- workers and schedules -----------------------------------------------------------------------

    def announce(self, worker: str, queues: list[str], vitals: bytes, tallies: Tallies) -> None:
        presence = Presence(worker, "host", 42, tuple(queues), ("app.a",), 0.0, vitals, tallies)
        self.both(lambda storage: storage.run(storage.announce(presence)))
        self.count_attempts()

    def leave(self, worker: str, tallies: Tallies | None) -> None:
        self.both(lambda storage: storage.run(storage.leave(worker, tallies=tallies)))
        self.count_attempts()

    def count_attempts(self) -> None:
        self.both(lambda storage: storage.run(storage.tallies()))

    def see_workers(self, within: float) -> None:
        self.both(lambda storage: sorted(storage.run(storage.workers(within=within))))

    def schedule(self, queue: str, names: list[str]) -> None:
        def known(storage: Storage) -> Any:
            now, schedules = storage.run(storage.schedules(queue, names))
            return now, sorted(schedules)

        self.both(known)

    def fire(
        self, queue: str, paused: bool, late: int, gap: int, part: tuple[NewJob, int | None] | None
    ) -> None:
        """Now and then by one who does not know of the last tick."""
        name = "hourly"
        self.both(lambda storage: storage.run(storage.switch(queue, name, paused=paused)))
        schedules = self.model.run(self.model.schedules(queue, [])).schedules
        last = next(known.last for known in schedules if known.name == name) - late
        job = self.job(0, part[0]._replace(queue=queue), part[1]) if part else None
        job = job if job and job.queue == queue else None
        self.both(lambda storage: storage.run(storage.fire(queue, name, last=last, tick=last + gap, job=job)))


def test_postgres_does_as_memory_does(postgres_url: str) -> None:
    with clocked_postgres(postgres_url) as server:
        run_state_machine_as_test(lambda: Machine(server), settings=SETTINGS)


def test_redis_does_as_memory_does(redis_url: str) -> None:
    with clocked_redis(redis_url) as server:
        run_state_machine_as_test(lambda: Machine(server), settings=SETTINGS)
