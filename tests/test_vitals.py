"""What worker processes say of themselves: memory, leases, what runs, and how their attempts ended."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import psutil
import pytest

from distq import DistQ, JobFailed
from distq.admin.crew import SHOWN, Activity, Timetable, Vitals
from distq.context import CurrentJob
from distq.errors import StorageError
from distq.job import Lease, Outcome, OutcomeKind, Presence
from distq.memory.storage import MemoryStorage
from distq.options import NO_LIMITS
from distq.storage import Op
from distq.worker import memory
from distq.worker.holdings import Holdings
from distq.worker.outbox import Outbox
from distq.worker.presence import Announcer
from distq.worker.running import Run, Running
from distq.worker.settings import Settings
from distq.worker.slots import Slots
from distq.worker.tally import Tally
from tests.contract.steps import QUEUE, add, take
from tests.helpers import eventually
from tests.worker_app import alast, fail, last, steer
from tests.world import World, end, gone, workers_of


def told(world: World) -> list[Presence]:
    """The worker processes, with the one first that runs most."""
    storage = world.app.storage
    return sorted(storage.run(storage.workers(within=60)), key=lambda found: -len(vitals(found).running))


def vitals(presence: Presence) -> Vitals:
    return Vitals.decode(presence.vitals)


def tallied(world: World) -> dict[str, int]:
    storage = world.app.storage
    return dict(storage.run(storage.tallies()).get("default", {}))


# -- real processes ------------------------------------------------------------------------------------


def test_a_process_says_what_it_runs_and_how_it_is(world: World) -> None:
    pool = world.start("--processes", "1", "--concurrency", "2", "--queues", "default")
    long, along = last.enqueue(60, "long"), alast.enqueue(60, "along")
    (found,) = eventually(lambda: [p for p in told(world) if len(vitals(p).running) == 2], timeout=20)
    said = vitals(found)
    assert {(job.id, job.task) for job in said.running} == {(long.id, "last"), (along.id, "alast")}
    assert all(0 <= job.ran < 60 for job in said.running)
    (process,) = workers_of(pool)
    assert found.pid == process.pid
    assert said.memory == pytest.approx(process.memory_info().rss, rel=0.3)
    assert (said.concurrency, said.held, said.crons) == (2, 2, ())
    assert 0 <= said.renewed <= 30


def test_tallies_outlive_the_processes(world: World) -> None:
    pool = world.start("--processes", "2", "--queues", "default")
    done = [last.enqueue(0, f"n{n}") for n in range(5)]
    failed, steered = fail.enqueue(), [steer.enqueue(how) for how in ("retry", "snooze", "cancel")]
    for job in done:
        job.result(timeout=20)
    with pytest.raises(JobFailed):
        failed.result(timeout=20)
    eventually(lambda: all(job.state.ended for job in steered), timeout=20)
    assert end(pool) == 0
    snoozes = sum(line.startswith("snooze") for line in world.lines()) - 1
    assert tallied(world) == {"done": 7, "retry": 2, "snooze": snoozes, "dead": 1, "cancelled": 1}
    assert told(world) == []
    burst = world.start("--processes", "1", "--queues", "default", "--burst")
    last.enqueue(0, "later").result(timeout=20)
    assert burst.wait(30) == 0
    assert tallied(world)["done"] == 8


def test_what_a_process_said_last_outlives_its_crash(world: World) -> None:
    pool = world.start("--processes", "1", "--queues", "default")
    last.enqueue(0, "n").result(timeout=20)
    eventually(lambda: tallied(world) == {"done": 1}, timeout=20)
    stuck = last.enqueue(60, "stuck")
    eventually(lambda: world.noted("begin stuck"), timeout=20)
    (process,) = workers_of(pool)
    dead = told(world)[0].name
    os.kill(process.pid, signal.SIGKILL)
    eventually(lambda: gone([process]) and dead not in [found.name for found in told(world)], timeout=20)
    assert tallied(world) == {"done": 1}
    eventually(lambda: world.noted("begin stuck") == 2, timeout=20)
    os.killpg(pool.pid, signal.SIGKILL)
    assert tallied(world) == {"done": 1}
    assert stuck.state.value == "leased"


# -- parts ---------------------------------------------------------------------------------------------


@pytest.fixture
def storage() -> MemoryStorage:
    return MemoryStorage()


def outbox(storage: MemoryStorage, tally: Tally) -> Outbox:
    return Outbox(storage, keep=60, batch=100, tally=tally)


def test_only_what_the_storage_took_is_counted(storage: MemoryStorage) -> None:
    add(storage, 3)
    leases, tally = take(storage), Tally([QUEUE])
    box = outbox(storage, tally)
    lost = leases[0]._replace(token="another's")
    for lease in (lost, *leases[1:], leases[1]):  # one of them has two outcomes: its first counts
        box.add(Outcome(lease.id, lease.token, OutcomeKind.DONE, b"1"), 0.1)
    box.settle()
    assert tally.tallies == {QUEUE: {"done": 2}}


def test_what_is_given_back_is_no_attempt(storage: MemoryStorage) -> None:
    add(storage, 2)
    first, second = take(storage)
    tally = Tally([QUEUE, "other"])
    box = outbox(storage, tally)
    box.release([first])
    box.add(Outcome(second.id, second.token, OutcomeKind.RETRY, b"{}", 5.0), 0.1)
    box.settle()
    assert tally.tallies == {QUEUE: {"retry": 1}}


def test_what_the_storage_refuses_is_counted_as_dead(
    storage: MemoryStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(storage, 2)
    leases, tally, settle = take(storage), Tally([QUEUE]), storage.settle

    def refuse(outcomes: list[Outcome], *, keep: float) -> Op[set[str]]:
        if any(outcome.body == b"too large" for outcome in outcomes):
            raise StorageError("memory", "it says no")
        return settle(outcomes, keep=keep)

    monkeypatch.setattr(storage, "settle", refuse)
    box = outbox(storage, tally)
    for lease, body in zip(leases, (b"too large", b"1"), strict=True):
        box.add(Outcome(lease.id, lease.token, OutcomeKind.DONE, body), 0.1)
    box.settle()
    assert tally.tallies == {QUEUE: {"dead": 1, "done": 1}}


def announced(storage: MemoryStorage, app: DistQ, running: Running, held: int = 0) -> Vitals:
    holdings = Holdings(storage, "w", 60)
    if held:
        add(storage, held)
        holdings.lease(QUEUE, held)
    app.move(storage)
    settings = Settings(weights={QUEUE: 1}, concurrency=held)
    Announcer(app, "w", settings, holdings, running, Tally([QUEUE])).make()
    (found,) = storage.run(storage.workers(within=60))
    return vitals(found)


def test_of_many_running_jobs_the_longest_are_shown_first(storage: MemoryStorage) -> None:
    count = SHOWN + 5
    slots = Slots(descriptor := Slots.allocate(count), count)
    os.close(descriptor)
    running, now = Running(slots, hard_cancel=False), time.monotonic()
    for number in range(count):
        lease = Lease(f"mail:{number}", "t", "send", b"{}\n{}", 0, 0)
        running.begin(Run(lease, CurrentJob(lease, lambda *_: None), NO_LIMITS), now - number)
    shown = announced(storage, DistQ("memory://"), running).running
    assert [job.id for job in shown] == [f"mail:{number}" for number in reversed(range(5, count))]
    assert shown[0].ran == pytest.approx(count - 1, abs=5)
    assert {type(job) for job in shown} == {Activity}
    slots.close()


def test_leases_and_schedules_are_told(storage: MemoryStorage) -> None:
    app = DistQ("memory://")

    @app.cron("0 3 * * *", name="nightly", tz="Europe/Berlin")
    @app.cron("* * * * *", name="often")
    @app.task(name="report", queue="reports")
    def report() -> None:
        """Never run here."""

    slots = Slots(descriptor := Slots.allocate(1), 1)
    os.close(descriptor)
    said = announced(storage, app, Running(slots, hard_cancel=False), held=3)
    assert (said.held, said.concurrency, said.running) == (3, 3, ())
    assert 0 <= said.renewed < 30
    assert said.crons == (
        Timetable(queue="reports", name="often", task="report", expression="* * * * *", tz="UTC"),
        Timetable(queue="reports", name="nightly", task="report", expression="0 3 * * *", tz="Europe/Berlin"),
    )
    slots.close()


def test_memory_is_what_the_system_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    here = psutil.Process()
    assert memory.resident() == pytest.approx(here.memory_info().rss, rel=0.3)
    assert memory.peak() >= memory.resident() * 0.7
    monkeypatch.setattr(memory, "_STATM", tmp_path / "absent")
    assert memory.resident() == memory.peak()
