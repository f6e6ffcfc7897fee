"""The contract of `distq/storage.py`: records, search, queues, workers, schedules."""

from __future__ import annotations

import threading
import time

import pytest

from distq.job import Filter, JobRecord, JobState, OutcomeKind, Presence
from distq.storage import Storage
from tests.contract.steps import QUEUE, WHY, add, expire, make, record, settle, state, take
from tests.helpers import eventually


def find(storage: Storage, state: JobState, *, limit: int = 100, **filter: object) -> list[str]:
    """All the pages of a search."""
    jobs: list[JobRecord] = []
    after = ""
    while True:
        what = Filter(QUEUE, state, **filter)  # pyright: ignore[reportArgumentType]
        page = storage.run(storage.find(what, after=after, limit=limit))
        assert len(page.jobs) <= limit
        jobs += page.jobs
        if not (after := page.after):
            return [job.id for job in jobs]


# -- records ---------------------------------------------------------------------------------------------


def test_a_record_tells_of_a_waiting_and_of_a_running_job(storage: Storage) -> None:
    (job_id,) = add(storage, priority=3, payload=b"{}\n{2}")
    waiting = record(storage, job_id)
    assert waiting._replace(enqueued_at=0, ready_at=None) == JobRecord(
        job_id, "app.task", JobState.READY, b"{}\n{2}", 3
    )
    now = time.time()
    assert waiting.enqueued_at == pytest.approx(now, abs=10)
    assert waiting.ready_at == pytest.approx(now, abs=10)
    take(storage, worker="w7", ttl=40)
    running = record(storage, job_id)
    assert (running.state, running.worker) == (JobState.LEASED, "w7")
    assert running.leased_at == pytest.approx(now, abs=10)
    assert running.leased_until == pytest.approx((running.leased_at or 0) + 40, abs=0.1)
    assert running.enqueued_at == waiting.enqueued_at


def test_a_done_jobs_payload_is_not_kept(storage: Storage) -> None:
    ids = add(storage, 2)
    leases = take(storage)
    settle(storage, leases[:1], OutcomeKind.DONE, body=b"1")
    settle(storage, leases[1:], OutcomeKind.DEAD, body=WHY)
    assert [record(storage, job_id).payload for job_id in ids] == [b"", b"{}\n{}"]


def test_a_record_tells_when_a_scheduled_job_is_due(storage: Storage) -> None:
    (job_id,) = add(storage, delay=100, priority=9)
    found = record(storage, job_id)
    assert found.ready_at == pytest.approx(found.enqueued_at + 100, abs=0.1)


