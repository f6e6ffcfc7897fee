"""`distq serve`: the service over a storage, with its dashboard."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Annotated

import typer

from distq import telemetry
from distq.cli.parameters import App, AppOrUrl, default_url, given
from distq.cli.session import Session
from distq.connect import connect
from distq.errors import ConfigurationError, StorageUnavailable
from distq.locate import load_app
from distq.service import missing
from distq.storage import Storage


def serve(
    url: AppOrUrl = None,
    app: App = None,
    host: Annotated[str, typer.Option(help="The address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 for any that is free.")] = 8080,
    results: Annotated[
        Path | None, typer.Option(help="Where runs of the testbed lie, to show them.", show_default=False)
    ] = None,
    trace_url: Annotated[
        str | None,
        typer.Option(
            help="Where a trace is seen: a URL with {trace_id} in it.", show_default=False, callback=given
        ),
    ] = None,
    audit_log: Annotated[
        Path | None, typer.Option(help="A file for who did what, a line each.", show_default=False)
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Log a JSON document a line.")] = False,
) -> None:
    """Serve the dashboard, the JSON API and the metrics of a storage.

    With --app jobs can be enqueued by task. On this machine no token is needed. To listen elsewhere set
    DISTQ_TOKEN in the environment, and DISTQ_READ_TOKEN for those who may only look.

    Example: distq serve --url postgresql://localhost/app --app shop:app
    """
    parts = _parts()
    telemetry.show_on_console(json=json)
    access = parts.admission(host)
    found = load_app(app, url or "") if app else None
    storage = found.storage if found else connect(default_url(url))
    _look(storage)
    service = parts.Service(
        storage=storage,
        app=found,
        access=access,
        audit=parts.Audit(audit_log),
        results=_directory(results),
        trace_url=_template(trace_url),
    )
    parts.serve(service, host, port)


def _parts() -> SimpleNamespace:
    """What needs the extra. Raises ConfigurationError where that is not installed."""
    try:
        from distq.service.audit import Audit
        from distq.service.core import Service
        from distq.service.server import admission, serve
    except ModuleNotFoundError as error:
        raise missing(error) from None
    return SimpleNamespace(Audit=Audit, Service=Service, admission=admission, serve=serve)


def _look(storage: Storage) -> None:
    """Raises SchemaError where the storage is not migrated. One that is away may come."""
    with Session(storage) as session:
        try:
            session.run(storage.workers(within=0))
        except StorageUnavailable as error:
            telemetry.emit("warn", "{error}; serving all the same, and trying again", error=error)


def _directory(results: Path | None) -> Path | None:
    if results and not results.is_dir():
        raise ConfigurationError(f"--results {results}: there is no such directory")
    return results


def _template(trace_url: str | None) -> str:
    if trace_url and (
        "{trace_id}" not in trace_url or not trace_url.startswith(("https://", "http://", "/"))
    ):
        raise ConfigurationError("--trace-url: use an http(s) URL that has {trace_id} where the id belongs")
    return trace_url or ""
