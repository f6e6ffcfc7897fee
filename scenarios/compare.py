"""`python -m scenarios.compare A B …`: what changed between runs, and what in their manifests may explain it.

Each run is compared with the first. Exit status: 0, and 2 for bad usage, with one line that says what.

The heavy imports come late, as in `scenarios.run`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from scenarios.usage import Parser

if TYPE_CHECKING:
    import pandas as pd

    from scenarios.comparing.printing_changes import Changes
    from scenarios.folder import Run

PROGRAM = "python -m scenarios.compare"
HISTORY = Path("history.png")


class _Incomparable(Exception):
    """Runs that cannot be compared; the message is one line."""


def main(words: Sequence[str] | None = None) -> int:
    """Compare. Returns the exit status."""
    given = _parse(words)
    from scenarios.folder import ReportError, load

    try:
        _refuse_twice(given.directories)
        _compare([load(directory) for directory in given.directories], given)
    except (ReportError, _Incomparable) as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return 2
    return 0


def _parse(words: Sequence[str] | None) -> argparse.Namespace:
    parser = Parser(prog=PROGRAM, description="What changed between runs.", allow_abbrev=False)
    add = parser.add_argument
    add(
        "directories",
        nargs="*",
        type=Path,
        metavar="DIR",
        help="runs' folders, the one to compare with first",
    )
    add(
        "--yardstick", metavar="NAME", help="the contender that tells the machines' speed; else the steadiest"
    )
    add(
        "--plot",
        nargs="?",
        type=_png,
        const=HISTORY,
        metavar="FILE.png",
        help=f"or {HISTORY}: a line over the runs",
    )
    add("--markdown", action="store_true", help="print it as Markdown")
    given = parser.parse_args(words)
    if len(given.directories) < 2:
        parser.error("two runs or more are to be named, by their folders")
    return given


def _png(text: str) -> Path:
    if not text.endswith(".png"):
        raise argparse.ArgumentTypeError(f"{text!r} does not end in .png")
    return Path(text)


def _refuse_twice(directories: Sequence[Path]) -> None:
    seen: set[Path] = set()
    for directory in directories:
        if directory.resolve() in seen:
            raise _Incomparable(f"{directory}: the same folder twice")
        seen.add(directory.resolve())


def _compare(runs: Sequence[Run], given: argparse.Namespace) -> None:
    """Print each comparison with the first run, and draw the history where it is asked for."""
    from rich.console import Console

    from scenarios.comparing.printing_changes import markdown_changes, print_changes

    old, *others = zip(_names(runs), runs, strict=True)
    found = [_changes(old, other, given.yardstick) for other in others]
    if not any(each.lines for each in found):
        names = " or ".join(name for name, _ in others)
        raise _Incomparable(f"no contender was measured under one setting in both {old[0]} and {names}")
    if given.plot:
        _draw(runs, given)
    for each in found:
        if given.markdown:
            print(markdown_changes(each))
        else:
            print_changes(each, Console(highlight=False))


def _changes(old: tuple[str, Run], new: tuple[str, Run], yardstick: str | None) -> Changes:
    """Two runs with their names."""
    from scenarios.comparing import changes, mismatches
    from scenarios.comparing.differences import differences
    from scenarios.comparing.printing_changes import Changes
    from scenarios.comparing.searched import with_capacities

    sides = [with_capacities(run.summary) for _, run in (old, new)]
    cells = changes.shared(changes.gather(sides))
    between = differences(old[1].manifest, new[1].manifest)
    base = _yardstick(cells, yardstick, {name for each in between for name in each.concerns})
    return Changes(
        old=old[0],
        new=new[0],
        yardstick=base,
        lines=changes.compare(cells, yardstick=base, seed=_seed(old[1])),
        unshared=mismatches.unshared(*sides),
        miscounts=mismatches.miscounts(*sides),
        differences=between,
    )


def _yardstick(cells: pd.DataFrame, asked: str | None, suspects: set[str]) -> str | None:
    from scenarios.comparing.yardsticks import choose

    if asked is None or cells.empty:
        return choose(cells, suspects)
    if asked not in set(cells.loc[:, "adapter"]):
        raise _Incomparable(f"yardstick {asked!r}: not measured under one setting in all of them")
    return asked


def _draw(runs: Sequence[Run], given: argparse.Namespace) -> None:
    """Write the figure, the runs in the order in which they were named."""
    from scenarios.comparing import changes
    from scenarios.comparing.differences import another_machine, differences
    from scenarios.comparing.history import Timeline, history
    from scenarios.comparing.searched import with_capacities

    cells = changes.shared(changes.gather([with_capacities(run.summary) for run in runs]))
    steps = list(pairwise(run.manifest for run in runs))
    moved = [place for place, step in enumerate(steps, start=1) if another_machine(*step)]
    suspects = {name for step in steps for each in differences(*step) for name in each.concerns}
    yardstick = _yardstick(cells, given.yardstick, suspects)
    labels = [f"{name}\n{_origin(run)}" for name, run in zip(_names(runs), runs, strict=True)]
    timeline = Timeline(labels, moved)
    image = history(cells, timeline, yardstick=yardstick, seed=_seed(runs[0])).png()
    try:
        given.plot.write_bytes(image)
    except OSError as error:
        raise _Incomparable(f"{given.plot}: cannot be written: {error.strerror}") from error


def _names(runs: Sequence[Run]) -> list[str]:
    """Their folders' names, and where two have the same one, the paths."""
    names = [run.directory.resolve().name for run in runs]
    return names if len(set(names)) == len(names) else [str(run.directory) for run in runs]


def _origin(run: Run) -> str:
    """What a figure says of where its numbers are from."""
    return f"{str(run.manifest.get('commit') or 'no commit')[:9]}, {run.seal}"


def _seed(run: Run) -> int:
    return int(run.summary["seed"].iloc[0])


if __name__ == "__main__":
    sys.exit(main())
