"""A lease on PostgreSQL begins where the last one ended, and yet no ready job is left behind."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

from distq.job import Heard, JobState, OutcomeKind
from distq.postgres import positions
from distq.postgres.positions import START, Positions
from distq.postgres.storage import PostgresStorage
from tests.contract.steps import QUEUE, WHY, add, make, settle, take, tick
from tests.helpers import eventually
from tests.pooler import Pooler

SURE, GAP = Heard(sure=True), Heard(gap=True)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(positions, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


def look(found: Positions, last: float | None) -> float:
    """A lease that ends at a moment, or finds nothing. Returns where it began."""
    began = found.begin("q")
    found.reach("q", last)
    return began


def test_the_first_look_is_from_the_start_and_the_next_goes_on(clock: SimpleNamespace) -> None:
    found = Positions()
    found.told(["q"], SURE)
    assert [look(found, last) for last in (5.0, 7.0, None, None)] == [START, 4.999, 6.999, 6.999]


def test_who_does_not_hear_of_new_jobs_looks_from_the_start(clock: SimpleNamespace) -> None:
    found = Positions()
    assert [look(found, 5.0), look(found, 7.0)] == [START, START]
    found.told(["q"], SURE)
    look(found, 7.0)
    found.told(["q"], GAP)
    assert look(found, 9.0) == START


def test_jobs_that_come_before_are_looked_for(clock: SimpleNamespace) -> None:
    found = Positions()
    found.told(["q"], SURE)
    look(found, 5.0)
    found.told(["q"], Heard({"q": 3.0}))
    assert [look(found, 3.5), look(found, 6.0)] == [3.0, 3.499]
    found.told(["q"], Heard({"q": START}))
    assert look(found, 9.0) == START


def test_what_is_heard_during_a_look_is_not_forgotten_by_its_end(clock: SimpleNamespace) -> None:
    found = Positions()
    found.told(["q"], SURE)
    found.begin("q")
    found.told(["q"], Heard({"q": 3.0}))
    found.reach("q", 8.0)
    assert look(found, 9.0) == 3.0


def test_a_glance_from_the_start_that_saw_something_leaves_it_to_the_next_look(
    clock: SimpleNamespace,
) -> None:
    found = Positions()
    found.told(["q"], SURE)
    look(found, 7.0)
    clock.now += 2
    for first, then in ((3.0, START), (None, 6.999)):
        assert found.begin("q") == START
        found.glance("q", first)
        assert found.begin("q") == then


def test_now_and_then_a_look_is_from_the_start_but_not_for_long(clock: SimpleNamespace) -> None:
    found = Positions()
    found.told(["q"], SURE)
    found.begin("q")
    clock.now += 0.5  # such a look takes half a second
    found.reach("q", 8.0)
    clock.now += 9.4
    assert look(found, 8.0) == 7.999
    clock.now += 0.2
    assert look(found, 8.0) == START


class Place:
    """A storage of its own, and a listener that its process reads."""

    def __init__(self, url: str) -> None:
        self.url, self.storage = url, PostgresStorage(url)
        self.storage.migrate()
        self._listener = self.storage.listener(queues=[QUEUE])
        self._wakeup, self._waker = os.pipe()

    def listen(self) -> None:
        """Read what there is."""
        self.storage.told([QUEUE], self._listener.wait(timeout=0, wakeup=self._wakeup))

    @property
    def since(self) -> float:
        """Where the next lease would begin."""
        self.listen()
        op: Any = self.storage.lease(QUEUE, worker="w1", limit=1, ttl=60, alone=False)
        return op.request.parameters["since"]

    def close(self) -> None:
        self._listener.close()
        self.storage.close()
        os.close(self._wakeup)
        os.close(self._waker)


@pytest.fixture
def place(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """Its process has leased a job, and looks from the start no more."""
    monkeypatch.setattr(positions, "PAUSE", 3600.0)
    place = Place(f"{postgres_url}?schema=p{uuid.uuid4().hex[:12]}")
    add(place.storage)
    eventually(lambda: place.since == START and QUEUE in place.storage._positions._ears)
    take(place.storage)
    assert place.since > time.time() - 60
    yield place
    place.close()


def test_a_late_commit_is_not_left_behind(place: Place, postgres_url: str) -> None:
    with psycopg.connect(postgres_url) as connection:
        (late,) = make(run_at=time.time() - 10)
        place.storage.run(place.storage.enqueue([late]), connection)
        for _ in range(3):  # meanwhile the others go on
            add(place.storage)
            assert len(take(place.storage)) == 1
        connection.commit()
    assert [lease.id for lease in eventually(lambda: place.listen() or take(place.storage))] == [late.id]


def release(place: Place, job: Any) -> None:
    settle(place.storage, [job], OutcomeKind.RELEASE)


def retry(place: Place, job: Any) -> None:
    settle(place.storage, [job], OutcomeKind.RETRY, body=WHY)


def promote(place: Place, job: Any) -> None:
    settle(place.storage, [job], OutcomeKind.SNOOZE, delay=0.01)
    eventually(lambda: tick(place.storage).promoted)


def forfeit(place: Place, job: Any) -> None:
    place.storage.run(place.storage.forfeit(QUEUE, worker="w1", begun=[], kept=[]))


def replay(place: Place, job: Any) -> None:
    settle(place.storage, [job], OutcomeKind.DEAD, body=WHY)
    place.storage.run(place.storage.replay([job.id]))


def resume(place: Place, job: Any) -> None:
    """Others may have come while it was paused."""
    release(place, job)
    place.storage.run(place.storage.pause(QUEUE, paused=True))
    place.listen()
    place.storage.run(place.storage.pause(QUEUE, paused=False))


@pytest.mark.parametrize("give_back", [release, retry, promote, forfeit, replay, resume])
def test_a_job_that_returns_is_not_left_behind(place: Place, give_back: Callable[[Place, Any], None]) -> None:
    add(place.storage, run_at=time.time() - 10)
    (first,) = eventually(lambda: place.listen() or take(place.storage))
    add(place.storage)
    settle(place.storage, take(place.storage, worker="w2"), OutcomeKind.DONE)
    assert place.since > time.time() - 5
    give_back(place, first)
    assert first.id in [job.id for job in eventually(lambda: place.listen() or take(place.storage))]


def test_urgent_jobs_are_not_left_behind(place: Place) -> None:
    (urgent,) = add(place.storage, priority=9)
    assert [job.id for job in eventually(lambda: place.listen() or take(place.storage))] == [urgent]


def test_a_lease_that_was_rolled_back_is_found_at_the_next_look_from_the_start(
    place: Place, postgres_url: str
) -> None:
    (lost,) = add(place.storage)
    with psycopg.connect(postgres_url) as connection:
        other = PostgresStorage(place.url)
        op = other.lease(QUEUE, worker="w2", limit=1, ttl=60, alone=False)
        assert [lease.id for lease in other.run(op, connection)] == [lost]
        (later,) = add(place.storage)
        assert [job.id for job in eventually(lambda: place.listen() or take(place.storage))] == [later]
        connection.rollback()
    place.storage._positions._positions[QUEUE].full_at = 0.0
    assert [job.id for job in take(place.storage)] == [lost]


def test_a_maintenance_pass_looks_from_the_start_for_the_next_lease(place: Place) -> None:
    """Which an idle process makes only where the pass saw something."""
    other = PostgresStorage(place.url)
    with psycopg.connect(place.storage._target.url) as connection:
        (left,) = add(place.storage)
        other.run(other.lease(QUEUE, worker="w2", limit=1, ttl=60, alone=False), connection)
        (later,) = add(place.storage)
        assert [job.id for job in eventually(lambda: place.listen() or take(place.storage))] == [later]
        connection.rollback()
    assert not tick(place.storage).ready
    assert take(place.storage) == []
    place.storage._positions._positions[QUEUE].full_at = 0.0
    assert tick(place.storage).ready
    assert [job.id for job in take(place.storage)] == [left]


def test_a_new_connection_may_have_missed_something(place: Place, postgres_url: str) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query ~ %s",
            (f'LISTEN "{place.storage._target.schema}"',),
        )
    eventually(lambda: place.since == START)
    assert eventually(lambda: place.listen() or QUEUE in place.storage._positions._ears)


def test_behind_a_pooler_of_transactions_every_look_is_from_the_start(pooler: Pooler) -> None:
    place = Place(f"{pooler.url}?user=any&schema=p{uuid.uuid4().hex[:12]}&prepare=off")
    for _ in range(3):
        add(place.storage)
        assert place.since == START
        assert len(take(place.storage)) == 1
    place.close()


def test_maintenance_goes_on_where_it_ended(place: Place) -> None:
    """And takes what it passed over at its next sweep."""
    storage = place.storage
    tick(storage)
    (job_id,) = add(storage)
    take(storage, ttl=0.01)
    with psycopg.connect(storage._target.url, autocommit=True) as connection:
        name = f'"{storage._target.schema}"'
        connection.execute(f"UPDATE {name}.job SET leased_until = now() - interval '1 hour'".encode())
        assert tick(storage).reclaimed == 0
        connection.execute(f"UPDATE {name}.pulse SET swept_at = now() - interval '61 seconds'".encode())
        assert tick(storage).reclaimed == 2
    assert storage.run(storage.counts(QUEUE))[JobState.READY] == 2
    assert job_id
