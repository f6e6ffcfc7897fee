"""What the routes of the API share."""

from __future__ import annotations

from fastapi import APIRouter

from distq.admin.wording import seconds_of
from distq.checks import FOREVER
from distq.service.access import Visitor
from distq.service.core import Service
from distq.service.errors import Forbidden
from distq.service.problems import documented
from distq.service.routing import guarded

READING = documented(401, 422, 500, 503)
WRITING = documented(400, 401, 403, 413, 422, 429, 500, 503)
ABSENT = documented(404)
FORBIDDEN = documented(403)


def routes_of(service: Service, tag: str) -> APIRouter:
    """For routes below `/api`, of those whom the service knows."""
    return APIRouter(prefix="/api", route_class=guarded(service), tags=[tag])


def age(duration: str | None) -> float | None:
    """Seconds; None where nothing was given."""
    return None if duration is None else min(seconds_of(duration), FOREVER)


def check_text(visitor: Visitor, text: str | None) -> None:
    """Raises Forbidden for who may not see what jobs carry: by searching in it one could guess it."""
    if text is not None and not visitor.operates:
        raise Forbidden("this token may not search in errors and results: they are hidden from it")
