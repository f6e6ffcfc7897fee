"""The monitor: rates of known flows, and what it calls trouble. No time passes but what a test lets pass."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pytest

from distq.admin import monitor as monitors
from distq.admin.crew import Activity, Vitals, WorkerView
from distq.admin.doctor import MANY_DEAD
from distq.admin.monitor import CARE, FEW, GAP, Monitor, Pace
from distq.admin.picture import Picture, Rates, Trouble
from distq.connect import connect
from distq.errors import StorageUnavailable
from distq.finding import Severity
from distq.job import JobState, Lease, OutcomeKind, Presence, Tallies
from distq.memory.storage import MemoryStorage
from distq.steps import run
from distq.storage import Storage
from tests.contract.steps import QUEUE, add, make, settle, take
from tests.world import url_of


@dataclass
class Deployment:
    """A storage in memory, a clock, and who watches."""

    now: float = 1_800_000_000.0
    storage: MemoryStorage = field(init=False)
    monitor: Monitor = field(init=False)

    def __post_init__(self) -> None:
        self.storage = MemoryStorage(lambda: self.now)
        self.monitor = Monitor(self.storage)

    def look(self) -> Picture:
        return run(self.storage, self.monitor.look())

    def second(self, *, come: int = 0, lapse: float = 1.0, **ends: int) -> Picture:
        """Let jobs come and end in the middle of a lapse, and look at its end. `ends` is by outcome."""
        self.now += lapse / 2
        if come:
            add(self.storage, come)
        leases = take(self.storage, sum(ends.values()))
        for kind, number in ends.items():
            self.settle([leases.pop() for _ in range(number)], OutcomeKind(kind))
        self.now += lapse / 2
        return self.look()

    def settle(self, leases: Sequence[Lease], kind: OutcomeKind) -> None:
        settle(self.storage, leases, kind, delay=900 * (kind is OutcomeKind.RETRY), keep=3600)

    def worker(
        self, name: str = "web-1:1", *, queues: Sequence[str] = (QUEUE,), host: str = "web-1", **counted: int
    ) -> None:
        """Let a worker process say that it is alive, and what its attempts on QUEUE came to."""
        tallies: Tallies = {QUEUE: counted}
        presence = Presence(name, host, 7, tuple(queues), ("app.task",), tallies=tallies)
        self.storage.run(self.storage.announce(presence))

    def troubles(self) -> list[Trouble]:
        return self.look().troubles


@pytest.fixture
def deployment() -> Deployment:
    return Deployment()


def rates(picture: Picture, queue: str = QUEUE) -> Rates | None:
    return next(status.rates for status in picture.queues if status.name == queue)


def flow(picture: Picture, queue: str = QUEUE) -> tuple[float, ...]:
    """Jobs a second that came, were done, died and were cancelled."""
    found = rates(picture, queue)
    assert found is not None
    return tuple(round(x, 9) for x in (found.enqueued, found.done, found.dead, found.cancelled))


def kinds(picture: Picture) -> list[str]:
    return [trouble.kind for trouble in picture.troubles]


# -- rates -----------------------------------------------------------------------------------------------


def test_the_first_look_has_nothing_to_compare_with(deployment: Deployment) -> None:
    add(deployment.storage, 5)
    assert rates(deployment.look()) is None
    assert flow(deployment.second()) == (0, 0, 0, 0)


def test_a_known_flow_is_told_exactly(deployment: Deployment) -> None:
    add(deployment.storage, 100)
    deployment.look()
    for _ in range(12):
        picture = deployment.second(come=30, done=20, dead=2, cancelled=3, retry=4, snooze=1, release=1)
        assert flow(picture) == (30, 20, 2, 3)
    points = deployment.monitor.history(QUEUE)
    assert [point.depth for point in points] == [100 + 5 * second for second in range(1, 13)]


def test_looks_at_uneven_times_weigh_what_they_cover(deployment: Deployment) -> None:
    add(deployment.storage, 1)
    deployment.look()
    deployment.second(come=400, done=100, lapse=4)
    assert flow(deployment.second(come=0, done=0, lapse=0.5)) == (88.888888889, 22.222222222, 0, 0)


def test_a_rate_is_that_of_the_last_seconds(deployment: Deployment) -> None:
    deployment.look()
    deployment.second(come=1000, done=1000)
    assert flow(deployment.second(come=10, done=10)) == (505, 505, 0, 0)
    for _ in range(5):
        picture = deployment.second(come=10, done=10)
    assert flow(picture) == (10, 10, 0, 0)


def test_a_look_that_is_late_is_not_told_as_now(deployment: Deployment) -> None:
    deployment.look()
    deployment.second(come=50, done=50)
    assert rates(deployment.second(come=10_000, done=10_000, lapse=GAP + 1)) is None
    assert flow(deployment.second(come=7, done=7)) == (7, 7, 0, 0)


def test_a_burst_of_more_than_are_counted(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(monitors, "MOST", 50)
    add(deployment.storage, 1)
    deployment.look()
    assert flow(deployment.second(come=200, done=200)) == (200, 200, 0, 0)
    assert flow(deployment.second(come=0, done=0)) == (100, 100, 0, 0)


def test_a_steady_flow_of_more_than_are_counted(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Results expire as fast as they come, so that their number says nothing."""
    monkeypatch.setattr(monitors, "MOST", 50)
    for second in range(10):
        for _ in range(20):
            deployment.now += 0.05
            add(deployment.storage, 10)
            settle(deployment.storage, take(deployment.storage), OutcomeKind.DONE, keep=1.5)
        deployment.storage.run(deployment.storage.tick(QUEUE, limit=1000, grace=60, outage=1e6, eager=True))
        picture = deployment.look()
        if second:
            came, done, *_ = flow(picture)
            assert done == pytest.approx(200, rel=0.3)
            assert came == pytest.approx(200, rel=0.3)


