"""One look for all who watch, and now and then one for nobody."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from distq.admin.monitor import Pace
from distq.job import JobState
from distq.memory.storage import MemoryStorage
from distq.service import live
from distq.service.live import Live
from tests.contract.steps import add


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "Pace", lambda: Pace(0.01))
    monkeypatch.setattr(live, "INTEREST", 0.0)


def looking(work: Callable[[Live], Awaitable[None]]) -> None:
    """Do something with one that looks now and then."""

    async def run() -> None:
        found = Live(MemoryStorage())
        found.keep_looking()
        try:
            await asyncio.wait_for(work(found), 10)
        finally:
            await found.close()

    asyncio.run(run())


async def until(predicate: Callable[[], bool]) -> None:
    while not predicate():
        await asyncio.sleep(0.005)


def test_what_was_seen_is_there_before_anybody_asks_and_again_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "IDLE", 0.05)

    async def work(found: Live) -> None:
        await until(lambda: found.latest is not None)
        first = found.latest
        await until(lambda: found.latest is not first)

    looking(work)


def test_who_takes_what_is_old_need_not_wait_and_who_does_not_gets_a_new_look() -> None:
    async def work(found: Live) -> None:
        await until(lambda: found.latest is not None and found._idle)
        old = found.latest
        assert await found.picture(stale=True) is old
        await until(lambda: found.latest is not old)  # for who asked will ask again
        await until(lambda: found._idle)
        seen = found.latest
        assert await found.picture() is not seen

    looking(work)


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """No look by itself after the first one."""
    monkeypatch.setattr(live, "Pace", lambda: Pace(3600))
    monkeypatch.setattr(live, "INTEREST", 3600)


@pytest.mark.usefixtures("unhurried")
def test_who_has_changed_something_sees_it_at_once() -> None:
    async def work(found: Live) -> None:
        await found.picture()
        for number in range(1, 6):
            add(found._storage)
            (queue,) = (await found.picture()).queues
            assert queue.counts[JobState.READY] == number

    looking(work)


@pytest.mark.usefixtures("unhurried")
def test_a_look_that_was_under_way_is_not_new() -> None:
    async def work(found: Live) -> None:
        await until(lambda: found._begun > found._looks)
        await found.picture()
        assert found._looks == 2

    looking(work)


@pytest.mark.usefixtures("unhurried")
def test_a_store_that_is_slow_to_look_at_is_not_hurried() -> None:
    async def work(found: Live) -> None:
        old = await found.picture()
        for _ in range(3):
            found._pace.note(0.1)
        assert await found.picture() is old

    looking(work)
