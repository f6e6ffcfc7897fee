"""Why a job is not running, and its timeline: each answer, on every storage."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from distq import DistQ, Job, JobNotFound, JobState
from distq.admin import why
from distq.admin.views import JobView
from distq.job import NewJob, OutcomeKind, Presence
from distq.storage import Storage
from tests.contract.steps import QUEUE, WHY, add, make, record, settle, take
from tests.helpers import eventually
from tests.stores import app as app
from tests.stores import storage as storage

START = f"distq worker MODULE:APP --queues {QUEUE}"


def announce(storage: Storage, name: str = "w1", *, tasks: tuple[str, ...] = ("app.task",)) -> None:
    storage.run(storage.announce(Presence(name, "host", 1, (QUEUE,), tasks)))


def answer(app: DistQ, job_id: str) -> str:
    return app.job(job_id).why().answer


# -- ready -----------------------------------------------------------------------------------------------


def test_nobody_serves_the_queue(app: DistQ, storage: Storage) -> None:
    (job_id,) = add(storage)
    storage.run(storage.announce(Presence("w1", "host", 1, ("bulk",), ("app.task",))))
    found = app.job(job_id).why()
    assert (found.id, found.state, found.remedy) == (job_id, JobState.READY, START)
    assert found.answer == "no live worker serves queue mail"


def test_who_has_not_been_seen_lately_does_not_count(
    app: DistQ, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    (job_id,) = add(storage)
    announce(storage)
    assert "it is next" in answer(app, job_id)
    monkeypatch.setattr("distq.admin.overview.LIVE", 0.001)
    eventually(lambda: answer(app, job_id) == "no live worker serves queue mail")


def test_the_queue_is_paused(app: DistQ, storage: Storage) -> None:
    (job_id,) = add(storage)
    announce(storage)
    app.queue(QUEUE).pause()
    found = app.job(job_id).why()
    assert (found.answer, found.remedy) == ("queue mail is paused", "distq resume mail")


def test_nobody_knows_the_task(app: DistQ, storage: Storage) -> None:
    (job_id,) = add(storage)
    announce(storage, tasks=("app.other",))
    assert answer(app, job_id) == "no live worker of queue mail knows task app.task (1 live worker)"
    announce(storage, "w2", tasks=("app.task",))
    assert "it waits its turn" in answer(app, job_id)


def test_others_come_first(app: DistQ, storage: Storage) -> None:
    add(storage, 2)
    take(storage)
    add(storage, 3)
    (last,) = add(storage)
    (urgent,) = add(storage, priority=1)
    announce(storage)
    announce(storage, "w2")
    busy = "2 running on 2 live workers"
    assert answer(app, last) == f"it waits its turn: 4 ready before it; {busy}"
    assert answer(app, urgent) == f"it waits its turn: it is next; {busy}"


def test_too_many_come_first_to_count(app: DistQ, storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(why, "AHEAD", 3)
    add(storage, 5)
    (last,) = add(storage)
    announce(storage)
    assert "3 or more ready before it" in answer(app, last)


def test_a_suspect_runs_alone(app: DistQ, storage: Storage) -> None:
    (job_id,) = add(storage)
    storage.run(storage.forfeit(QUEUE, worker=take(storage) and "w1", begun={job_id}))
    announce(storage)
    assert answer(app, job_id) == (
        "a worker died in it (1 crash), so it runs alone: it waits for a worker that holds nothing else;"
        " 0 running on 1 live worker"
    )


# -- scheduled -------------------------------------------------------------------------------------------


def test_its_time_is_to_come(app: DistQ, storage: Storage) -> None:
    (job_id,) = add(storage, delay=3600)
    announce(storage)
    due = datetime.fromtimestamp(record(storage, job_id).ready_at or 0, UTC)
    text = answer(app, job_id)
    assert text.startswith("it is scheduled: due in 59 min 59 s, at ") or "due in 1 h, at " in text
    assert f"{due:%Y-%m-%d %H:%M:%S} UTC" in text


def test_a_retry_tells_why_it_waits(app: DistQ, storage: Storage) -> None:
    (job_id,) = add(storage)
    announce(storage)
    settle(storage, take(storage), OutcomeKind.RETRY, body=WHY, delay=60)
    text = answer(app, job_id)
    assert text.startswith("it is scheduled for try 2: due in ")
    assert text.endswith("; the last one failed: Cancelled: for the test")


def test_besides_its_time_something_else_hinders(app: DistQ, storage: Storage) -> None:
    (job_id,) = add(storage, delay=3600)
    found = app.job(job_id).why()
    assert found.answer.endswith("; besides, no live worker serves queue mail")
    assert found.remedy == START


def test_it_is_overdue(app: DistQ, storage: Storage) -> None:
    (job_id,) = add(storage, delay=0.001)
    eventually(lambda: "it was due" in answer(app, job_id))
    assert app.job(job_id).why().remedy == START
    announce(storage)
    assert "the next maintenance pass makes it ready" in answer(app, job_id)


# -- leased ----------------------------------------------------------------------------------------------


def test_it_runs(app: DistQ, storage: Storage) -> None:
    (job_id,) = add(storage)
    announce(storage)
    take(storage, worker="w1", ttl=40)
    found = app.job(job_id).why()
    assert found.state is JobState.LEASED
    assert found.answer.startswith("it is running: leased by w1 0")
    assert found.answer.endswith("UTC unless it is renewed")
    assert found.remedy is None


def test_its_worker_has_not_been_seen(app: DistQ, storage: Storage) -> None:
    (job_id,) = add(storage)
    announce(storage, "w1")
    take(storage, worker="w9")
    assert answer(app, job_id).endswith("that worker has not announced itself lately, and may be dead")


def test_it_was_asked_to_end(app: DistQ, storage: Storage) -> None:
    (job_id,) = add(storage)
    take(storage)
    app.job(job_id).cancel()
    assert "it was asked to end" in answer(app, job_id)


def test_its_lease_is_overdue(app: DistQ, storage: Storage) -> None:
    (job_id,) = add(storage)
    take(storage, worker="w1", ttl=0.001)
    eventually(lambda: answer(app, job_id).startswith("its lease is overdue: leased by w1 "))
    assert app.job(job_id).why().remedy == START
    announce(storage)
    assert app.job(job_id).why().remedy is None


# -- ended -----------------------------------------------------------------------------------------------


def test_it_has_ended(app: DistQ, storage: Storage) -> None:
    done, dead, cancelled = add(storage, 3)
    leases = take(storage, worker="w1")
    settle(storage, leases[:1], OutcomeKind.DONE)
    settle(storage, leases[1:2], OutcomeKind.DEAD, body=b'{"type":"E","message":"boom\\nand more"}')
    settle(storage, leases[2:], OutcomeKind.CANCELLED, body=WHY)
    found = app.job(done).why()
    assert found.answer.startswith("it is done: it ended 0")
    assert found.answer.endswith("ago on w1")
    assert found.remedy is None
    found = app.job(dead).why()
    assert found.answer.startswith("it is dead: it ended 0")
    assert found.answer.endswith(": E: boom")
    assert found.remedy == f"distq replay {dead}"
    assert answer(app, cancelled).endswith(": Cancelled: for the test")


def test_it_is_not_known(app: DistQ) -> None:
    (job,) = make()
    found = app.job(job.id).why()
    assert found.state is None
    assert found.answer.startswith("it is not known")


def test_coroutines_get_the_same(app: DistQ, storage: Storage) -> None:
    (job_id,) = add(storage)
    job = app.job(job_id)

    async def ask() -> tuple[Any, Any]:
        try:
            return await job.awhy(), await job.atimeline()
        finally:
            await app.aclose()

    assert asyncio.run(ask()) == (job.why(), job.timeline())


# -- the timeline ----------------------------------------------------------------------------------------


def events(job: Job[Any]) -> list[tuple[str, str | None, str | None]]:
    found = job.timeline()
    times = [event.at for event in found]
    assert times == sorted(times)
    assert all(event.began <= event.at for event in found if event.began)
    return [(event.what, event.worker, event.error) for event in found]


def test_the_timeline_of_a_hard_life(app: DistQ, storage: Storage) -> None:
    (job_id,) = add(storage)
    job = app.job(job_id)
    assert events(job) == [("enqueued", None, None)]
    settle(storage, take(storage, worker="w1"), OutcomeKind.RETRY, body=b'{"type":"E","message":"boom"}')
    storage.run(storage.forfeit(QUEUE, worker=take(storage, worker="w2") and "w2", begun={job_id}))
    past = [("enqueued", None, None), ("retry", "w1", "E: boom"), ("crash", "w2", None)]
    assert events(job) == past
    leases = take(storage, worker="w3", alone=True)
    assert events(job) == [*past, ("leased", "w3", None)]
    settle(storage, leases, OutcomeKind.RETRY, delay=60)
    assert events(job) == [*past, ("retry", "w3", None), ("due", None, None)]
    app.job(job_id).cancel("enough")
    cancelled = ("cancelled", None, "Cancelled: enough")
    assert events(job) == [*past, ("retry", "w3", None), cancelled]


@pytest.mark.parametrize("kind", [OutcomeKind.DONE, OutcomeKind.DEAD, OutcomeKind.CANCELLED])
def test_the_timeline_ends_once(app: DistQ, storage: Storage, kind: OutcomeKind) -> None:
    (job_id,) = add(storage)
    settle(storage, take(storage, worker="w1"), kind, body=b"" if kind is OutcomeKind.DONE else WHY)
    error = None if kind is OutcomeKind.DONE else "Cancelled: for the test"
    assert events(app.job(job_id)) == [("enqueued", None, None), (kind.value, "w1", error)]


def test_an_unknown_job_has_no_timeline(app: DistQ) -> None:
    with pytest.raises(JobNotFound):
        app.job(make()[0].id).timeline()


# -- what people see of a job ----------------------------------------------------------------------------


def view(storage: Storage, job: NewJob) -> JobView:
    storage.run(storage.enqueue([job]))
    return JobView.of(record(storage, job.id))


def test_a_job_is_seen_decoded(storage: Storage) -> None:
    (job,) = make(payload=b'{"retries":5}\n{"to":"a","n":12345678901234567890123}')
    seen = view(storage, job)
    assert (seen.arguments, seen.headers) == ({"to": "a", "n": 12345678901234567890123}, {"retries": 5})
    (lease,) = take(storage)
    storage.run(storage.extend([lease], ttl=60, progress={job.id: b'{"fraction":0.4,"message":"half"}'}))
    settle(storage, [lease], OutcomeKind.DONE, body=b'{"sent":[1,2]}')
    seen = JobView.of(record(storage, job.id))
    assert (seen.result, seen.error) == ({"sent": [1, 2]}, None)
    assert seen.progress
    assert (seen.progress.fraction, seen.progress.message) == (0.4, "half")
    assert seen.ended_at
    assert seen.ended_at.tzinfo is UTC
    assert JobView.model_validate_json(seen.model_dump_json()) == seen


def test_what_cannot_be_decoded_is_seen_as_it_is(storage: Storage) -> None:
    (job,) = make(payload=b"no json\nat all \xff")
    assert view(storage, job).arguments == "no json\nat all \ufffd"
    (lease,) = take(storage)
    storage.run(storage.extend([lease], ttl=60, progress={job.id: b"half"}))
    settle(storage, [lease], OutcomeKind.RETRY, body=b"went wrong")
    seen = JobView.of(record(storage, job.id))
    assert seen.error
    assert (seen.error.type, seen.error.message) == ("Unknown", "went wrong")
    assert seen.progress
    assert seen.progress.message == "half"
