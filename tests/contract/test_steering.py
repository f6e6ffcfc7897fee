"""The contract of `distq/storage.py`: cancel, replay, remove, prune, pause."""

from __future__ import annotations

import pytest

from distq.job import CRASH_BUDGET, HISTORY, Enqueued, Hold, JobState, Outcome, OutcomeKind
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


def cancel(storage: Storage, *ids: str) -> dict[str, JobState]:
    return storage.run(storage.cancel(ids, reason=WHY))


# -- cancel ----------------------------------------------------------------------------------------------


def test_what_waits_is_cancelled_at_once(storage: Storage) -> None:
    (ready,) = add(storage)
    (scheduled,) = add(storage, delay=60)
    (kept,) = add(storage)
    assert cancel(storage, ready, scheduled, make()[0].id) == {
        ready: JobState.CANCELLED,
        scheduled: JobState.CANCELLED,
    }
    found = record(storage, ready)
    assert (found.state, found.body, found.ready_at) == (JobState.CANCELLED, WHY, None)
    assert found.ended_at is not None
    assert [lease.id for lease in take(storage)] == [kept]
    assert cancel(storage, ready) == {}


def test_a_suspect_can_be_cancelled(storage: Storage) -> None:
    (job_id,) = add(storage)
    expire(storage, take(storage))
    assert cancel(storage, job_id) == {job_id: JobState.CANCELLED}
    assert take(storage, alone=True) == []


def test_what_runs_is_told_at_its_next_extend(storage: Storage) -> None:
    asked, other = add(storage, 2)
    leases = take(storage)
    assert cancel(storage, asked) == {asked: JobState.LEASED}
    assert record(storage, asked).cancelling
    assert not record(storage, other).cancelling
    answer = storage.run(storage.extend(leases, ttl=60))
    assert (answer.ours, answer.cancelled) == ({asked, other}, {asked})


def test_what_runs_may_end_as_cancelled(storage: Storage) -> None:
    (job_id,) = add(storage)
    leases = take(storage)
    cancel(storage, job_id)
    assert settle(storage, leases, OutcomeKind.CANCELLED, body=b'{"type":"Stopped"}') == {job_id}
    found = record(storage, job_id)
    assert (found.state, found.body, found.cancelling) == (JobState.CANCELLED, b'{"type":"Stopped"}', False)


def test_what_ends_as_it_was_asked_to_has_the_reason_that_was_given(storage: Storage) -> None:
    asked, by_itself = add(storage, 2)
    leases = take(storage)
    cancel(storage, asked)
    settle(storage, leases, OutcomeKind.CANCELLED)
    assert [record(storage, job_id).body for job_id in (asked, by_itself)] == [WHY, b""]


@pytest.mark.parametrize("kind", [OutcomeKind.RETRY, OutcomeKind.SNOOZE, OutcomeKind.RELEASE])
@pytest.mark.parametrize("delay", [0, 60])
def test_what_was_to_be_cancelled_does_not_run_again(
    storage: Storage, kind: OutcomeKind, delay: float
) -> None:
    (job_id,) = add(storage)
    leases = take(storage)
    cancel(storage, job_id)
    assert settle(storage, leases, kind, body=b'{"type":"E"}', delay=delay) == {job_id}
    assert (record(storage, job_id).state, record(storage, job_id).body) == (JobState.CANCELLED, WHY)
    tick(storage)
    assert take(storage, alone=True) == []


@pytest.mark.parametrize("kind", [OutcomeKind.DONE, OutcomeKind.DEAD])
def test_what_ends_before_it_hears_of_it_has_ended(storage: Storage, kind: OutcomeKind) -> None:
    (job_id,) = add(storage)
    leases = take(storage)
    cancel(storage, job_id)
    settle(storage, leases, kind, body=b"1")
    assert (state(storage, job_id), record(storage, job_id).body) == (JobState(kind), b"1")


