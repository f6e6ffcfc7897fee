"""A pool listens once for all its processes, and a hint makes one of them ask."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
import redis

from distq import JobState
from distq.job import Heard
from distq.memory.storage import MemoryStorage
from distq.polling import nudge, readable, unblocking_pipe
from distq.redis.storage import RedisStorage
from distq.worker import board as boards
from distq.worker import hearing
from distq.worker.board import Board
from distq.worker.hearing import Hearing
from distq.worker.hints import Channel, Hints
from tests import worker_app
from tests.counting import Counter as Proxy
from tests.helpers import eventually
from tests.world import World, open_world, workers_of

QUEUES = ("one", "two")


@pytest.fixture
def descriptor() -> Iterator[int]:
    descriptor = Board.allocate(len(QUEUES))
    yield descriptor
    os.close(descriptor)


@pytest.fixture
def writer(descriptor: int) -> Board:
    return Board(descriptor, QUEUES)


@pytest.fixture
def reader(descriptor: int) -> Board:
    return Board(descriptor, QUEUES)


def test_each_reader_reads_each_hint_once(writer: Board, reader: Board, descriptor: int) -> None:
    for queue, first in [("one", 3.0), ("two", 5.0), ("one", 2.0)]:
        writer.write(Heard({queue: first}))
    other = Board(descriptor, QUEUES)
    assert reader.read() == Heard({"one": 2.0, "two": 5.0})
    assert not reader.read()
    writer.write(Heard({"two": 1.0}))
    assert reader.read() == other.read() == Heard({"two": 1.0})


def test_a_reader_knows_whether_all_is_heard(writer: Board, reader: Board, descriptor: int) -> None:
    writer.write(Heard(gap=True))
    assert not reader.read().sure
    writer.write(Heard(sure=True))
    assert reader.read() == Board(descriptor, QUEUES).read() == Heard(gap=True, sure=True)
    writer.write(Heard(gap=True))
    assert reader.read() == Heard(gap=True)
    # Who reads seldom sees that it was not so all the time.
    writer.write(Heard(sure=True))
    reader.read()
    writer.write(Heard(gap=True))
    writer.write(Heard(sure=True))
    assert reader.read() == Heard(gap=True, sure=True)


@pytest.mark.parametrize(
    ("behind", "missed"), [(boards.LENGTH - len(QUEUES), False), (boards.LENGTH - 1, True)]
)
def test_who_is_too_far_behind_has_missed_something(
    writer: Board, reader: Board, behind: int, missed: bool
) -> None:
    writer.write(Heard(sure=True))
    reader.read()
    for number in range(behind):
        writer.write(Heard({"one": float(number)}))
    assert reader.read() == (Heard(gap=True, sure=True) if missed else Heard({"one": 0.0}))


def test_processes_take_turns(writer: Board, reader: Board) -> None:
    assert writer.turn("one", 3600) == 0
    assert 3590 < reader.turn("one", 3600) <= 3600
    assert reader.turn("two", 3600) == 0
    assert reader.turn("one", 0) == 0


def test_shared_memory_is_there_from_the_beginning(descriptor: int) -> None:
    """A disk that is full later takes none of it away."""
    found = os.fstat(descriptor)
    assert found.st_blocks * 512 >= found.st_size > 0


class Breaking:
    """A listener that breaks, as none should, after it was sure; the next one hears nothing."""

    made = 0

    def __init__(self, **what: object) -> None:
        Breaking.made += 1
        self._whole = Breaking.made > 1
        self._said = [] if self._whole else [Heard(gap=True, sure=True), Heard({"one": 1.0})]

    def wait(self, *, timeout: float, wakeup: int) -> Heard:
        """Say what there is to say, then break."""
        if self._whole:
            readable([wakeup], timeout)
            return Heard()
        return self._said.pop(0)

    def close(self) -> None:
        """Break again."""
        if not self._whole:
            raise ValueError("closed")


def test_a_listener_that_breaks_leaves_nobody_sure(monkeypatch: pytest.MonkeyPatch) -> None:
    storage = MemoryStorage()
    monkeypatch.setattr(storage, "listener", Breaking)
    monkeypatch.setattr(hearing, "AGAIN", 0.01)
    ear = Hearing(storage, QUEUES, lambda: None)
    ear.start()
    eventually(lambda: Breaking.made > 1)
    assert Board(ear.channel.board, QUEUES).read() == Heard()  # as nobody heard anything
    assert ear.tokens.take()
    ear.stop()


def hear(channel: Channel) -> tuple[Hints, int]:
    """What a process has, and the descriptor that wakes it."""
    wakeup, waker = unblocking_pipe()
    return Hints(MemoryStorage(), QUEUES, channel, wakeup), waker


def test_of_those_who_wait_one_gets_a_token() -> None:
    channel = Channel.open(QUEUES)
    processes = [hear(channel) for _ in range(3)]
    with ThreadPoolExecutor(len(processes)) as threads:
        waits = [threads.submit(hints.wait, 60, hungry=True) for hints, _ in processes]
        processes[0][0].tokens.give()
        eventually(lambda: any(wait.done() for wait in waits))
        for _, waker in processes:
            nudge(waker, b"!")
        assert sorted(wait.result() for wait in waits) == [False, False, True]


def test_those_who_wait_get_tokens_by_turns() -> None:
    channel = Channel.open(QUEUES)
    processes = [hear(channel) for _ in range(3)]
    taken: list[int] = []

    def work(number: int) -> None:
        while processes[number][0].wait(60, hungry=True):
            taken.append(number)

    with ThreadPoolExecutor(len(processes)) as threads:
        waits = [threads.submit(work, number) for number in range(3)]
        for given in range(60):
            processes[0][0].tokens.give()
            eventually(lambda given=given: len(taken) > given)
        for _, waker in processes:
            nudge(waker, b"!")
        assert [wait.result() for wait in waits] == [None] * 3
    assert min(taken.count(number) for number in range(3)) > 5


def test_who_has_no_room_leaves_tokens_to_others() -> None:
    channel = Channel.open(QUEUES)
    (full, _), (idle, _) = hear(channel), hear(channel)
    for _ in range(100_000):  # more than a pipe holds
        full.tokens.give()
    assert not full.wait(0, hungry=False)
    assert idle.wait(0, hungry=True)


def test_a_pool_has_one_connection_that_listens(world: World) -> None:
    world.start("--processes", "3")
    worker_app.add.enqueue(1, 2).result(timeout=20)
    eventually(lambda: len(workers_of(world.pools[0])) == 3)
    assert eventually(lambda: listeners(world)) == 1


def listeners(world: World) -> int:
    storage: Any = world.app.storage
    target = storage._target
    if isinstance(storage, RedisStorage):
        with redis.Redis.from_url(target.url) as client:
            ((_, count),) = client.pubsub_numsub(f"{target.prefix}:{{default}}:wake")
            return count
    with psycopg.connect(target.url) as connection:
        query = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE %s"
        ((count,),) = connection.execute(query, (f'LISTEN "{target.schema}"%',))
        return count


@pytest.fixture
def counted_world(counted: Proxy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[World]:
    with open_world(
        worker_app.app, "tests.worker_app", counted.url, tmp_path / "notes", monkeypatch
    ) as world:
        yield world


def test_a_hint_costs_one_question_however_many_wait(counted_world: World, counted: Proxy) -> None:
    jobs, asked = 40, 4  # enqueue, lease, settle, and what there is besides
    counted_world.start("--processes", "6", "--concurrency", "2")
    worker_app.last.enqueue_many([(0.5, "warm")] * 12)
    eventually(lambda: counted_world.noted("end warm") == 12, timeout=30)
    before, began = counted.requests, time.monotonic()
    for number in range(jobs):
        worker_app.last.enqueue(0.0, "quick")
        eventually(lambda done=number: counted_world.noted("end quick") > done)
    passes = 2 * (time.monotonic() - began) + 6
    assert counted.requests - before < asked * jobs + passes


def test_two_jobs_of_one_hint_begin_side_by_side(world: World) -> None:
    """Each process has room for one: who took the hint passes it on."""
    world.start("--processes", "2", "--concurrency", "1")
    worker_app.last.enqueue_many([(0.5, "warm")] * 4)
    eventually(lambda: world.noted("end warm") == 4, timeout=30)
    worker_app.last.enqueue_many([(30.0, "both")] * 2)
    eventually(lambda: world.noted("begin both") == 2)


@pytest.fixture
def pool(world: World) -> psutil.Process:
    """Of two processes, each of which has worked."""
    pool = world.start("--processes", "2", "--concurrency", "1", "--ttl", "3")
    worker_app.last.enqueue_many([(0.5, "warm")] * 4)
    eventually(lambda: world.noted("end warm") == 4, timeout=30)
    return psutil.Process(pool.pid)


def test_processes_work_on_while_their_pool_is_frozen(world: World, pool: psutil.Process) -> None:
    pool.suspend()
    worker_app.add.enqueue(1, 2).result(timeout=10)
    job = worker_app.polite.enqueue("polite")
    eventually(lambda: world.noted("begin polite"))
    job.cancel()
    eventually(lambda: world.record(job.id)[0] is JobState.CANCELLED)
    pool.resume()
    worker_app.add.enqueue(1, 2).result(timeout=10)


def test_a_frozen_process_takes_no_hint_from_the_others(world: World, pool: psutil.Process) -> None:
    frozen, _ = workers_of(world.pools[0])
    os.kill(frozen.pid, signal.SIGSTOP)
    for _ in range(10):
        worker_app.add.enqueue(1, 2).result(timeout=10)
    os.kill(frozen.pid, signal.SIGCONT)
