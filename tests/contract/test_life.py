"""The contract of `distq/storage.py`: a job's life from enqueue to its end, the fence, crashes, results."""

from __future__ import annotations

import asyncio
import os
import threading

import pytest

from distq.connect import connect
from distq.errors import JobNotFound
from distq.ids import new_ids
from distq.job import CRASH_BUDGET, Enqueued, JobState, Lease, Outcome, OutcomeKind, Unique
from distq.messages import decode_error
from distq.storage import Storage
from distq.worker.settings import LARGEST_BATCH
from tests.contract.steps import (
    NEVER,
    QUEUE,
    add,
    expire,
    make,
    record,
    settle,
    state,
    take,
    tick,
    tick_until,
)
from tests.helpers import eventually

# -- enqueue -------------------------------------------------------------------------------------


def test_enqueue_then_lease_gives_what_was_sent(storage: Storage) -> None:
    payload = bytes(range(256))
    (job_id,) = add(storage, payload=payload)
    (lease,) = take(storage)
    assert (lease.id, lease.task, lease.payload) == (job_id, "app.task", payload)
    assert (lease.tries, lease.crashes) == (0, 0)


@pytest.mark.parametrize("count", [1, 2, 7, 500, 2500])
def test_a_batch_keeps_its_order(storage: Storage, count: int) -> None:
    ids = add(storage, count)
    taken: list[str] = []
    while leases := take(storage, 500):
        taken += [lease.id for lease in leases]
    assert taken == ids


def test_batches_are_leased_in_the_order_of_arrival(storage: Storage) -> None:
    ids = [job_id for _ in range(5) for job_id in add(storage, 3)]
    assert [lease.id for lease in take(storage)] == ids


def test_an_enqueue_repeated_adds_nothing(storage: Storage) -> None:
    jobs = make(3)
    first = storage.run(storage.enqueue(jobs))
    again = storage.run(storage.enqueue(jobs))
    assert [entry.created for entry in first] == [True] * 3
    assert [entry.created for entry in again] == [False] * 3
    assert len(take(storage)) == 3


def test_an_enqueue_repeated_after_the_end_adds_nothing(storage: Storage) -> None:
    jobs = make(1)
    storage.run(storage.enqueue(jobs))
    settle(storage, take(storage), OutcomeKind.DONE, body=b"1")
    assert storage.run(storage.enqueue(jobs))[0].created is False
    assert take(storage) == []


@pytest.mark.parametrize("unique", [None, Unique("k")])
def test_one_id_twice_in_a_call_is_one_job(storage: Storage, unique: Unique | None) -> None:
    (first,) = make(unique=unique)
    answers = storage.run(storage.enqueue([first, first._replace(payload=b"2", unique=None)]))
    assert answers == [Enqueued(first.id, True)] * 2
    assert [lease.payload for lease in take(storage)] == [first.payload]
    assert record(storage, first.id).key == ("k" if unique else "")


def test_an_empty_enqueue_is_nothing(storage: Storage) -> None:
    assert storage.run(storage.enqueue([])) == []


def test_one_call_may_serve_several_queues(storage: Storage) -> None:
    storage.run(storage.enqueue([*make(2), *make(1, queue="other"), *make(1)]))
    assert storage.run(storage.counts(QUEUE))[JobState.READY] == 3
    assert storage.run(storage.counts("other"))[JobState.READY] == 1


def test_operations_run_in_an_event_loop(storage: Storage) -> None:
    async def enqueue_and_lease() -> list[Lease]:
        await storage.arun(storage.enqueue(make(2)))
        leases = await storage.arun(storage.lease(QUEUE, worker="w", limit=9, ttl=60, alone=False))
        await storage.aclose()
        return leases

    assert len(asyncio.run(enqueue_and_lease())) == 2


# -- lease, extend, settle: the fence ---------------------------------------------------------------


def test_a_leased_job_is_not_given_to_another(storage: Storage) -> None:
    add(storage, 10)
    mine, theirs = take(storage, 6), take(storage, 6, worker="w2")
    assert (len(mine), len(theirs)) == (6, 4)
    assert {lease.id for lease in mine}.isdisjoint(lease.id for lease in theirs)


