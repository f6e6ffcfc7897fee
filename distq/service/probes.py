"""Whether the service lives, whether it can serve, and what is measured."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import exposition

from distq.errors import DistqError, StorageUnavailable
from distq.service import metrics
from distq.service.core import Service
from distq.service.patience import begin
from distq.service.problems import documented
from distq.service.routing import GuardedRoute, Here, Reader, guarded
from distq.service.schemas import HealthView

PATIENCE = 2.0
"""Seconds in which a storage that is ready answers."""


def router(service: Service) -> APIRouter:
    """The routes. Only what is measured needs to be asked for by somebody who is known."""
    routes = APIRouter(route_class=GuardedRoute, tags=["probes"])
    probes = {"/health": health, "/ready": Readiness(service).ready}
    for path, probe in probes.items():
        routes.get(path, responses=documented(500, 503))(probe)
        routes.head(path, include_in_schema=False)(probe)
    known = APIRouter(route_class=guarded(service), tags=["probes"])
    known.get("/metrics", response_class=PlainTextResponse, responses=documented(401, 500))(measured)
    routes.include_router(known)
    return routes


async def health() -> HealthView:
    """Whether the service answers at all, whatever the storage does."""
    return HealthView()


class Readiness:
    """Asks the storage for all who want to know: one question at a time, however silent it is."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._asked: asyncio.Task[None] | None = None

    async def ready(self) -> HealthView:
        """Whether the storage answers, and fits this version."""
        loop = asyncio.get_running_loop()
        if self._asked is None or self._asked.done() or self._asked.get_loop() is not loop:
            self._asked = begin(self._ask())
        await asyncio.wait({self._asked}, timeout=PATIENCE)
        if not self._asked.done():
            raise StorageUnavailable(self._service.storage.where, f"no answer within {PATIENCE:g} s")
        self._asked.result()
        return HealthView()

    async def _ask(self) -> None:
        await self._service.storage.arun(self._service.storage.workers(within=0))


async def measured(request: Request, service: Here, visitor: Reader) -> Response:
    """Metrics for Prometheus. While the storage is away `distq_up` is 0, and all that is there is missing."""
    try:
        picture = await service.live.picture(linger=False)
        tallies = await service.storage.arun(service.storage.tallies())
        found = metrics.of(picture, tallies)
    except DistqError:
        found = metrics.away()
    try:
        encode, kind = exposition.choose_encoder(request.headers.get("accept", ""))
    except (ValueError, TypeError):  # it asks for a version that is none
        encode, kind = exposition.choose_encoder("")
    return Response(encode(found), media_type=kind)
