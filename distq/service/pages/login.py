"""Log in with a token, and out."""

from __future__ import annotations

from fastapi import Request, Response

from distq.service.access import COOKIE, WRONG, check_origin, name_of
from distq.service.core import Service
from distq.service.errors import Unauthorized
from distq.service.pages.visit import Visit


class Door:
    """The routes that are there for who is not known yet."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def show(self, request: Request) -> Response:
        """The page on which one gives a token; who is known already is led on."""
        visit = Visit(self._service, request, None)
        try:
            self._service.reading(request)
        except Unauthorized:
            if not self._service.access.tokens:
                raise
            return self._page(visit, request.query_params.get("next", ""), "")
        return _onward(visit, request.query_params.get("next", ""))

    async def enter(self, request: Request) -> Response:
        """Take the token. Raises TooMany where many are tried, Forbidden where another site sends one."""
        self._service.count(request)
        check_origin(request)
        visit, form = Visit(self._service, request, None), await request.form()
        token, onward = (str(form.get(name, "")) for name in ("token", "next"))
        role = self._service.access.role_of_token(token.strip())
        if role is None:
            self._service.note_refusal(request, 401, WRONG)
            return self._page(visit, onward, f"{WRONG}.".capitalize(), status=401)
        response = _onward(visit, onward)
        self._service.audit.note(name_of(role, request), "log in", "done")
        self._service.access.begin(role, request, response, visit.root)
        return response

    async def leave(self, request: Request) -> Response:
        """Forget who it was."""
        check_origin(request)
        visit = Visit(self._service, request, None)
        response = visit.go("/login")
        response.delete_cookie(COOKIE, path=visit.root or "/")
        return response

    @staticmethod
    def _page(visit: Visit, onward: str, flaw: str, *, status: int = 200) -> Response:
        return visit.show("login.html", status=status, onward=onward, flaw=flaw)


def _onward(visit: Visit, where: str) -> Response:
    if not visit.is_ours(where):
        return visit.go("/")
    return Response(status_code=303, headers={"Location": where})
