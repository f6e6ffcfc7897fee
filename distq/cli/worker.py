"""`distq worker`: a pool of worker processes."""

from __future__ import annotations

import os
import re
from typing import Annotated

import typer

from distq import telemetry
from distq.cli.parameters import given
from distq.errors import ConfigurationError
from distq.ids import check_queue
from distq.locate import load_app
from distq.worker.pool import Pool
from distq.worker.settings import BATCH, LARGEST_BATCH, Settings

HEAVIEST = 100
"""A queue's weight at most."""


def worker(
    app: Annotated[str, typer.Argument(help="The application, as module:attribute.", show_default=False)],
    processes: Annotated[int, typer.Option("--processes", "-p", min=1, help="Worker processes.")] = (
        os.cpu_count() or 1
    ),
    concurrency: Annotated[
        int, typer.Option("--concurrency", "-c", min=1, help="Jobs at once in each process.")
    ] = 1,
    batch: Annotated[
        int, typer.Option(min=1, max=LARGEST_BATCH, help="Jobs that a process leases, and settles, at once.")
    ] = BATCH,
    queues: Annotated[
        str | None,
        typer.Option(
            help="Comma-separated, with weights: mail:3,bulk:1. All queues of the app's tasks by default.",
            show_default=False,
            callback=given,
        ),
    ] = None,
    ttl: Annotated[
        float, typer.Option(min=1, help="Seconds until a silent worker's lease may be taken.")
    ] = 30.0,
    grace: Annotated[
        float, typer.Option(min=0, help="Seconds that running jobs have to finish after SIGTERM.")
    ] = 30.0,
    watchdog: Annotated[
        float, typer.Option(min=1, help="Seconds that a process may stand still before it is replaced.")
    ] = 60.0,
    burst: Annotated[
        bool, typer.Option("--burst", help="End when nothing is ready and nothing runs.")
    ] = False,
    max_jobs: Annotated[
        int, typer.Option(min=0, help="Replace a process after so many jobs; 0 for never.")
    ] = 0,
    max_memory: Annotated[
        int, typer.Option(min=0, help="Replace a process that has used so many MiB; 0 for never.")
    ] = 0,
    url: Annotated[
        str | None,
        typer.Option(help="Another storage than the application's own.", show_default=False, callback=given),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Log a JSON document a line.")] = False,
    hard_cancel: Annotated[
        bool,
        typer.Option(
            "--hard-cancel", help="End the process of a cancelled job that does not stop within 5 s."
        ),
    ] = False,
) -> None:
    """Run a pool of worker processes.

    SIGTERM or Ctrl-C: running jobs may finish within the grace time. Ctrl-C twice, or SIGQUIT: at once.
    It has ended 5 s after the grace time at the latest, whatever the storage does.
    """
    telemetry.show_on_console(json=json)
    weights = {} if queues is None else _weights(queues)
    loaded = load_app(app, url or "")
    if loaded.storage.where.startswith("memory:"):
        raise ConfigurationError(
            f"{app} is on memory://, which each process has for itself: use postgresql:// or redis://"
        )
    weights = weights or dict.fromkeys(loaded.queues, 1)
    if not weights:
        raise ConfigurationError(f"{app} declares no tasks, so there is no queue to work on")
    settings = Settings(
        weights=weights,
        concurrency=concurrency,
        batch=batch,
        ttl=ttl,
        grace=grace,
        watchdog=watchdog,
        burst=burst,
        max_jobs=max_jobs,
        max_memory=max_memory,
        hard_cancel=hard_cancel,
    )
    raise typer.Exit(Pool(app, settings, processes, url=url or "", json=json).run())


def _weights(queues: str) -> dict[str, int]:
    """The queues of `mail:3,bulk`, and their weights."""
    weights: dict[str, int] = {}
    for entry in filter(None, map(str.strip, queues.split(","))):
        match = re.fullmatch(r"([^:]+)(?::(\d{1,3}))?", entry)
        if not match or not 1 <= int(match[2] or 1) <= HEAVIEST:
            raise ConfigurationError(f"--queues {entry!r}: use name or name:weight, from 1 to {HEAVIEST}")
        weights[check_queue(match[1])] = int(match[2] or 1)
    if not weights:
        raise ConfigurationError(f"--queues {queues!r} names no queue")
    return weights
