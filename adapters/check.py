"""`python -m adapters.check NAME`: what a contender does beside what it claims, on servers of its own.

Exit status: 0 when it conforms; 1 when there are problems, a line each, and after Ctrl-C; 2 for bad usage,
an unknown name, a missing library or server, with one line that says what.

The heavy imports come late, as in `scenarios.run`. No other module of adapters may import scenarios.
"""

from __future__ import annotations

import argparse
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from scenarios.interrupts import Interrupts
from scenarios.usage import Parser

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from adapters.base import Cell, Promises
    from adapters.conformance import PromiseRow
    from scenarios.guard import Guard
    from scenarios.servers import Servers

PROGRAM = "python -m adapters.check"

_LAST_LINES = 12
"""Of each log, where there are problems."""
_FAREWELL_S = 4.0
"""What the examination may take to tear down after Ctrl-C."""


def main(words: Sequence[str] | None = None) -> int:
    """Check. Returns the exit status."""
    with Interrupts():
        try:
            return _run(_parse(words))
        except KeyboardInterrupt:
            print(f"{PROGRAM}: stopped", file=sys.stderr)
            return 1


def _parse(words: Sequence[str] | None) -> argparse.Namespace:
    parser = Parser(
        prog=PROGRAM, description="See whether a contender does what it must.", allow_abbrev=False
    )
    parser.add_argument("name", metavar="NAME", help="as in adapters/registry.py")
    parser.add_argument("--full", action="store_true", help="freeze a worker too: up to a minute more")
    for option in ("--postgres-url", "--redis-url", "--amqp-url"):
        parser.add_argument(option, metavar="URL", help="use this server instead of a private one")
    return parser.parse_args(words)


def _run(given: argparse.Namespace) -> int:
    from rich.console import Console

    from adapters.base import AdapterError
    from adapters.registry import load
    from scenarios.servers import ServerError

    console = Console(highlight=False)
    try:
        claims = load(given.name).promises("matched")
        row = _examine(given, console)
    except (AdapterError, ServerError) as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return 2
    _show(given.name, claims, row, console)
    return 1 if row.problems else 0


def _examine(given: argparse.Namespace, console: Console) -> PromiseRow:
    from adapters.base import Service
    from adapters.registry import load
    from scenarios.servers import ServerError, Servers, given_urls

    urls = {
        Service.POSTGRES: given.postgres_url,
        Service.REDIS: given.redis_url,
        Service.RABBITMQ: given.amqp_url,
    }
    with Servers(needs=load(given.name).needs, given=given_urls(urls)) as servers:
        if servers.unavailable:
            raise ServerError("; ".join(servers.unavailable.values()))
        cell = _make_cell(given.name, servers)
        row = _examine_apart(cell, servers.guard, full=given.full)
        if row.problems:
            _show_logs(cell.directory, console)
        return row


def _make_cell(name: str, servers: Servers) -> Cell:
    from adapters.base import Cell

    directory = servers.guard.directory / "cell"
    directory.mkdir()
    namespace = f"check_{secrets.token_hex(4)}"
    return Cell(adapter=name, namespace=namespace, urls=servers.urls, directory=directory)


def _examine_apart(cell: Cell, guard: Guard, *, full: bool) -> PromiseRow:
    """Examine in a process of its own, of which nothing is left whatever happens here."""
    from adapters.conformance import PromiseRow
    from adapters.conformance.pools import kill_carriers, one_line
    from adapters.conformance.probe import Notes

    file, log = cell.directory / "check.json", cell.directory / "examination.log"
    file.write_text(cell.model_dump_json())
    command = [sys.executable, "-m", "adapters.conformance", file, *["--full"] * full]
    with log.open("wb") as output:
        # logfire, where it is installed, plugs itself into pydantic, which takes time in every process.
        environment = os.environ | {"PYDANTIC_DISABLE_PLUGINS": "__all__"}
        process = guard.start(command, stdout=output, stderr=output, env=environment)
    try:
        status = process.wait()
    except BaseException:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(_FAREWELL_S)
        raise
    finally:
        kill_carriers(Notes(cell.directory).cell)
    guard.forget(process.pid)
    row = cell.directory / "conformance.json"
    if row.exists():
        return PromiseRow.model_validate_json(row.read_bytes())
    words = one_line(log.read_text(errors="replace")[-200:])
    return PromiseRow(problems=(f"the examination ended with status {status}: {words}",))


def _show(name: str, claims: Promises, row: PromiseRow, console: Console) -> None:
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for head in (name, "claimed", "observed"):
        table.add_column(head)
    for line in _lines(claims, row):
        table.add_row(*line)
    console.print(table)
    for problem in row.problems:
        console.print(f"problem: {problem}", style="red", soft_wrap=True, markup=False)
    verdict = "has problems" if row.problems else "conforms"
    console.print(f"{name} {verdict}; examined in {row.duration_s:.1f} s")


def _lines(claims: Promises, row: PromiseRow) -> Iterator[tuple[str, str, str]]:
    """What, as claimed, as observed."""
    yield "delivery", claims.delivery, row.delivery
    yield "acknowledged", claims.acked, row.acked
    yield "runs again", _after(claims.redelivery_s, "never"), _after(row.redelivery_s, _not_in(row.waited_s))
    yield "fenced", _yes(claims.fenced), "not seen" if row.fenced is None else _yes(row.fenced)
    yield "results", claims.results, row.results
    yield "order", "--", row.order
    yield "taken at once", f"prefetch {claims.prefetch}; batch {claims.batch}", row.batch


def _after(seconds: float | None, never: str) -> str:
    return never if seconds is None else f"after {seconds:.3g} s"


def _not_in(seconds: float | None) -> str:
    return "not seen" if seconds is None else f"not within {seconds:g} s"


def _yes(true: bool) -> str:
    return "yes" if true else "no"


def _show_logs(directory: Path, console: Console) -> None:
    """Print what the contender's processes and the examination said last."""
    for log in sorted([*directory.glob("*.log"), *directory.glob("conformance/*.log")]):
        if lines := log.read_text(errors="replace").splitlines()[-_LAST_LINES:]:
            console.print(f"{log.stem}:", *lines, sep="\n  ", style="dim", markup=False, soft_wrap=True)


if __name__ == "__main__":
    sys.exit(main())
