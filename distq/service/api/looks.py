"""Workers, schedules, tasks, dead letters, troubles."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import Field

from distq.admin.dead import dead_letters
from distq.admin.timetable import schedule_views, switch
from distq.errors import ConfigurationError
from distq.service.access import Visitor
from distq.service.api.common import ABSENT, READING, WRITING, routes_of
from distq.service.core import Service
from distq.service.errors import NotFound
from distq.service.hiding import hidden_letters
from distq.service.routing import Here, Operator, Reader
from distq.service.schemas import (
    Body,
    DeadView,
    QueueName,
    SchedulesView,
    ScheduleSwitch,
    TasksView,
    TaskView,
    TroublesView,
    WorkersView,
)
from distq.steps import arun
from distq.task import BaseTask

Queue = Annotated[QueueName, Path(description="A queue.", examples=["reports"])]
Schedule = Annotated[
    str,
    Path(
        min_length=1,
        max_length=512,
        pattern=r"^[^\x00\n]+$",
        description="A schedule of the queue.",
        examples=["shop.report"],
    ),
]


class DeadQuery(Body):
    """Which dead letters."""

    queue: list[QueueName] = Field([], description="Of these queues; of all by default.")


def router(service: Service) -> APIRouter:
    """The routes."""
    routes = routes_of(service, "deployment")
    routes.get("/workers", responses=READING)(list_workers)
    routes.get("/troubles", responses=READING)(list_troubles)
    routes.get("/tasks", responses=READING)(list_tasks)
    routes.get("/dead", responses=READING)(list_dead)
    routes.get("/schedules", responses=READING)(list_schedules)
    routes.post("/schedules/{queue}/{name:path}/pause", responses=WRITING | ABSENT)(pause_schedule)
    routes.post("/schedules/{queue}/{name:path}/resume", responses=WRITING | ABSENT)(resume_schedule)
    return routes


async def list_workers(service: Here, visitor: Reader) -> WorkersView:
    """The worker processes that are alive, and what each runs."""
    picture = await service.live.picture()
    return WorkersView(at=picture.at, workers=picture.workers)


async def list_troubles(service: Here, visitor: Reader) -> TroublesView:
    """What is wrong, and the commands that mend it."""
    picture = await service.live.picture()
    return TroublesView(at=picture.at, troubles=picture.troubles)


async def list_tasks(service: Here, visitor: Reader) -> TasksView:
    """The tasks by which jobs can be enqueued."""
    tasks = service.app.tasks if service.app else {}
    return TasksView(tasks=[_task(task) for _, task in sorted(tasks.items())])


def _task(task: BaseTask[..., object]) -> TaskView:
    try:
        arguments = task.signature.json_schema()
    except ConfigurationError:
        arguments = None
    return TaskView(name=task.name, queue=task.declared.queue, arguments=arguments)


async def list_dead(
    service: Here,
    visitor: Reader,
    query: Annotated[DeadQuery, Query()],
) -> DeadView:
    """Dead letters by queue, task and type of error. A group's `text` finds all of it."""
    letters = await arun(service.storage, dead_letters(service.storage, query.queue))
    shown = letters if visitor.operates else hidden_letters(letters)
    return DeadView(**dict(shown), redacted=not visitor.operates)


# -- schedules -------------------------------------------------------------------------------------------


async def list_schedules(service: Here, visitor: Reader) -> SchedulesView:
    """The cron schedules: the last tick, the next one, and whether they are paused."""
    return SchedulesView(schedules=await arun(service.storage, schedule_views(service.storage, service.app)))


async def pause_schedule(queue: Queue, name: Schedule, service: Here, visitor: Operator) -> ScheduleSwitch:
    """Let a schedule not fire until it is resumed."""
    return await _switch(service, visitor, queue, name, paused=True)


async def resume_schedule(queue: Queue, name: Schedule, service: Here, visitor: Operator) -> ScheduleSwitch:
    """Let a schedule fire again."""
    return await _switch(service, visitor, queue, name, paused=False)


async def _switch(
    service: Service, visitor: Visitor, queue: str, name: str, *, paused: bool
) -> ScheduleSwitch:
    what = "pause schedule" if paused else "resume schedule"
    with service.audit.noting(visitor, what, queue=queue, name=name):
        steps = switch(service.storage, queue, name, paused=paused, app=service.app)
        if not await arun(service.storage, steps):
            raise NotFound(
                f"queue {queue} has no schedule {name!r}: a worker of its application makes it known"
            )
    return ScheduleSwitch(queue=queue, name=name, paused=paused)
