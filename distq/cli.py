"""The command line: `distq …` or `python -m distq …`."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from distq import telemetry
from distq.connect import connect
from distq.errors import ConfigurationError, DistqError
from distq.ids import check_queue
from distq.locate import load_app
from distq.pool import Pool
from distq.worker import Settings

cli = typer.Typer(
    help="A task queue with one set of guarantees on PostgreSQL and on Redis.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

Url = Annotated[
    str,
    typer.Option(
        envvar="DISTQ_URL",
        help="postgresql://…?schema=distq or redis://…?prefix=distq",
        show_default=False,
    ),
]


@cli.callback()
def _distq() -> None:
    """A task queue with one set of guarantees on PostgreSQL and on Redis."""


@cli.command()
def migrate(url: Url) -> None:
    """Create or upgrade what the storage needs. Safe to repeat, and for two at once."""
    for line in connect(url).migrate():
        typer.echo(line)


@cli.command()
def worker(
    app: Annotated[str, typer.Argument(help="The application, as module:attribute.", show_default=False)],
    processes: Annotated[int, typer.Option("--processes", "-p", min=1, help="Worker processes.")] = (
        os.cpu_count() or 1
    ),
    concurrency: Annotated[
        int, typer.Option("--concurrency", "-c", min=1, help="Jobs at once in each process.")
    ] = 1,
    queues: Annotated[
        str,
        typer.Option(help="Comma-separated; all queues of the app's tasks by default.", show_default=False),
    ] = "",
    ttl: Annotated[
        float, typer.Option(min=1, help="Seconds until a silent worker's lease may be taken.")
    ] = 30.0,
    grace: Annotated[
        float, typer.Option(min=0, help="Seconds that running jobs have to finish after SIGTERM.")
    ] = 30.0,
) -> None:
    """Run a pool of worker processes until SIGTERM or SIGINT."""
    telemetry.show_on_console()
    found = load_app(app).queues
    names = tuple(check_queue(name.strip()) for name in queues.split(",") if name.strip()) or tuple(found)
    if not names:
        raise ConfigurationError(f"{app} declares no tasks, so there is no queue to work on")
    settings = Settings(queues=names, concurrency=concurrency, ttl=ttl, grace=grace)
    telemetry.emit(
        "info",
        "{processes} processes of {concurrency} on {queues}",
        processes=processes,
        concurrency=concurrency,
        queues=", ".join(names),
    )
    Pool(app, settings, processes).run()


def main() -> None:
    """Run a command; an error of distq's is one line and exit status 1, a mistake of the user's 2."""
    try:
        cli(prog_name="distq")
    except DistqError as error:
        typer.echo(f"distq: {error}", err=True)
        sys.exit(2 if isinstance(error, ConfigurationError) else 1)
