"""The dashboard: pages for people, rendered here, live by server-sent events."""

from __future__ import annotations

from itertools import chain

from fastapi import APIRouter

from distq.service.core import Service
from distq.service.pages import (
    assets,
    bulk,
    job,
    jobs,
    letters,
    queue,
    queues,
    record,
    runs,
    schedules,
    workers,
)
from distq.service.pages.login import Door
from distq.service.pages.route import add, add_open, route_of

_FAMILIES = (queues, queue, jobs, job, bulk, letters, workers, schedules, runs, record)


def router(service: Service) -> APIRouter:
    """The pages' routes, to be included below any prefix."""
    pages = APIRouter(route_class=route_of(service))
    pages.add_api_route(
        "/static/{name}", assets.send, methods=["GET", "HEAD"], name=service.anchor, include_in_schema=False
    )
    door = Door(service)
    for path, handle, method in (
        ("/login", door.show, "GET"),
        ("/login", door.enter, "POST"),
        ("/logout", door.leave, "POST"),
    ):
        add_open(pages, path, handle, method)
    for page in chain.from_iterable(family.PAGES for family in _FAMILIES):
        add(pages, service, page)
    return pages
