"""A request for a page: who asks, and how the answer is made."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from fastapi import Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from distq.finding import Severity
from distq.service.access import COOKIE, Visitor
from distq.service.audit import Entry
from distq.service.core import Service
from distq.service.errors import Unauthorized
from distq.service.pages import assets
from distq.service.pages.notes import note_of
from distq.service.pages.rendering import ENVIRONMENT, path_of

LATELY = timedelta(seconds=90)
"""For how long a look says what is wrong to pages that are not about that."""


@dataclass(frozen=True, slots=True)
class Visit:
    """One request to one service. `visitor` is None where nobody knows who asks: to log in, and of errors."""

    service: Service
    request: Request
    visitor: Visitor | None

    @property
    def root(self) -> str:
        """The path below which the service is."""
        return self.service.root(self.request)

    def link(self, path: str, **query: Any) -> str:
        """An address of the service."""
        return path_of(self.root, path, query)

    def asset(self, name: str) -> str:
        """The address of a file."""
        return assets.address(self.root, name)

    @property
    def operates(self) -> bool:
        """Whether who asks may change something, and see what jobs carry."""
        return self.visitor is not None and self.visitor.operates

    def noting(self, what: str, **about: Any) -> AbstractContextManager[Entry]:
        """Note in the audit what is done within. Raises AuditFailed."""
        if self.visitor is None:
            raise Unauthorized("nobody is known to do it")
        return self.service.audit.noting(self.visitor, what, **about)

    def fragment(self, template: str, **context: Any) -> str:
        """A part of a page."""
        return ENVIRONMENT.get_template(template).render({**self._common(), **context})

    def show(self, template: str, *, status: int = 200, **context: Any) -> Response:
        """A page."""
        given = {**self._common(), **self._frame(), **context}
        return HTMLResponse(ENVIRONMENT.get_template(template).render(given), status)

    def go(self, path: str, **query: Any) -> Response:
        """Lead somewhere else, by GET."""
        return RedirectResponse(self.link(path, **query), 303)

    def back(self, path: str) -> Response:
        """Lead to the page that the request came from, of this service; else to `path`."""
        try:
            came = urlsplit(self.request.headers.get("referer", ""))
        except ValueError:
            return self.go(path)
        where = came._replace(scheme="", netloc="", fragment="").geturl()
        if came.netloc == self.request.headers.get("host") and self.is_ours(where):
            return RedirectResponse(where, 303)
        return self.go(path)

    def is_ours(self, where: str) -> bool:
        """Whether an address without a host leads to a page of this service, and nowhere else."""
        return bool(re.fullmatch(r"/(?![/\\])[!-~]*", where)) and where.startswith(f"{self.root}/")

    @property
    def is_partial(self) -> bool:
        """Whether a part of a page is asked for, to be put into one that is there."""
        return self.request.headers.get("hx-request") == "true"

    def _common(self) -> Mapping[str, Any]:
        # Of the last look, if it was made lately: nothing waits for it.
        latest = self.service.live.latest
        troubles = latest.troubles if latest and datetime.now(UTC) - latest.at < LATELY else ()
        return {
            "link": self.link,
            "operates": self.operates,
            "visitor": self.visitor,
            "pressing": sum(trouble.severity is not Severity.NOTE for trouble in troubles),
        }

    def _frame(self) -> Mapping[str, Any]:
        """What stands around each page."""
        return {
            "asset": self.asset,
            "root": self.root,
            "where": self.service.storage.where,
            "path": self.request.url.path.removeprefix(self.root),
            "has_runs": self.service.results is not None,
            "note": note_of(self.request.query_params),
            "has_session": COOKIE in self.request.cookies,
        }


Handler = Callable[[Visit], Awaitable[Response]]


class Page(NamedTuple):
    """A route: `handle` makes the answer, for readers of a GET, for operators of a POST."""

    path: str
    handle: Handler
    method: str = "GET"
