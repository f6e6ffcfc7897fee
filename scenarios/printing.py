"""The table of a run on the terminal and in Markdown: the same columns, two renderings."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from scenarios.columns import COSTS, COUNTS, PERCENTILES
from scenarios.prices import Prices, price
from scenarios.statistics import BASELINE
from scenarios.tables import describe, groups

TIMES = "\N{MULTIPLICATION SIGN}"
TO = "\N{EN DASH}"

LEGEND = (
    f"Medians over blocks, (smallest{TO}largest). Send, start and finish in ms from the intended moment; "
    "∞: that share never got there. CPU-s per 1,000 finished jobs."
)
COSTS_LEGEND = "Per million finished jobs, medians over blocks; -- where nobody shows it."
_COUNT_HEADS = {"duplicated": "dup", "unexpected": "unexp", "censored": "cens", "negative_latencies": "neg"}

Row = dict[Any, Any]
"""A row of `tables.contenders`, by column."""


def number(value: float) -> str:
    """At least three significant digits: `12,345`, `24.1`, `0.045`; `--` for no number, `∞` for never."""
    if pd.isna(value):
        return "--"
    if np.isinf(value):
        return "∞"
    if value == 0 or abs(value) >= 99.95:
        return f"{value:,.0f}"
    decimals = 1 if abs(value) >= 9.995 else 2 if abs(value) >= 0.9995 else 3
    return f"{value:.{decimals}f}"


def print_table(table: pd.DataFrame, console: Console) -> None:
    """Print the rows of `tables.contenders`, one table a setting.

    Where the console is too narrow, a range goes under its median, the finish under the start, and the
    broker under the worker; some 115 columns then do. What is still too wide is left to the terminal to wrap.
    """
    grids = _grids(table, narrow=False)
    if _width(grids, console) > console.width:
        grids = _grids(table, narrow=True)
    if (width := _width(grids, console)) > console.width:
        console = Console(file=console.file, width=width, force_terminal=console.is_terminal)
    for (settings, rows), grid in zip(groups(table), grids, strict=True):
        for line in (Text(_title(settings, rows), style="bold"), grid, *map(Text, _reasons(rows)), ""):
            console.print(line)
    console.print(Text(LEGEND, style="dim"))


def _grids(table: pd.DataFrame, *, narrow: bool) -> list[Table]:
    columns = result_columns(table, narrow=narrow)
    grids = []
    for _, rows in groups(table):
        grid = Table(box=None, padding=(0, 1, 0, 0), header_style="dim")
        for column in columns:
            grid.add_column(column.head, justify=column.justify, no_wrap=True)
        for row in rows.to_dict("records"):
            grid.add_row(*(Text(column.show(row)) for column in columns), style=_style(row))
        grids.append(grid)
    return grids


def _width(grids: list[Table], console: Console) -> int:
    """Columns that the widest needs."""
    unbounded = console.options.update(width=10_000)
    return max(Measurement.get(console, unbounded, grid).maximum for grid in grids)


def markdown_table(table: pd.DataFrame) -> str:
    """The rows of `tables.contenders` as Markdown, one table a setting under a bold line."""
    return _markdown(table, result_columns(table, narrow=False), LEGEND)


def costs_table(table: pd.DataFrame) -> str:
    """The costs in the rows of `tables.contenders` as Markdown, by a million finished jobs."""
    priced = table.assign(price=price(table))
    columns = [Column("contender", lambda row: row["contender"], "left"), *cost_columns(priced)]
    return _markdown(priced, columns, f"{COSTS_LEGEND} {Prices().words}")


def cost_columns(table: pd.DataFrame) -> list[Column]:
    """What a million jobs cost, of rows of `tables.contenders` with a `price`; without what nobody shows."""
    heads = {f"{who}_cpu_s": f"{who}\nCPU-s" for who in ("producer", "worker", "broker")}
    heads |= {"log_mb": "WAL or\nAOF MB", "stored_mb": "stored\nMB"}
    costs = {f"{cost}_per_1000": (heads.get(cost, cost.replace("_", "\n")), 1000) for cost in COSTS}
    costs |= {"peak_rss_mb": ("workers\nMB", 1), "broker_mb": ("broker\nMB", 1), "price": ("price\n¢", 100)}
    return [
        Column(head, lambda row, key=key, times=times: number(times * row[key]))
        for key, (head, times) in costs.items()
        if table.loc[:, key].notna().any()
    ]


def _markdown(table: pd.DataFrame, columns: list[Column], legend: str) -> str:
    parts: list[str] = []
    for settings, rows in groups(table):
        heads = [column.head.replace("\n", " ") for column in columns]
        rules = [":--" if column.justify == "left" else "--:" for column in columns]
        cells = [[column.show(row) for column in columns] for row in rows.to_dict("records")]
        parts.append(f"**{_title(settings, rows)}**")
        parts.append("\n".join(f"| {' | '.join(line)} |" for line in (heads, rules, *cells)))
        if reasons := _reasons(rows):
            parts.append("\n".join(f"- {reason}" for reason in reasons))
    return "\n\n".join([*parts, legend]) + "\n"


@dataclass(frozen=True)
class Column:
    """A printed column: its head, and what it shows of a row."""

    head: str
    show: Callable[[Row], str]
    justify: Literal["left", "right"] = "right"


def result_columns(table: pd.DataFrame, *, narrow: bool) -> list[Column]:
    """In print order. A kind of miscount that nobody had is left out, but never lost or duplicated."""
    counts = [name for name in COUNTS if name in ("lost", "duplicated") or (table.loc[:, name] > 0).any()]
    return [
        Column("contender", lambda row: row["contender"], "left"),
        _ranged("jobs/s", "jobs_per_s", narrow),
        _ranged(f"{TIMES} {BASELINE}", "ratio", narrow),
        *(_load_columns() if table.loc[:, "sent_per_s"].notna().any() else ()),
        *_special_columns(table),
        *_paired([f"p{p}" for p in PERCENTILES], ("start", "finish"), "{name}_{head}_ms", narrow),
        *(Column(_COUNT_HEADS.get(name, name), lambda row, name=name: _count(row[name])) for name in counts),
        *_paired(["CPU-s"], ("worker", "broker"), "{name}_cpu_s_per_1000", narrow),
        Column("peak\nMB", lambda row: number(row["peak_rss_mb"])),
        Column("status", _status, "left"),
    ]


def _status(row: Row) -> str:
    """ok, or what went wrong; and in how many blocks the rate changed on the way."""
    drifts = f"drifts {row['drifting']}/{row['blocks']}" if row["drifting"] else ""
    return ", ".join(filter(None, [row["status"], drifts]))


def _special_columns(table: pd.DataFrame) -> Iterable[Column]:
    """What the scenario is about."""

    def shown(name: str, head: str, show: Callable[[float], str]) -> list[Column]:
        known = table.loc[:, name].notna().any()
        return [Column(head, lambda row: show(row[name]))] if known else []

    yield from shown("of_ideal", "of ideal", _percent)
    yield from shown("overhead_us", "overhead\n\N{MICRO SIGN}s/job", number)
    yield from shown("slowest_tenth", "slowest\ntenth", _percent)
    yield from shown("at_risk", "at risk", _count)
    if table.loc[:, "payload_bytes"].nunique() > 1:
        yield from shown("mb_per_s", "MB/s", number)
    if table.loc[:, "rate"].any():
        yield from shown("core_share", "core a\nworker", _percent)
        yield from shown("asked_per_s", "asks/s\na worker", number)


def _percent(share: float) -> str:
    return "--" if pd.isna(share) else f"{100 * share:.{0 if share > 0.1 else 1}f} %"


def _load_columns() -> list[Column]:
    """How an open loop's jobs were sent."""
    return [
        Column("sent/s", lambda row: number(row["sent_per_s"])),
        Column("send\np99", lambda row: number(row["send_p99_ms"])),
    ]