def test_what_is_purged_makes_no_rate(deployment: Deployment) -> None:
    ids = add(deployment.storage, 500)
    deployment.look()
    deployment.now += 0.5
    deployment.storage.run(deployment.storage.remove(ids[:400]))
    came, *ended = flow(deployment.second(come=10, lapse=0.5))
    assert 0 <= came <= 10
    assert ended == [0, 0, 0]
    deployment.second(dead=100, lapse=10)
    deployment.now += 10
    deployment.storage.run(deployment.storage.remove(ids[400:]))
    assert flow(deployment.second()) == (0, 0, 0, 0)


def test_what_is_replayed_comes_again(deployment: Deployment) -> None:
    ids = add(deployment.storage, 40)
    deployment.second(dead=40)
    deployment.now += 10
    deployment.look()
    deployment.now += 5
    deployment.storage.run(deployment.storage.replay(ids))
    assert flow(deployment.second(lapse=5)) == (4, 0, 0, 0)


def test_what_is_cancelled_while_it_waits_has_ended(deployment: Deployment) -> None:
    ids = add(deployment.storage, 40)
    deployment.look()
    deployment.now += 0.5
    deployment.storage.run(deployment.storage.cancel(ids[:30], reason=b""))
    assert flow(deployment.second(lapse=0.5)) == (0, 0, 0, 30)


def test_a_queue_that_comes_and_goes(deployment: Deployment) -> None:
    assert deployment.look().queues == []
    assert flow(deployment.second(come=10)) == (10, 0, 0, 0)
    jobs = deployment.storage.run(deployment.storage.lease(QUEUE, worker="w", limit=10, ttl=60, alone=False))
    deployment.settle(jobs[:1], OutcomeKind.CANCELLED)
    settle(deployment.storage, jobs[1:], OutcomeKind.RELEASE)
    deployment.storage.run(deployment.storage.remove([job.id for job in jobs]))
    assert deployment.second().queues == []
    assert deployment.monitor.history(QUEUE) == ()
    assert flow(deployment.second(come=3)) == (3, 0, 0, 0)


def test_a_clock_that_is_set_back_begins_anew(deployment: Deployment) -> None:
    deployment.look()
    deployment.worker(done=0, retry=0)
    deployment.second(come=50, done=50)
    deployment.worker(done=0, retry=100)
    deployment.look()
    deployment.now -= 3600
    assert rates(deployment.look()) is None
    assert flow(deployment.second(come=7, done=7)) == (7, 7, 0, 0)
    found = rates(deployment.second())
    assert found
    assert found.failing is None


