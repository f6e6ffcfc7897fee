"""Dead letters, by what they died of."""

from __future__ import annotations

from fastapi import Response

from distq.admin.dead import dead_letters
from distq.ids import check_queue
from distq.service.hiding import hidden_letters
from distq.service.pages.visit import Page, Visit
from distq.steps import arun


async def show(visit: Visit) -> Response:
    """The page, of all queues or of one."""
    queue = visit.request.query_params.get("queue", "")
    names = [check_queue(queue)] if queue else []
    found = await arun(visit.service.storage, dead_letters(visit.service.storage, names))
    shown = found if visit.operates else hidden_letters(found)
    return visit.show("dead.html", queue=queue, groups=shown.groups, partial=shown.partial)


PAGES = (Page("/dead", show),)
