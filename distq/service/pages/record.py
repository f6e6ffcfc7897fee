"""Who did what, lately."""

from __future__ import annotations

from fastapi import Response

from distq.service.pages.visit import Page, Visit


async def show(visit: Visit) -> Response:
    """The page."""
    return visit.show("audit.html", entries=visit.service.audit.latest)


PAGES = (Page("/audit", show),)
