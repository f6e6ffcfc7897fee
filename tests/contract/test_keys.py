"""The contract of `distq/storage.py`: priorities, times of the clock, unique keys."""

from __future__ import annotations

import threading
import time

import pytest

from distq.errors import JobExists
from distq.job import AGEING, Conflict, Enqueued, Hold, JobState, OutcomeKind, Unique
from distq.messages import decode_error
from distq.storage import Storage
from tests.contract.steps import (
    QUEUE,
    WHY,
    add,
    expire,
    keyed,
    make,
    record,
    settle,
    state,
    take,
    tick,
    tick_until,
)
from tests.helpers import eventually


def enqueue(storage: Storage, *jobs: object) -> list[Enqueued]:
    return storage.run(storage.enqueue(list(jobs)))  # pyright: ignore[reportArgumentType]


# -- order -----------------------------------------------------------------------------------------------


def test_the_highest_priority_goes_first(storage: Storage) -> None:
    ids = [add(storage, priority=priority)[0] for priority in (0, 9, 4, 9, 0)]
    order = [1, 3, 2, 0, 4]
    assert [lease.id for lease in take(storage, 2)] == [ids[n] for n in order[:2]]
    assert [lease.id for lease in take(storage)] == [ids[n] for n in order[2:]]


def test_priority_is_kept_by_retry_snooze_release_and_reclaim(storage: Storage) -> None:
    low = add(storage, 2)
    (high,) = add(storage, priority=5)
    for kind in (OutcomeKind.RETRY, OutcomeKind.SNOOZE, OutcomeKind.RELEASE):
        (lease,) = take(storage, 1)
        assert lease.id == high
        settle(storage, [lease], kind)
    settle(storage, take(storage, 1), OutcomeKind.RETRY, delay=0.01)
    tick_until(storage, lambda: state(storage, high) is JobState.READY)
    assert take(storage, 1)[0].id == high
    assert record(storage, high).priority == 5
    assert [lease.id for lease in take(storage)] == low


def test_ageing_lets_nobody_starve(storage: Storage) -> None:
    old = add(storage, run_at=time.time() - 2 * AGEING)[0]
    urgent = [add(storage, priority=priority)[0] for priority in (1, 3)]
    assert [lease.id for lease in take(storage)] == [urgent[1], old, urgent[0]]


def test_a_job_may_name_the_moment(storage: Storage) -> None:
    (later,) = add(storage, run_at=time.time() + 0.1)
    (tomorrow,) = add(storage, run_at=time.time() + 86_400)
    (now,) = add(storage, run_at=time.time() - 5)
    assert [lease.id for lease in take(storage)] == [now]
    tick_until(storage, lambda: state(storage, later) is JobState.READY)
    assert state(storage, tomorrow) is JobState.SCHEDULED
    assert record(storage, tomorrow).ready_at == pytest.approx(time.time() + 86_400, abs=10)


def test_a_due_job_takes_its_place_by_the_time_it_was_due(storage: Storage) -> None:
    (due,) = add(storage, delay=0.02)
    (waiting,) = add(storage)
    moment = record(storage, due).ready_at or 0.0
    eventually(lambda: storage.run(storage.schedules(QUEUE, [])).now > moment)
    (after,) = add(storage)
    tick(storage)
    assert [lease.id for lease in take(storage)] == [waiting, due, after]


# -- keys ------------------------------------------------------------------------------------------------


def test_a_key_is_one_jobs_while_it_waits_or_runs(storage: Storage) -> None:
    first, second, other = keyed(), keyed(), keyed("other")
    answers = enqueue(storage, first)
    assert answers == [Enqueued(first.id, True)]
    assert enqueue(storage, second, other) == [Enqueued(first.id, False), Enqueued(other.id, True)]
    leases = take(storage)
    assert {lease.id for lease in leases} == {first.id, other.id}
    assert enqueue(storage, second) == [Enqueued(first.id, False)]
    assert record(storage, first.id).key == "k"
    settle(storage, leases, OutcomeKind.DONE)
    assert enqueue(storage, second) == [Enqueued(second.id, True)]


@pytest.mark.parametrize("kind", [OutcomeKind.RETRY, OutcomeKind.SNOOZE, OutcomeKind.RELEASE])
def test_a_job_that_runs_again_keeps_its_key(storage: Storage, kind: OutcomeKind) -> None:
    first, second = keyed(), keyed()
    enqueue(storage, first)
    settle(storage, take(storage), kind, delay=60 * (kind is not OutcomeKind.RELEASE))
    assert enqueue(storage, second) == [Enqueued(first.id, False)]


