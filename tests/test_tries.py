"""How often a job was tried, as people see it: on every storage."""

from __future__ import annotations

import pytest

from distq import DistQ, JobState
from distq.admin.views import JobView
from distq.job import CRASH_BUDGET, JobRecord, OutcomeKind
from distq.storage import Storage
from tests.contract.steps import WHY, add, record, settle, take
from tests.stores import app as app
from tests.stores import storage as storage


def kinds(storage: Storage, job_id: str) -> list[str]:
    return [attempt.kind for attempt in JobView.of(record(storage, job_id)).attempts]


def seen(storage: Storage, job_id: str) -> tuple[JobState, int, int]:
    job = JobView.of(record(storage, job_id))
    return job.state, job.tries, job.crashes


@pytest.mark.parametrize("kind", [OutcomeKind.DONE, OutcomeKind.DEAD, OutcomeKind.CANCELLED])
def test_the_try_that_runs_or_ended_a_job_counts(storage: Storage, kind: OutcomeKind) -> None:
    (job_id,) = add(storage)
    assert seen(storage, job_id) == (JobState.READY, 0, 0)
    settle(storage, take(storage), OutcomeKind.RETRY)
    assert seen(storage, job_id) == (JobState.READY, 1, 0)
    leases = take(storage)
    assert seen(storage, job_id) == (JobState.LEASED, 2, 0)
    settle(storage, leases, kind, body=WHY)
    assert seen(storage, job_id) == (JobState(kind.value), 2, 0)


@pytest.mark.parametrize("kind", [OutcomeKind.SNOOZE, OutcomeKind.RELEASE])
def test_what_is_put_off_or_given_back_was_no_try(storage: Storage, kind: OutcomeKind) -> None:
    (job_id,) = add(storage)
    settle(storage, take(storage), kind)
    assert seen(storage, job_id) == (JobState.READY, 0, 0)


def test_a_crash_was_a_try_too(storage: Storage) -> None:
    (job_id,) = add(storage)
    for number in range(CRASH_BUDGET):
        assert seen(storage, job_id) == (JobState.READY, number, number)
        take(storage, worker="w1", alone=True)
        assert seen(storage, job_id) == (JobState.LEASED, number + 1, number)
        storage.run(storage.forfeit("mail", worker="w1", begun={job_id}))
    assert seen(storage, job_id) == (JobState.DEAD, CRASH_BUDGET, CRASH_BUDGET)


def test_a_replay_counts_anew_and_what_is_cancelled_then_was_not_tried(app: DistQ, storage: Storage) -> None:
    (job_id,) = add(storage)
    settle(storage, take(storage), OutcomeKind.CANCELLED, body=WHY)
    app.job(job_id).replay()
    assert seen(storage, job_id) == (JobState.READY, 0, 0)
    app.job(job_id).cancel("again")
    assert seen(storage, job_id) == (JobState.CANCELLED, 0, 0)
    ends = [event.error for event in app.job(job_id).timeline() if event.what == "cancelled"]
    assert ends == ["Cancelled: for the test", "Cancelled: again"]


def test_a_try_that_failed_when_its_job_was_cancelled_counts_once(app: DistQ, storage: Storage) -> None:
    (job_id,) = add(storage)
    leases = take(storage)
    app.job(job_id).cancel("enough")
    settle(storage, leases, OutcomeKind.RETRY, body=b'{"type":"E","message":"boom"}')
    assert seen(storage, job_id) == (JobState.CANCELLED, 1, 0)


@pytest.mark.parametrize("kind", [OutcomeKind.DONE, OutcomeKind.DEAD, OutcomeKind.CANCELLED])
def test_every_attempt_that_has_ended_is_listed(storage: Storage, kind: OutcomeKind) -> None:
    (job_id,) = add(storage)
    assert kinds(storage, job_id) == []
    settle(storage, take(storage), OutcomeKind.RETRY, body=WHY)
    take(storage, worker="w2")
    storage.run(storage.forfeit("mail", worker="w2", begun={job_id}))
    leases = take(storage, worker="w3", alone=True)
    assert kinds(storage, job_id) == ["retry", "crash"]
    settle(storage, leases, kind, body=WHY)
    assert kinds(storage, job_id) == ["retry", "crash", kind]
    assert seen(storage, job_id) == (JobState(kind.value), 3, 1)


def test_the_attempt_that_succeeded_has_what_is_known_of_it(app: DistQ, storage: Storage) -> None:
    (job_id,) = add(storage)
    settle(storage, take(storage), OutcomeKind.DONE, body=b"1")
    job = JobView.of(record(storage, job_id))
    (attempt,) = job.attempts
    assert (attempt.kind, attempt.worker, attempt.ran, attempt.error) == ("done", "w1", None, None)
    assert (attempt.leased_at, attempt.ended_at) == (job.leased_at, job.ended_at)
    assert [(event.what, event.began) for event in app.job(job_id).timeline()] == [
        ("enqueued", None),
        ("done", job.leased_at),
    ]


def test_a_job_that_spent_its_crashes_lists_these_and_how_long_they_ran_nobody_knows(
    storage: Storage,
) -> None:
    (job_id,) = add(storage)
    for _ in range(CRASH_BUDGET):
        take(storage, worker="w1", alone=True)
        storage.run(storage.forfeit("mail", worker="w1", begun={job_id}))
    attempts = JobView.of(record(storage, job_id)).attempts
    assert [(attempt.kind, attempt.ran) for attempt in attempts] == [("crash", None)] * CRASH_BUDGET


@pytest.mark.parametrize("begun", [True, False])
def test_what_was_given_back_to_be_cancelled_was_an_attempt_only_where_it_had_begun(
    app: DistQ, storage: Storage, begun: bool
) -> None:
    (job_id,) = add(storage)
    take(storage, worker="w1")
    app.job(job_id).cancel("enough")
    storage.run(storage.forfeit("mail", worker="w1", begun={job_id} if begun else set()))
    assert kinds(storage, job_id) == ["crash"] * begun
    assert seen(storage, job_id) == (JobState.CANCELLED, begun, begun)


def test_an_earlier_cancellation_makes_no_try_of_what_was_given_back(app: DistQ, storage: Storage) -> None:
    (job_id,) = add(storage)
    settle(storage, take(storage), OutcomeKind.CANCELLED, body=WHY)
    app.job(job_id).replay()
    leases = take(storage)
    app.job(job_id).cancel("again")
    settle(storage, leases, OutcomeKind.RELEASE)
    assert seen(storage, job_id) == (JobState.CANCELLED, 0, 0)


def test_of_a_job_that_an_older_version_ended_no_attempt_is_made_up() -> None:
    job = JobRecord("mail:0198c0ffee0070008000000000000000", "app.task", JobState.DONE, ended_at=2.0)
    assert JobView.of(job).attempts == []
