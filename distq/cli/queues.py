"""`distq counts`, `distq pause` and `distq resume`."""

from __future__ import annotations

from typing import Annotated

import typer

from distq.admin.overview import queue_views
from distq.cli.output import answer, table
from distq.cli.parameters import Json, Queues, Url, given
from distq.cli.session import Session
from distq.errors import DistqError
from distq.ids import check_queue
from distq.job import JobState

ScheduleName = Annotated[
    str | None,
    typer.Option(
        "--schedule", help="This cron schedule instead, of one queue.", show_default=False, callback=given
    ),
]
Names = Annotated[list[str], typer.Argument(help="Queues.", metavar="QUEUE", show_default=False)]

#: Nothing reaches `waiting` yet.
_COLUMNS = [state for state in JobState if state is not JobState.WAITING]


class NoSuchSchedule(DistqError):
    """A queue has no schedule of that name."""

    def __init__(self, queue: str, name: str) -> None:
        super().__init__(
            f"queue {queue} has no schedule {name!r}: a worker of its application makes it known"
        )


def counts(url: Url, queues: Queues = None, json: Json = False) -> None:
    """How many jobs are in each state, and how many live workers serve the queue.

    Example: distq counts mail bulk
    """
    names = [check_queue(name) for name in queues or ()]
    with Session.at(url) as session:
        session.queues(names)
        views = session.take(queue_views(session.storage, names))
    head = ["QUEUE", *(state.upper() for state in _COLUMNS), "WORKERS", ""]
    rows = [
        [
            view.name,
            *(f"{view.counts[state]:,}" for state in _COLUMNS),
            str(len(view.workers)),
            "paused" if view.paused else "",
        ]
        for view in views
    ]
    answer(views, *(table(head, rows) if rows else ["there are no queues yet"]), json=json)


def pause(url: Url, queues: Names, schedule: ScheduleName = None, json: Json = False) -> None:
    """Let no job of these queues start. What runs goes on.

    Example: distq pause mail
    """
    _switch(url, queues, schedule, paused=True, json=json)


def resume(url: Url, queues: Names, schedule: ScheduleName = None, json: Json = False) -> None:
    """Let jobs of these queues start again.

    Example: distq resume mail
    """
    _switch(url, queues, schedule, paused=False, json=json)


def _switch(url: str, queues: list[str], schedule: str | None, *, paused: bool, json: bool) -> None:
    names = [check_queue(name) for name in queues]
    with Session.at(url) as session:
        if schedule is None:
            session.queues(names)
        for name in names:
            if schedule is None:
                session.run(session.storage.pause(name, paused=paused))
            elif not session.run(session.storage.switch(name, schedule, paused=paused)):
                raise NoSuchSchedule(name, schedule)
    what = f", schedule {schedule}" if schedule else ""
    lines = (f"queue {name}{what}: {'paused' if paused else 'resumed'}" for name in names)
    values = [{"queue": name, "schedule": schedule, "paused": paused} for name in names]
    answer(values, *lines, json=json)
