"""Routes that guard themselves, wherever they are mounted: bounded bodies, stable errors, headers."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute
from starlette.types import Message, Receive

from distq.service.core import Service
from distq.service.problems import Problem, TooLarge, problem_of, respond

LARGEST_BODY = 8 * 2**20
"""Bytes of a request's body at most."""

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
        " font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
}
"""What each answer says, unless it says something else itself."""


class GuardedRoute(APIRoute):
    """A route that answers in problems, and takes no more than it should."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            try:
                response = await handle(_bounded(request))
            except Exception as error:  # noqa: BLE001
                response = self.refuse(request, problem_of(_cause(error)))
            return guard(response)

        return guarded

    def refuse(self, request: Request, problem: Problem) -> Response:
        """The answer to a request that could not be served."""
        return respond(problem)


def guard(response: Response) -> Response:
    """The same answer with the headers that keep browsers from mischief."""
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    return response


def router(service: Service) -> APIRouter:
    """All routes of a service, to be included below any prefix."""
    from distq.service import api, pages, probes

    together = APIRouter()
    for module in (probes, api, pages):
        together.include_router(module.router(service))
    return together


def _bounded(request: Request) -> Request:
    """The same request, whose body ends with an error where it is too large."""
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > LARGEST_BODY:
        raise TooLarge(f"the body has {int(length):,} bytes, more than {LARGEST_BODY:,}")
    return Request(request.scope, _counted(request.receive), request._send)  # pyright: ignore[reportPrivateUsage]


def _counted(receive: Receive) -> Receive:
    size = 0

    async def counted() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > LARGEST_BODY:
            raise TooLarge(f"the body has more than {LARGEST_BODY:,} bytes")
        return message

    return counted


def _cause(error: Exception) -> Exception:
    """FastAPI makes an error of its own of one that is raised while it reads the body."""
    cause = error.__cause__
    return cause if isinstance(cause, TooLarge) else error
