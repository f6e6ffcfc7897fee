"""The API's description of itself, for tools: OpenAPI."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib.metadata import version
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute

from distq.service.core import Service
from distq.service.problems import Problem, documented
from distq.service.routing import GuardedRoute

_ABOUT = """A task queue: its jobs, its queues, its workers.

Errors are problem details (RFC 9457); `type` says which kind it is. Times are by the storage's clock, and
durations in seconds. What jobs carry is hidden from a token that may only read, and `redacted` says so."""

PATH = "/api/openapi.json"


def router(service: Service, described: APIRouter) -> APIRouter:
    """The route. Anybody may know what there is to ask for."""
    routes = APIRouter(route_class=GuardedRoute)

    @cache
    def document() -> dict[str, Any]:
        found = describe(described)
        if not service.access.tokens:
            _leave_out_tokens(found)
        return found

    @routes.get(PATH, include_in_schema=False)
    async def openapi(request: Request) -> JSONResponse:  # pyright: ignore[reportUnusedFunction]
        return JSONResponse(document() | {"servers": [{"url": service.root(request) or "/"}]})

    return routes


def describe(described: APIRouter) -> dict[str, Any]:
    """The document of some routes."""
    app = FastAPI(title="distq", version=version("distq"), description=_ABOUT, openapi_url="/openapi.json")
    app.include_router(described, generate_unique_id_function=_name)
    document = app.openapi()
    schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    document["components"]["schemas"] |= {**schema.pop("$defs"), "Problem": schema}
    return document


def _leave_out_tokens(document: dict[str, Any]) -> None:
    """Where none is set nobody is asked for one: only programs and pages of this machine are admitted."""
    refusals = documented(401, 403)
    refusals[401]["description"] = "Who asks is not on this machine, or calls it by a name of others"
    refusals[403]["description"] = "The request comes from a page of another site"
    del document["components"]["securitySchemes"]
    for operation in _operations(document):
        if operation.pop("security", None):
            answers = operation["responses"] | {str(status): answer for status, answer in refusals.items()}
            operation["responses"] = dict(sorted(answers.items()))


def _operations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for methods in document["paths"].values():
        yield from methods.values()


def _name(route: APIRoute) -> str:
    return route.name
