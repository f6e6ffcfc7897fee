"""What the routes of a service share."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from fastapi import Request
from limits import RateLimitItem, RateLimitItemPerSecond
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from distq import telemetry
from distq.app import DistQ
from distq.errors import StorageUnavailable
from distq.results import Results
from distq.service.access import SAFE, Access, Visitor
from distq.service.audit import Audit
from distq.service.errors import TooMany
from distq.service.live import Live
from distq.service.patience import Following, Patient, within
from distq.storage import Storage

WRITES = RateLimitItemPerSecond(100)
"""Writes that one address may make."""

REFUSALS = RateLimitItemPerSecond(1)
"""Refusals that are written down: anybody can be refused as often as they like."""

LONGEST_ASKED = 200
"""Characters of what they asked for."""

CLOSING = 1.0
"""Seconds that a storage's connections may take to close."""


@dataclass(frozen=True, slots=True)
class Service:
    """One storage, the application if it is known, and who may do what with them."""

    storage: Storage
    """Its coroutines end in time."""
    app: DistQ | None
    access: Access
    audit: Audit
    results: Path | None = None
    """Where runs of the testbed lie, whose reports are shown."""
    trace_url: str = ""
    """Where a trace is seen: a URL that has `{trace_id}`."""
    writes: RateLimitItem = WRITES
    live: Live = field(init=False)
    waiters: Results = field(init=False)
    """Those who wait for the ends of jobs."""
    anchor: str = field(init=False)
    """The name of the route of static files, by which the others are found where the service is mounted."""
    _counter: MovingWindowRateLimiter = field(init=False)

    def __post_init__(self) -> None:
        app, given = self.app, self.storage
        is_apps = app is not None and app.storage is given

        def find() -> Storage:
            return app.storage if app and is_apps else given

        patient = cast(Storage, Patient(find))
        values = {
            "storage": patient,
            # It takes care of itself: a look that is slow is waited for by the next one.
            "live": Live(cast(Storage, Following(find))),
            "waiters": Results(patient),
            "anchor": f"distq-{secrets.token_hex(4)}",
            "_counter": MovingWindowRateLimiter(MemoryStorage()),
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)

    @property
    def secret(self) -> bytes:
        """What signs the cursors of listings: the same in all processes that have the same tokens."""
        return self.access.secret

    def root(self, request: Request) -> str:
        """The path below which the service is, without a slash at its end."""
        return request.url_for(self.anchor, name="x").path.removesuffix("/static/x")

    def reading(self, request: Request) -> Visitor:
        """Who looks. Raises Unauthorized."""
        return self.access.visitor(request)

    async def operating(self, request: Request, *, form: bool = False) -> Visitor:
        """Who changes something, and may: through the API, or the `form` of a page. Raises Unauthorized,
        Forbidden or TooMany.
        """
        visitor = self.access.visitor(request)
        self.count(request)
        await self.access.check_write(request, visitor, form=form)
        return visitor

    def count(self, request: Request) -> None:
        """Count a write. Raises TooMany."""
        address = request.client.host if request.client else ""
        if not self._counter.hit(self.writes, address):
            raise TooMany(f"more than {self.writes}: wait a second")

    def note_refusal(self, request: Request, status: int, why: str) -> None:
        """Write down who was not let do what they came for, or gave a token that is none."""
        is_try = request.method not in SAFE or "authorization" in request.headers
        if status in (401, 403) and is_try and self._counter.hit(REFUSALS, "refusals"):
            asked = f"{request.method} {request.url.path}"[:LONGEST_ASKED]
            self.audit.note(self.access.caller(request), "refused", why, asked=asked)

    async def close(self) -> None:
        """Close what it has opened, and the storage's connections. Twice is safe."""
        await self.live.close()
        self.waiters.close()
        try:
            await within(CLOSING, self.storage.aclose(), self.storage.where)
        except StorageUnavailable as error:
            telemetry.emit("warn", "{error}; its connections are left to themselves", error=error)
