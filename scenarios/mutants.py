"""`python -m scenarios.mutants`: whether each checker finds the fault that it is there for.

Contenders with one fault each go through the whole harness, and so do the sound ones they are made from. A
checker has caught a mutant where it says something of that and nothing of its original. (The idea is mutation
testing's: DeMillo, Lipton, Sayward, Hints on Test Data Selection, IEEE Computer 11(4), 1978.)

Exit status: 0 where every mutant was caught; 1 where one was not, and after Ctrl-C; 2 for bad usage, and
where nothing can be run.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from scenarios.interrupts import Interrupts
from scenarios.usage import Parser

if TYPE_CHECKING:
    from rich.console import Console

    from scenarios.mutation.suspects import Suspect
    from scenarios.mutation.trials import Subjects

PROGRAM = "python -m scenarios.mutants"

_NOT_RUN = "it could not be run: there is no Redis or Valkey"
_SILENT = "nothing"


class Outcome(NamedTuple):
    """What became of a mutant."""

    name: str
    fault: str
    checker: str
    caught: bool
    said: str
    """By the checker, in a line."""


def main(words: Sequence[str] | None = None) -> int:
    """Test the checkers. Returns the exit status."""
    with Interrupts():
        try:
            Parser(prog=PROGRAM, description="Test the checkers.", allow_abbrev=False).parse_args(words)
            return _run()
        except KeyboardInterrupt:
            print(f"{PROGRAM}: stopped", file=sys.stderr)
            return 1


def _run() -> int:
    from rich.console import Console

    from scenarios.servers import ServerError

    try:
        outcomes = run_all()
    except ServerError as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return 2
    print_table(outcomes, Console())
    return 0 if all(outcome.caught for outcome in outcomes) else 1


def run_all() -> list[Outcome]:
    """Run every mutant beside its original; about half a minute.

    Raises:
        ServerError: there is no place for a run.
    """
    from scenarios.mutation import trials
    from scenarios.mutation.suspects import SUSPECTS

    with trials.subjects() as found:
        return [judge(suspect, found) for suspect in SUSPECTS]


def judge(suspect: Suspect, subjects: Subjects) -> Outcome:
    """What the checker says of a mutant, and whether that counts."""
    from scenarios.mutation.checkers import unsound

    told = suspect.name, suspect.fault, suspect.title
    if not {suspect.name, suspect.original} <= subjects.keys():
        return Outcome(*told, caught=False, said=_NOT_RUN)
    original = subjects[suspect.original]
    if amiss := unsound(original):
        return Outcome(*told, caught=False, said=f"the original is no yardstick: {amiss}")
    if of_original := suspect.checker(original):
        return Outcome(*told, caught=False, said=f"of the sound original too: {of_original}")
    said = suspect.checker(subjects[suspect.name])
    return Outcome(*told, caught=bool(said), said=said or _SILENT)


def print_table(outcomes: Iterable[Outcome], console: Console) -> None:
    """Print a row a mutant."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for head in ("mutant", "its fault", "the checker", "", "what it said"):
        table.add_column(head, no_wrap=head in ("mutant", ""))
    for outcome in outcomes:
        verdict = Text("caught") if outcome.caught else Text("NOT CAUGHT", style="red")
        name, fault, checker = map(Text, outcome[:3])
        table.add_row(name, fault, checker, verdict, Text(outcome.said))
    console.print(table)


def as_manifest(outcomes: Iterable[Outcome]) -> dict[str, Any]:
    """What a run's manifest holds of them."""
    return {"caught": [outcome._asdict() for outcome in outcomes]}


if __name__ == "__main__":
    sys.exit(main())
