"""The routes of pages: who may have them, and what people see where something goes wrong."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fastapi import APIRouter, Request, Response

from distq.service.access import Visitor
from distq.service.core import Service
from distq.service.errors import KINDS, PREFIX, AuditFailed, Forbidden, Unauthorized
from distq.service.pages.visit import Page, Visit
from distq.service.problems import Problem, respond
from distq.service.routing import GuardedRoute

_ADVICE = {
    403: "What you look at stays as it is.",
    413: "Nothing was done.",
    429: "Wait a second and send it again.",
    503: "The page shows again what there is as soon as the store answers.",
}
"""What helps, by status."""

_UNKNOWN = "Whether it was done is not known: look again, as soon as the store answers, before you repeat it."


def add(pages: APIRouter, service: Service, page: Page) -> None:
    """Add a page's route."""

    async def answer(request: Request) -> Response:
        is_change = page.method == "POST"
        visitor = await service.operating(request, form=True) if is_change else service.reading(request)
        return await page.handle(Visit(service, request, visitor))

    add_open(pages, page.path, answer, page.method)


def add_open(
    pages: APIRouter, path: str, answer: Callable[[Request], Awaitable[Response]], method: str
) -> None:
    """Add a route that anybody may have."""
    methods = ["GET", "HEAD"] if method == "GET" else [method]
    pages.add_api_route(path, answer, methods=methods, include_in_schema=False)


def route_of(service: Service) -> type[GuardedRoute]:
    """A kind of route that answers problems with pages of this service."""

    class PageRoute(GuardedRoute):
        def refuse(self, request: Request, problem: Problem) -> Response:
            service.note_refusal(request, problem.status, problem.detail)
            return refuse(service, request, problem)

    return PageRoute


def refuse(service: Service, request: Request, problem: Problem) -> Response:
    """The answer to somebody in a browser whose request could not be served."""
    if "authorization" in request.headers:
        return respond(problem)
    visit = Visit(service, request, _known(service, request))
    if problem.status == 401 and service.access.tokens:
        return _to_login(visit)
    advice = _advice(request, problem)
    response = visit.show("problem.html", status=problem.status, problem=problem, advice=advice)
    response.headers.update({k: v for k, v in respond(problem).headers.items() if k == "retry-after"})
    return response


def _advice(request: Request, problem: Problem) -> str:
    if problem.status == 503 and request.method == "POST":
        is_undone = problem.type == f"{PREFIX}{KINDS[AuditFailed][1]}"
        return "Nothing was done." if is_undone else _UNKNOWN
    return _ADVICE.get(problem.status, "")


def _known(service: Service, request: Request) -> Visitor | None:
    try:
        return service.reading(request)
    except (Unauthorized, Forbidden):
        return None


def _to_login(visit: Visit) -> Response:
    """Lead to where one logs in, and from there back to what was asked for."""
    if visit.is_partial:
        return Response(status_code=401, headers={"HX-Redirect": visit.link("/login")})
    url = visit.request.url
    asked = f"{url.path}?{url.query}" if url.query else url.path
    is_page = visit.request.method == "GET" and asked != f"{visit.root}/"
    return visit.go("/login", next=asked if is_page else "")
