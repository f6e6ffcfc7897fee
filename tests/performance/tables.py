"""What these programs share: servers of their own, rounds by turns, figures with their range, Markdown."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TypeVar

from adapters.base import Service
from scenarios import arguments
from scenarios.interrupts import Interrupts
from scenarios.printing import TO, number
from scenarios.servers import ServerError, Servers
from scenarios.statistics import spread
from scenarios.usage import Parser

T = TypeVar("T")

PAYLOAD = "x" * 100


def noop(payload: str) -> None:
    """The task of these programs."""


def run(
    name: str,
    measure: Callable[[Servers, int, int], None],
    needs: Collection[Service],
    *,
    jobs: int,
    words: Sequence[str] | None = None,
) -> int:
    """Call `measure` with private servers, the number of jobs and of rounds. Returns the exit status."""
    parser = Parser(prog=f"python -m tests.performance.{name}", allow_abbrev=False)
    parser.add_argument("--jobs", type=arguments.jobs, default=jobs, metavar="N", help="in each round")
    parser.add_argument("--rounds", type=arguments.positive, default=7, metavar="N")
    given = parser.parse_args(words)
    with Interrupts():
        try:
            with Servers(needs=needs) as servers:
                if servers.unavailable:
                    raise ServerError("; ".join(servers.unavailable.values()))
                measure(servers, given.jobs, given.rounds)
        except ServerError as error:
            print(f"{parser.prog}: {error}", file=sys.stderr)
            return 2
        except KeyboardInterrupt:
            print(f"{parser.prog}: stopped", file=sys.stderr)
            return 1
    return 0


def by_turns(cases: Mapping[str, Callable[[], T]], rounds: int) -> dict[str, list[T]]:
    """Call every case once a round, in an order of its own; the answers by case, round by round."""
    answers: dict[str, list[T]] = {name: [] for name in cases}
    order = random.Random(1)
    for _ in range(rounds):
        for name in order.sample(list(cases), len(cases)):
            answers[name].append(cases[name]())
    return answers


def ranged(values: Iterable[float]) -> str:
    """The median, and the smallest and largest."""
    middle, low, high = map(number, spread(values))
    return middle if low == high else f"{middle} ({low}{TO}{high})"


def ratios(values: Sequence[float], bases: Sequence[float]) -> str:
    """The same of the ratios of values to those of the same rounds."""
    return ranged(value / base for value, base in zip(values, bases, strict=True))


def print_markdown(title: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table under a bold line; its first column is text, the others are figures."""
    rules = [":--", *["--:"] * (len(heads) - 1)]
    lines = (f"| {' | '.join(line)} |" for line in (heads, rules, *rows))
    print(f"**{title}**\n", *lines, sep="\n", end="\n\n", flush=True)
