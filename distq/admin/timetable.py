"""Cron schedules: what the storage knows of them, and what applications declare. As steps."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from zoneinfo import ZoneInfoNotFoundError

from cronsim import CronSimError

from distq.admin.crew import Timetable, Vitals
from distq.admin.overview import live_workers
from distq.admin.views import View, moment
from distq.app import DistQ
from distq.cron import following, zone_of
from distq.job import Schedule
from distq.steps import Steps, do
from distq.storage import Storage


class ScheduleView(View):
    """A schedule. `next` is the tick to come; None where it is paused, or nobody says when it is due: no
    worker is alive whose application declares it.

    Ticks after `since` are still to be fired: it is the tick that was last fired or skipped, or the moment
    when the schedule was made known. `last` is that tick; None where nothing says that `since` is one.
    """

    queue: str
    name: str
    paused: bool
    since: datetime | None
    last: datetime | None
    next: datetime | None
    task: str | None
    expression: str | None
    tz: str | None


def schedule_views(storage: Storage, app: DistQ | None = None) -> Steps[list[ScheduleView]]:
    """All schedules, by queue and name; also those that no worker has made known yet but the app declares."""
    declared = yield from _declared(storage, app)
    queues = {queue for queue, _ in declared} | (yield from do(storage.queues())).keys()
    found: list[ScheduleView] = []
    for queue in sorted(queues):
        now, known = yield from do(storage.schedules(queue, ()))
        schedules = {schedule.name: schedule for schedule in known}
        names = schedules.keys() | {name for place, name in declared if place == queue}
        found += [
            _view(queue, name, schedules.get(name), declared.get((queue, name)), now)
            for name in sorted(names)
        ]
    return found


def switch(storage: Storage, queue: str, name: str, *, paused: bool, app: DistQ | None = None) -> Steps[bool]:
    """Pause or resume a schedule. Returns whether there is one."""
    if (yield from do(storage.switch(queue, name, paused=paused))):
        return True
    if (queue, name) not in (yield from _declared(storage, app)):
        return False
    yield from do(storage.schedules(queue, [name]))
    return (yield from do(storage.switch(queue, name, paused=paused)))


def _declared(storage: Storage, app: DistQ | None) -> Steps[dict[tuple[str, str], Timetable]]:
    """What the application declares, and those of the workers that are alive, by queue and name."""
    workers = yield from live_workers(storage)
    tables = [table for worker in workers for table in Vitals.decode(worker.vitals).crons]
    return {(table.queue, table.name): table for table in [*tables, *_own(app)]}


def _own(app: DistQ | None) -> Iterable[Timetable]:
    return [cron.timetable for cron in app.crons.values()] if app else ()


def _view(
    queue: str, name: str, schedule: Schedule | None, table: Timetable | None, now: float
) -> ScheduleView:
    paused = schedule is not None and schedule.paused
    return ScheduleView(
        queue=queue,
        name=name,
        paused=paused,
        since=moment(schedule.last) if schedule else None,
        last=moment(schedule.last) if schedule and table and _is_tick(table, schedule.last) else None,
        next=None if paused or table is None else _next(table, now),
        task=table.task if table else None,
        expression=table.expression if table else None,
        tz=table.tz if table else None,
    )


def _next(table: Timetable, now: float) -> datetime | None:
    tick = _following(table, now)
    return None if tick is None else moment(tick)


def _is_tick(table: Timetable, at: int) -> bool:
    return _following(table, at - 1) == at


def _following(table: Timetable, after: float) -> int | None:
    """None too where this version, or this machine's time zones, cannot read what a worker says."""
    try:
        return following(table.expression, zone_of(table.tz), after)
    except (CronSimError, ZoneInfoNotFoundError, ValueError, OSError):
        return None
