"""Errors as answers: RFC 9457 problem details, one form for all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from traceback import format_exception
from types import MappingProxyType
from typing import Any

from fastapi import HTTPException
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.requests import ClientDisconnect

from distq import telemetry
from distq.service.errors import KINDS, PREFIX
from distq.service.flaws import Flaw, flaws_of

MEDIA_TYPE = "application/problem+json"


class Problem(BaseModel):
    """Why a request was not answered as was asked. `type` says which kind of problem it is, and `about` what
    it is about, for programs.
    """

    type: str = Field(examples=["urn:distq:problem:job-not-found"])
    title: str
    status: int
    detail: str
    flaws: list[Flaw] = []
    about: dict[str, str] = {}


def problem_of(error: Exception) -> Problem:
    """The problem of an error. What nobody expected is told to the log, and not to who asked."""
    if isinstance(error, RequestValidationError):
        flaws = flaws_of(error)
        detail = "; ".join(f"{flaw.where}: {flaw.what}" for flaw in flaws[:3])
        return _problem(422, "invalid-request", detail, flaws=flaws)
    if isinstance(error, StarletteHTTPException | HTTPException):
        nowhere = {404: "there is nothing at this address"}
        return _problem(error.status_code, "http", nowhere.get(error.status_code, str(error.detail)))
    if isinstance(error, ClientDisconnect):
        return _problem(400, "http", "the request ended before its body did")
    for kind in type(error).__mro__:
        if kind in KINDS:
            about = {name: value for name, value in vars(error).items() if isinstance(value, str)}
            return _problem(*KINDS[kind], str(error), about=about)
    telemetry.emit("error", "a request failed\n{trace}", trace="".join(format_exception(error)))
    return _problem(500, "internal", "the service has a fault; its log says more")


def respond(problem: Problem) -> JSONResponse:
    """The answer that carries a problem."""
    headers = {
        401: {"WWW-Authenticate": 'Bearer realm="distq"'},
        429: {"Retry-After": "1"},
        503: {"Retry-After": "1"},
    }
    return JSONResponse(
        problem.model_dump(), problem.status, headers.get(problem.status), media_type=MEDIA_TYPE
    )


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The entries of OpenAPI for problems that a route may answer with."""
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status in statuses
    }


def _problem(
    status: int,
    kind: str,
    detail: str,
    *,
    flaws: Sequence[Flaw] = (),
    about: Mapping[str, str] = MappingProxyType({}),
) -> Problem:
    return Problem(
        type=f"{PREFIX}{kind}",
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        flaws=list(flaws),
        about=dict(about),
    )
