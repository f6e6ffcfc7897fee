"""One queue: how it is, its charts, its switch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import Response
from pydantic_core import to_json

from distq.admin.monitor import Point
from distq.admin.overview import queue_views
from distq.admin.picture import QueueStatus
from distq.ids import check_queue
from distq.service.pages import sparks
from distq.service.pages.queues import SHOWN
from distq.service.pages.sight import Sight, seen, sights
from distq.service.pages.stream import Parts, stream
from distq.service.pages.visit import Page, Visit
from distq.steps import arun
from distq.storage import Storage


async def show(visit: Visit) -> Response:
    """The page."""
    name = _name(visit)
    context = await _context(visit.service.storage, await seen(visit.service), name)
    history = visit.service.live.history(name)
    drawn = {"depth": sparks.depth(history), "flow": sparks.flow(history)}
    return visit.show("queue.html", status=200 if context["queue"] else 404, **drawn, **context)


async def watch(visit: Visit) -> Response:
    """Its events."""
    return stream(visit, _parts(visit, _name(visit)))


async def _parts(visit: Visit, name: str) -> Parts:
    drawn = float("-inf")
    async for sight in sights(visit.service):
        context = await _context(visit.service.storage, sight, name)
        parts = {part: visit.fragment(f"_{part}.html", **context) for part in ("troubles", "queue")}
        points = [point for point in sparks.lately(visit.service.live.history(name)) if point.at > drawn]
        if points:
            parts["points"] = _chart(points, anew=drawn < 0)
            drawn = points[-1].at
        yield parts


async def _context(storage: Storage, sight: Sight, name: str) -> dict[str, Any]:
    picture = sight.picture
    return {
        "picture": picture,
        "name": name,
        "queue": sight.queue(name) or (None if sight.error else await _new(storage, name)),
        "troubles": [trouble for trouble in picture.troubles if trouble.queue == name],
        "workers": [worker for worker in picture.workers if name in worker.queues],
        "error": sight.error,
        "states": SHOWN,
    }


async def _new(storage: Storage, name: str) -> QueueStatus | None:
    """A queue that has come since the last look, if there is one."""
    if name not in await storage.arun(storage.queues()):
        return None
    (view,) = await arun(storage, queue_views(storage, [name]))
    return QueueStatus(**dict(view))


def _chart(points: Sequence[Point], *, anew: bool) -> str:
    """What a chart is to add, a column a field, or to begin with."""
    columns = dict(zip(Point._fields, zip(*points, strict=True), strict=True))
    return to_json({"anew": anew, "columns": columns}).decode()


def _name(visit: Visit) -> str:
    return check_queue(visit.request.path_params["queue"])


async def pause(visit: Visit) -> Response:
    """Let no job of it begin."""
    return await _switch(visit, paused=True)


async def resume(visit: Visit) -> Response:
    """Let its jobs begin again."""
    return await _switch(visit, paused=False)


async def _switch(visit: Visit, *, paused: bool) -> Response:
    name, storage = _name(visit), visit.service.storage
    with visit.noting("pause" if paused else "resume", queue=name):
        await storage.arun(storage.pause(name, paused=paused))
    return visit.back(f"/queues/{name}")


PAGES = (
    Page("/queues/{queue}", show),
    Page("/live/queues/{queue}", watch),
    Page("/queues/{queue}/pause", pause, "POST"),
    Page("/queues/{queue}/resume", resume, "POST"),
)
