"""The whole shop until Ctrl-C: `make example`, `python -m examples.shop`. Nothing of it is left then.

PostgreSQL, a mail server, the web application, workers and the dashboard; and customers, unless it is to be
quiet. Jobs are where DISTQ_URL says; without it, in the same new database as the shop's tables.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from contextlib import suppress

import psycopg

from adapters.base import Service
from distq import DistQ, DistqError
from distq.postgres import target
from examples.shop.database import migrate
from examples.shop.launch import launch, watch
from examples.shop.processes import Crew
from scenarios.servers import ServerError, Servers

END_S = 8.0
"""Seconds that the processes have to end."""


def main() -> int:
    """Start it all, print the addresses, wait. Ctrl-C ends it in order, a second one at once."""
    options = _options()
    for number in (signal.SIGINT, signal.SIGTERM):  # a shell's background job would ignore the first
        signal.signal(number, signal.default_int_handler)
    jobs = os.environ.get("DISTQ_URL", "")
    given = jobs.startswith(("postgresql:", "postgres:"))
    try:
        with Servers(needs=set() if given else {Service.POSTGRES}) as servers:
            if servers.unavailable:
                raise ServerError(*servers.unavailable.values())
            database = target.parse(jobs).url if given else servers.urls[Service.POSTGRES]
            if not given:  # whose URL may hold a password
                print(f"database   {database}", flush=True)
            return _serve(servers, jobs or database, database, options)
    except (ServerError, DistqError, psycopg.Error) as error:
        return _complain(error)
    except KeyboardInterrupt:
        pass  # before anything was started, or once more at the end
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m examples.shop", description=__doc__)
    parser.add_argument("--quiet", action="store_true", help="place no orders; you do")
    for name, port in (("port", 8000), ("dashboard-port", 8080)):
        parser.add_argument(f"--{name}", type=int, default=port, help=f"{port}, or a free one; 0 for any")
    return parser.parse_args()


def _serve(servers: Servers, jobs: str, database: str, options: argparse.Namespace) -> int:
    """From the first process to the last. Returns the exit status."""
    app = DistQ(jobs)
    app.storage.migrate()
    app.close()
    migrate(database)
    crew = Crew(servers, {"DISTQ_URL": jobs, "SHOP_DATABASE": database})
    try:
        launch(crew, options.port, options.dashboard_port, quiet=options.quiet)
        watch(crew)
    except ServerError as error:  # at once, and in no order: nothing is left to be kept
        return _complain(error)
    except KeyboardInterrupt:
        print("\nEnding; Ctrl-C again ends it at once.", flush=True)
        with suppress(KeyboardInterrupt):
            crew.stop(END_S)
        return 0
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)


def _complain(error: Exception) -> int:
    print(f"make example: {' '.join(str(error).split())}", file=sys.stderr, flush=True)
    return 1
