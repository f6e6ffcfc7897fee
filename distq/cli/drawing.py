"""What `distq top` shows, as lines of text. Nothing that users wrote moves the cursor, or is markup."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from distq.admin.crew import WorkerView
from distq.admin.picture import Picture, QueueStatus, Trouble
from distq.admin.wording import plural, spell
from distq.finding import Severity
from distq.job import JobState

_STYLES = {Severity.PROBLEM: "bold red", Severity.WARNING: "yellow", Severity.NOTE: ""}
_NARROWEST = 12
"""Columns that a name has, where there are so many."""


class Column:
    """A column of a table; the one of the lowest `rank` goes first where all are too wide."""

    def __init__(self, head: str, cells: Iterable[str], rank: int, *, numbers: bool = True) -> None:
        self.cells = [_inert(cell) for cell in (head, *cells)]
        self.rank, self.numbers = rank, numbers
        self.width = max(map(cell_len, self.cells))
        self.least = self.width if numbers else min(self.width, _NARROWEST)


def lines(picture: Picture, where: str) -> list[str]:
    """All there is, for a file: as wide and as long as it is."""
    drawn = draw(picture, where, 10_000, 1_000_000)
    return [line.plain.rstrip() for line in drawn]


def draw(
    picture: Picture, where: str, width: int, height: int, *, silence: str = "", keys: str = ""
) -> list[Text]:
    """What fits so many columns and lines; what does not is counted. `silence` says why it is old."""
    head = _head(picture, f"{keys}{where}", width, silence)
    troubles = [] if silence and not picture.troubles else _troubles(picture.troubles, width)
    queues = _queues(picture, width)
    workers = _workers(picture.workers, width)
    room = height - len(head) - 2  # two empty lines
    troubles = _fit(troubles, max(room // 3, room - len(queues) - len(workers)), "distq doctor", width)
    room -= len(troubles)
    queues = _fit(queues, max(room - len(workers), room - room // 3), "distq counts", width)
    workers = _fit(workers, room - len(queues), "distq top --once", width)
    return [*head, *troubles, Text(), *queues, Text(), *workers][: max(height, 1)]


def _fit(shown: list[Text], room: int, command: str, width: int) -> list[Text]:
    """As many lines as there is room for; the last one says how many are missing, and what shows them."""
    if len(shown) <= room:
        return shown
    left = len(shown) - max(room - 1, 0)
    return [*shown[: max(room - 1, 0)], _line(f"and {left:,} lines more: {command}", width, "dim")]


def _line(text: str, width: int, style: str = "") -> Text:
    return Text(_cut(_inert(text), width), style)


def _inert(text: str) -> str:
    """The text without what would move the cursor, or turn what follows, in letters that the terminal has."""
    if not text.isprintable():
        text = "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)
    letters = sys.stdout.encoding or "utf-8"
    return text.encode(letters, "backslashreplace").decode(letters)


def _cut(text: str, width: int) -> str:
    """The text in so many columns of the terminal at most."""
    if cell_len(text) <= width:
        return text
    return set_cell_size(text, max(width - 2, 0)) + ".."[:width]


def _pad(text: str, width: int, *, right: bool) -> str:
    shown = _cut(text, width)
    space = " " * (width - cell_len(shown))
    return space + shown if right else shown + space


# -- what stands above -------------------------------------------------------------------------------------


def _head(picture: Picture, where: str, width: int, silence: str) -> list[Text]:
    counts = [queue.counts for queue in picture.queues]
    ready, leased = (sum(count[state] for count in counts) for state in (JobState.READY, JobState.LEASED))
    facts = [
        plural(len(picture.queues), "queue"),
        f"{ready:,} ready",
        f"{leased:,} leased",
        plural(len(picture.workers), "worker"),
    ]
    shown = [_line(f"distq top  {picture.at:%H:%M:%S} UTC  {where}", width, "bold")]
    if silence:
        shown.append(_line(f"OLD, {silence}", width, "bold red reverse"))
    return [*shown, _line(", ".join(facts), width, "dim" if silence else "")]


def _troubles(troubles: Sequence[Trouble], width: int) -> list[Text]:
    if not troubles:
        return [_line("nothing is wrong", width, "green")]
    shown: list[Text] = []
    for trouble in troubles:
        shown.append(_line(f"{trouble.severity:<7}  {trouble.what}", width, _STYLES[trouble.severity]))
        if trouble.remedy:
            shown.append(_line(f"         {trouble.remedy}", width, "dim"))
    return shown


# -- tables --------------------------------------------------------------------------------------------------


def _queues(picture: Picture, width: int) -> list[Text]:
    bad = {trouble.queue: _STYLES[trouble.severity] for trouble in reversed(picture.troubles)}
    queues = sorted(picture.queues, key=lambda queue: (queue.name not in bad, queue.name))
    if not queues:
        return [_line("there are no queues yet", width)]

    def column(head: str, rank: int, cell: Callable[[QueueStatus], str]) -> Column:
        return Column(head, [cell(queue) for queue in queues], rank)

    columns = [
        Column("QUEUE", [queue.name + " (paused)" * queue.paused for queue in queues], 99, numbers=False),
        column("READY", 9, lambda queue: f"{queue.counts[JobState.READY]:,}"),
        column("SCHEDULED", 1, lambda queue: f"{queue.counts[JobState.SCHEDULED]:,}"),
        column("LEASED", 5, lambda queue: f"{queue.counts[JobState.LEASED]:,}"),
        column("DEAD", 4, lambda queue: f"{queue.counts[JobState.DEAD]:,}"),
        column("IN/S", 7, lambda queue: _rate(queue.rates and queue.rates.enqueued)),
        column("OUT/S", 8, lambda queue: _rate(queue.rates and _ended(queue))),
        column("OLDEST", 6, lambda queue: "-" if queue.oldest is None else spell(queue.oldest)),
        column("FAILING", 2, lambda queue: _share(queue.rates and queue.rates.failing)),
        column("WORKERS", 3, lambda queue: str(len(queue.workers))),
    ]
    return _table(columns, [bad.get(queue.name, "") for queue in queues], width)


def _workers(workers: Sequence[WorkerView], width: int) -> list[Text]:
    if not workers:
        return [_line("no worker is alive", width)]
    columns = [
        Column("WORKER", [worker.name for worker in workers], 99, numbers=False),
        Column("SEEN", [spell(int(worker.seen)) for worker in workers], 1),
        Column("MEMORY", [f"{worker.vitals.memory / 2**20:,.0f} MiB" for worker in workers], 2),
        Column("LEASES", [f"{worker.vitals.held:,}" for worker in workers], 4),
        Column("RENEWED", [_age(worker) for worker in workers], 3),
        Column("RUNS", [_runs(worker, width) for worker in workers], 98, numbers=False),
    ]
    return _table(columns, [""] * len(workers), width)


def _table(columns: list[Column], styles: Iterable[str], width: int) -> list[Text]:
    """The columns that fit, side by side; where these have to be cut it is the last one first."""
    gaps = 2
    while len(columns) > 1 and sum(column.least + gaps for column in columns) - gaps > width:
        columns.remove(min(columns, key=lambda column: column.rank))
    over = sum(column.width + gaps for column in columns) - gaps - width
    widths: list[int] = []
    for column in reversed(columns):
        cut = min(max(over, 0), column.width - column.least)
        over -= cut
        widths.insert(0, column.width - cut)
    shown = [
        [_pad(cell, size, right=column.numbers) for cell in column.cells]
        for column, size in zip(columns, widths, strict=True)
    ]
    rows = zip(*shown, strict=True)
    return [_line("  ".join(row), width, style) for row, style in zip(rows, ["bold", *styles], strict=True)]


# -- cells ---------------------------------------------------------------------------------------------------


def _ended(queue: QueueStatus) -> float:
    assert queue.rates
    return queue.rates.done + queue.rates.dead + queue.rates.cancelled


def _rate(rate: float | None) -> str:
    return "-" if rate is None else f"{rate:,.0f}" if rate >= 100 else f"{rate:.1f}"


def _share(share: float | None) -> str:
    return "-" if share is None else f"{share:.0%}"


def _age(worker: WorkerView) -> str:
    return "-" if worker.lease_age is None else spell(int(worker.lease_age))


def _runs(worker: WorkerView, width: int) -> str:
    """What it runs, and for how long by now, as far as it may be seen."""
    shown = ""
    for job in worker.vitals.running:
        if len(shown) > width:
            break
        shown += f"{', ' if shown else ''}{job.task} {spell(int(job.ran + worker.seen))}"
    return shown or "-"
