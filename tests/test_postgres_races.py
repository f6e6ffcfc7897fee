"""Races on PostgreSQL: who waits for whose lock, and what is not lost."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Any

import psycopg
import pytest

from distq.job import Conflict, Enqueued, JobState, Outcome, OutcomeKind, Presence
from distq.postgres.storage import PostgresStorage
from distq.storage import Op
from tests.contract.steps import QUEUE, WHY, add, keyed, settle, state, take
from tests.schemas import connection as connection
from tests.schemas import empty as empty
from tests.schemas import long_ago
from tests.schemas import name as name
from tests.schemas import storage as storage


def concurrently(*calls: Callable[[], object]) -> list[Any]:
    """Run the calls at the same moment, in threads; returns their answers."""
    barrier, answers = threading.Barrier(len(calls)), [None] * len(calls)

    def run(number: int) -> None:
        barrier.wait()
        answers[number] = calls[number]()  # pyright: ignore[reportCallIssue]

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


@pytest.mark.parametrize("kind", [OutcomeKind.DONE, OutcomeKind.RETRY, OutcomeKind.RELEASE])
def test_a_cancel_that_races_with_a_settle_is_not_lost(storage: PostgresStorage, kind: OutcomeKind) -> None:
    ids = add(storage, 200)
    leases = take(storage, 200)
    outcomes = [
        Outcome(lease.id, lease.token, kind if number % 2 else OutcomeKind.DONE)
        for number, lease in enumerate(leases)
    ]
    settled, asked = concurrently(
        lambda: storage.run(storage.settle(outcomes, keep=60)),
        lambda: storage.run(storage.cancel(ids[::-1], reason=WHY)),
    )
    assert settled == set(ids)
    for job_id in asked:
        assert state(storage, job_id) in (JobState.CANCELLED, JobState.DONE)
    assert {lease.id for lease in take(storage, 500)}.isdisjoint(asked)


def test_a_replay_and_an_enqueue_do_not_share_a_key(storage: PostgresStorage) -> None:
    for number in range(20):
        dead, new = keyed(f"k{number}"), keyed(f"k{number}")
        storage.run(storage.enqueue([dead]))
        settle(storage, take(storage), OutcomeKind.DEAD, body=WHY)
        replayed, (answer,) = concurrently(
            lambda dead=dead: storage.run(storage.replay([dead.id])),
            lambda new=new: storage.run(storage.enqueue([new])),
        )
        (lease,) = take(storage)
        assert (replayed, answer, lease.id) in [
            ({dead.id}, Enqueued(dead.id, False), dead.id),
            (set(), Enqueued(new.id, True), new.id),
        ]
        settle(storage, [lease], OutcomeKind.DONE)


def test_of_racing_replacements_one_is_left_and_all_are_told_of_it(storage: PostgresStorage) -> None:
    for _ in range(20):
        jobs = [keyed(conflict=Conflict.REPLACE) for _ in range(4)]
        storage.run(storage.enqueue([keyed(conflict=Conflict.REPLACE)]))
        answers = concurrently(*[lambda job=job: storage.run(storage.enqueue([job])) for job in jobs])
        (lease,) = take(storage)
        assert Enqueued(lease.id, True) in [answer for (answer,) in answers]
        assert {answer.id for (answer,) in answers} <= {job.id for job in jobs}
        settle(storage, [lease], OutcomeKind.DONE)


def test_two_prunes_forget_no_more_than_they_should(storage: PostgresStorage) -> None:
    ids = add(storage, 100)
    for part in (take(storage, 50), take(storage, 50)):
        settle(storage, part, OutcomeKind.DEAD, body=WHY)
    prune = storage.prune(QUEUE, JobState.DEAD, older=1e6, beyond=50, limit=40)
    counts = concurrently(*[lambda: storage.run(prune)] * 4)
    counts.append(storage.run(prune))
    assert sum(counts) == 50
    assert all(storage.run(storage.get(job_id)) for job_id in ids[50:])


def test_processes_that_wake_after_a_day_and_end_do_not_wait_for_each_other_in_a_circle(
    storage: PostgresStorage, connection: psycopg.Connection[Any], name: str, postgres_url: str
) -> None:
    """Each announces itself, forgets others and locks totals; some are said to have ended at that moment.
    On connections of the caller's nothing is tried again.
    """
    connection.autocommit = True
    queues = [f"q{number}" for number in range(6)]

    def announce(number: int) -> Op[None]:
        turned = queues[number:] + queues[:number]
        tallies = {queue: {"done": 1, "dead": 1} for queue in turned}
        return storage.announce(Presence(f"w{number}", "host", 1, (), (), 0.0, b"", tallies))

    def done() -> int:
        return sum(kinds["done"] for kinds in storage.run(storage.tallies()).values())

    ops = [*map(announce, range(6)), *[storage.leave(f"w{number}") for number in range(0, 6, 2)]]
    with ExitStack() as stack:
        connect = partial(psycopg.connect, postgres_url, autocommit=True)
        own = [stack.enter_context(connect()) for _ in ops]
        calls = [lambda op=op, on=on: storage.run(op, on) is None for op, on in zip(ops, own, strict=True)]
        for _ in range(15):
            for op in ops[:6]:
                storage.run(op)
            long_ago(connection, name)
            before = done()
            assert concurrently(*calls) == [True] * len(calls)
            # Who was forgotten, and then announces itself, is another process.
            assert before <= done() <= before + 36


def test_a_frozen_worker_settles_nothing_after_a_cancel(storage: PostgresStorage) -> None:
    (job_id,) = add(storage)
    frozen = take(storage)
    storage.run(storage.cancel([job_id], reason=WHY))
    storage.run(storage.forfeit(QUEUE, worker="w1", begun=()))
    assert state(storage, job_id) is JobState.CANCELLED
    storage.run(storage.replay([job_id]))
    assert settle(storage, frozen, OutcomeKind.DONE) == set()
    assert storage.run(storage.extend(frozen, ttl=60)).ours == set()
    assert state(storage, job_id) is JobState.READY
