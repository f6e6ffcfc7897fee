"""Answers for browsers, which are led back to the page, and for programs, which get JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import Request, Response
from fastapi.responses import JSONResponse, RedirectResponse
from fastapi.templating import Jinja2Templates

templates = Jinja2Templates(Path(__file__).with_name("templates"))

HEADERS = {"Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'"}
"""Of each page: no script but ours, which lies in a file."""


def wants_page(request: Request) -> bool:
    """Whether a browser asks."""
    return "text/html" in request.headers.get("accept", "")


def made(request: Request, location: str, body: dict[str, Any], status: int = 201) -> Response:
    """The answer to who has made something that is to be found at a location."""
    if wants_page(request):
        return RedirectResponse("/", 303)
    return JSONResponse(body, status, {"Location": location})


def refused(request: Request, error: str, status: int) -> Response:
    """The answer to who has asked for what cannot be done."""
    if wants_page(request):
        context = {"error": error}
        return templates.TemplateResponse(request, "refused.html", context, status, HEADERS)
    return JSONResponse({"detail": error}, status)
