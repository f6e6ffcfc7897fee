"""Schedules: which ticks are due, on the days when clocks change too, and who fires them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from distq import ConfigurationError, DistQ, Task
from distq.cron import LATE, Cron
from distq.job import Filter, JobState
from distq.memory.storage import MemoryStorage
from distq.messages import headers_of
from distq.worker.scheduler import Scheduler


def cron(expression: str, tz: str = "UTC", *, catch_up: bool = True) -> Cron:
    app = DistQ("memory://")

    @app.cron(expression, tz=tz, catch_up=catch_up)
    def task() -> None: ...

    return app.crons[task.name]


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


def times(schedule: Cron, start: str, count: int) -> list[str]:
    found, moment = [], at(start)
    for _ in range(count):
        tick = schedule.next(moment)
        assert tick is not None
        moment = tick
        found.append(datetime.fromtimestamp(moment, UTC).strftime("%d %H:%M"))
    return found


def test_ticks_follow_the_expression() -> None:
    assert times(cron("*/20 8 * * *"), "2026-01-01T08:10Z", 3) == ["01 08:20", "01 08:40", "02 08:00"]
    assert times(cron("0 9 * * *", "Europe/Berlin"), "2026-01-01T00:00Z", 2) == ["01 08:00", "02 08:00"]


def test_what_is_set_for_an_hour_that_does_not_exist_fires_once() -> None:
    nightly = cron("30 2 * * *", "Europe/Berlin")
    assert times(nightly, "2026-03-28T00:00Z", 3) == ["28 01:30", "29 01:00", "30 00:30"]
    assert times(cron("*/30 * * * *", "Europe/Berlin"), "2026-03-29T00:15Z", 3) == [
        "29 00:30",
        "29 01:00",
        "29 01:30",
    ]


def test_what_is_set_for_an_hour_that_comes_twice_fires_once() -> None:
    nightly = cron("30 2 * * *", "Europe/Berlin")
    assert times(nightly, "2026-10-24T12:00Z", 2) == ["25 00:30", "26 01:30"]
    for start in ("2026-10-25T00:31Z", "2026-10-25T01:10Z", "2026-10-25T01:30Z"):
        assert times(nightly, start, 1) == ["26 01:30"]
    assert times(cron("0 * * * *", "Europe/Berlin"), "2026-10-24T23:30Z", 3) == [
        "25 00:00",
        "25 01:00",
        "25 02:00",
    ]


def test_every_tick_is_due_once_however_often_one_looks() -> None:
    for expression in ("30 2 * * *", "*/15 * * * *", "0 */2 * * *"):
        schedule = cron(expression, "Europe/Berlin")
        for day in ("2026-03-29", "2026-10-25"):
            start, fired = at(f"{day}T00:00Z") - 43_200, []
            last = start
            for now in range(start, start + 86_400, 29):
                for tick in schedule.due(last, now):
                    fired.append(tick)
                    last = tick
            expected, moment = [], start
            while (moment := schedule.next(moment) or 0) <= start + 86_399:
                expected.append(moment)
            assert fired == expected


def test_a_missed_tick_is_made_up_for_once_or_skipped() -> None:
    now, last = at("2026-01-01T10:02Z"), at("2026-01-01T08:00Z")
    assert cron("*/5 * * * *").due(last, now) == [at("2026-01-01T10:00Z")]
    assert cron("*/5 * * * *", catch_up=False).due(last, now) == []
    assert cron("*/5 * * * *", catch_up=False).due(last, at("2026-01-01T10:00:20Z")) == [
        at("2026-01-01T10:00Z")
    ]
    assert cron("* * * * * *").due(now - 3, now) == [now - 2, now - 1, now]
    assert len(cron("* * * * * *").due(last, now)) == LATE


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"expression": "61 * * * *"}, r"cron\('61 \* \* \* \*'\): Bad minute; use five fields"),
        ({"expression": "nightly"}, "Wrong number of fields; use five fields: minute, hour, day"),
        ({"expression": "* * * * *", "tz": "Berlin"}, "tz='Berlin': use a name of the time zone database"),
        ({"expression": "* * * * *", "tz": "../etc"}, "use a name of the time zone database"),
        ({"expression": "* * * * *", "tz": 5}, "tz=5: use a name of the time zone database"),
        ({"expression": "* * * * *", "name": ""}, "name='': use a text of one line"),
        ({"expression": None}, "cron=None: use an expression"),
    ],
)
def test_a_schedule_that_cannot_work_is_refused(arguments: dict[str, Any], said: str) -> None:
    app = DistQ("memory://")
    with pytest.raises(ConfigurationError, match=said):
        app.cron(**arguments)(app.task(name="t")(lambda: None))
    assert app.crons == {}


def test_a_schedule_without_an_expression_is_refused() -> None:
    app = DistQ("memory://")
    with pytest.raises(ConfigurationError, match=r"use an expression: @app.cron"):
        app.cron(lambda: None)  # pyright: ignore[reportArgumentType]


def test_a_schedule_whose_jobs_could_not_be_enqueued_is_refused() -> None:
    app = DistQ("memory://")
    with pytest.raises(ConfigurationError, match="unique=60 is of no use without a key="):
        app.cron("* * * * *")(app.task(name="t", unique=60)(lambda: None))


def test_a_scheduled_task_needs_no_arguments_and_a_name_of_its_own() -> None:
    app = DistQ("memory://")

    @app.task(name="greet")
    def greet(name: str, *rest: int, polite: bool = True) -> str:
        return name

    with pytest.raises(ConfigurationError, match="task 'greet' needs 'name'; give it a default"):
        app.cron("* * * * *")(greet)

    @app.cron("0 0 * * *")
    @app.cron("0 12 * * *", name="noon")
    @app.task(name="clean")
    def clean(hours: int = 3) -> int:
        return hours

    assert isinstance(clean, Task)
    assert clean() == 3
    assert sorted(app.crons) == ["clean", "noon"]
    with pytest.raises(ConfigurationError, match="schedule 'noon' is declared twice; give one a name="):
        app.cron("0 0 * * *", name="noon")(clean)


# -- firing ----------------------------------------------------------------------------------------------


class World:
    """An app with a schedule, on a memory storage with a clock that the test moves."""

    def __init__(self, expression: str, **options: Any) -> None:
        self.now = float(at("2026-01-01T08:00:30Z"))
        self.app = DistQ("memory://")
        self.app.storage = self.storage = MemoryStorage(clock=lambda: self.now)
        self.task: Task[[], None] = self.app.cron(expression, **options)(
            self.app.task(name="report")(lambda: None)
        )

    def scheduler(self) -> Callable[[], None]:
        """A worker process's part; it always has something to do."""
        scheduler = Scheduler(self.storage, self.app.crons.values())

        def make() -> None:
            scheduler.next_at = 0
            scheduler.make()

        make()
        return make

    def fired(self) -> list[str]:
        page = self.storage.run(self.storage.find(Filter("default", JobState.READY), limit=100))
        ticks = (headers_of(job.payload)["tick"] for job in page.jobs)
        return [datetime.fromtimestamp(tick, UTC).strftime("%H:%M") for tick in sorted(ticks)]