def test_a_lost_lease_of_what_was_to_be_cancelled_cancels_it(storage: Storage) -> None:
    expired, forfeited = add(storage, 2)
    leases = take(storage, 1) + take(storage, 1, worker="dead")
    cancel(storage, expired, forfeited)
    storage.run(storage.forfeit(QUEUE, worker="dead", begun={forfeited}))
    expire(storage, leases[:1])
    assert {state(storage, job_id) for job_id in (expired, forfeited)} == {JobState.CANCELLED}
    assert take(storage, alone=True) == []


def test_many_are_cancelled_in_a_call(storage: Storage) -> None:
    ids = add(storage, 1500)
    assert len(cancel(storage, *ids)) == 1500
    assert storage.run(storage.counts(QUEUE)).get(JobState.CANCELLED) == 1500


# -- replay, remove --------------------------------------------------------------------------------------


def test_replay_starts_anew_and_keeps_the_history(storage: Storage) -> None:
    (job_id,) = add(storage, payload=b"{}\n{1}", priority=2)
    settle(storage, take(storage), OutcomeKind.RETRY, body=b'{"type":"First"}')
    expire(storage, take(storage))
    settle(storage, take(storage, alone=True), OutcomeKind.DEAD, body=b'{"type":"Last"}')
    assert storage.run(storage.replay([job_id, *(job.id for job in make())])) == {job_id}
    found = record(storage, job_id)
    assert (found.state, found.tries, found.crashes, found.ended_at) == (JobState.READY, 0, 0, None)
    assert (found.priority, found.payload) == (2, b"{}\n{1}")
    assert [attempt.kind for attempt in found.attempts] == ["retry", "crash", "dead"]
    (lease,) = take(storage)
    assert (lease.id, lease.payload, lease.tries, lease.crashes) == (job_id, b"{}\n{1}", 0, 0)
    assert storage.run(storage.replay([job_id])) == set()
    settle(storage, [lease], OutcomeKind.DONE)
    assert storage.run(storage.replay([job_id])) == set()


def test_a_cancelled_and_a_buried_job_can_be_replayed(storage: Storage) -> None:
    buried, cancelled = add(storage, 2)
    cancel(storage, cancelled)
    for _ in range(CRASH_BUDGET):
        expire(storage, take(storage, alone=True))
    assert storage.run(storage.replay([buried, cancelled])) == {buried, cancelled}
    assert {lease.id for lease in take(storage)} == {buried, cancelled}


def test_replay_respects_keys(storage: Storage) -> None:
    dead, taker, again = keyed(), keyed(), keyed()
    storage.run(storage.enqueue([dead]))
    settle(storage, take(storage), OutcomeKind.DEAD, body=WHY)
    storage.run(storage.enqueue([taker]))
    assert storage.run(storage.replay([dead.id])) == set()
    assert state(storage, dead.id) is JobState.DEAD
    settle(storage, take(storage), OutcomeKind.DONE)
    assert storage.run(storage.replay([dead.id])) == {dead.id}
    assert storage.run(storage.enqueue([again]))[0].id == dead.id
    settle(storage, take(storage), OutcomeKind.DONE)
    assert storage.run(storage.enqueue([again]))[0].created


def test_a_replayed_job_may_be_enqueued_again_safely(storage: Storage) -> None:
    jobs = make()
    storage.run(storage.enqueue(jobs))
    settle(storage, take(storage), OutcomeKind.DEAD, body=WHY)
    storage.run(storage.replay([jobs[0].id]))
    assert not storage.run(storage.enqueue(jobs))[0].created
    assert len(take(storage)) == 1


