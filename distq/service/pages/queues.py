"""All queues, and what is wrong."""

from __future__ import annotations

from typing import Any

from fastapi import Response

from distq.admin.picture import Picture
from distq.admin.wording import plural
from distq.job import JobState
from distq.service.pages import sparks
from distq.service.pages.sight import Sight, seen, sights
from distq.service.pages.stream import Parts, stream
from distq.service.pages.visit import Page, Visit

SHOWN = (
    JobState.READY,
    JobState.SCHEDULED,
    JobState.LEASED,
    JobState.DEAD,
    JobState.DONE,
    JobState.CANCELLED,
)
"""The states in the order in which somebody would look."""


async def show(visit: Visit) -> Response:
    """The page."""
    return visit.show("queues.html", **_context(visit, await seen(visit.service)))


async def watch(visit: Visit) -> Response:
    """Its events."""
    return stream(visit, _parts(visit))


async def _parts(visit: Visit) -> Parts:
    async for sight in sights(visit.service):
        context = _context(visit, sight)
        yield {name: visit.fragment(f"_{name}.html", **context) for name in ("troubles", "queues")}


def _context(visit: Visit, sight: Sight) -> dict[str, Any]:
    picture, history = sight.picture, visit.service.live.history
    return {
        "picture": picture,
        "troubles": picture.troubles,
        "calm": _calm(picture),
        "error": sight.error,
        "states": SHOWN,
        "total": {state: sum(queue.counts[state] for queue in picture.queues) for state in SHOWN},
        "depth": {queue.name: sparks.depth(history(queue.name)) for queue in picture.queues},
        "flow": {queue.name: sparks.flow(history(queue.name)) for queue in picture.queues},
    }


def _calm(picture: Picture) -> str:
    queues, workers = plural(len(picture.queues), "queue"), plural(len(picture.workers), "worker")
    return f"Nothing is wrong with {queues} and {workers}."


PAGES = (Page("/", show), Page("/live/queues", watch))