def test_each_tick_is_fired_by_one_of_many() -> None:
    world = World("* * * * *")
    makes = [world.scheduler() for _ in range(8)]
    assert world.fired() == []
    for minute in range(1, 4):
        world.now += 60
        threads = [threading.Thread(target=make) for make in makes]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(world.fired()) == minute
    assert world.fired() == ["08:01", "08:02", "08:03"]


def test_a_paused_schedule_is_silent_and_catches_up_once() -> None:
    world = World("* * * * *")
    make = world.scheduler()
    world.storage.run(world.storage.switch("default", "report", paused=True))
    world.now += 600
    make()
    assert world.fired() == []
    world.storage.run(world.storage.switch("default", "report", paused=False))
    world.now += 15
    make()
    assert world.fired() == ["08:10"]
    make()
    assert world.fired() == ["08:10"]


def test_a_schedule_is_switched_by_its_handle_even_before_a_worker_came() -> None:
    world = World("* * * * *", catch_up=False)
    report = world.app.crons["report"]
    report.pause()
    make = world.scheduler()
    world.now += 60
    make()
    assert world.fired() == []
    asyncio.run(report.aresume())
    world.now += 45
    make()
    assert world.fired() == ["08:02"]
    asyncio.run(report.apause())
    report.resume()
    world.now += 60
    make()
    assert world.fired() == ["08:02", "08:03"]


def test_a_schedule_may_skip_what_it_missed() -> None:
    world = World("0 * * * *", catch_up=False)
    make = world.scheduler()
    world.now += 3600 * 3
    make()
    assert world.fired() == []
    world.now = float(at("2026-01-01T12:00:01Z"))
    make()
    assert world.fired() == ["12:00"]


def test_the_next_look_is_at_the_next_tick() -> None:
    world = World("* * * * * *")
    scheduler = Scheduler(world.storage, world.app.crons.values())
    scheduler.make()
    early = scheduler.next_at
    scheduler.make()
    assert scheduler.next_at == early


def test_an_app_without_schedules_asks_nothing() -> None:
    assert Scheduler(MemoryStorage(), []).next_at == float("inf")
