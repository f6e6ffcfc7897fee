"""How often a job was tried, as people see it: on every storage."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from distq import DistQ, JobState
from distq.admin.views import JobView
from distq.job import CRASH_BUDGET, OutcomeKind
from distq.storage import Storage
from tests.contract.steps import WHY, add, record, settle, take
from tests.world import url_of


@pytest.fixture(params=["memory", "postgres", "redis"])
def app(request: pytest.FixtureRequest) -> Iterator[DistQ]:
    app = DistQ("memory://" if request.param == "memory" else url_of(request, request.param))
    app.storage.migrate()
    yield app
    app.close()


@pytest.fixture
def storage(app: DistQ) -> Storage:
    return app.storage


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