def _ranged(head: str, column: str, narrow: bool) -> Column:
    """A median and its range: beside it, or where it is narrow under it."""

    def show(row: Row) -> str:
        middle, low, high = (number(row[f"{column}{end}"]) for end in ("", "_min", "_max"))
        if low == high:
            return middle
        return f"{middle}\n{low}{TO}{high}" if narrow else f"{middle} ({low}{TO}{high})"

    return Column(head, show)


def _paired(heads: Iterable[str], names: tuple[str, str], column: str, narrow: bool) -> list[Column]:
    """For each head two named figures: in columns of their own, or where it is narrow in one."""

    def plain(head: str, name: str) -> Column:
        key = column.format(head=head, name=name)
        return Column(f"{name}\n{head}", lambda row: number(row[key]))

    def stacked(head: str) -> Column:
        pair = [plain(head, name) for name in names]
        return Column("\n".join([head, *names]), lambda row: "\n".join(figure.show(row) for figure in pair))

    if narrow:
        return [stacked(head) for head in heads]
    return [plain(head, name) for name in names for head in heads]


def _count(value: float) -> str:
    return "--" if pd.isna(value) else f"{value:,.0f}"


def _title(settings: Row, rows: pd.DataFrame) -> str:
    return f"{describe(settings)} · {rows['blocks'].max()} blocks"


def _reasons(rows: pd.DataFrame) -> list[str]:
    """A line for each contender that gave a reason: who, what, why."""
    told = (row for row in rows.to_dict("records") if row["reason"])
    return [f"{row['contender']}: {row['status']}: {row['reason']}" for row in told]


def _style(row: Row) -> str:
    """Red where jobs were lost or came from nowhere, yellow where a cell is not ok."""
    if row["lost"] > 0 or row["unexpected"] > 0:
        return "red"
    return "" if row["status"] == "ok" else "yellow"
