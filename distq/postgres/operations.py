"""The operations of a job's life. Each is one statement of `queries/`."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from distq.ids import split_id
from distq.job import (
    AGEING,
    CRASH_BUDGET,
    CRASHED,
    HISTORY,
    REPLACED,
    Conflict,
    Enqueued,
    Extended,
    Lease,
    NewJob,
    Outcome,
    OutcomeKind,
    Tick,
    first_of_each,
    one_of_each,
)
from distq.postgres.arrays import blobs, plain, sparse, texts
from distq.postgres.cursors import Rows, Statement
from distq.postgres.positions import Positions
from distq.postgres.queries import query
from distq.postgres.target import Target
from distq.storage import Op, T

_GIVEN_BACK = (OutcomeKind.RETRY, OutcomeKind.SNOOZE, OutcomeKind.RELEASE)


class Operations:
    """Builds them. Many ids go in ascending order, in which all statements lock rows."""

    _target: Target
    _positions: Positions

    def enqueue(self, jobs: Sequence[NewJob]) -> Op[list[Enqueued]]:
        if any(job.unique for job in jobs):
            return self._enqueue_keyed(jobs)

        def decode(rows: Rows) -> list[Enqueued]:
            ((created,),) = rows
            return [Enqueued(job.id, created is None or job.id[-32:] in created) for job in jobs]

        return self._op("enqueue", decode, **_new(jobs), **self._places)

    def _enqueue_keyed(self, jobs: Sequence[NewJob]) -> Op[list[Enqueued]]:
        first, later = one_of_each(jobs)

        def decode(rows: Rows) -> list[Enqueued]:
            found = {row[0]: row for row in rows}
            answers: dict[str, Enqueued] = {}
            for job in first:
                _, holder, created = found.get(job.id[-32:], (None, job.id[-32:], False))
                answers[job.id] = Enqueued(f"{job.queue}:{holder}", created)
            answers |= {job_id: Enqueued(answers[holder].id, False) for job_id, holder in later.items()}
            return [answers[job.id] for job in jobs]

        return self._add(first, decode, guarded=_may_refuse(first))

    def fire(self, queue: str, name: str, *, last: int, tick: int, job: NewJob | None) -> Op[bool]:
        if job and _may_refuse([job]):
            job = job._replace(unique=job.unique and job.unique._replace(conflict=Conflict.RETURN))
        schedule = {"schedule_queue": queue, "schedule": name, "last": last, "tick": tick}
        return self._add([job] if job else [], bool, **schedule)

    def _add(
        self, jobs: Sequence[NewJob], decode: Callable[[Rows], T], *, guarded: bool = False, **schedule: Any
    ) -> Op[T]:
        keys = [job.unique or (None, None, None, None) for job in jobs]
        none = dict.fromkeys(("schedule_queue", "schedule", "last", "tick"))
        return self._op(
            "enqueue_keyed",
            decode,
            guarded=guarded,
            keys=texts(key for key, _, _, _ in keys),
            holds=plain(hold for _, hold, _, _ in keys),
            seconds=plain(seconds for _, _, seconds, _ in keys),
            conflicts=plain(conflict for _, _, _, conflict in keys),
            replaced=REPLACED,
            **none | schedule,
            **_new(jobs),
            **self._places,
        )

    def lease(self, queue: str, *, worker: str, limit: int, ttl: float, alone: bool) -> Op[list[Lease]]:
        token = uuid.uuid4().hex
        head = f"{queue}:"

        def decode(rows: Rows) -> list[Lease]:
            last = rows[-1] if rows else None
            # A suspect lies in an index of its own.
            if last is None or not last[4]:
                self._positions.reach(queue, last[6] if last else None)
            return [Lease(head + row[0], token, *row[1:6]) for row in rows]

        return self._op(
            "lease",
            decode,
            queue=queue,
            token=token,
            worker=worker,
            limit=limit,
            ttl=ttl,
            alone=alone,
            since=self._positions.begin(queue),
            repeatable=False,
        )

    def waited(self, lease: Lease) -> float:
        return lease.waited

    def extend(
        self, leases: Sequence[Lease], *, ttl: float, progress: Mapping[str, bytes] | None = None
    ) -> Op[Extended]:
        leases = sorted(leases, key=lambda lease: lease.id)
        ids = {lease.id[-32:]: lease.id for lease in leases}

        def decode(rows: Rows) -> Extended:
            return Extended(
                {ids[hex_id] for hex_id, _ in rows}, {ids[hex_id] for hex_id, asked in rows if asked}
            )

        return self._op(
            "extend",
            decode,
            ids=plain(lease.id[-32:] for lease in leases),
            tokens=plain(lease.token for lease in leases),
            progress=blobs(progress.get(lease.id) for lease in leases) if progress else "{}",
            ttl=ttl,
        )

    def settle(self, outcomes: Sequence[Outcome], *, keep: float) -> Op[set[str]]:
        outcomes = sorted(first_of_each(outcomes), key=lambda outcome: outcome.id)
        ids = {outcome.id[-32:]: outcome.id for outcome in outcomes}
        return self._op(
            "settle",
            lambda rows: {ids[hex_id] for (hex_id,) in rows},
            ids=plain(outcome.id[-32:] for outcome in outcomes),
            tokens=plain(outcome.token for outcome in outcomes),
            kinds=plain(outcome.kind for outcome in outcomes),
            bodies=blobs(outcome.body for outcome in outcomes),
            delays=sparse([outcome.delay for outcome in outcomes], 0),
            rans=plain(outcome.ran for outcome in outcomes),
            again=any(outcome.kind in _GIVEN_BACK for outcome in outcomes),
            keep=keep,
            attempts=HISTORY,
            **self._places,
        )

    def forfeit(
        self, queue: str, *, worker: str, begun: Collection[str], kept: Collection[str] = ()
    ) -> Op[int]:
        return self._op(
            "forfeit",
            lambda rows: rows[0][0],
            queue=queue,
            worker=worker,
            begun=plain(job_id[-32:] for job_id in begun),
            kept=plain(job_id[-32:] for job_id in kept),
            **self._burial,
        )

    def tick(self, queue: str, *, limit: int, grace: float, outage: float, eager: bool = False) -> Op[Tick]:
        def decode(rows: Rows) -> Tick:
            *passed, first, _ = rows[0]
            self._positions.glance(queue, first)
            return Tick(*passed)

        return self._op(
            "tick",
            decode,
            queue=queue,
            since=self._positions.begin(queue),
            limit=limit,
            grace=grace,
            outage=outage,
            eager=eager,
            **self._burial,
        )

    @property
    def _burial(self) -> dict[str, Any]:
        return {"budget": CRASH_BUDGET, "crashed": CRASHED, "attempts": HISTORY, **self._places}

    @property
    def _places(self) -> dict[str, Any]:
        """In the order of leasing, and where hints go."""
        target = self._target
        return {"ageing": AGEING, "channel": target.schema, "ended_channel": target.ended_channel}

    def _op(
        self,
        verb: str,
        decode: Callable[[Rows], T],
        *,
        repeatable: bool = True,
        guarded: bool = False,
        **parameters: Any,
    ) -> Op[T]:
        statement = Statement(query(verb, self._target.schema), parameters, guarded)
        return Op(statement, decode, repeatable)


def named(ids: Iterable[str]) -> dict[str, Any]:
    """Parameters that name jobs. Raises JobNotFound for an id that is not one of ours."""
    pairs = [split_id(job_id) for job_id in dict.fromkeys(ids)]
    return {"ids": plain(hex_id for _, hex_id in pairs), "queues": plain(queue for queue, _ in pairs)}


def _new(jobs: Sequence[NewJob]) -> dict[str, Any]:
    """Parameters that describe new jobs."""
    return {
        "ids": plain(job.id[-32:] for job in jobs),
        "queues": texts(job.queue for job in jobs),
        "tasks": texts(job.task for job in jobs),
        "payloads": blobs(job.payload for job in jobs),
        "delays": sparse([job.delay for job in jobs], 0),
        "run_ats": sparse([job.run_at for job in jobs], None),
        "priorities": sparse([job.priority for job in jobs], 0),
    }


def _may_refuse(jobs: Sequence[NewJob]) -> bool:
    return any(job.unique and job.unique.conflict is Conflict.ERROR for job in jobs)