def test_remove_forgets_what_nobody_holds(storage: Storage) -> None:
    done, dead, leased = add(storage, 3)
    leases = take(storage)
    settle(storage, leases[:1], OutcomeKind.DONE)
    settle(storage, leases[1:2], OutcomeKind.DEAD)
    (ready,) = add(storage)
    (scheduled,) = add(storage, delay=60)
    gone = {done, dead, ready, scheduled}
    assert storage.run(storage.remove([*gone, leased, make()[0].id])) == gone
    assert all(storage.run(storage.get(job_id)) is None for job_id in gone)
    assert {key: n for key, n in storage.run(storage.counts(QUEUE)).items() if n} == {JobState.LEASED: 1}
    assert settle(storage, leases[2:], OutcomeKind.DONE) == {leased}
    tick(storage)
    assert take(storage) == []


def test_remove_forgets_an_expired_result_without_a_word(storage: Storage) -> None:
    job = make()[0]
    storage.run(storage.enqueue([job]))
    settle(storage, take(storage), OutcomeKind.DONE, keep=0.001)
    eventually(lambda: storage.run(storage.get(job.id)) is None)
    assert storage.run(storage.enqueue([job])) == [Enqueued(job.id, False)]
    assert storage.run(storage.remove([job.id])) == set()
    assert storage.run(storage.enqueue([job])) == [Enqueued(job.id, True)]


# -- prune -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [OutcomeKind.DONE, OutcomeKind.DEAD, OutcomeKind.CANCELLED])
def test_prune_forgets_by_age_and_by_count(storage: Storage, kind: OutcomeKind) -> None:
    def prune(older: float = 1e6, beyond: int = 100, limit: int = 100) -> int:
        op = storage.prune(QUEUE, JobState(kind), older=older, beyond=beyond, limit=limit)
        return storage.run(op)

    ids = add(storage, 6)
    for lease in take(storage):
        settle(storage, [lease], kind, body=WHY)
    assert prune() == 0
    assert prune(beyond=4) == 2
    assert [job_id for job_id in ids if storage.run(storage.get(job_id))] == ids[2:]
    assert prune(beyond=0, limit=1) == 1
    pruned: list[int] = []
    eventually(lambda: pruned.append(prune(older=0.001)) or sum(pruned) == 3)
    assert not any(storage.run(storage.get(job_id)) for job_id in ids)
    assert storage.run(storage.counts(QUEUE)).get(JobState(kind), 0) == 0


def test_prune_touches_one_queue_and_one_state(storage: Storage) -> None:
    add(storage, 2)
    leases = take(storage)
    settle(storage, leases[:1], OutcomeKind.DEAD)
    settle(storage, leases[1:], OutcomeKind.CANCELLED)
    assert storage.run(storage.prune("other", JobState.DEAD, older=0, beyond=0, limit=9)) == 0
    assert storage.run(storage.prune(QUEUE, JobState.DEAD, older=1e6, beyond=0, limit=9)) == 1
    assert state(storage, leases[1].id) is JobState.CANCELLED


# -- pause -----------------------------------------------------------------------------------------------


def test_a_paused_queue_gives_no_job(storage: Storage) -> None:
    add(storage, 3)
    leases = take(storage, 1)
    storage.run(storage.pause(QUEUE, paused=True))
    storage.run(storage.pause(QUEUE, paused=True))
    add(storage)
    assert take(storage) == take(storage, alone=True) == []
    assert storage.run(storage.extend(leases, ttl=60)).ours == {leases[0].id}
    assert settle(storage, leases, OutcomeKind.DONE) == {leases[0].id}
    assert storage.run(storage.queues())[QUEUE] is True
    storage.run(storage.pause(QUEUE, paused=False))
    assert len(take(storage)) == 3
    assert storage.run(storage.queues())[QUEUE] is False


def test_a_paused_queue_still_promotes_and_reclaims(storage: Storage) -> None:
    add(storage)
    leases = take(storage)
    storage.run(storage.pause(QUEUE, paused=True))
    (due,) = add(storage, delay=0.01)
    expire(storage, leases)
    tick_until(storage, lambda: state(storage, due) is JobState.READY)


# -- history ---------------------------------------------------------------------------------------------