# -- search ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [1, 2, 7, 100])
def test_every_state_is_searched_in_its_order_page_by_page(storage: Storage, limit: int) -> None:
    ids = add(storage, 12)
    leases = take(storage, 9)
    for lease in leases[:6]:
        kind = (OutcomeKind.DONE, OutcomeKind.DEAD, OutcomeKind.CANCELLED)[leases.index(lease) // 2]
        settle(storage, [lease], kind, body=WHY)
    later = [add(storage, delay=delay, priority=priority)[0] for delay, priority in ((60, 9), (30, 0))]
    (urgent,) = add(storage, priority=1)
    assert find(storage, JobState.DONE, limit=limit) == ids[0:2]
    assert find(storage, JobState.DEAD, limit=limit) == ids[2:4]
    assert find(storage, JobState.CANCELLED, limit=limit) == ids[4:6]
    assert set(find(storage, JobState.LEASED, limit=limit)) == set(ids[6:9])
    assert find(storage, JobState.READY, limit=limit) == [urgent, *ids[9:12]]
    assert find(storage, JobState.SCHEDULED, limit=limit) == later[::-1]


def test_jobs_of_one_batch_end_are_all_found(storage: Storage) -> None:
    ids = add(storage, 25)
    settle(storage, take(storage), OutcomeKind.DEAD, body=WHY)
    assert sorted(find(storage, JobState.DEAD, limit=10)) == sorted(ids)


def test_suspects_are_found_among_the_ready(storage: Storage) -> None:
    (suspect,) = add(storage)
    expire(storage, take(storage))
    (clean,) = add(storage)
    assert set(find(storage, JobState.READY, limit=1)) == {suspect, clean}


def test_a_search_filters_by_task_text_and_age(storage: Storage) -> None:
    jobs = [job._replace(task=f"app.{name}") for job, name in zip(make(3), "aba", strict=True)]
    storage.run(storage.enqueue(jobs))
    ids = [job.id for job in jobs]
    assert find(storage, JobState.READY, task="app.a", limit=1) == [ids[0], ids[2]]
    for lease, text in zip(take(storage), (b"boom", b"bang", b"boom (again)"), strict=True):
        settle(storage, [lease], OutcomeKind.DEAD, body=b'{"message":"%s"}' % text)
    assert find(storage, JobState.DEAD, text="boom") == [ids[0], ids[2]]
    assert find(storage, JobState.DEAD, text="boom (", task="app.a") == [ids[2]]
    assert find(storage, JobState.DEAD, text="%") == []
    assert find(storage, JobState.DEAD, older=60) == []
    eventually(lambda: find(storage, JobState.DEAD, older=0.01) == ids)


def test_a_search_sees_one_queue(storage: Storage) -> None:
    add(storage, queue="other")
    assert find(storage, JobState.READY) == []


def test_found_records_are_whole(storage: Storage) -> None:
    (job_id,) = add(storage, priority=2)
    settle(storage, take(storage), OutcomeKind.DEAD, body=WHY)
    (found,) = storage.run(storage.find(Filter(QUEUE, JobState.DEAD), limit=5)).jobs
    assert found == record(storage, job_id)
    assert found.attempts


# -- queues, workers -------------------------------------------------------------------------------------


def presence(name: str = "w1", queues: tuple[str, ...] = ("mail",)) -> Presence:
    return Presence(name, "host", 42, queues, ("app.a", "app.b"))


def test_queues_are_those_with_jobs_with_workers_and_the_paused(storage: Storage) -> None:
    assert storage.run(storage.queues()) == {}
    add(storage)
    settle(storage, take(storage), OutcomeKind.DONE)
    add(storage, queue="waiting")
    storage.run(storage.announce(presence(queues=("watched", "mail"))))
    storage.run(storage.pause("held", paused=True))
    assert storage.run(storage.queues()) == {
        "mail": False,
        "waiting": False,
        "watched": False,
        "held": True,
    }


def test_the_queues_of_a_worker_that_is_silent_are_not_listed(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("memory.storage", "postgres.administration", "redis.storage"):
        monkeypatch.setattr(f"distq.{module}.ALIVE", 0.05)
    storage.run(storage.announce(presence(queues=("watched",))))
    eventually(lambda: storage.run(storage.queues()) == {})
    assert len(storage.run(storage.workers(within=60))) == 1


def test_workers_are_those_seen_lately(storage: Storage) -> None:
    storage.run(storage.announce(presence("w1")))
    storage.run(storage.announce(presence("w2", ("mail", "bulk"))))
    storage.run(storage.announce(presence("w2", ("bulk",))))
    found = {worker.name: worker for worker in storage.run(storage.workers(within=60))}
    assert {name: worker._replace(seen=0.0) for name, worker in found.items()} == {
        "w1": presence("w1"),
        "w2": presence("w2", ("bulk",)),
    }
    assert all(0 <= worker.seen < 10 for worker in found.values())
    storage.run(storage.leave("w1"))
    storage.run(storage.leave("w1"))
    assert [worker.name for worker in storage.run(storage.workers(within=60))] == ["w2"]
    assert eventually(lambda: not storage.run(storage.workers(within=0.01)))


# -- schedules -------------------------------------------------------------------------------------------


def test_a_schedule_starts_now_and_keeps_its_place(storage: Storage) -> None:
    now, (schedule,) = storage.run(storage.schedules(QUEUE, ["nightly"]))
    assert now == pytest.approx(time.time(), abs=10)
    assert (schedule.name, schedule.last, schedule.paused) == ("nightly", int(now), False)
    again = storage.run(storage.schedules(QUEUE, ["nightly", "hourly"])).schedules
    assert {entry.name for entry in again} == {"nightly", "hourly"}
    assert schedule in again
    assert storage.run(storage.schedules("other", [])).schedules == []


def first_tick(storage: Storage, name: str = "often") -> tuple[int, int]:
    """The last tick of a new schedule, and a later one that has come."""
    last = storage.run(storage.schedules(QUEUE, [name])).schedules[0].last
    eventually(lambda: storage.run(storage.schedules(QUEUE, [])).now >= last + 1)
    return last, last + 1


def test_a_tick_fires_once(storage: Storage) -> None:
    last, due = first_tick(storage)
    jobs = make(2)
    fire = [storage.fire(QUEUE, "often", last=last, tick=due, job=job) for job in jobs]
    assert [storage.run(op) for op in fire] == [True, False]
    assert [lease.id for lease in take(storage)] == [jobs[0].id]
    assert storage.run(storage.schedules(QUEUE, ["often"])).schedules[0].last == due


def test_a_tick_to_come_does_not_fire(storage: Storage) -> None:
    last = storage.run(storage.schedules(QUEUE, ["often"])).schedules[0].last
    assert not storage.run(storage.fire(QUEUE, "often", last=last, tick=last + 60, job=make()[0]))
    assert not storage.run(storage.fire(QUEUE, "unknown", last=last, tick=last + 60, job=make()[0]))
    assert take(storage) == []


def test_a_tick_may_be_skipped(storage: Storage) -> None:
    last, due = first_tick(storage)
    assert storage.run(storage.fire(QUEUE, "often", last=last, tick=due, job=None))
    assert take(storage) == []
    assert storage.run(storage.schedules(QUEUE, [])).schedules[0].last == due


def test_a_paused_schedule_does_not_fire(storage: Storage) -> None:
    last, due = first_tick(storage)
    assert storage.run(storage.switch(QUEUE, "often", paused=True))
    assert not storage.run(storage.switch(QUEUE, "unknown", paused=True))
    assert not storage.run(storage.fire(QUEUE, "often", last=last, tick=due, job=make()[0]))
    assert storage.run(storage.schedules(QUEUE, ["often"])).schedules[0].paused
    storage.run(storage.switch(QUEUE, "often", paused=False))
    (job,) = make()
    assert storage.run(storage.fire(QUEUE, "often", last=last, tick=due, job=job))
    assert state(storage, job.id) is JobState.READY


def test_racing_workers_fire_a_tick_once(storage: Storage) -> None:
    last, due = first_tick(storage)
    fired: list[bool] = []

    def race() -> None:
        fired.append(storage.run(storage.fire(QUEUE, "often", last=last, tick=due, job=make()[0])))

    threads = [threading.Thread(target=race) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(fired) == [False] * 7 + [True]
    assert len(take(storage)) == 1
