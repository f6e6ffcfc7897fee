"""`python -m scenarios.run`: start the servers, measure every cell of every block, write, print.

Exit status: 0 when every requested cell is ok and nothing was lost or unexpected; 1 otherwise, also after
Ctrl-C; 2 for bad usage, with one line that says what.

The heavy imports come late: a mistake is told at once, and Ctrl-C is obeyed from the first moment.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from scenarios.interrupts import Interrupts

if TYPE_CHECKING:
    from scenarios.options import Options
    from scenarios.output import Output

PROGRAM = "python -m scenarios.run"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for. Returns the exit status."""
    command = sys.argv[1:] if arguments is None else arguments
    with Interrupts() as interrupts:
        try:
            from scenarios import options

            return _run(options.parse(command), command, interrupts)
        except KeyboardInterrupt:
            print("stopped before anything began", file=sys.stderr)
            return 1


def _run(given: Options, command: Sequence[str], interrupts: Interrupts) -> int:
    from scenarios.output import Output
    from scenarios.servers import ServerError

    output = Output(given.out)
    try:
        failed = _measure(given, command, output, interrupts)
        return 1 if _show(output) or failed else 0
    except ServerError as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"\nstopped; {_finished(output)}", file=sys.stderr)
        return 1
    finally:
        output.discard_if_empty()


def _measure(given: Options, command: Sequence[str], output: Output, interrupts: Interrupts) -> bool:
    """Measure every cell. Returns whether one of them is not what was asked for."""
    from rich.console import Console

    from scenarios.progress import Progress
    from scenarios.runner import Runner, needs, tasks
    from scenarios.servers import Servers, given_urls

    cells = sum(1 for _ in tasks(given))
    with Servers(needs=needs(given.adapters), tier=given.tier, given=given_urls(given.urls)) as servers:
        runner = Runner(given, servers, output, interrupts)
        with Progress(Console(), cells) as progress:
            runner.run(command, progress)
    return runner.failed


def _show(output: Output) -> bool:
    """Draw the plots and print the table. Returns whether that failed."""
    from rich.console import Console

    from scenarios import report

    console = Console()
    try:
        run = report.load(output.directory)
        report.write_plots(run)
        report.print_table(run, console)
    except report.ReportError as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return True
    files = "summary.csv, jobs.csv.gz, manifest.json, plots/" + ", logs/" * output.logs.exists()
    console.print(f"\n{output.directory}: {files}", soft_wrap=True)
    return False


def _finished(output: Output) -> str:
    if not output.cells:
        return "no cell had ended"
    folder = output.directory
    shows = f"python -m scenarios.report {folder} shows them"
    return f"the finished cells ({output.cells}) are in {folder}; {shows}"


if __name__ == "__main__":
    sys.exit(main())