def test_every_attempt_that_failed_is_remembered(storage: Storage) -> None:
    (job_id,) = add(storage)
    for kind in (OutcomeKind.RETRY, OutcomeKind.SNOOZE, OutcomeKind.RELEASE):
        (lease,) = take(storage, worker=f"w-{kind}")
        error = f'{{"type":"{kind}","message":"a\\nb"}}'.encode()
        storage.run(storage.settle([Outcome(job_id, lease.token, kind, error, 0.0, 1.5)], keep=60))
    storage.run(storage.forfeit(QUEUE, worker=take(storage, worker="dead") and "dead", begun={job_id}))
    settle(storage, take(storage, worker="last", alone=True), OutcomeKind.DEAD, body=b'{"type":"dead"}')
    found = record(storage, job_id)
    assert [(attempt.kind, attempt.worker, attempt.error, attempt.ran) for attempt in found.attempts] == [
        ("retry", "w-retry", b'{"type":"retry","message":"a\\nb"}', 1.5),
        ("snooze", "w-snooze", b'{"type":"snooze","message":"a\\nb"}', 1.5),
        ("crash", "dead", b"", 0.0),
        ("dead", "last", b'{"type":"dead"}', 0.0),
    ]
    assert found.worker == "last"
    times = [t for attempt in found.attempts for t in (attempt.leased_at, attempt.ended_at)]
    assert times == sorted(times)
    assert found.enqueued_at <= times[0]
    assert found.ended_at == pytest.approx(times[-1], abs=0.01)


def test_history_is_bounded(storage: Storage) -> None:
    (job_id,) = add(storage)
    for number in range(HISTORY + 3):
        settle(storage, take(storage), OutcomeKind.SNOOZE, body=b'{"n":%d}' % number)
    attempts = record(storage, job_id).attempts
    assert [attempt.error for attempt in attempts] == [b'{"n":%d}' % n for n in range(3, HISTORY + 3)]


def test_a_done_job_says_who_ran_it_and_what_failed_before(storage: Storage) -> None:
    (job_id,) = add(storage)
    settle(storage, take(storage, worker="first"), OutcomeKind.RETRY, body=b'{"type":"E"}')
    settle(storage, take(storage, worker="second"), OutcomeKind.DONE, body=b"1")
    found = record(storage, job_id)
    assert (found.worker, found.tries, found.body) == ("second", 1, b"1")
    assert [attempt.worker for attempt in found.attempts] == ["first"]
    assert found.leased_at is not None
    assert found.ended_at is not None
    assert found.enqueued_at <= found.leased_at <= found.ended_at


# -- progress --------------------------------------------------------------------------------------------


def test_progress_is_noted_by_the_holder_and_kept_across_retries(storage: Storage) -> None:
    first, second = add(storage, 2)
    leases = take(storage)
    storage.run(storage.extend(leases, ttl=60, progress={first: b'{"fraction":0.4}'}))
    assert (record(storage, first).progress, record(storage, second).progress) == (b'{"fraction":0.4}', b"")
    settle(storage, leases[:1], OutcomeKind.RETRY)
    assert record(storage, first).progress == b'{"fraction":0.4}'
    stale = storage.run(storage.extend(leases[:1], ttl=60, progress={first: b"stale"}))
    assert stale.ours == set()
    settle(storage, take(storage), OutcomeKind.DONE)
    assert record(storage, first).progress == b'{"fraction":0.4}'


def test_a_replayed_jobs_progress_and_key_start_anew(storage: Storage) -> None:
    job = keyed(hold=Hold.WAITING)
    storage.run(storage.enqueue([job]))
    leases = take(storage)
    storage.run(storage.extend(leases, ttl=60, progress={job.id: b"1"}))
    settle(storage, leases, OutcomeKind.DEAD)
    assert storage.run(storage.replay([job.id])) == {job.id}
    assert record(storage, job.id).progress == b""
    assert storage.run(storage.enqueue([keyed(hold=Hold.WAITING)]))[0].id == job.id
