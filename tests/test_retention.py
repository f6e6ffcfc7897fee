"""Ended jobs are forgotten by age and by count, a bounded number at a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from distq.job import JobState, OutcomeKind
from distq.memory.storage import MemoryStorage
from distq.worker.retention import INTERVAL, LIMIT, Keep, Retention
from tests.contract.steps import QUEUE, WHY, add, settle, take


class World:
    """A memory storage with a clock that the test moves, and the pass of one worker process."""

    def __init__(self, keep: Keep, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.passes = 1e9, 0
        self.storage = MemoryStorage(clock=lambda: self.now)
        self._patch = monkeypatch
        self.retention = Retention(self.storage, (QUEUE,), {JobState.DEAD: keep})

    def bury(self, count: int) -> None:
        add(self.storage, count)
        settle(self.storage, take(self.storage, limit=count), OutcomeKind.DEAD, body=WHY)

    def dead(self) -> int:
        return self.storage.run(self.storage.counts(QUEUE)).get(JobState.DEAD, 0)

    def later(self, seconds: float) -> None:
        """Make a pass, if it is due then."""
        clock: Callable[[], float] = time.monotonic
        with self._patch.context() as patch:
            patch.setattr("distq.worker.retention.time.monotonic", lambda: clock() + seconds)
            self.retention.make()


def test_dead_jobs_are_forgotten_by_age(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(Keep(seconds=100, jobs=1000), monkeypatch)
    world.bury(3)
    world.now += 99
    world.bury(2)
    world.later(INTERVAL)
    assert world.dead() == 5
    world.now += 2
    world.later(3 * INTERVAL)
    assert world.dead() == 2


def test_dead_jobs_are_forgotten_by_count(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(Keep(seconds=1e6, jobs=3), monkeypatch)
    world.bury(5)
    world.later(INTERVAL)
    assert world.dead() == 3


def test_a_full_pass_is_soon_followed_by_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(Keep(seconds=1e6, jobs=1), monkeypatch)
    world.bury(2 * LIMIT + 1)
    left: list[Any] = []
    for seconds in (INTERVAL, INTERVAL + 1, INTERVAL + 2, INTERVAL + 3):
        world.later(seconds)
        left.append(world.dead())
    assert left == [LIMIT + 1, 1, 1, 1]
