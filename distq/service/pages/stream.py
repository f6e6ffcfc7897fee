"""Live pages: one stream of server-sent events a page, each the new content of one of its parts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import suppress

from fastapi import Response
from sse_starlette import EventSourceResponse, ServerSentEvent

from distq.errors import StorageError
from distq.service.errors import TooMany, Unauthorized
from distq.service.pages.visit import Visit

Parts = AsyncIterator[Mapping[str, str]]
"""The parts of a page, by name, each time that there may be something new."""

MOST = 100
"""Pages that are watched at once at most: each has its parts drawn anew every second."""


def stream(visit: Visit, parts: Parts) -> Response:
    """The events of a page, until it is left, the service ends, or a session does. Raises TooMany."""
    if _are_enough(visit):
        raise TooMany(f"more than {MOST} pages are watched: close some")
    if visit.request.method == "HEAD":
        return Response(media_type="text/event-stream")
    return EventSourceResponse(_changes(visit, parts))


def _are_enough(visit: Visit) -> bool:
    return visit.service.live.watchers >= MOST


async def _changes(visit: Visit, parts: Parts) -> AsyncIterator[ServerSentEvent]:
    """Where the storage goes away between two questions it ends: the browser comes again by itself."""
    if _are_enough(visit):  # of those that came at once
        return
    with suppress(StorageError):
        async for event in _events(visit, parts):
            yield event


async def _events(visit: Visit, parts: Parts) -> AsyncIterator[ServerSentEvent]:
    sent: dict[str, str] = {}
    async for found in parts:
        try:
            visit.service.reading(visit.request)
        except Unauthorized:
            return
        for name, content in {**found, "pressing": visit.fragment("_pressing.html")}.items():
            if sent.get(name) != content:
                sent[name] = content
                yield ServerSentEvent(content, event=name)
