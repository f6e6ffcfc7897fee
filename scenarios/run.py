"""`python -m scenarios.run`: start the servers, measure every cell of every block, write, print.

Exit status: 0 when every requested cell is ok and nothing was lost or unexpected; 1 otherwise, also after
Ctrl-C; 2 for bad usage, with one line that says what.

The heavy imports come late: a mistake is told at once, and Ctrl-C is obeyed from the first moment.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from scenarios.interrupts import Interrupts

if TYPE_CHECKING:
    from rich.console import Console

    from scenarios.options import Options
    from scenarios.output import Output

PROGRAM = "python -m scenarios.run"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for. Returns the exit status."""
    command = sys.argv[1:] if arguments is None else arguments
    with Interrupts() as interrupts:
        try:
            from scenarios import options

            return _run(options.parse(command), interrupts)
        except KeyboardInterrupt:
            print("stopped before anything began", file=sys.stderr)
            return 1


def _run(given: Options, interrupts: Interrupts) -> int:
    from scenarios.output import Output, OutputError
    from scenarios.servers import ServerError

    output = Output(given.out)
    try:
        failed = _measure(given, output, interrupts)
        return 1 if _show(output) or failed else 0
    except (ServerError, OutputError) as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"\nstopped; {_finished(output)}", file=sys.stderr)
        return 1
    finally:
        output.discard_if_empty()


def _measure(given: Options, output: Output, interrupts: Interrupts) -> bool:
    """Measure every cell. Returns whether one of them is not what was asked for."""
    from rich.console import Console

    from scenarios.progress import Progress
    from scenarios.runner import Runner, needs
    from scenarios.servers import Servers, given_urls
    from scenarios.tasks import about_how_many

    console = Console()
    if given.expected:
        console.print(f"{given.title}: {given.expected}", highlight=False)
    found = _test_checkers(console) if given.mutants and not given.resumed else {}
    with Servers(needs=needs(given), tier=given.tier, given=given_urls(given.urls)) as servers:
        runner = Runner(given, servers, output, interrupts)
        with Progress(console, about_how_many(given)) as progress:
            runner.run(progress, found)
    return runner.failed


def _test_checkers(console: Console) -> dict[str, Any]:
    """Have every checker catch its mutant. Returns what belongs into the manifest."""
    from scenarios import mutants

    console.print("the checkers first: every mutant must be caught", highlight=False)
    outcomes = mutants.run_all()
    mutants.print_table(outcomes, console)
    return {"mutants": mutants.as_manifest(outcomes)}


def _show(output: Output) -> bool:
    """Draw the plots and print the table. Returns whether that failed."""
    from rich.console import Console

    from scenarios import report

    console = Console()
    try:
        run = report.load(output.directory)
        report.write_plots(run)
        report.write_page(run)
        report.print_table(run, console)
    except report.ReportError as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return True
    files = "report.html, summary.csv, jobs.csv.gz, cells.jsonl, manifest.json, plots/"
    files += ", logs/" * output.logs.exists()
    console.print(f"\n{output.directory}: {files}", soft_wrap=True)
    return False


def _finished(output: Output) -> str:
    folder = output.directory
    if not output.cells:
        again = f"; {PROGRAM} --resume {folder} goes on" if (folder / "manifest.json").exists() else ""
        return f"no cell had ended{again}"
    shows = f"python -m scenarios.report {folder} shows them"
    goes_on = f"{PROGRAM} --resume {folder} goes on"
    return f"the finished cells ({len(output.cells)}) are in {folder}; {shows}, {goes_on}"


if __name__ == "__main__":
    sys.exit(main())
