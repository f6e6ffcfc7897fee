"""The routes of a service together, and as an application of its own: `distq serve`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from starlette.exceptions import HTTPException

from distq.service import api, pages, probes
from distq.service.api import description, enqueuing
from distq.service.core import Service
from distq.service.pages.route import refuse as refuse_in_browser
from distq.service.problems import Problem, problem_of, respond
from distq.service.routing import GuardedRoute, guard


def router(service: Service) -> APIRouter:
    """All routes of a service, to be included below any prefix. It ends with the application."""

    @asynccontextmanager
    async def lifespan(_: Any) -> AsyncIterator[None]:
        service.live.open()
        yield
        await service.close()

    together = APIRouter(lifespan=lifespan, include_in_schema=False)
    for module in (probes, api, pages):
        together.include_router(module.router(service))
    return together


def create(service: Service) -> FastAPI:
    """An application that serves all routes at `/`, and closes the storage at its end."""
    app = FastAPI(title="distq", openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    app.include_router(router(service))
    app.routes.append(_described_at_root(app))

    @app.exception_handler(HTTPException)
    async def refuse(request: Request, error: Exception) -> Response:  # pyright: ignore[reportUnusedFunction]
        """For what no route takes: 404 and 405."""
        problem = _problem(service, request, error)
        if problem.status == 404 and "text/html" in request.headers.get("accept", ""):
            return guard(refuse_in_browser(service, request, problem))
        response = respond(problem)
        if response.status_code == 405:
            response.headers["Allow"] = ", ".join(_methods(app, request.scope["route"].path))
        return guard(response)

    return app


def _described_at_root(app: FastAPI) -> GuardedRoute:
    """The description where tools look that know FastAPI."""
    described = next(route for route in _routes(app.routes) if route.path == description.PATH)
    return GuardedRoute("/openapi.json", described.endpoint, include_in_schema=False)


def _problem(service: Service, request: Request, error: Exception) -> Problem:
    enqueues = request.method == "POST" and request.scope["path"] in enqueuing.PATHS
    return enqueuing.refusal() if enqueues and service.app is None else problem_of(error)


def _methods(app: FastAPI, path: str) -> list[str]:
    """The methods of all routes of a path; Starlette names those of the first."""
    return sorted({method for route in _routes(app.routes) if route.path == path for method in route.methods})


def _routes(routes: Iterable[Any]) -> Iterator[Any]:
    """Also those of the routers that were included, which some versions of FastAPI keep as they are."""
    for route in routes:
        if hasattr(route, "original_router"):
            yield from _routes(route.original_router.routes)
        else:
            yield route
