"""The service as an application of its own: `distq serve`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException

from distq.service.core import Service
from distq.service.problems import problem_of, respond
from distq.service.routing import guard, router


def create(service: Service) -> FastAPI:
    """An application that serves all routes at `/`, and closes the storage at its end."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await service.live.close()
        await service.storage.aclose()
        service.audit.close()

    app = FastAPI(
        title="distq",
        version=version("distq"),
        description="A task queue: its jobs, its queues, its workers.",
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.include_router(router(service))

    @app.exception_handler(HTTPException)
    async def refuse(request: Request, error: Exception) -> Response:  # pyright: ignore[reportUnusedFunction]
        """For what no route takes: 404 and 405."""
        response = respond(problem_of(error))
        response.headers.update(getattr(error, "headers", None) or {})
        return guard(response)

    return app
