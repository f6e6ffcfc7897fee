"""`python -m scenarios.against [REV]`: whether the working tree is slower than an older version of it.

Exit status: 0 unless it is; 1 where the interval of a ratio lies wholly below 0.9, where a version cannot be
built or measured, and after Ctrl-C; 2 for bad usage, with one line that says what.

The heavy imports come late, as in `scenarios.run`.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Sequence

from scenarios import arguments
from scenarios.interrupts import Interrupts
from scenarios.usage import Parser

PROGRAM = "python -m scenarios.against"


def main(words: Sequence[str] | None = None) -> int:
    """Compare. Returns the exit status."""
    with Interrupts():
        try:
            return _run(_parse(words))
        except KeyboardInterrupt:
            print(f"{PROGRAM}: stopped", file=sys.stderr)
            return 1


def _parse(words: Sequence[str] | None) -> argparse.Namespace:
    parser = Parser(prog=PROGRAM, description="Compare with an older version.", allow_abbrev=False)
    add = parser.add_argument
    add("revision", nargs="?", metavar="REV", help="the last release unless given; where there is none, main")
    add("--pairs", type=arguments.positive, default=8, metavar="N", help="3 give an interval, 6 one of 95 %%")
    add("--jobs", type=arguments.jobs, default=40_000, metavar="N", help="in each cell")
    seed = random.SystemRandom().randrange(arguments.LARGEST_SEED)
    add("--seed", type=arguments.seed, default=seed, metavar="S", help="of order and payloads")
    return parser.parse_args(words)


def _run(given: argparse.Namespace) -> int:
    from scenarios.errands import ErrandFailed
    from scenarios.servers import ServerError
    from scenarios.versions import UnknownRevision

    try:
        return 1 if _compare(given) else 0
    except (UnknownRevision, ServerError) as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return 2
    except ErrandFailed as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return 1


def _compare(given: argparse.Namespace) -> bool:
    """Measure, and print what came out. Returns whether a contender is slower than it was."""
    from rich.console import Console

    from scenarios.comparison import compare, print_comparisons
    from scenarios.match import NEEDS, Match
    from scenarios.servers import ServerError, Servers
    from scenarios.versions import find

    name, commit = find(given.revision)
    console, pairs = Console(highlight=False), []
    with Servers(needs=NEEDS) as servers:
        if servers.unavailable:
            raise ServerError("; ".join(servers.unavailable.values()))
        console.print(f"old: {name} ({commit[:9]}); new: the working tree; seed {given.seed}")
        match = Match(servers, jobs=given.jobs)
        match.install(commit)
        for old, new in match.pairs(given.pairs, seed=given.seed):
            pairs.append((old, new))
            ratios = "   ".join(f"{contender} {new[contender] / old[contender]:.3f}" for contender in old)
            console.print(f"{len(pairs):>4}/{given.pairs}  new / old: {ratios}", soft_wrap=True)
    found = compare(pairs, seed=given.seed)
    print_comparisons(found, console)
    return any(comparison.slower for comparison in found)


if __name__ == "__main__":
    sys.exit(main())
