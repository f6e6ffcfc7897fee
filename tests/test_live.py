"""One look for all who watch, and now and then one for nobody."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from distq.admin.monitor import Pace
from distq.memory.storage import MemoryStorage
from distq.service import live
from distq.service.live import Live


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
