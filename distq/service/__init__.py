"""A service over a storage: JSON API, live dashboard, metrics. `distq serve`, or in an application of yours.

Only what is called here needs the extra `distq[service]`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from distq.app import DistQ
from distq.checks import check
from distq.errors import ConfigurationError

if TYPE_CHECKING:
    from fastapi import APIRouter


def router(
    queue: DistQ, *, results: Path | None = None, trace_url: str = "", audit_log: Path | None = None
) -> APIRouter:
    """The dashboard, the API and the metrics of an application, for a FastAPI application of yours:
    `app.include_router(distq.service.router(queue), prefix="/queue")`.

    Who may come in is as with `distq serve`: DISTQ_TOKEN and DISTQ_READ_TOKEN are read here, and where
    neither is set only this machine is admitted. Where several processes serve set a token: it is what their
    forms are signed with. It ends with the application.

    Args:
        results: where runs of the testbed lie, to show their reports.
        trace_url: where a trace is seen: a URL with `{trace_id}` in it.
        audit_log: a file for who did what, a line each.

    Raises:
        ConfigurationError: the extra is not installed, a token is none, or the file cannot be written.
    """
    check("queue", queue, "the DistQ of your application", lambda value: isinstance(value, DistQ))
    try:
        from distq.service.access import Access
        from distq.service.application import router
        from distq.service.audit import Audit
        from distq.service.core import Service
    except ModuleNotFoundError as error:
        raise missing(error) from None
    access, audit = Access.of_environment(), Audit(audit_log)
    return router(Service(queue.storage, queue, access, audit, results=results, trace_url=trace_url))


def missing(error: ModuleNotFoundError) -> ConfigurationError:
    """What to say where a library is not installed. One of ours that is not there is a fault."""
    if (error.name or "").partition(".")[0] == "distq":
        raise error
    return ConfigurationError(f"the service needs {error.name}: pip install 'distq[service]'")
