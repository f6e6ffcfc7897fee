"""Who may do what: tokens, roles, sessions of browsers, and writes that a browser was tricked into.

Where tokens are set they are asked for, everywhere. Where none is, who comes from this machine and calls it
by a name of its own may operate: a name that somebody else's DNS leads here would be a page of theirs.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import os
import re
import secrets
import time
from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple
from urllib.parse import urlsplit

from fastapi import Request, Response

from distq import telemetry
from distq.errors import ConfigurationError
from distq.service.errors import Forbidden, Unauthorized

VARIABLES = {"operate": "DISTQ_TOKEN", "read": "DISTQ_READ_TOKEN"}
"""Where the tokens are found, by role."""

SHORT = 16
"""Characters of which a token is warned about that has fewer."""

COOKIE = "distq_session"
SESSION = 12 * 3600
"""Seconds that a browser need not be asked for the token again."""

_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
_PROGRAMS = ("application/json", "")
"""What a page of another site cannot send without asking, or saying where it is from."""

_TESTS = ("testserver", "test")
"""Names that no DNS has (RFC 6761), by which users' tests call an application: Starlette's client, httpx."""

_RELAYED = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip")
"""Headers by which proxies say that they are some."""

WRONG = "the token is not one of this service's"
FOREIGN = "the request comes from a page of another site"

SAFE = ("GET", "HEAD", "OPTIONS")
"""Methods that change nothing."""


class Role(StrEnum):
    """What somebody may do: look, without what jobs carry; or all."""

    READ = "read"
    OPERATE = "operate"


class Visitor(NamedTuple):
    """Who asks. `ticket` is what the forms of a browser's pages must carry, empty for programs."""

    role: Role
    name: str
    ticket: str = ""

    @property
    def operates(self) -> bool:
        """Whether more than looking is allowed, and what jobs carry is shown."""
        return self.role is Role.OPERATE


