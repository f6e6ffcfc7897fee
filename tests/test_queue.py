"""The handle of a queue: many jobs at once, on every storage, for threads and for coroutines."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from distq import ConfigurationError, DistQ, DrainTimeout, JobState, steps
from distq.admin import bulk
from distq.job import Filter, OutcomeKind
from distq.queue import Queue
from distq.steps import Steps
from distq.storage import Op, Storage
from tests.contract.steps import QUEUE, WHY, add, keyed, make, settle, state, take
from tests.helpers import eventually
from tests.stores import app as app
from tests.stores import storage as storage

Call = Callable[..., Any]


@pytest.fixture
def queue(app: DistQ) -> Queue:
    return app.queue(QUEUE)


@pytest.fixture(params=["sync", "async"])
def call(request: pytest.FixtureRequest, app: DistQ) -> Call:
    """Calls a method of the queue, or its twin."""

    async def twin(name: str, arguments: dict[str, Any]) -> Any:
        try:
            return await getattr(app.queue(QUEUE), f"a{name}")(**arguments)
        finally:
            await app.aclose()

    def call(name: str, **arguments: Any) -> Any:
        if request.param == "async":
            return asyncio.run(twin(name, arguments))
        found = getattr(app.queue(QUEUE), name)
        return found(**arguments) if callable(found) else found

    return call


def dead(storage: Storage, count: int, body: bytes = WHY, **fields: Any) -> list[str]:
    ids = add(storage, count, **fields)
    settle(storage, take(storage, count), OutcomeKind.DEAD, body=body)
    return ids


def counted(storage: Storage) -> dict[JobState, int]:
    return {state: number for state, number in storage.run(storage.counts(QUEUE)).items() if number}


# -- one by one ------------------------------------------------------------------------------------------


def test_pause_and_resume(call: Call, storage: Storage) -> None:
    add(storage)
    assert call("paused") is False
    call("pause")
    assert call("paused") is True
    assert take(storage) == []
    call("resume")
    assert call("paused") is False
    assert len(take(storage)) == 1


def test_counts_are_of_all_states(call: Call, storage: Storage) -> None:
    dead(storage, 2)
    add(storage, 3)
    found = call("counts")
    assert set(found) == set(JobState)
    assert {state: number for state, number in found.items() if number} == {
        JobState.DEAD: 2,
        JobState.READY: 3,
    }


def test_find_gives_views(call: Call, storage: Storage) -> None:
    gone = dead(storage, 2, body=b'{"type":"E","message":"boom","traceback":""}')
    ready = add(storage, 3, payload=b'{}\n{"to":"a"}', priority=2)
    assert [job.id for job in call("find")] == [*ready, *gone]
    assert [job.id for job in call("find", limit=2)] == ready[:2]
    assert [job.id for job in call("find", state="dead", text="boom")] == gone
    assert call("find", state=["ready", "dead"], task="other") == []
    (first, *_) = call("find", state="ready")
    assert (first.queue, first.arguments, first.priority, first.error) == (QUEUE, {"to": "a"}, 2, None)
    assert call("find", state="dead")[0].error.line == "E: boom"


def test_cancel_by_filter(call: Call, storage: Storage) -> None:
    (running,) = add(storage)
    take(storage)
    waiting = [*add(storage, 2), *add(storage, 1, delay=60)]
    storage.run(storage.enqueue([job._replace(task="other") for job in make(2)]))
    assert call("cancel", task="app.task", reason="too late") == (3, 1)
    assert [state(storage, job_id) for job_id in waiting] == [JobState.CANCELLED] * 3
    assert state(storage, running) is JobState.LEASED
    assert counted(storage)[JobState.READY] == 2
    assert call("find", state="cancelled")[0].error.line == "Cancelled: too late"


def test_replay_by_filter(call: Call, storage: Storage) -> None:
    wanted = dead(storage, 3, body=b'{"type":"E","message":"lost connection"}')
    dead(storage, 2, body=b'{"type":"E","message":"bad address"}')
    assert call("replay", text="connection") == (3, 0)
    assert {lease.id for lease in take(storage)} == set(wanted)
    assert counted(storage)[JobState.DEAD] == 2


def test_purge_forgets_what_waits_unless_told_otherwise(call: Call, storage: Storage) -> None:
    dead(storage, 2)
    (leased,) = add(storage)
    take(storage)
    add(storage, 3)
    add(storage, 2, delay=60)
    assert call("purge") == 5
    assert counted(storage) == {JobState.DEAD: 2, JobState.LEASED: 1}
    assert call("purge", state="dead") == 2
    assert state(storage, leased) is JobState.LEASED


def test_prune_by_count_and_by_age(call: Call, storage: Storage) -> None:
    ids = dead(storage, 5)
    assert call("prune", beyond=3) == 2
    assert call("prune", older=60) == 0
    assert call("prune", older=60, beyond=2) == 1
    pruned: list[int] = []
    eventually(lambda: pruned.append(call("prune", older=0.001)) or sum(pruned) == 2)
    assert not any(storage.run(storage.get(job_id)) for job_id in ids)


def test_drain_waits_for_the_last_one(call: Call, storage: Storage) -> None:
    add(storage, 2)
    add(storage, 1, delay=60)
    leases = take(storage)
    timer = threading.Timer(0.1, lambda: settle(storage, leases, OutcomeKind.DONE))
    timer.start()
    call("drain", timeout=10)
    timer.join()
    assert counted(storage) == {JobState.DONE: 2, JobState.SCHEDULED: 1}


def test_drain_is_not_deceived_by_a_job_that_is_given_back_between_its_looks(
    call: Call, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(storage)
    leases, find = take(storage), storage.find

    def after_a_look(filter: Filter, **more: Any) -> Op[Any]:
        if filter.state is JobState.LEASED and leases:
            settle(storage, [leases.pop()], OutcomeKind.RELEASE)
        return find(filter, **more)

    monkeypatch.setattr(storage, "find", after_a_look)
    with pytest.raises(DrainTimeout, match="1 ready"):
        call("drain", timeout=0.05)


def test_drain_says_what_is_left(call: Call, storage: Storage) -> None:
    add(storage, 3)
    take(storage, 1)
    storage.run(storage.pause(QUEUE, paused=True))
    with pytest.raises(
        DrainTimeout, match=r"'mail' .* 0\.05 s: 2 ready, 1 running \(it is paused\)"
    ) as caught:
        call("drain", timeout=0.05)
    assert (caught.value.ready, caught.value.leased, caught.value.paused) == (2, 1, True)


# -- mistakes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "arguments", "words"),
    [
        ("replay", {"state": "ready"}, "'ready' cannot be chosen here: use dead, cancelled"),
        ("cancel", {"state": ["ready", "done"]}, "'done' cannot be chosen here"),
        ("purge", {"state": "leased"}, "'leased' cannot be chosen here"),
        ("find", {"state": "nonsense"}, "'nonsense' cannot be chosen here: use waiting, scheduled"),
        ("find", {"older": -1}, "older=-1: use seconds"),
        ("find", {"older": float("nan")}, "older=nan: use seconds"),
        ("find", {"older": "1h"}, "older='1h': use seconds"),
        ("find", {"older": timedelta(hours=1)}, "older=datetime.timedelta.*: use seconds"),
        ("find", {"limit": "5"}, "limit='5': use a whole number, 0 or more"),
        ("find", {"limit": -1}, "limit=-1: use a whole number"),
        (
            "find",
            {"sate": "dead"},
            "there is no filter 'sate', so nothing was done: use state, task, text, o",
        ),
        ("purge", {"taks": "x"}, "there is no filter 'taks'"),
        ("cancel", {"taks": None}, "there is no filter 'taks'"),
        ("replay", {"texxt": "x"}, "there is no filter 'texxt'"),
        ("purge", {"state": []}, r"state=\[\]: name a state"),
        ("purge", {"state": ""}, "state '' cannot be chosen here"),
        ("purge", {"state": 5}, "state=5: name a state"),
        ("purge", {"task": ""}, "task='': use a text that is not empty, or leave it out"),
        ("cancel", {"text": ""}, "text='': use a text that is not empty"),
        ("replay", {"task": 5}, "task=5: use a text"),
        ("cancel", {"reason": 5}, "reason=5: use a text"),
        ("prune", {"older": -1}, "older=-1: use seconds, 0 or more"),
        ("prune", {"beyond": -1}, "beyond=-1: use a whole number, 0 or more"),
        ("prune", {}, "which jobs. Give older=, beyond=, or both"),
        ("drain", {"timeout": "x"}, "timeout='x': use seconds, 0 or more, or None"),
    ],
)
def test_what_cannot_be_chosen_is_a_clear_error(method: str, arguments: dict[str, Any], words: str) -> None:
    app = DistQ("memory://")
    add(app.storage, 2)
    dead(app.storage, 2)
    before = counted(app.storage)
    with pytest.raises(ConfigurationError, match=words):
        getattr(app.queue(QUEUE), method)(**arguments)
    assert counted(app.storage) == before


def test_none_is_not_given(call: Call, storage: Storage) -> None:
    ids = add(storage, 3)
    none = {"state": None, "task": None, "text": None, "older": None}
    assert [job.id for job in call("find", **none)] == ids
    assert call("purge", **none) == 3


def test_a_queues_name_is_checked() -> None:
    with pytest.raises(ConfigurationError, match="cannot name a queue"):
        DistQ("memory://").queue("a b")


# -- in bounded batches ----------------------------------------------------------------------------------


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(bulk, "BATCH", 3)
    return 3


def watched(storage: Storage, work: Steps[Any], meanwhile: Callable[[], object]) -> tuple[Any, int]:
    """Take steps, and do something after each; what the steps return, and how many they were."""
    taken = 0

    class Watched:
        def run(self, op: Op[Any]) -> Any:
            nonlocal taken
            taken += 1
            answer = storage.run(op)
            meanwhile()
            return answer

    return steps.run(Watched(), work), taken  # pyright: ignore[reportArgumentType]


@pytest.mark.usefixtures("small")
def test_many_are_handled_batch_by_batch(queue: Queue, storage: Storage) -> None:
    ids = [*add(storage, 10), *add(storage, 4, delay=60)]
    assert queue.cancel() == (14, 0)
    assert queue.replay(state="cancelled") == (14, 0)
    assert counted(storage) == {JobState.READY: 14}
    assert queue.purge() == 14
    assert not any(storage.run(storage.get(job_id)) for job_id in ids)
    dead(storage, 10)
    assert queue.prune(beyond=0) == 10


@pytest.mark.usefixtures("small")
def test_what_cannot_be_replayed_is_passed_by(queue: Queue, storage: Storage) -> None:
    """Four dead jobs whose keys others have, in front of four that can run again."""
    first = [keyed(f"k{n}") for n in range(4)]
    storage.run(storage.enqueue(first))
    settle(storage, take(storage), OutcomeKind.DEAD, body=WHY)
    free = dead(storage, 4)
    storage.run(storage.enqueue([keyed(f"k{n}") for n in range(4)]))
    assert queue.replay() == (4, 4)
    assert {lease.id for lease in take(storage)} > set(free)
    assert [state(storage, job.id) for job in first] == [JobState.DEAD] * 4


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("delay", [0, 60], ids=["ready", "scheduled"])
def test_new_jobs_do_not_keep_it_going(
    storage: Storage, delay: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "LEEWAY", 0)
    add(storage, 7, delay=delay)
    later: list[str] = []
    filters = [Filter(QUEUE, JobState.SCHEDULED if delay else JobState.READY)]
    removed, taken = watched(
        storage, bulk.remove(storage, filters), lambda: later.extend(add(storage, 3, delay=delay))
    )
    early = removed - 7  # what came between the first two steps
    assert 0 <= early <= 3
    assert taken < 20
    assert sum(storage.run(storage.get(job_id)) is not None for job_id in later) == len(later) - early


@pytest.mark.usefixtures("small")
def test_jobs_that_die_again_are_not_replayed_twice(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "LEEWAY", 0)
    dead(storage, 7)

    def work_off() -> None:
        settle(storage, take(storage), OutcomeKind.DEAD, body=WHY)

    done, taken = watched(storage, bulk.replay(storage, [Filter(QUEUE, JobState.DEAD)]), work_off)
    assert done == (7, 0)
    assert taken < 20
    assert counted(storage) == {JobState.DEAD: 7}


@pytest.mark.usefixtures("small")
def test_a_prune_ends_though_jobs_go_on_ending(storage: Storage) -> None:
    dead(storage, 7)
    work = bulk.prune(storage, QUEUE, [JobState.DEAD], older=None, beyond=0)
    pruned, taken = watched(storage, work, lambda: dead(storage, 3))
    assert 7 <= pruned <= 9
    assert taken < 10
