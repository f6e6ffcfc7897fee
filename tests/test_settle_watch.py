"""What the distq contender tells the harness of settled jobs: those that ended, and were its own."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from adapters.distq import SettleWatch
from distq.connect import connect
from distq.ids import new_ids
from distq.job import Lease, NewJob, Outcome, OutcomeKind
from distq.storage import Op

KEEP_S = 60.0


class Listing:
    """A handler that keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[list[int]] = []

    def __call__(self, job_id: int, payload: str) -> int:
        raise NotImplementedError

    def batch(self, ids: Sequence[int]) -> None:
        raise NotImplementedError

    def settled(self, ids: Sequence[int]) -> None:
        self.told.append(list(ids))


class Watched:
    """Jobs that were leased and begun, numbered from 0, and what the handler hears of their end."""

    def __init__(self, jobs: int) -> None:
        self.storage, self.handler = connect("memory://"), Listing()
        self.watch = SettleWatch(self.storage, self.handler)
        new = [NewJob(job_id, "bench", "job", b"") for job_id in new_ids("bench", jobs)]
        self.storage.run(self.storage.enqueue(new))
        self.leases = self.lease()
        assert len(self.leases) == jobs

    def lease(self) -> list[Lease]:
        leases = self.storage.run(self.storage.lease("bench", worker="w", limit=100, ttl=30.0, alone=False))
        self.watch.numbers |= {lease.id: number for number, lease in enumerate(leases)}
        return leases

    def settle(self, *kinds: OutcomeKind) -> Op[set[str]]:
        outcomes = [
            Outcome(lease.id, lease.token, kind) for lease, kind in zip(self.leases, kinds, strict=True)
        ]
        return self.watch.settle(outcomes, keep=KEEP_S)


@pytest.mark.parametrize(
    ("kind", "ends"),
    [
        *((kind, True) for kind in (OutcomeKind.DONE, OutcomeKind.DEAD, OutcomeKind.CANCELLED)),
        *((kind, False) for kind in (OutcomeKind.RETRY, OutcomeKind.SNOOZE, OutcomeKind.RELEASE)),
    ],
)
def test_a_job_that_ended_is_settled_and_one_that_runs_again_is_not(kind: OutcomeKind, ends: bool) -> None:
    watched = Watched(2)
    watched.storage.run(watched.settle(kind, OutcomeKind.DONE))
    assert watched.handler.told == ([[0, 1]] if ends else [[1]])
    assert watched.watch.numbers == {}


def test_it_is_told_when_the_answer_is_there_and_not_before() -> None:
    watched = Watched(1)
    operation = watched.settle(OutcomeKind.DONE)
    assert watched.handler.told == []
    ours = asyncio.run(watched.storage.arun(operation))
    assert ours == {watched.leases[0].id}
    assert watched.handler.told == [[0]]


def test_a_lease_that_was_lost_is_not_settled_by_who_lost_it() -> None:
    watched = Watched(1)
    watched.storage.run(watched.storage.forfeit("bench", worker="w", begun=()))
    lost, watched.leases = watched.leases, watched.lease()
    void = watched.watch.settle([Outcome(lost[0].id, lost[0].token, OutcomeKind.DONE)], keep=KEEP_S)
    assert watched.storage.run(void) == set()
    assert watched.handler.told == []
    watched.storage.run(watched.settle(OutcomeKind.DONE))
    assert watched.handler.told == [[0]]


def test_a_job_that_never_began_here_is_not_told_of() -> None:
    watched = Watched(1)
    watched.watch.numbers.clear()
    watched.storage.run(watched.settle(OutcomeKind.DEAD))
    assert watched.handler.told == []


@pytest.mark.parametrize("repeatable", [True, False])
def test_the_operation_is_the_storages_own(repeatable: bool) -> None:
    watched = Watched(1)
    plain = watched.storage.settle([], keep=KEEP_S)
    own = Op("the request", plain.decode, repeatable)
    watched.storage.settle = lambda outcomes, *, keep: own
    watch = SettleWatch(watched.storage, watched.handler)
    operation = watch.settle([], keep=KEEP_S)
    assert (operation.request, operation.repeatable) == ("the request", repeatable)
