"""The JSON API: one file a family of routes."""

from __future__ import annotations

from fastapi import APIRouter

from distq.service import probes
from distq.service.api import description, enqueuing, jobs, looks, queues
from distq.service.core import Service


def router(service: Service) -> APIRouter:
    """The routes below `/api`."""
    together = APIRouter()
    # A batch's path would be a job's, too.
    for module in (enqueuing, jobs, queues, looks):
        together.include_router(module.router(service))
    described = APIRouter()
    described.include_router(together)
    described.include_router(probes.router(service))
    together.include_router(description.router(service, described))
    return together