def test_looks_at_one_moment_lose_nothing(deployment: Deployment) -> None:
    deployment.look()
    deployment.now += 0.5
    add(deployment.storage, 5)
    deployment.look()
    add(deployment.storage, 5)
    deployment.look()
    assert flow(deployment.second(lapse=0.5)) == (10, 0, 0, 0)


def test_a_look_that_fails_midway_leaves_its_time_to_the_next(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = deployment.storage
    storage.run(storage.enqueue(make(1, queue="a")))
    deployment.second(come=1)
    with monkeypatch.context() as patch:
        recent = storage.recent

        def away(queue: str, **bounds: float) -> object:
            if queue == QUEUE:
                raise StorageUnavailable("memory://", "it is away")
            return recent(queue, **bounds)  # pyright: ignore[reportArgumentType]

        patch.setattr(storage, "recent", away)
        storage.run(storage.enqueue(make(10, queue="a")))
        with pytest.raises(StorageUnavailable):
            deployment.second(come=10, done=4)
    picture = deployment.second()
    assert flow(picture) == (5, 2, 0, 0)
    assert flow(picture, "a") == (5, 0, 0, 0)


@pytest.fixture(params=["postgres", "redis"])
def store(request: pytest.FixtureRequest) -> Iterator[Storage]:
    storage = connect(url_of(request, request.param))
    storage.migrate()
    yield storage
    storage.close()


def test_a_flow_is_told_on_a_server(store: Storage) -> None:
    monitor = Monitor(store)
    run(store, monitor.look())
    for number in range(300):
        add(store)
        settle(store, take(store, 1), OutcomeKind.DEAD if number % 3 == 0 else OutcomeKind.DONE)
        if number % 100 == 99:
            add(store)
            run(store, monitor.look())
    points = monitor.history(QUEUE)
    totals = [
        sum(getattr(point, of) * point.lapse for point in points) for of in ("enqueued", "done", "dead")
    ]
    # A look takes a while: what ends at its edge may be told by neither or by both.
    assert totals == pytest.approx([303, 200, 100], rel=0.1)
    assert [point.depth for point in points] == [1, 2, 3]


def test_of_looks_that_follow_at_once_no_rate_is_made(deployment: Deployment) -> None:
    deployment.monitor = Monitor(deployment.storage, lapse=0.5)
    deployment.look()
    add(deployment.storage, 100)
    for _ in range(4):
        deployment.now += 0.1
        seen = deployment.look()
        assert seen.queues[0].counts[JobState.READY] == 100
    deployment.now += 0.6
    found = rates(deployment.look())
    assert found
    assert found.enqueued == pytest.approx(100)
    (point,) = deployment.monitor.history(QUEUE)
    assert point.lapse == pytest.approx(1)


def test_looking_takes_less_than_a_twentieth_of_the_time() -> None:
    quick, slow = Pace(0.3), Pace(1)
    for _ in range(4):
        quick.note(0.01)
        slow.note(0.2)
    assert (quick.rest, slow.rest) == (0.3, pytest.approx(4))
    assert (quick.least, slow.least) == (pytest.approx(0.2), pytest.approx(4))


def test_a_look_or_two_that_were_held_up_are_no_reason_to_look_seldom() -> None:
    pace = Pace()
    for took in (0.01, 30, 30, 0.01, 30):
        pace.note(took)
        assert pace.rest == 1


# -- the share that fails --------------------------------------------------------------------------------


def share(deployment: Deployment) -> float | None:
    found = rates(deployment.second())
    assert found
    return found.failing


def test_the_share_of_failing_attempts_is_that_of_the_last_minute(deployment: Deployment) -> None:
    deployment.worker(done=1000, retry=1000)
    deployment.look()
    deployment.worker(done=1010, retry=1009)
    assert share(deployment) is None
    deployment.worker(done=1010, retry=1020, dead=10, snooze=500)
    assert share(deployment) == 0.75
    for _ in range(60):
        deployment.worker(done=1010, retry=1020, dead=10, snooze=500)
        picture = deployment.second()
    found = rates(picture)
    assert found
    assert found.failing is None
    deployment.worker(done=1010 + FEW, retry=1020, dead=10, snooze=500)
    assert share(deployment) == 0


def test_the_share_counts_those_who_left(deployment: Deployment) -> None:
    deployment.worker(done=0)
    deployment.look()
    left: Tallies = {QUEUE: {"done": 30, "dead": 10}}
    deployment.storage.run(deployment.storage.leave("web-1:1", tallies=left))
    deployment.worker("web-1:2", done=0)
    assert share(deployment) == 0.25


def test_figures_that_fall_are_those_of_another_storage(deployment: Deployment) -> None:
    deployment.worker(done=1000, retry=100)
    deployment.look()
    deployment.worker(done=10, retry=10)
    assert share(deployment) is None
    deployment.worker(done=10, retry=10 + FEW)
    assert share(deployment) == 1


# -- troubles --------------------------------------------------------------------------------------------


def test_all_is_well(deployment: Deployment) -> None:
    deployment.worker(done=0)
    deployment.look()
    for second in range(30):
        deployment.worker(done=second * 5, retry=second, dead=1)
        assert deployment.second(come=6, done=5, retry=1).troubles == []
    deployment.worker(queues=[QUEUE, "idle"], done=200)
    assert deployment.troubles() == []


def test_nobody_serves_what_could_run(deployment: Deployment) -> None:
    add(deployment.storage, 2)
    (trouble,) = deployment.troubles()
    assert (trouble.kind, trouble.queue, trouble.severity) == ("unserved", QUEUE, Severity.PROBLEM)
    assert "2 jobs could run" in trouble.what
    assert trouble.remedy == f"distq worker MODULE:APP --queues {QUEUE}"
    deployment.worker()
    assert deployment.troubles() == []


def test_nobody_takes_back_what_dead_workers_had(deployment: Deployment) -> None:
    deployment.worker()
    add(deployment.storage, 3)
    take(deployment.storage, 3)
    assert deployment.troubles() == []
    deployment.now += 70
    (trouble,) = deployment.troubles()
    assert trouble.kind == "unserved"
    assert "3 jobs of workers that are gone could run again" in trouble.what


def test_nobody_makes_ready_what_is_due(deployment: Deployment) -> None:
    add(deployment.storage, 2, delay=30)
    assert deployment.troubles() == []
    deployment.now += 40
    (trouble,) = deployment.troubles()
    assert (trouble.kind, trouble.severity) == ("unserved", Severity.PROBLEM)
    assert "was due 10 s ago" in trouble.what


def test_a_paused_queue_is_told_while_jobs_wait_and_no_longer(deployment: Deployment) -> None:
    storage = deployment.storage
    deployment.worker()
    storage.run(storage.pause(QUEUE, paused=True))
    assert deployment.troubles() == []
    assert kinds(deployment.second(come=1)) == ["paused"]
    storage.run(storage.pause(QUEUE, paused=False))
    assert deployment.troubles() == []


def test_a_queue_is_behind(deployment: Deployment) -> None:
    add(deployment.storage, 5)
    deployment.now += 59
    deployment.worker()
    assert deployment.troubles() == []
    deployment.now += 2
    (trouble,) = deployment.troubles()
    assert (trouble.kind, trouble.queue) == ("late", QUEUE)
    assert "has waited 1 min 1 s" in trouble.what
    assert "5 jobs could run" in trouble.what


def test_an_urgent_job_that_has_just_come_is_not_late(deployment: Deployment) -> None:
    deployment.worker()
    add(deployment.storage, 1, priority=9)
    assert deployment.troubles() == []


def test_a_paused_queue_is_not_behind_too(deployment: Deployment) -> None:
    add(deployment.storage, 5)
    deployment.storage.run(deployment.storage.pause(QUEUE, paused=True))
    deployment.now += 100
    deployment.worker()
    assert kinds(deployment.look()) == ["paused"]


def test_most_attempts_fail(deployment: Deployment) -> None:
    deployment.worker(done=0)
    deployment.look()
    deployment.worker(done=50, retry=49)
    assert deployment.second().troubles == []
    deployment.worker(done=50, retry=49, dead=1)
    (trouble,) = deployment.second().troubles
    assert (trouble.kind, trouble.queue) == ("failing", QUEUE)
    assert "50% of the attempts" in trouble.what


def test_many_jobs_are_dead(deployment: Deployment) -> None:
    deployment.worker()
    add(deployment.storage, MANY_DEAD)
    assert kinds(deployment.second(dead=MANY_DEAD - 1)) == []
    (trouble,) = deployment.second(dead=1).troubles
    assert trouble.kind == "dead"
    assert f"{MANY_DEAD} jobs are dead" in trouble.what


def test_a_task_that_nobody_knows_is_found_soon_and_forgotten_at_once(deployment: Deployment) -> None:
    storage = deployment.storage
    deployment.worker()
    deployment.look()
    (job,) = (job._replace(task="app.unknown") for job in make())
    storage.run(storage.enqueue([job]))
    deployment.now += CARE
    (trouble,) = deployment.troubles()
    assert (trouble.kind, trouble.severity) == ("unknown-task", Severity.PROBLEM)
    assert "app.unknown" in trouble.what
    storage.run(storage.cancel([job.id], reason=b""))
    assert deployment.troubles() == []


def test_workers_go_silent(deployment: Deployment) -> None:
    for number in range(3):
        deployment.worker(f"web-1:{number}")
    deployment.worker("web-2:0", host="web-2")
    deployment.worker("web-3:0", host="web-3")
    deployment.storage.run(deployment.storage.leave("web-3:0"))
    deployment.now += 14
    assert deployment.troubles() == []
    deployment.now += 6
    first, second = deployment.troubles()
    assert [first.kind, second.kind] == ["silent", "silent"]
    assert first.what == "3 worker processes have not been heard of for 20 s, on web-1"
    assert second.what == "worker web-2:0 has not been heard of for 20 s, on web-2"
    assert deployment.look().workers == []
    deployment.now += 60
    assert deployment.troubles() == []


def test_the_worst_is_first(deployment: Deployment) -> None:
    storage = deployment.storage
    storage.run(storage.enqueue(make(1, queue="a")))
    storage.run(storage.pause("a", paused=True))
    deployment.worker(queues=["a"])
    add(storage, 1)
    severities = [trouble.severity for trouble in deployment.troubles()]
    assert severities == [Severity.PROBLEM, Severity.WARNING]


# -- workers ---------------------------------------------------------------------------------------------


def test_a_worker_says_what_it_runs_and_how_old_its_leases_are(deployment: Deployment) -> None:
    running = (Activity(id="mail:0198c0ffee0070008000000000000001", task="app.task", ran=3.5),)
    vitals = Vitals(memory=2**20, concurrency=2, held=3, renewed=2.0, running=running)
    presence = Presence("w", "web-1", 7, (QUEUE,), ("app.task",), vitals=vitals.encode())
    deployment.storage.run(deployment.storage.announce(presence))
    deployment.now += 4
    (worker,) = deployment.look().workers
    assert (worker.vitals, worker.seen, worker.lease_age) == (vitals, 4, 6)
    document = worker.model_dump(mode="json")
    assert document["lease_age"] == 6
    assert WorkerView.model_validate(document) == worker


@pytest.mark.parametrize("body", [b"", b"\xff", b"[]", b'{"memory": "much"}', b'{"running": [{"id": 1}]}'])
def test_what_another_version_says_is_left_out(deployment: Deployment, body: bytes) -> None:
    presence = Presence("w", "web-1", 7, (QUEUE,), (), vitals=body)
    deployment.storage.run(deployment.storage.announce(presence))
    (worker,) = deployment.look().workers
    assert (worker.name, worker.vitals, worker.lease_age) == ("w", Vitals(), None)


def test_states_that_nobody_has_are_none(deployment: Deployment) -> None:
    add(deployment.storage, 1)
    (queue,) = deployment.look().queues
    assert queue.counts == {state: int(state is JobState.READY) for state in JobState}