@pytest.mark.parametrize("kind", [OutcomeKind.DONE, OutcomeKind.DEAD, OutcomeKind.CANCELLED])
def test_a_key_is_free_after_the_end(storage: Storage, kind: OutcomeKind) -> None:
    first, second = keyed(), keyed()
    enqueue(storage, first)
    settle(storage, take(storage), kind, body=WHY)
    assert enqueue(storage, second) == [Enqueued(second.id, True)]


def test_a_cancelled_a_removed_and_a_buried_job_free_their_keys(storage: Storage) -> None:
    cancelled, removed, buried = (keyed(name) for name in ("a", "b", "c"))
    enqueue(storage, cancelled, removed, buried)
    storage.run(storage.cancel([cancelled.id], reason=WHY))
    storage.run(storage.remove([removed.id]))
    while state(storage, buried.id) is not JobState.DEAD:
        expire(storage, take(storage, alone=True))
    again = [keyed(name) for name in ("a", "b", "c")]
    assert all(answer.created for answer in enqueue(storage, *again))


def test_a_key_may_be_held_only_while_the_job_waits(storage: Storage) -> None:
    first, second, third = (keyed(hold=Hold.WAITING) for _ in range(3))
    enqueue(storage, first)
    assert enqueue(storage, second) == [Enqueued(first.id, False)]
    leases = take(storage)
    assert enqueue(storage, second) == [Enqueued(second.id, True)]
    settle(storage, leases, OutcomeKind.DONE)
    assert enqueue(storage, third) == [Enqueued(second.id, False)]


def test_a_key_that_is_held_while_the_job_waits_is_not_remembered(storage: Storage) -> None:
    first, second = (keyed(hold=Hold.WAITING, seconds=60) for _ in range(2))
    storage.run(storage.enqueue([first]))
    storage.run(storage.cancel([first.id], reason=WHY))
    assert enqueue(storage, second) == [Enqueued(second.id, True)]


def test_a_key_may_be_held_for_a_window(storage: Storage) -> None:
    first, second, third = (keyed(hold=Hold.WINDOW, seconds=0.3) for _ in range(3))
    enqueue(storage, first)
    settle(storage, take(storage), OutcomeKind.DONE)
    assert enqueue(storage, second) == [Enqueued(first.id, False)]
    eventually(lambda: enqueue(storage, third)[0].created)


def test_a_key_may_be_remembered_after_the_end(storage: Storage) -> None:
    first, second = keyed(seconds=0.3), keyed(seconds=0.3)
    enqueue(storage, first)
    settle(storage, take(storage), OutcomeKind.DONE)
    assert enqueue(storage, second) == [Enqueued(first.id, False)]
    eventually(lambda: enqueue(storage, second)[0].created)


def test_freed_keys_are_pruned_and_taken_ones_are_not(storage: Storage) -> None:
    enqueue(storage, keyed("a"), keyed("b", Hold.WINDOW, 0.01))
    first = take(storage, 1)
    settle(storage, first, OutcomeKind.DONE)
    tick(storage)
    assert enqueue(storage, keyed("a"))[0].created
    tick(storage)
    assert not enqueue(storage, keyed("a"))[0].created


def test_keys_of_two_queues_are_apart(storage: Storage) -> None:
    (other,) = make(queue="other", unique=Unique("k"))
    assert [answer.created for answer in enqueue(storage, keyed(), other)] == [True, True]


def test_of_two_with_one_key_in_a_call_the_first_has_it(storage: Storage) -> None:
    for conflict in Conflict:
        first, second = keyed(conflict, conflict=conflict), keyed(conflict, conflict=conflict)
        assert enqueue(storage, first, second) == [Enqueued(first.id, True), Enqueued(first.id, False)]
    assert len(take(storage)) == len(Conflict)


def test_an_enqueue_with_a_key_is_repeated_safely(storage: Storage) -> None:
    jobs = [keyed(conflict, conflict=conflict) for conflict in Conflict]
    assert [answer.created for answer in enqueue(storage, *jobs)] == [True] * 3
    assert enqueue(storage, *jobs) == [Enqueued(job.id, False) for job in jobs]
    settle(storage, take(storage), OutcomeKind.DONE)
    assert enqueue(storage, *jobs) == [Enqueued(job.id, False) for job in jobs]
    assert take(storage) == []


