"""Cron schedules, and their switches."""

from __future__ import annotations

from fastapi import Response

from distq.admin.timetable import schedule_views, switch
from distq.ids import check_queue
from distq.service.errors import NotFound
from distq.service.pages.visit import Page, Visit
from distq.service.pages.wanted import check_words
from distq.steps import arun


async def show(visit: Visit) -> Response:
    """The page."""
    service = visit.service
    found = await arun(service.storage, schedule_views(service.storage, service.app))
    return visit.show("cron.html", schedules=found)


async def turn(visit: Visit) -> Response:
    """Pause or resume one."""
    form = await visit.request.form()
    queue, name = check_queue(str(form.get("queue", ""))), check_words("name", str(form.get("name", "")))
    paused = form.get("paused") == "true"
    service = visit.service
    with visit.noting("pause schedule" if paused else "resume schedule", queue=queue, name=name):
        steps = switch(service.storage, queue, name, paused=paused, app=service.app)
        if not await arun(service.storage, steps):
            raise NotFound(f"queue {queue} has no schedule {name!r}")
    return visit.go("/cron")


PAGES = (Page("/cron", show), Page("/cron", turn, "POST"))
