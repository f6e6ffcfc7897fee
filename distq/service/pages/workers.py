"""The worker processes that are alive: what each runs, and how it is."""

from __future__ import annotations

from typing import Any

from fastapi import Response

from distq.service.pages.sight import Sight, seen, sights
from distq.service.pages.stream import Parts, stream
from distq.service.pages.visit import Page, Visit


async def show(visit: Visit) -> Response:
    """The page."""
    return visit.show("workers.html", **_context(await seen(visit.service)))


async def watch(visit: Visit) -> Response:
    """Its events."""
    return stream(visit, _parts(visit))


async def _parts(visit: Visit) -> Parts:
    async for sight in sights(visit.service):
        context = _context(sight)
        yield {name: visit.fragment(f"_{name}.html", **context) for name in ("troubles", "workers")}


def _context(sight: Sight) -> dict[str, Any]:
    picture = sight.picture
    return {
        "picture": picture,
        "workers": sorted(picture.workers, key=lambda worker: (worker.host, worker.pid)),
        "troubles": [trouble for trouble in picture.troubles if trouble.kind in ("silent", "unserved")],
        "error": sight.error,
        "at_workers": True,
    }


PAGES = (Page("/workers", show), Page("/live/workers", watch))
