"""The contract of `distq/storage.py`: the latest first, of an age, what ended lately, who has a key."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from distq.job import Filter, Hold, JobRecord, JobState, OutcomeKind, Recent
from distq.storage import Storage
from tests.contract.conftest import Timed
from tests.contract.steps import QUEUE, WHY, add, keyed, make, record, settle, take, tick

ENDS = {
    JobState.DONE: OutcomeKind.DONE,
    JobState.DEAD: OutcomeKind.DEAD,
    JobState.CANCELLED: OutcomeKind.CANCELLED,
}


def pages(
    storage: Storage, state: JobState, *, limit: int, latest: bool = True, **filter: object
) -> Iterator[list[JobRecord]]:
    """A search page by page: what happens between two of them is up to the test."""
    what, after = Filter(QUEUE, state, **filter), ""  # pyright: ignore[reportArgumentType]
    while True:
        page = storage.run(storage.find(what, after=after, limit=limit, latest=latest))
        assert len(page.jobs) <= limit
        yield page.jobs
        if not (after := page.after):
            return


def find(storage: Storage, state: JobState, *, limit: int = 100, **filter: object) -> list[str]:
    found = pages(storage, state, limit=limit, **filter)  # pyright: ignore[reportArgumentType]
    return [job.id for page in found for job in page]


def end(storage: Storage, count: int, state: JobState = JobState.DEAD) -> list[str]:
    """Jobs that end now, at one moment."""
    ids = add(storage, count)
    settle(storage, take(storage, count), ENDS[state], body=WHY)
    return ids


# -- the latest first ------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [1, 2, 7, 100])
def test_the_latest_are_first_in_every_state(timed: Timed, limit: int) -> None:
    storage, ended = timed.storage, dict[JobState, list[str]]()
    for kind in ENDS:
        ended[kind] = []
        for _ in range(3):
            ended[kind] += end(storage, 1, kind)
            timed.wait(1)
    running = add(storage, 3)
    take(storage, 3)
    ready = add(storage, 4)
    (urgent,) = add(storage, priority=9)
    scheduled = [add(storage, delay=delay)[0] for delay in (30, 90, 60)]
    for kind, ids in ended.items():
        assert find(storage, kind, limit=limit) == ids[::-1]
        assert find(storage, kind, limit=limit, latest=False) == ids
    assert sorted(find(storage, JobState.LEASED, limit=limit)) == sorted(running)
    assert find(storage, JobState.READY, limit=limit) == [*ready[::-1], urgent]
    assert find(storage, JobState.SCHEDULED, limit=limit) == [scheduled[n] for n in (1, 2, 0)]


@pytest.mark.parametrize("limit", [1, 10, 24, 25])
@pytest.mark.parametrize("state", ENDS)
def test_what_ended_at_one_moment_is_found_once_in_either_order(
    storage: Storage, limit: int, state: JobState
) -> None:
    ids = end(storage, 25, state)
    latest = find(storage, state, limit=limit)
    assert sorted(latest) == sorted(ids)
    assert latest == find(storage, state, limit=limit, latest=False)[::-1]


def test_the_latest_suspects_are_among_the_latest_ready(timed: Timed) -> None:
    storage, ids = timed.storage, list[str]()
    for _ in range(6):
        ids += add(storage)
        timed.wait(1)
    take(storage)
    storage.run(storage.forfeit(QUEUE, worker="w1", begun=ids[::2]))
    assert find(storage, JobState.READY, limit=1) == ids[::-1]


def test_a_first_page_is_the_latest_and_no_more(storage: Storage) -> None:
    ids = add(storage, 30)
    first = storage.run(storage.find(Filter(QUEUE, JobState.READY), limit=3, latest=True))
    assert [job.id for job in first.jobs] == ids[:-4:-1]
    assert first.after
    assert first.jobs[0] == record(storage, ids[-1])


def test_what_ends_meanwhile_disturbs_no_search(timed: Timed) -> None:
    storage = timed.storage
    early = end(storage, 3)
    timed.wait(1)
    late = end(storage, 4)
    backward = pages(storage, JobState.DEAD, limit=2)
    forward = pages(storage, JobState.DEAD, limit=2, latest=False)
    seen, passed = [*next(backward)], [*next(forward)]
    timed.wait(1)
    new = end(storage, 5)
    seen += [job for page in backward for job in page]
    passed += [job for page in forward for job in page]
    assert [job.id for job in seen[4:]] == sorted(early)[::-1]
    assert {job.id for job in seen[:4]} == set(late)
    assert [job.id for job in passed] == [*early, *late, *new]


def test_a_search_goes_on_where_its_last_job_is_gone(timed: Timed) -> None:
    storage, ids = timed.storage, list[str]()
    for _ in range(6):
        ids += end(storage, 1)
        timed.wait(1)
    backward = pages(storage, JobState.DEAD, limit=2)
    assert [job.id for job in next(backward)] == [ids[5], ids[4]]
    storage.run(storage.remove([ids[4]]))
    storage.run(storage.replay([ids[3]]))
    assert [job.id for page in backward for job in page] == [ids[2], ids[1], ids[0]]


# -- age -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("latest", [True, False])
@pytest.mark.parametrize("limit", [1, 3, 100])
def test_jobs_are_of_an_age_between_two(timed: Timed, limit: int, latest: bool) -> None:
    storage, groups = timed.storage, list[list[str]]()
    for _ in range(5):
        groups.append(end(storage, 3))
        timed.wait(10)  # they are 50, 40, 30, 20 and 10 s old in the end

    def groups_found(**ages: float) -> list[int]:
        found = find(storage, JobState.DEAD, limit=limit, latest=latest, **ages)
        owner = {job_id: number for number, ids in enumerate(groups) for job_id in ids}
        assert len(found) == len(set(found))
        numbers = [owner[job_id] for job_id in found]
        assert numbers == sorted(numbers, reverse=latest)
        return sorted(set(numbers))

    assert groups_found() == [0, 1, 2, 3, 4]
    assert groups_found(newer=35) == [2, 3, 4]
    assert groups_found(older=25) == [0, 1, 2]
    assert groups_found(newer=45, older=15) == [1, 2, 3]
    assert groups_found(newer=30, older=30) == []
    assert groups_found(newer=31, older=30) == [2]
    assert groups_found(newer=1e9, older=0) == [0, 1, 2, 3, 4]
    assert groups_found(newer=5) == []


@pytest.mark.parametrize("latest", [True, False])
def test_the_age_of_what_has_not_ended_is_that_of_its_enqueue(timed: Timed, latest: bool) -> None:
    storage = timed.storage
    (old,), (old_scheduled,) = add(storage), add(storage, delay=1000)
    timed.wait(100)
    (new,), (new_scheduled,) = add(storage), add(storage, delay=10)
    timed.wait(1)
    assert find(storage, JobState.READY, newer=50, latest=latest) == [new]
    assert find(storage, JobState.READY, older=50, latest=latest) == [old]
    assert find(storage, JobState.SCHEDULED, newer=50, latest=latest) == [new_scheduled]
    assert find(storage, JobState.SCHEDULED, older=50, newer=200, latest=latest) == [old_scheduled]
    take(storage, 1)
    assert find(storage, JobState.LEASED, newer=50, latest=latest) == []


def test_a_long_search_of_the_new_does_not_go_back_to_what_has_become_old(timed: Timed) -> None:
    storage = timed.storage
    first = end(storage, 2)
    timed.wait(10)
    second = end(storage, 2)
    forward = pages(storage, JobState.DEAD, limit=1, latest=False, newer=15)
    assert next(forward)[0].id in first
    timed.wait(10)
    assert {job.id for page in forward for job in page} == set(second)


def test_text_task_and_age_go_together_with_the_latest(timed: Timed) -> None:
    storage = timed.storage
    jobs = [job._replace(task=f"app.{name}") for job, name in zip(make(6), "ababab", strict=True)]
    for job, text in zip(jobs, (b"boom", b"boom", b"bang", b"boom", b"boom", b"bang"), strict=True):
        storage.run(storage.enqueue([job]))
        settle(storage, take(storage), OutcomeKind.DEAD, body=b'{"message":"%s"}' % text)
        timed.wait(10)
    ids = [job.id for job in jobs]
    assert find(storage, JobState.DEAD, text="boom", limit=1) == [ids[4], ids[3], ids[1], ids[0]]
    assert find(storage, JobState.DEAD, text="boom", task="app.b") == [ids[3], ids[1]]
    assert find(storage, JobState.DEAD, text="boom", task="app.b", newer=45) == [ids[3]]


# -- what ended lately -----------------------------------------------------------------------------------


def test_what_ended_lately_is_counted_by_state(timed: Timed) -> None:
    storage = timed.storage
    assert storage.run(storage.recent(QUEUE, within=60, most=10)) == {}
    end(storage, 4, JobState.DONE)
    timed.wait(20)
    end(storage, 2, JobState.DONE)
    end(storage, 3, JobState.DEAD)
    timed.wait(5)
    add(storage, 2)
    end(storage, 1, JobState.CANCELLED)
    timed.wait(1)

    def recent(within: float, most: int = 100) -> dict[JobState, Recent]:
        found = storage.run(storage.recent(QUEUE, within=within, most=most))
        return {state: Recent(jobs, round(since, 3)) for state, (jobs, since) in found.items()}

    assert recent(60) == {
        JobState.DONE: Recent(6, 26),
        JobState.DEAD: Recent(3, 6),
        JobState.CANCELLED: Recent(1, 1),
    }
    assert recent(10) == {
        JobState.DONE: Recent(2, 6),
        JobState.DEAD: Recent(3, 6),
        JobState.CANCELLED: Recent(1, 1),
    }
    assert recent(3) == {JobState.CANCELLED: Recent(1, 1)}
    assert recent(60, most=3) == {
        JobState.DONE: Recent(3, 26),
        JobState.DEAD: Recent(3, 6),
        JobState.CANCELLED: Recent(1, 1),
    }
    assert recent(60, most=2)[JobState.DONE] == Recent(2, 6)
    assert recent(0.5) == {}


def test_the_end_of_another_queues_jobs_and_of_forgotten_ones_does_not_count(timed: Timed) -> None:
    storage = timed.storage
    add(storage, queue="other")
    (lease,) = storage.run(storage.lease("other", worker="w1", limit=1, ttl=60, alone=False))
    settle(storage, [lease], OutcomeKind.DONE)
    ids = end(storage, 2)
    storage.run(storage.remove(ids[:1]))
    storage.run(storage.replay(ids[1:]))
    assert storage.run(storage.recent(QUEUE, within=60, most=10)) == {}
    assert storage.run(storage.recent("other", within=60, most=10))[JobState.DONE].jobs == 1


# -- keys ------------------------------------------------------------------------------------------------


def test_who_has_a_key_is_told(storage: Storage) -> None:
    assert storage.run(storage.holder(QUEUE, "k")) is None
    first, second = keyed(seconds=3600), keyed("ß ' k\n2", Hold.WAITING)
    storage.run(storage.enqueue([first, second, keyed()]))
    assert storage.run(storage.holder(QUEUE, "k")) == first.id
    assert storage.run(storage.holder(QUEUE, "ß ' k\n2")) == second.id
    assert storage.run(storage.holder("other", "k")) is None
    settle(storage, take(storage), OutcomeKind.DONE)
    assert storage.run(storage.holder(QUEUE, "k")) == first.id


def test_the_key_of_a_forgotten_job_is_nobodys_or_the_next_ones(storage: Storage) -> None:
    first, next_one = keyed(), keyed()
    storage.run(storage.enqueue([first]))
    storage.run(storage.remove([first.id]))
    assert storage.run(storage.enqueue([next_one]))[0].created
    assert storage.run(storage.holder(QUEUE, "k")) == next_one.id
    storage.run(storage.remove([next_one.id]))
    tick(storage)
    assert storage.run(storage.holder(QUEUE, "k")) is None
