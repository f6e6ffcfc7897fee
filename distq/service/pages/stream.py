"""Live pages: one stream of server-sent events a page, each the new content of one of its parts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

from fastapi import Response
from sse_starlette import EventSourceResponse, ServerSentEvent

from distq.service.errors import Unauthorized
from distq.service.pages.visit import Visit

Parts = AsyncIterator[Mapping[str, str]]
"""The parts of a page, by name, each time that there may be something new."""


def stream(visit: Visit, parts: Parts) -> Response:
    """The events of a page, until it is left, the service ends, or a session does."""
    return EventSourceResponse(_changes(visit, parts))


async def _changes(visit: Visit, parts: Parts) -> AsyncIterator[ServerSentEvent]:
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
