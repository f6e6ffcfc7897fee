"""The page, and what changes on it, by server-sent events."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from fastapi import APIRouter, Request, Response
from psycopg import AsyncConnection
from sse_starlette import EventSourceResponse, ServerSentEvent

from examples.shop import inbox, orders, pictures, pricelists, products, reports
from examples.shop.answers import HEADERS, templates
from examples.shop.outcomes import standing
from examples.shop.settings import settings
from examples.shop.tasks import app, database

router = APIRouter()

LOOK = 0.5
"""Seconds between looks at what a page shows."""


@router.get("/", include_in_schema=False)
async def page(request: Request) -> Response:
    """All of the shop on one page."""
    async with database.coroutines.connection() as connection:
        context = {name: await look(connection) for name, look in LIVE.items()}
        context["products"] = await products.first(connection, 12)
        context["imports"] = await pricelists.latest(connection, 3)
    context["idempotency_key"] = uuid.uuid4().hex  # a form that is sent twice places one order
    return templates.TemplateResponse(request, "shop.html", context, headers=HEADERS)


@router.get("/events", include_in_schema=False)
async def events() -> EventSourceResponse:
    """The parts of the page that have changed: each an event of the part's name, with its HTML."""
    return EventSourceResponse(_changes())


@router.get("/mails")
async def mails() -> list[inbox.Mail]:
    """The latest mails that the mail server has taken."""
    return inbox.latest(settings.mails, 50)


@router.get("/reports")
async def made() -> list[reports.Report]:
    """The latest reports."""
    async with database.coroutines.connection() as connection:
        return await reports.latest(connection, 20)


@router.get("/health")
async def health() -> dict[str, str]:
    """200 where the shop's database answers."""
    async with database.coroutines.connection() as connection:
        await connection.execute("SELECT 1")
    return {"status": "ok"}


async def _changes() -> AsyncIterator[ServerSentEvent]:
    shown: dict[str, str] = {}
    while True:
        async with database.coroutines.connection() as connection:
            found = {name: await look(connection) for name, look in LIVE.items()}
        for name, rows in found.items():
            html = templates.get_template(f"{name}.html").render({name: rows})
            if shown.get(name) != html:
                yield ServerSentEvent(html, event=name)
            shown[name] = html
        await asyncio.sleep(LOOK)


async def _orders(connection: AsyncConnection) -> list[tuple[orders.Order, str]]:
    """The latest orders, and how it stands with each."""
    return [(order, await _standing(order)) for order in await orders.latest(connection, 10)]


async def _standing(order: orders.Order) -> str:
    if order.confirmed_at:
        return "confirmed"
    return await standing(app.job(order.job)) if order.job else "not enqueued"


async def _pictures(connection: AsyncConnection) -> list[tuple[pictures.Picture, str]]:
    """The latest pictures, and how it stands with those that have no thumbnail."""
    found = await pictures.latest(connection, 8)
    return [(picture, "" if picture.ready else await _waits(picture)) for picture in found]


async def _waits(picture: pictures.Picture) -> str:
    return await standing(app.job(picture.job)) if picture.job else "in work"


async def _mails(connection: AsyncConnection) -> list[inbox.Mail]:
    return inbox.latest(settings.mails, 6)


async def _reports(connection: AsyncConnection) -> list[reports.Report]:
    return await reports.latest(connection, 5)


LIVE: dict[str, Callable[[AsyncConnection], Awaitable[Any]]] = {
    "orders": _orders,
    "pictures": _pictures,
    "mails": _mails,
    "reports": _reports,
}
"""The parts of the page that are kept up to date: each has a template of its name."""