def test_racing_workers_share_without_overlap(storage: Storage) -> None:
    ids = add(storage, 300)
    taken: list[str] = []

    def work(name: str) -> None:
        while leases := take(storage, 7, worker=name):
            taken.extend(lease.id for lease in leases)

    threads = [threading.Thread(target=work, args=(f"w{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == sorted(ids)


@pytest.mark.parametrize("kind", [OutcomeKind.DONE, OutcomeKind.RETRY])
@pytest.mark.parametrize("batch", [1, 2, 7, 500, LARGEST_BATCH])
def test_nothing_depends_on_how_many_a_call_carries(storage: Storage, batch: int, kind: OutcomeKind) -> None:
    ids = add(storage, 2 * batch + 1)
    batches = [take(storage, batch) for _ in range(4)]
    assert [len(leases) for leases in batches] == [batch, batch, 1, 0]
    assert [lease.id for leases in batches for lease in leases] == ids
    assert [settle(storage, leases, kind) for leases in batches[:3]] == [
        {lease.id for lease in leases} for leases in batches[:3]
    ]
    left = [take(storage, batch) for _ in range(4)]
    assert [lease.id for leases in left for lease in leases] == ([] if kind is OutcomeKind.DONE else ids)


def test_each_lease_has_a_new_token(storage: Storage) -> None:
    add(storage)
    first = take(storage)
    settle(storage, first, OutcomeKind.RELEASE)
    assert take(storage)[0].token != first[0].token


@pytest.mark.parametrize("kind", OutcomeKind)
def test_a_stale_settle_changes_nothing(storage: Storage, kind: OutcomeKind) -> None:
    (job_id,) = add(storage)
    frozen = take(storage)
    expire(storage, frozen)
    (current,) = take(storage, worker="w2", alone=True)
    assert settle(storage, frozen, kind, body=b'"stale"') == set()
    assert state(storage, job_id) is JobState.LEASED
    assert settle(storage, [current], OutcomeKind.DONE, body=b'"fresh"') == {job_id}
    assert record(storage, job_id).body == b'"fresh"'


def test_a_stale_extend_changes_nothing(storage: Storage) -> None:
    (job_id,) = add(storage)
    frozen = take(storage)
    expire(storage, frozen)
    current = take(storage, worker="w2", alone=True)
    assert storage.run(storage.extend(frozen, ttl=0.001)).ours == set()
    assert storage.run(storage.extend(current, ttl=60)).ours == {job_id}


def test_only_what_is_ours_is_settled_in_a_mixed_batch(storage: Storage) -> None:
    ids = add(storage, 4)
    leases = take(storage)
    expire(storage, leases[:1])
    assert settle(storage, leases, OutcomeKind.DONE, body=b"1") == set(ids[1:])


def test_settling_twice_counts_once(storage: Storage) -> None:
    add(storage)
    leases = take(storage)
    assert settle(storage, leases * 2, OutcomeKind.DONE, body=b"1") == {leases[0].id}
    assert settle(storage, leases, OutcomeKind.DONE, body=b"1") == set()


@pytest.mark.parametrize("first", OutcomeKind)
@pytest.mark.parametrize("second", OutcomeKind)
def test_of_two_outcomes_of_one_lease_the_first_counts(
    storage: Storage, first: OutcomeKind, second: OutcomeKind
) -> None:
    (job_id,) = add(storage)
    (lease,) = take(storage)
    outcomes = [Outcome(job_id, lease.token, kind, b'{"e":1}') for kind in (first, second)]
    assert storage.run(storage.settle(outcomes, keep=60)) == {job_id}
    ends = {kind: JobState(kind) for kind in (OutcomeKind.DONE, OutcomeKind.DEAD, OutcomeKind.CANCELLED)}
    assert state(storage, job_id) is ends.get(first, JobState.READY)
    assert [lease.id for lease in take(storage)] == ([] if first in ends else [job_id])


def test_one_settle_may_carry_every_kind(storage: Storage) -> None:
    add(storage, len(OutcomeKind))
    leases = take(storage)
    outcomes = [
        Outcome(lease.id, lease.token, kind, b'{"e":1}', 0.0)
        for lease, kind in zip(leases, OutcomeKind, strict=True)
    ]
    assert storage.run(storage.settle(outcomes, keep=60)) == {lease.id for lease in leases}
    states = {kind: state(storage, lease.id) for lease, kind in zip(leases, OutcomeKind, strict=True)}
    assert states == {
        OutcomeKind.DONE: JobState.DONE,
        OutcomeKind.DEAD: JobState.DEAD,
        OutcomeKind.CANCELLED: JobState.CANCELLED,
        OutcomeKind.RETRY: JobState.READY,
        OutcomeKind.SNOOZE: JobState.READY,
        OutcomeKind.RELEASE: JobState.READY,
    }


@pytest.mark.parametrize("count", [1, 2, 7, 500, 2500])
def test_batches_of_any_size_are_settled(storage: Storage, count: int) -> None:
    ids = add(storage, count)
    leases: list[Lease] = []
    while more := take(storage, 500):
        leases += more
    assert settle(storage, leases, OutcomeKind.DONE, body=b"1") == set(ids)
    assert storage.run(storage.counts(QUEUE)).get(JobState.DONE) == count


# -- retry, snooze, release --------------------------------------------------------------------------


def test_retry_costs_a_try_and_keeps_the_error(storage: Storage) -> None:
    (job_id,) = add(storage)
    settle(storage, take(storage), OutcomeKind.RETRY, body=b'{"type":"E"}')
    found = record(storage, job_id)
    assert (found.state, found.tries, found.body) == (JobState.READY, 1, b'{"type":"E"}')
    assert take(storage)[0].tries == 1


@pytest.mark.parametrize("kind", [OutcomeKind.SNOOZE, OutcomeKind.RELEASE])
def test_snooze_and_release_cost_no_try(storage: Storage, kind: OutcomeKind) -> None:
    add(storage)
    settle(storage, take(storage), kind)
    (lease,) = take(storage)
    assert (lease.tries, lease.crashes) == (0, 0)


def test_released_jobs_return_to_the_front_in_order(storage: Storage) -> None:
    ids = add(storage, 5)
    settle(storage, take(storage, 3), OutcomeKind.RELEASE)
    assert [lease.id for lease in take(storage)] == ids


@pytest.mark.parametrize("kind", [OutcomeKind.RETRY, OutcomeKind.SNOOZE])
def test_a_delayed_return_waits_in_the_storage(storage: Storage, kind: OutcomeKind) -> None:
    (job_id,) = add(storage)
    settle(storage, take(storage), kind, delay=0.05)
    assert state(storage, job_id) is JobState.SCHEDULED
    assert take(storage) == []
    tick_until(storage, lambda: state(storage, job_id) is JobState.READY)


# -- delays --------------------------------------------------------------------------------------------


def test_a_delayed_job_is_scheduled_then_promoted(storage: Storage) -> None:
    (job_id,) = add(storage, delay=0.05)
    assert state(storage, job_id) is JobState.SCHEDULED
    assert take(storage) == []
    tick_until(storage, lambda: state(storage, job_id) is JobState.READY)
    assert [lease.id for lease in take(storage)] == [job_id]


def test_a_job_of_tomorrow_is_not_promoted(storage: Storage) -> None:
    (job_id,) = add(storage, delay=86_400)
    add(storage, delay=0.01)
    tick_until(storage, lambda: bool(take(storage)))
    assert state(storage, job_id) is JobState.SCHEDULED


def test_a_pass_follows_another_at_once_only_when_eager(storage: Storage) -> None:
    add(storage, 3, delay=0.001)
    eventually(lambda: storage.run(storage.tick(QUEUE, limit=1, grace=60, outage=NEVER)).promoted == 1)
    again = storage.run(storage.tick(QUEUE, limit=1, grace=60, outage=NEVER))
    eager = storage.run(storage.tick(QUEUE, limit=1, grace=60, outage=NEVER, eager=True))
    assert (again.promoted, eager.promoted) == (0, 1)


def test_a_pass_says_whether_a_lease_would_find_something(storage: Storage) -> None:
    def ready(*, eager: bool) -> bool:
        return storage.run(storage.tick(QUEUE, limit=9, grace=60, outage=NEVER, eager=eager)).ready

    def ready_both_ways() -> list[bool]:
        return [ready(eager=True), ready(eager=False)]

    assert ready_both_ways() == [False, False]
    add(storage, queue="other")
    assert ready_both_ways() == [False, False]
    add(storage)
    assert ready_both_ways() == [True, True]
    storage.run(storage.pause(QUEUE, paused=True))
    assert ready_both_ways() == [False, False]
    storage.run(storage.pause(QUEUE, paused=False))
    leases = take(storage)
    assert ready_both_ways() == [False, False]
    expire(storage, leases)
    assert ready_both_ways() == [True, True]
    settle(storage, take(storage, alone=True), OutcomeKind.DONE)
    assert ready_both_ways() == [False, False]


def test_a_pass_that_promotes_says_that_jobs_are_ready(storage: Storage) -> None:
    add(storage, delay=0.01)
    passed = eventually(lambda: found if (found := tick(storage)).promoted else None)
    assert passed.ready


def test_whole_and_broken_seconds_may_be_mixed(storage: Storage) -> None:
    now, later = make(1), make(1, delay=60)
    storage.run(storage.enqueue([*now, later[0]._replace(delay=60)]))
    assert [lease.id for lease in take(storage)] == [now[0].id]


def test_a_tick_promotes_no_more_than_its_limit(storage: Storage) -> None:
    add(storage, 5, delay=0.001)
    promoted: list[int] = []

    def step() -> bool:
        promoted.append(storage.run(storage.tick(QUEUE, limit=2, grace=60, outage=NEVER)).promoted)
        return sum(promoted) == 5

    eventually(step)
    assert max(promoted) == 2


# -- crashes -------------------------------------------------------------------------------------------


def test_an_expired_lease_is_reclaimed_and_charged(storage: Storage) -> None:
    (job_id,) = add(storage)
    expire(storage, take(storage))
    found = record(storage, job_id)
    assert (found.state, found.tries, found.crashes) == (JobState.READY, 0, 1)


def test_an_extended_lease_is_not_reclaimed(storage: Storage) -> None:
    kept, lost = add(storage, 2)
    leases = take(storage)
    storage.run(storage.extend(leases, ttl=0.001))
    storage.run(storage.extend(leases[:1], ttl=60))
    tick_until(storage, lambda: state(storage, lost) is JobState.READY)
    assert state(storage, kept) is JobState.LEASED


def test_a_suspect_that_is_promoted_is_told_of(storage: Storage) -> None:
    (suspect,) = add(storage)
    expire(storage, take(storage))
    settle(storage, take(storage, alone=True), OutcomeKind.RETRY, delay=0.01)
    moment = record(storage, suspect).ready_at or 0.0
    eventually(lambda: storage.run(storage.schedules(QUEUE, [])).now > moment)
    passed = tick(storage)
    assert (passed.promoted, passed.suspects) == (1, 1)


def test_a_suspect_is_leased_alone_and_only_by_the_idle(storage: Storage) -> None:
    (suspect,) = add(storage)
    expire(storage, take(storage))
    clean = add(storage, 3)
    assert storage.run(storage.tick(QUEUE, limit=1, grace=60, outage=NEVER, eager=True)).suspects == 1
    assert [lease.id for lease in take(storage, 2)] == clean[:2]
    (lease,) = take(storage, alone=True)
    assert (lease.id, lease.crashes) == (suspect, 1)
    assert [lease.id for lease in take(storage, alone=True)] == clean[2:]


def test_the_crash_budget_ends_in_dead_with_the_reason(storage: Storage) -> None:
    (job_id,) = add(storage)
    for _ in range(CRASH_BUDGET):
        expire(storage, take(storage, alone=True))
    found = record(storage, job_id)
    assert (found.state, found.crashes, found.tries) == (JobState.DEAD, CRASH_BUDGET, 0)
    assert decode_error(found.body).type == "CrashBudgetSpent"
    assert take(storage, alone=True) == []


def test_forfeit_charges_only_what_had_begun(storage: Storage) -> None:
    begun, bystander, other = add(storage, 3)
    take(storage, 2, worker="dead")
    take(storage, 1, worker="alive")
    assert storage.run(storage.forfeit(QUEUE, worker="dead", begun={begun})) == 2
    charges = {job_id: storage.run(storage.get(job_id)) for job_id in (begun, bystander, other)}
    assert {key: (r.state, r.crashes) for key, r in charges.items() if r} == {
        begun: (JobState.READY, 1),
        bystander: (JobState.READY, 0),
        other: (JobState.LEASED, 0),
    }


def test_forfeit_spends_the_crash_budget(storage: Storage) -> None:
    (job_id,) = add(storage)
    for _ in range(CRASH_BUDGET):
        take(storage, worker="dead", alone=True)
        storage.run(storage.forfeit(QUEUE, worker="dead", begun={job_id}))
    assert state(storage, job_id) is JobState.DEAD


def test_forfeit_leaves_what_its_worker_keeps(storage: Storage) -> None:
    known, unknown = add(storage, 2)
    leases = take(storage, worker="w1")
    assert storage.run(storage.forfeit(QUEUE, worker="w1", begun=(), kept={known})) == 1
    assert settle(storage, leases, OutcomeKind.DONE, body=b"1") == {known}
    found = record(storage, unknown)
    assert (found.state, found.crashes) == (JobState.READY, 0)


def test_a_forfeited_lease_is_fenced_off(storage: Storage) -> None:
    add(storage)
    leases = take(storage, worker="dead")
    storage.run(storage.forfeit(QUEUE, worker="dead", begun=[]))
    assert settle(storage, leases, OutcomeKind.DONE, body=b"1") == set()


def test_after_an_outage_leases_get_a_grace_and_no_charge(storage: Storage) -> None:
    (job_id,) = add(storage)
    leases = take(storage)
    storage.run(storage.extend(leases, ttl=0.001))
    add(storage, delay=0.001)
    eventually(lambda: storage.run(storage.tick(QUEUE, limit=10, grace=60, outage=0.001)).promoted == 1)
    found = record(storage, job_id)
    assert (found.state, found.crashes) == (JobState.LEASED, 0)
    assert settle(storage, leases, OutcomeKind.DONE, body=b"1") == {job_id}


def test_after_an_outage_no_lease_is_charged_however_small_the_passes(storage: Storage) -> None:
    ids = add(storage, 5)
    leases = take(storage)
    storage.run(storage.extend(leases, ttl=0.001))
    moment = record(storage, ids[0]).enqueued_at + 0.2
    eventually(lambda: storage.run(storage.schedules(QUEUE, [])).now > moment)
    for outage in (0.1, 0.1, 0.1, NEVER):
        storage.run(storage.tick(QUEUE, limit=2, grace=60, outage=outage, eager=True))
    assert settle(storage, leases, OutcomeKind.DONE) == set(ids)


# -- results -------------------------------------------------------------------------------------------


def test_a_result_is_kept(storage: Storage) -> None:
    (job_id,) = add(storage)
    settle(storage, take(storage), OutcomeKind.DONE, body=b'{"a":1}')
    found = record(storage, job_id)
    assert (found.task, found.state, found.body) == ("app.task", JobState.DONE, b'{"a":1}')


def test_a_result_expires_and_is_pruned(storage: Storage) -> None:
    (job_id,) = add(storage)
    settle(storage, take(storage), OutcomeKind.DONE, body=b"1", keep=0.05)
    eventually(lambda: storage.run(storage.get(job_id)) is None)
    pruned: list[int] = []

    def step() -> bool:
        pruned.append(storage.run(storage.tick(QUEUE, limit=100, grace=60, outage=NEVER)).pruned)
        return sum(pruned) == 1

    eventually(step)
    assert storage.run(storage.counts(QUEUE)).get(JobState.DONE, 0) == 0


def test_a_dead_job_is_kept_with_its_error(storage: Storage) -> None:
    (job_id,) = add(storage)
    settle(storage, take(storage), OutcomeKind.DEAD, body=b'{"type":"E"}', keep=0.001)
    storage.run(storage.tick(QUEUE, limit=100, grace=60, outage=NEVER))
    found = record(storage, job_id)
    assert (found.state, found.body) == (JobState.DEAD, b'{"type":"E"}')


def test_an_unknown_job_is_none_and_a_foreign_id_is_refused(storage: Storage) -> None:
    assert storage.run(storage.get(new_ids(QUEUE, 1)[0])) is None
    with pytest.raises(JobNotFound):
        storage.get("no such id")


def test_counts_tell_each_state(storage: Storage) -> None:
    add(storage, 6)
    add(storage, 1, delay=60)
    settle(storage, take(storage, 1), OutcomeKind.DONE, body=b"1")
    settle(storage, take(storage, 1), OutcomeKind.DEAD, body=b"{}")
    take(storage, 1)
    counts = {key: n for key, n in storage.run(storage.counts(QUEUE)).items() if n}
    assert counts == {
        JobState.READY: 3,
        JobState.SCHEDULED: 1,
        JobState.LEASED: 1,
        JobState.DONE: 1,
        JobState.DEAD: 1,
    }


# -- the storage itself --------------------------------------------------------------------------------


def test_a_job_of_another_queue_is_not_leased_here(storage: Storage) -> None:
    add(storage, queue="other")
    assert take(storage) == []


def test_migrating_twice_and_by_two_at_once_is_safe(storage: Storage, url: str) -> None:
    errors: list[Exception] = []

    def migrate() -> None:
        try:
            connect(url).migrate()
        except Exception as error:  # noqa: BLE001
            errors.append(error)

    threads = [threading.Thread(target=migrate) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert "nothing to" in storage.migrate()[0]


@pytest.mark.parametrize("url", ["postgres", "redis"], indirect=True)
def test_a_forked_child_uses_connections_of_its_own(storage: Storage) -> None:
    add(storage)
    child = os.fork()
    if child == 0:
        os._exit(len(take(storage)) - 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert take(storage) == []
    add(storage)
    assert len(take(storage)) == 1