class Access:
    """Decides for each request. For any thread."""

    def __init__(self, tokens: Mapping[Role, str] | None = None) -> None:
        """`tokens` by role; none for those of this machine alone."""
        self.tokens = dict(tokens or {})
        # Sessions outlive a restart of the service, and end when a token is changed.
        material = "\0".join(f"{role}={token}" for role, token in sorted(self.tokens.items()))
        self.secret = hashlib.sha256(material.encode()).digest() if material else secrets.token_bytes(32)

    @classmethod
    def of_environment(cls) -> Access:
        """With the tokens of `DISTQ_TOKEN` and `DISTQ_READ_TOKEN`. Raises ConfigurationError."""
        found = {Role(role): os.environ.get(name, "") for role, name in VARIABLES.items()}
        tokens = {role: token for role, token in found.items() if token}
        for role, token in tokens.items():
            if not re.fullmatch("[!-~]+", token):
                raise ConfigurationError(
                    f"{VARIABLES[role]} is no token: use ASCII characters without spaces, as of"
                    " `openssl rand -hex 32`"
                )
            if len(token) < SHORT:
                telemetry.emit("warn", "{name} is short: it may be guessed", name=VARIABLES[role])
        if len(set(tokens.values())) < len(tokens):
            raise ConfigurationError("DISTQ_TOKEN and DISTQ_READ_TOKEN are the same: use two")
        return cls(tokens)

    # -- who ---------------------------------------------------------------------------------------

    def visitor(self, request: Request) -> Visitor:
        """Who asks. Raises Unauthorized, or Forbidden for what the page of another site has fetched."""
        if self.tokens and "authorization" in request.headers:
            return self._bearer(request)
        if role := self._role_of(request.cookies.get(COOKIE, "")):
            return Visitor(role, name_of(role, request), self._sign("csrf", request.cookies[COOKIE]))
        if not self.tokens and is_local(request):
            check_fetch(request)
            return Visitor(Role.OPERATE, name_of(Role.OPERATE, request), self._sign("csrf", "local"))
        if self.tokens:
            raise Unauthorized("a token is needed: Authorization: Bearer …, or log in")
        raise Unauthorized("only this machine is admitted, by a name of its own: set DISTQ_TOKEN for others")

    def caller(self, request: Request) -> str:
        """The name of who asks, also of who is not let in."""
        try:
            return self.visitor(request).name
        except (Unauthorized, Forbidden):
            return name_of("nobody", request)

    def _bearer(self, request: Request) -> Visitor:
        scheme, _, token = request.headers["authorization"].partition(" ")
        role = self.role_of_token(token.strip()) if scheme.lower() == "bearer" else None
        if role is None:
            raise Unauthorized(WRONG)
        return Visitor(role, name_of(role, request))

    def role_of_token(self, token: str) -> Role | None:
        """The role that a token gives. Takes as long for a wrong one as for a right one."""
        found = None
        for role, known in self.tokens.items():
            if hmac.compare_digest(token.encode(errors="replace"), known.encode()):
                found = role
        return found

    # -- sessions ----------------------------------------------------------------------------------

    def begin(self, role: Role, request: Request, response: Response, path: str) -> None:
        """Let a browser be known by a cookie from now on."""
        content = f"{role}.{int(time.time()) + SESSION}.{secrets.token_hex(8)}"
        response.set_cookie(
            COOKIE,
            f"{content}.{self._sign('session', content)}",
            max_age=SESSION,
            path=path or "/",
            httponly=True,
            samesite="strict",
            secure="https" in (request.url.scheme, request.headers.get("x-forwarded-proto")),
        )

    def _role_of(self, cookie: str) -> Role | None:
        content, _, signature = cookie.rpartition(".")
        if not content or not hmac.compare_digest(
            signature.encode(), self._sign("session", content).encode()
        ):
            return None
        role, until, _ = content.split(".")
        # Where one role has a token alone, who has it could sign for the other one as well.
        return Role(role) if role in self.tokens and int(until) > time.time() else None

    def _sign(self, purpose: str, content: str) -> str:
        return hmac.new(self.secret, f"{purpose}\0{content}".encode(), hashlib.sha256).hexdigest()

    # -- writes ------------------------------------------------------------------------------------

    async def check_write(self, request: Request, visitor: Visitor, *, form: bool = False) -> None:
        """Whether this write is meant by who it comes from. Raises Forbidden.

        A program may leave out the ticket, unless what it writes to is for a `form`. A page of another site
        cannot pass for one: its requests say where they are from, or that they are a form.
        """
        if not visitor.operates:
            raise Forbidden("this token may only read")
        if request.method in SAFE or not visitor.ticket:
            return
        check_origin(request)
        origin = request.headers.get("origin")
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if origin is None and not form and kind in _PROGRAMS:
            return
        given = request.headers.get("x-csrf-token")
        if given is None and kind in _FORMS:
            given = (await request.form()).get("csrf")
        if not isinstance(given, str) or not hmac.compare_digest(given.encode(), visitor.ticket.encode()):
            raise Forbidden(
                "the form's ticket is missing or old: load the page again; a program sends Content-Type:"
                " application/json"
            )


def check_origin(request: Request) -> None:
    """Whether a write comes from a page of this service, or from none. Raises Forbidden."""
    origin = request.headers.get("origin")
    if _is_foreign(request) or (origin is not None and _host_of(origin) != request.headers.get("host")):
        raise Forbidden(FOREIGN)


def check_fetch(request: Request) -> None:
    """Whether what is asked for is not for a page of another site, which may lead here and no more: it could
    not read an answer, but open streams, and have the storage searched. Raises Forbidden.
    """
    if _is_foreign(request) and request.headers.get("sec-fetch-mode") != "navigate":
        raise Forbidden(FOREIGN)


def _is_foreign(request: Request) -> bool:
    return request.headers.get("sec-fetch-site", "none") not in ("same-origin", "none")


def _host_of(origin: str) -> str:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""


def is_local(request: Request) -> bool:
    """Whether a request comes from this machine, from nobody else by way of a proxy here, and calls it by a
    name that only this machine has.
    """
    if any(name in request.headers for name in _RELAYED):
        return False
    client = request.client.host if request.client else ""
    name = re.sub(r":\d*$", "", request.headers.get("host", ""))
    return (is_loopback(client) or client == "testclient") and (is_loopback(name) or name in _TESTS)


def is_loopback(host: str) -> bool:
    """Whether a name or an address is this machine's own."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def name_of(what: str, request: Request) -> str:
    """What somebody is called in the audit."""
    return f"{what}@{request.client.host if request.client else 'unknown'}"
