"""Cron schedules: which ticks are due. `worker/scheduler.py` fires them.

Expressions and the days when clocks change are as in Debian's cron, by the library cronsim: five fields, or
six with seconds first. What is set for an hour that does not exist fires when it would have been, what is
set for one that comes twice fires once.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from distq.admin.crew import Timetable
from distq.checks import check, is_name
from distq.errors import ConfigurationError
from distq.steps import Steps, arun, do, run

if TYPE_CHECKING:
    from distq.task import BaseTask

LATE = 30
"""Seconds after which a tick that nobody fired is missed."""


@dataclass(frozen=True, slots=True)
class Cron:
    """A task's schedule. `catch_up` says whether a missed tick is made up for, once, or skipped."""

    name: str
    task: BaseTask[..., Any]
    expression: str
    zone: tzinfo
    catch_up: bool

    def pause(self) -> None:
        """Let it not fire until it is resumed. What it missed is then as `catch_up` says."""
        run(self.task.app.storage, self._switch(paused=True))

    async def apause(self) -> None:
        """`pause` for coroutines."""
        await arun(self.task.app.storage, self._switch(paused=True))

    def resume(self) -> None:
        """Let it fire again."""
        run(self.task.app.storage, self._switch(paused=False))

    async def aresume(self) -> None:
        """`resume` for coroutines."""
        await arun(self.task.app.storage, self._switch(paused=False))

    def _switch(self, *, paused: bool) -> Steps[None]:
        storage, queue = self.task.app.storage, self.task.declared.queue
        # Where no worker has been yet the storage does not know it.
        yield from do(storage.schedules(queue, [self.name]))
        yield from do(storage.switch(queue, self.name, paused=paused))

    def next(self, after: float) -> int | None:
        """The first tick after a moment, in seconds since 1970; None where there is no other."""
        return following(self.expression, self.zone, after)

    @property
    def timetable(self) -> Timetable:
        """How workers announce it."""
        return Timetable(
            queue=self.task.declared.queue,
            name=self.name,
            task=self.task.name,
            expression=self.expression,
            tz=str(self.zone),
        )

    def due(self, last: int, now: float) -> list[int]:
        """The ticks after the last one that are to be fired now, in order.

        Of those that were missed that is none, or the latest one where it is to be caught up with.
        """
        due: list[int] = []
        at = max(last, int(now) - LATE)
        while (at := self.next(at) or now + 1) <= now:
            due.append(int(at))
        missed = self._previous(int(now) - LATE)
        if not due and self.catch_up and missed and missed > last:
            due.append(missed)
        return due

    def _previous(self, until: int) -> int | None:
        for tick in CronSim(self.expression, datetime.fromtimestamp(until + 1, self.zone), reverse=True):
            return int(tick.timestamp())
        return None


def following(expression: str, zone: tzinfo, after: float) -> int | None:
    """The first tick of an expression after a moment, in seconds since 1970; None where there is no other."""
    for tick in CronSim(expression, datetime.fromtimestamp(int(after), zone)):
        if (moment := int(tick.timestamp())) > after:
            return moment
    return None


def zone_of(tz: str) -> tzinfo:
    """The time zone of a name. Raises ZoneInfoNotFoundError, ValueError or OSError."""
    return UTC if tz == "UTC" else ZoneInfo(tz)


def parse(task: BaseTask[..., Any], expression: str, *, name: str | None, tz: str, catch_up: bool) -> Cron:
    """The schedule of a task. Raises ConfigurationError."""
    try:
        zone = zone_of(tz)
    except (ZoneInfoNotFoundError, ValueError, OSError, TypeError, AttributeError):
        raise ConfigurationError(
            f"tz={tz!r}: use a name of the time zone database, e.g. Europe/Berlin"
        ) from None
    try:
        CronSim(expression, datetime.now(zone))
    except (CronSimError, AttributeError, AssertionError, ValueError) as error:
        raise ConfigurationError(
            f"cron({expression!r}): {error}; use five fields: minute, hour, day, month, weekday"
        ) from None
    if required := task.signature.required:
        raise ConfigurationError(
            f"cron({expression!r}): task {task.name!r} needs {required[0]!r}; give it a default"
        )
    name = task.name if name is None else name
    check("name", name, "a text of one line", is_name)
    _ = task.chosen.claim  # a tick that cannot be enqueued would be told to nobody
    return Cron(name, task, expression, zone, catch_up)
