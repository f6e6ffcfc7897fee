"""Routes that guard themselves, wherever they are mounted: bounded bodies, stable errors, headers."""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import Depends, HTTPException, Request, Response
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer
from starlette.types import Message, Receive

from distq.service.access import Visitor
from distq.service.core import Service
from distq.service.errors import TooLarge
from distq.service.problems import Problem, problem_of, respond

LARGEST_BODY = 8 * 2**20
"""Bytes of a request's body at most."""

_CHARSET = re.compile(r"""charset\s*=\s*["']?([^"';,\s]*)""", re.IGNORECASE)
_READ = ("utf-8", "utf8", "us-ascii")

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
                self.admit(request)
                response = await handle(_bounded(request))
            except Exception as error:  # noqa: BLE001
                response = self.refuse(request, problem_of(_cause(error)))
            return guard(response)

        return guarded

    def admit(self, request: Request) -> None:
        """Whether to serve who asks at all. Nothing of the body has been read."""

    def refuse(self, request: Request, problem: Problem) -> Response:
        """The answer to a request that could not be served."""
        return respond(problem)


def guard(response: Response) -> Response:
    """The same answer with the headers that keep browsers from mischief."""
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    return response


def guarded(service: Service) -> type[GuardedRoute]:
    """A kind of route for those whom a service knows. Its functions may take what is annotated as below."""

    class Route(GuardedRoute):
        def admit(self, request: Request) -> None:
            request.state.distq = service
            request.state.visitor = service.reading(request)

        def refuse(self, request: Request, problem: Problem) -> Response:
            service.note_refusal(request, problem.status, problem.detail)
            return super().refuse(request, problem)

    return Route


_bearer = HTTPBearer(
    scheme_name="token", description="What DISTQ_TOKEN or DISTQ_READ_TOKEN is set to.", auto_error=False
)


def _service(request: Request) -> Service:
    return request.state.distq


def _reader(request: Request, _: Annotated[Any, Depends(_bearer)]) -> Visitor:
    return request.state.visitor


async def _operator(request: Request, _: Annotated[Any, Depends(_bearer)]) -> Visitor:
    return await request.state.distq.operating(request)


Here = Annotated[Service, Depends(_service)]
"""The service that is asked."""
Reader = Annotated[Visitor, Depends(_reader)]
"""Who looks."""
Operator = Annotated[Visitor, Depends(_operator)]
"""Who changes something, and may."""


def _bounded(request: Request) -> Request:
    """The same request, whose body ends with an error where it is too large. One in another encoding than
    UTF-8 is refused: some of them make texts that cannot be sent or kept.
    """
    charset = _CHARSET.search(request.headers.get("content-type", ""))
    if charset and charset[1].lower() not in _READ and request.method == "POST":
        raise HTTPException(400, f"the body is in {charset[1]}: send it in UTF-8")
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
