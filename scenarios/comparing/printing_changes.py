"""What changed between two runs, on the terminal and in Markdown: the same lines, two renderings."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from scenarios.comparing.changes import GOOD, Estimate, Line, Measure, tally
from scenarios.comparing.differences import Difference, ordered
from scenarios.comparing.searched import title
from scenarios.printing import TO, number

_HEADS = ("contender", "measure", "A", "B", "as it is: B / A", "verdict", "relative: B / A", "verdict")
_LEFT = {"contender", "measure", "verdict", "what", "could explain"}
_LONGEST = 60
"""Characters of a value of a manifest."""
_LEGEND = (
    "Medians over blocks, CPU-s per 1,000 finished jobs. B / A with its bootstrap interval; a line is "
    "flagged where that leaves 1 out. Blocks of a run share its hour and its servers: what differs between "
    "any two runs for that reason alone is in no interval. Two runs of one commit show how much that is."
)

Grid = list[tuple[str, ...]]
"""Cells by line."""


@dataclass(frozen=True)
class Changes:
    """Two runs compared."""

    old: str
    new: str
    """The runs' names."""
    yardstick: str | None
    lines: Sequence[Line]
    unshared: Sequence[str]
    miscounts: Sequence[str]
    differences: Sequence[Difference]

    @property
    def changed(self) -> set[str]:
        """The contenders that have changed in some line."""
        return {line.contender for line in self.lines if line.flagged}


def print_changes(found: Changes, console: Console) -> None:
    """Print them: a table a setting, then words, then the differences of the manifests.

    Where the console is too narrow for the tables, what is too wide is left to the terminal to wrap.
    """
    tables = [(head, _table(_HEADS, _grid(lines), map(_look, lines))) for head, lines in _by_setting(found)]
    unbounded = console.options.update(width=10_000)
    width = max([console.width, *(Measurement.get(console, unbounded, table).maximum for _, table in tables)])
    if width > console.width:
        console = Console(file=console.file, width=width, force_terminal=console.is_terminal)
    console.print(Text(_title(found), style="bold reverse"))
    for head, table in tables:
        for part in (Text(head, style="bold"), table, ""):
            console.print(part)
    for head, lines in _words(found):
        console.print(Text(head, style="bold"))
        for line in [*lines, ""]:
            console.print(Text(line))
    if found.differences:
        console.print(Text(_explaining(found), style="bold"))
        console.print(_table(("what", "A", "B", "could explain"), _explanations(found)))
    else:
        console.print(_explaining(found))
    console.print(Text(f"\n{_LEGEND}", style="dim"))


def markdown_changes(found: Changes) -> str:
    """The same as Markdown."""
    parts = [f"## {_title(found)}"]
    for head, lines in _by_setting(found):
        parts += [f"**{head}**", _markdown(_HEADS, _grid(lines))]
    for head, lines in _words(found):
        parts += [f"**{head}**", "\n".join(f"- {line}" for line in lines)]
    parts.append(f"**{_explaining(found)}**")
    if found.differences:
        parts.append(_markdown(("what", "A", "B", "could explain"), _explanations(found)))
    return "\n\n".join([*parts, _LEGEND]) + "\n"


def _title(found: Changes) -> str:
    return f"A = {found.old}, B = {found.new}"


def _by_setting(found: Changes) -> Iterator[tuple[str, list[Line]]]:
    """The lines of each setting under its title, those of contenders that changed there first."""
    by_title: dict[str, list[Line]] = {}
    for line in found.lines:
        by_title.setdefault(title(line.settings), []).append(line)
    for name, lines in by_title.items():
        changed = {line.contender for line in lines if line.flagged}
        yield name, sorted(lines, key=lambda line: (line.contender not in changed, line.contender))


def _grid(lines: Sequence[Line]) -> Grid:
    """A contender's name stands on its first line only."""
    names = ["", *(line.contender for line in lines)]
    return [
        (
            "" if line.contender == before else line.contender,
            line.measure.head,
            number(line.old),
            number(line.new),
            *_estimate(line.plain, line.measure),
            *_estimate(line.relative, line.measure),
        )
        for before, line in zip(names, lines, strict=False)
    ]


def _estimate(found: Estimate | None, measure: Measure) -> tuple[str, str]:
    if found is None:
        return "", ""
    ratio, interval = number(found.ratio), found.interval
    if interval is not None:
        ratio = f"{ratio} ({number(interval.low)}{TO}{number(interval.high)})"
    return ratio, found.verdict(measure)


def _words(found: Changes) -> Iterator[tuple[str, Sequence[str]]]:
    """Titled lists; an empty one is left out."""
    yield "Flagged", list(_flagged(found))
    if found.unshared:
        yield "What only one run has", found.unshared
    if found.miscounts:
        yield "Counts and statuses that are not the same", found.miscounts


def _flagged(found: Changes) -> Iterator[str]:
    """How many lines, and how many it would be by chance."""
    yield _counted("as it is", (line.plain for line in found.lines))
    if found.yardstick is None:
        yield "relative: no ceiling and no baseline is in both runs, so the machines' speed is in every line"
    else:
        head = f"relative to {found.yardstick} in the same block"
        yield _counted(head, (line.relative for line in found.lines))


def _counted(head: str, estimates: Iterable[Estimate | None]) -> str:
    estimates = list(estimates)
    counted = tally(estimates)
    coverages = sorted({each.interval.coverage for each in estimates if each and each.interval})
    if not coverages:
        return f"{head}: no line could be tested, an interval needs 3 blocks in each run"
    shares = TO.join(dict.fromkeys(f"{share:.0%}" for share in (coverages[0], coverages[-1])))
    chance = f"about {number(counted.expected)} would be by chance alone, had nothing changed"
    return f"{head}: {counted.flagged} of {counted.tested} lines; {chance} (intervals of {shares})"


def _explaining(found: Changes) -> str:
    if not found.differences:
        return "The manifests show no difference that could explain anything"
    return "Differences between the manifests that could explain it"


def _explanations(found: Changes) -> Grid:
    return [
        (each.what, _short(each.old), _short(each.new), _explained(each, found.changed))
        for each in ordered(found.differences, found.changed)
    ]


def _explained(difference: Difference, changed: set[str]) -> str:
    names = ", ".join(difference.explains(changed))
    return names or ("any of it" if difference.others else "nothing that changed")


def _short(value: str) -> str:
    return textwrap.shorten(value, _LONGEST, placeholder=" …")


def _look(line: Line) -> str:
    """Red where it became worse, green where better, yellow where nobody can tell."""
    if line.deciding is None or not line.deciding.flagged:
        return "" if line.plain.tested else "yellow"
    return "green" if line.deciding.verdict(line.measure) in GOOD else "red"


def _table(heads: Sequence[str], grid: Grid, styles: Iterable[str] = ()) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for head in heads:
        table.add_column(head, justify="left" if head in _LEFT else "right", no_wrap=heads is _HEADS)
    looks = list(styles) or [""] * len(grid)
    for row, style in zip(grid, looks, strict=True):
        table.add_row(*map(Text, row), style=style)
    return table


def _markdown(heads: Sequence[str], grid: Grid) -> str:
    rules = [":--" if head in _LEFT else "--:" for head in heads]
    lines = [heads, rules, *([cell.replace("|", "\\|") for cell in row] for row in grid)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
