"""The contract of `distq/storage.py`: hints reach who listens."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from distq.ids import new_ids
from distq.job import Heard, JobState, OutcomeKind
from distq.storage import Listener, Storage
from tests.contract.steps import QUEUE, WHY, add, expire, settle, state, take
from tests.helpers import eventually


@pytest.fixture
def listen(storage: Storage) -> Iterator[Callable[..., Listener]]:
    """Opens listeners, which listen when it returns, and closes them."""
    opened: list[Listener] = []

    def open_one(**what: Any) -> Listener:
        listener = storage.listener(**what)
        opened.append(listener)
        reader, writer = os.pipe()
        os.write(writer, b"!")
        first = listener.wait(timeout=10, wakeup=reader)
        assert first.gap
        if "queues" in what:
            eventually(lambda: first.sure or listener.wait(timeout=0, wakeup=reader).sure)
        os.close(reader)
        os.close(writer)
        return listener

    yield open_one
    for listener in opened:
        listener.close()


def hear(listener: Listener, wakeup: int, what: Callable[[Heard], object]) -> bool:
    """Wait for a hint of a kind."""
    return bool(eventually(lambda: what(listener.wait(timeout=5, wakeup=wakeup))))


def silent(listener: Listener, wakeup: int) -> bool:
    return not listener.wait(timeout=0.05, wakeup=wakeup)


def test_a_listener_hears_an_enqueue(storage: Storage, listen: Any, wakeup: tuple[int, int]) -> None:
    listener = listen(queues=[QUEUE])
    add(storage)
    assert hear(listener, wakeup[0], lambda heard: QUEUE in heard.ready)


def test_a_listener_hears_what_returns(storage: Storage, listen: Any, wakeup: tuple[int, int]) -> None:
    add(storage)
    leases = take(storage)
    listener = listen(queues=[QUEUE])
    settle(storage, leases, OutcomeKind.RETRY, body=WHY)
    assert hear(listener, wakeup[0], lambda heard: QUEUE in heard.ready)


def test_a_listener_hears_a_resumed_queue(storage: Storage, listen: Any, wakeup: tuple[int, int]) -> None:
    storage.run(storage.pause(QUEUE, paused=True))
    add(storage)
    listener = listen(queues=[QUEUE])
    listener.wait(timeout=0.05, wakeup=wakeup[0])
    storage.run(storage.pause(QUEUE, paused=False))
    assert hear(listener, wakeup[0], lambda heard: QUEUE in heard.ready)


def test_a_listener_does_not_hear_other_queues(
    storage: Storage, listen: Any, wakeup: tuple[int, int]
) -> None:
    listener = listen(queues=["other"])
    add(storage)
    assert silent(listener, wakeup[0])


def test_a_listener_hears_whose_job_is_to_end(storage: Storage, listen: Any, wakeup: tuple[int, int]) -> None:
    (job_id,) = add(storage)
    take(storage, worker="w1")
    listener = listen(queues=[QUEUE])
    listener.wait(timeout=0.05, wakeup=wakeup[0])
    storage.run(storage.cancel([job_id], reason=WHY))
    assert hear(listener, wakeup[0], lambda heard: heard.cancel == {"w1"})


@pytest.mark.parametrize("kind", [OutcomeKind.DONE, OutcomeKind.DEAD, OutcomeKind.CANCELLED])
def test_the_end_of_a_watched_job_is_heard(
    storage: Storage, listen: Any, wakeup: tuple[int, int], kind: OutcomeKind
) -> None:
    watched, unwatched = add(storage, 2)
    listener = listen(ended=[QUEUE])
    storage.run(storage.watch([watched]))
    settle(storage, take(storage), kind, body=WHY)
    heard: set[str] = set()
    hear(listener, wakeup[0], lambda what: heard.update(what.ended) or heard)
    assert heard == {watched}
    assert unwatched not in heard


def test_a_cancelled_or_buried_job_is_heard_to_end(
    storage: Storage, listen: Any, wakeup: tuple[int, int]
) -> None:
    cancelled, buried = add(storage, 2)
    listener = listen(ended=[QUEUE])
    storage.run(storage.watch([cancelled, buried]))
    storage.run(storage.cancel([cancelled], reason=WHY))
    while state(storage, buried) is not JobState.DEAD:
        expire(storage, take(storage, alone=True))
    heard: set[str] = set()
    hear(listener, wakeup[0], lambda what: heard.update(what.ended) or heard == {cancelled, buried})


def test_a_listener_that_hears_ends_does_not_wake_for_jobs(
    storage: Storage, listen: Any, wakeup: tuple[int, int]
) -> None:
    listener = listen(ended=[QUEUE])
    add(storage)
    settle(storage, take(storage), OutcomeKind.DONE)
    assert silent(listener, wakeup[0])


def test_a_wait_is_ended_by_its_own_process(storage: Storage, wakeup: tuple[int, int]) -> None:
    listener = storage.listener(queues=[QUEUE])
    thread = threading.Thread(target=listener.wait, kwargs={"timeout": 60, "wakeup": wakeup[0]}, daemon=True)
    thread.start()
    os.write(wakeup[1], b"!")
    thread.join(5)
    assert not thread.is_alive()
    listener.close()
    listener.close()


def test_a_wait_ends_by_itself(listen: Any, wakeup: tuple[int, int]) -> None:
    assert silent(listen(queues=[QUEUE]), wakeup[0])


def test_only_a_job_that_has_not_ended_is_watched(storage: Storage) -> None:
    ended, dead, running, waiting = add(storage, 4)
    leases = take(storage, limit=3)
    settle(storage, leases[:1], OutcomeKind.DONE)
    settle(storage, leases[1:2], OutcomeKind.DEAD, body=WHY)
    (stranger,) = new_ids(QUEUE, 1)
    ids = [ended, dead, running, waiting, stranger]
    for _ in range(2):
        assert storage.run(storage.watch(ids)) == {running, waiting}
    assert storage.run(storage.watch([])) == set()
