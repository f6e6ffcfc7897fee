"""The commands together, and how the program ends."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from typing import NoReturn

import typer

from distq.cli.enqueue import enqueue
from distq.cli.forgetting import prune, purge
from distq.cli.health import doctor, migrate
from distq.cli.jobs import list_jobs, show, why
from distq.cli.output import plain
from distq.cli.queues import counts, pause, resume
from distq.cli.serve import serve
from distq.cli.steering import cancel, replay
from distq.cli.top import top
from distq.cli.worker import worker
from distq.errors import ConfigurationError, DistqError, InvalidArguments

cli = typer.Typer(pretty_exceptions_enable=False)

for command in (migrate, worker, serve, enqueue, show, why):
    cli.command()(command)
cli.command("list")(list_jobs)
for command in (counts, cancel, replay, pause, resume, purge, prune, doctor, top):
    cli.command()(command)

INTERRUPTED = 130
"""The exit status after Ctrl-C."""

# Its name differs between versions of typer; this one's base is it in all of them.
_UsageError: type[Exception] = typer.BadParameter.__bases__[0]


@cli.callback(invoke_without_command=True)
def _distq(context: typer.Context) -> None:
    """A task queue with one set of guarantees on PostgreSQL and on Redis.

    The storage is given by --url, or DISTQ_URL in the environment.
    Exit status: 0 done; 1 it could not be done, or `doctor` found a problem; 2 a mistake in the command.
    """
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(2)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command, and exit: 1 after an error of distq's, 2 after a user's mistake, one line each."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        status = cli(arguments, prog_name="distq", standalone_mode=False)
    except typer.Abort:
        status = INTERRUPTED
    except (DistqError, _UsageError) as error:
        typer.echo(f"distq: {_line(error)}", err=True)
        mistake = isinstance(error, (ConfigurationError, InvalidArguments, _UsageError))
        status = 2 if mistake else 1
    sys.exit(status or 0)


def _line(error: Exception) -> str:
    text = str(error)
    if isinstance(error, _UsageError):
        context = getattr(error, "ctx", None)
        message = error.format_message().replace("Value error, ", "")  # pyright: ignore
        text = f"{message} (see {context.command_path if context else 'distq'} --help)"  # pyright: ignore
    return plain(" ".join(text.split()))
