"""The contract of `distq/storage.py`: what worker processes say of themselves, and what they did in all."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from distq.job import Presence, Tallies
from distq.storage import Storage
from tests.contract.conftest import Timed

DAY = 86_400


def announce(storage: Storage, name: str = "w1", tallies: Tallies | None = None, vitals: bytes = b"") -> None:
    presence = Presence(name, "host", 42, ("mail",), ("app.a",), 0.0, vitals, tallies or {})
    storage.run(storage.announce(presence))


def leave(storage: Storage, name: str = "w1", tallies: Tallies | None = None) -> None:
    storage.run(storage.leave(name, tallies=tallies))


def total(storage: Storage) -> Tallies:
    return storage.run(storage.tallies())


def names(storage: Storage) -> list[str]:
    return sorted(worker.name for worker in storage.run(storage.workers(within=1e6)))


def at_once(*calls: Callable[[], object]) -> None:
    """Make the calls at the same moment, in threads. Raises what one of them raised."""
    barrier = threading.Barrier(len(calls))

    def run(call: Callable[[], object]) -> None:
        barrier.wait()
        call()

    with ThreadPoolExecutor(len(calls)) as pool:
        list(pool.map(run, calls))


# -- what a process says ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "vitals", [b"", b'{"memory": 1}', '\n{"a":\n"ß\\n \\\\ \'"}\n'.encode(), b"\0\xff\n"]
)
def test_a_process_is_given_back_as_it_announced_itself(storage: Storage, vitals: bytes) -> None:
    tallies = {"mail": {"done": 2**40, "retry": 1}, "a.b_c-D": {"dead": 3}}
    announce(storage, "w0", {"mail": {"done": 1}}, b"others")
    announce(storage, "w1", tallies, vitals)
    found = storage.run(storage.workers(within=60))[1]
    assert (found.name, found.vitals, found.tallies) == ("w1", vitals, tallies)
    assert (found.host, found.pid, found.queues, found.tasks) == ("host", 42, ("mail",), ("app.a",))


def test_a_process_without_tallies_has_none(storage: Storage) -> None:
    announce(storage)
    (found,) = storage.run(storage.workers(within=60))
    assert (found.vitals, found.tallies) == (b"", {})
    assert total(storage) == {}
    leave(storage)
    assert total(storage) == {}


def test_what_a_process_counts_after_its_announcement_is_not_announced(storage: Storage) -> None:
    counting = {"mail": {"done": 1}}
    announce(storage, tallies=counting)
    counting["mail"]["done"] = 5
    assert total(storage) == {"mail": {"done": 1}}


def test_the_latest_announcement_counts(storage: Storage) -> None:
    announce(storage, tallies={"mail": {"done": 1}}, vitals=b"1")
    announce(storage, tallies={"mail": {"done": 3}, "bulk": {"dead": 1}}, vitals=b"2")
    assert total(storage) == {"mail": {"done": 3}, "bulk": {"dead": 1}}
    assert [worker.vitals for worker in storage.run(storage.workers(within=60))] == [b"2"]


# -- what they did in all --------------------------------------------------------------------------------


def test_tallies_are_those_of_all_processes(storage: Storage) -> None:
    assert total(storage) == {}
    announce(storage, "w1", {"mail": {"done": 3, "retry": 1}})
    announce(storage, "w2", {"mail": {"done": 4}, "bulk": {"dead": 2}})
    everything = {"mail": {"done": 7, "retry": 1}, "bulk": {"dead": 2}}
    assert total(storage) == everything
    leave(storage, "w2")
    assert total(storage) == everything
    leave(storage, "w1")
    assert total(storage) == everything
    assert names(storage) == []
    announce(storage, "w3", {"bulk": {"dead": 1, "done": 1}})
    assert total(storage) == {"mail": {"done": 7, "retry": 1}, "bulk": {"dead": 3, "done": 1}}


def test_who_leaves_may_say_what_it_did_last(storage: Storage) -> None:
    announce(storage, tallies={"mail": {"done": 3}})
    leave(storage, tallies={"mail": {"done": 5}, "bulk": {"done": 1}})
    assert total(storage) == {"mail": {"done": 5}, "bulk": {"done": 1}}


def test_leaving_twice_adds_once(storage: Storage) -> None:
    announce(storage, tallies={"mail": {"done": 3}})
    op = storage.leave("w1", tallies={"mail": {"done": 5}})
    assert op.repeatable
    for _ in range(3):
        storage.run(op)
    leave(storage)  # its supervisor, which saw it end
    assert total(storage) == {"mail": {"done": 5}}


def test_who_was_never_there_adds_nothing(storage: Storage) -> None:
    leave(storage, "nobody", {"mail": {"done": 5}})
    assert total(storage) == {}


def test_who_announces_itself_after_it_left_is_another_process(storage: Storage) -> None:
    announce(storage, tallies={"mail": {"done": 3}})
    leave(storage)
    announce(storage, tallies={"mail": {"done": 1}})
    assert names(storage) == ["w1"]
    assert total(storage) == {"mail": {"done": 4}}
    leave(storage)
    assert total(storage) == {"mail": {"done": 4}}


def test_who_is_forgotten_after_a_day_still_counts(timed: Timed) -> None:
    storage = timed.storage
    announce(storage, "gone", {"mail": {"done": 3}})
    timed.wait(DAY / 2)
    announce(storage, "silent", {"mail": {"done": 10}})
    timed.wait(DAY / 2 + 1)
    announce(storage, "w1", {"mail": {"done": 100}})
    assert total(storage) == {"mail": {"done": 113}}
    assert names(storage) in (["silent", "w1"], ["gone", "silent", "w1"])
    leave(storage, "gone", {"mail": {"done": 3}})
    assert total(storage) == {"mail": {"done": 113}}
    announce(storage, "w1", {"mail": {"done": 101}})
    timed.wait(DAY + 1)
    announce(storage, "w1", {"mail": {"done": 102}})  # after a day it was not forgotten itself
    assert total(storage) == {"mail": {"done": 115}}


def test_many_are_forgotten_in_the_end(timed: Timed) -> None:
    storage = timed.storage
    for number in range(40):
        announce(storage, f"gone{number}", {"mail": {"done": 1}, f"q{number % 3}": {"dead": 1}})
    timed.wait(DAY + 1)
    for number in range(30):
        announce(storage, "w1", {"mail": {"done": number}})
        assert total(storage)["mail"] == {"done": 40 + number}
    expected = {"mail": {"done": 69}} | {f"q{n}": {"dead": 14 if n == 0 else 13} for n in range(3)}
    assert total(storage) == expected


# -- at once ---------------------------------------------------------------------------------------------


def test_of_two_who_say_that_a_process_ended_one_adds(storage: Storage) -> None:
    for number in range(20):
        announce(storage, tallies={"mail": {"done": 1, "retry": 1}, "bulk": {"done": 1}})
        at_once(*[lambda: leave(storage)] * 4)
        count = number + 1
        assert total(storage) == {"mail": {"done": count, "retry": count}, "bulk": {"done": count}}


def test_many_leave_at_once_and_none_waits_for_another_in_a_circle(storage: Storage) -> None:
    queues = [f"q{number}" for number in range(8)]
    for number in range(12):
        turned = queues[number % 8 :] + queues[: number % 8]
        announce(storage, f"w{number}", {queue: {"done": 1, "dead": 1} for queue in turned})
    at_once(*[lambda n=number: leave(storage, f"w{n}") for number in range(12)])
    assert total(storage) == {queue: {"done": 12, "dead": 12} for queue in queues}


def test_no_figure_falls_while_processes_come_and_go(storage: Storage) -> None:
    over = threading.Event()

    def live(name: str) -> None:
        for life in range(15):
            for done in (1, 2):
                announce(storage, f"{name}.{life}", {"mail": {"done": done}})
            leave(storage, f"{name}.{life}", {"mail": {"done": 3}} if life % 2 else None)

    def watch() -> None:
        last = 0
        while not over.is_set():
            now = total(storage).get("mail", {}).get("done", 0)
            assert now >= last
            last = now

    def work() -> None:
        try:
            at_once(*[lambda n=number: live(f"w{n}") for number in range(3)])
        finally:
            over.set()

    at_once(work, watch)
    assert total(storage) == {"mail": {"done": 3 * (7 * 3 + 8 * 2)}}
    assert names(storage) == []