def test_a_conflict_may_be_an_error_and_then_nothing_is_added(storage: Storage) -> None:
    first = keyed()
    enqueue(storage, first)
    with pytest.raises(JobExists) as caught:
        enqueue(storage, *make(2), keyed("free"), keyed(conflict=Conflict.ERROR))
    assert (caught.value.key, caught.value.job_id) == ("k", first.id)
    assert [lease.id for lease in take(storage)] == [first.id]
    assert enqueue(storage, keyed("free"))[0].created


def test_a_conflict_may_replace_what_waits(storage: Storage) -> None:
    first, second = keyed(), keyed(conflict=Conflict.REPLACE)._replace(delay=60)
    third = keyed(conflict=Conflict.REPLACE)
    enqueue(storage, first)
    assert enqueue(storage, second) == [Enqueued(second.id, True)]
    assert enqueue(storage, third) == [Enqueued(third.id, True)]
    replaced = record(storage, first.id)
    assert (replaced.state, decode_error(replaced.body).type) == (JobState.CANCELLED, "Replaced")
    assert state(storage, second.id) is JobState.CANCELLED
    assert [lease.id for lease in take(storage)] == [third.id]


def test_what_runs_is_not_replaced(storage: Storage) -> None:
    first = keyed()
    enqueue(storage, first)
    take(storage)
    assert enqueue(storage, keyed(conflict=Conflict.REPLACE)) == [Enqueued(first.id, False)]
    assert state(storage, first.id) is JobState.LEASED


def test_any_text_may_be_a_key(storage: Storage) -> None:
    for key in ("ß∂ƒ\n%{}\t\"'\\", " ", "x" * 200):
        first, second = keyed(key), keyed(key)
        assert enqueue(storage, first) == [Enqueued(first.id, True)]
        assert enqueue(storage, second) == [Enqueued(first.id, False)]
        assert record(storage, first.id).key == key


@pytest.mark.parametrize("conflict", [Conflict.RETURN, Conflict.REPLACE])
def test_racing_enqueues_of_one_key_add_one_job(storage: Storage, conflict: Conflict) -> None:
    answers: list[Enqueued] = []
    barrier = threading.Barrier(8)

    def race(number: int) -> None:
        names = [f"k{n}" for n in range(5)]
        barrier.wait()
        for _ in range(5):
            jobs = [keyed(name, conflict=conflict) for name in (names if number % 2 else names[::-1])]
            answers.extend(storage.run(storage.enqueue(jobs)))

    threads = [threading.Thread(target=race, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 8 * 5 * 5
    leased = [lease.id for lease in take(storage)]
    assert len(leased) == 5
    assert set(leased) <= {answer.id for answer in answers if answer.created}


def test_racing_keys_and_settles_lose_nothing(storage: Storage) -> None:
    created: list[str] = []
    done: set[str] = set()
    finished = threading.Event()

    def produce() -> None:
        for _ in range(100):
            (answer,) = storage.run(storage.enqueue([keyed()]))
            if answer.created:
                created.append(answer.id)

    def consume() -> None:
        while not finished.is_set():
            done.update(settle(storage, take(storage), OutcomeKind.DONE))

    producers = [threading.Thread(target=produce) for _ in range(3)]
    consumer = threading.Thread(target=consume)
    consumer.start()
    for thread in producers:
        thread.start()
    for thread in producers:
        thread.join()
    eventually(lambda: done == set(created))
    finished.set()
    consumer.join()
    assert len(created) == len(set(created)) >= 1


@pytest.mark.parametrize("conflict", Conflict)
def test_a_forgotten_job_whose_key_is_remembered_is_not_added_again(
    storage: Storage, conflict: Conflict
) -> None:
    (job,) = make(unique=Unique("a", Hold.ACTIVE, 60, conflict))
    storage.run(storage.enqueue([job]))
    settle(storage, take(storage), OutcomeKind.DONE)
    storage.run(storage.prune(QUEUE, JobState.DONE, older=1e6, beyond=0, limit=10))
    assert storage.run(storage.enqueue([job])) == [Enqueued(job.id, False)]
    assert storage.run(storage.get(job.id)) is None
    assert take(storage) == []
