"""The tables of the page, as values: heads and cells in words, ready to be shown. Pure functions."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import pandas as pd

from scenarios import printing
from scenarios.columns import COSTS
from scenarios.printing import number
from scenarios.statistics import SETTINGS
from scenarios.steadiness import DRIFTING
from scenarios.tables import contenders, describe, groups, is_ceiling

BAD, WARNING, DIFFERENT, CEILING, QUIET = "bad", "warning", "different", "ceiling", "quiet"
"""How a row or a cell looks: something is wrong; not ok; not as claimed; no queue; there is nothing."""


_COST_HEADS = {
    "producer_cpu_s": "producer\nCPU-s",
    "worker_cpu_s": "worker\nCPU-s",
    "broker_cpu_s": "broker\nCPU-s",
    "log_mb": "WAL or\nAOF MB",
    "commits": "commits",
    "transactions": "transactions",
    "round_trips": "round\ntrips",
    "dead_tuples": "dead\ntuples",
    "stored_mb": "stored\nMB",
}


class Cell(NamedTuple):
    """What stands in a cell, and how it looks."""

    text: str
    look: str = ""


@dataclass(frozen=True)
class Line:
    """A row; its first cell is its head. Where cells are missing the last one is as wide as they."""

    cells: Sequence[Cell]
    contender: str = ""
    """Whose it is; empty for nobody's."""
    look: str = ""
    joined: bool = False
    """Whether its head is that of the row above, and so left out."""


@dataclass(frozen=True)
class Note:
    """A line below a table."""

    text: str
    contender: str = ""


@dataclass(frozen=True)
class Sheet:
    """A table."""

    caption: str
    heads: Sequence[str]
    lines: Sequence[Line]
    numeric: Collection[int] = ()
    """Which columns hold numbers."""
    notes: Sequence[Note] = ()
    sortable: bool = True


def told(table: pd.DataFrame, setting: Mapping[Any, Any]) -> str:
    """A setting in words: its jobs, and what else is not the same in all of a table."""
    names = [name for name in SETTINGS if name == "jobs" or table.loc[:, name].nunique() > 1]
    return describe({name: setting[name] for name in names})


def results(summary: pd.DataFrame) -> Iterator[tuple[dict[Any, Any], Sheet]]:
    """By setting, the terminal's table of rows of summary.csv."""
    table = contenders(summary)
    for (setting, cells), (_, rows) in zip(groups(summary), groups(table), strict=True):
        sheet = _result(table, rows, _blocks(told(table, setting), rows))
        yield setting, replace(sheet, notes=[*sheet.notes, *_drifts(cells)])


def long(summary: pd.DataFrame) -> Sheet:
    """The same as one table, for contenders that share no setting: each row says its own."""
    table = contenders(summary)
    sheet = _result(table, table, _blocks("each contender under settings of its own", table))
    settings = [told(table, row) for row in table.to_dict("records")]
    lines = [
        replace(line, cells=[line.cells[0], Cell(setting), *line.cells[1:]])
        for line, setting in zip(sheet.lines, settings, strict=True)
    ]
    numeric = {place + 1 for place in sheet.numeric}
    return replace(sheet, heads=[sheet.heads[0], "setting", *sheet.heads[1:]], lines=lines, numeric=numeric)


def _result(table: pd.DataFrame, rows: pd.DataFrame, caption: str) -> Sheet:
    columns = printing._columns(table, narrow=False)
    lines = [
        Line([Cell(column.show(row)) for column in columns], row["contender"], _look(row))
        for row in rows.to_dict("records")
    ]
    numeric = {place for place, column in enumerate(columns) if column.justify == "right"}
    return Sheet(caption, [column.head for column in columns], lines, numeric, _reasons(rows))


def _blocks(words: str, rows: pd.DataFrame) -> str:
    blocks = int(rows.loc[:, "blocks"].max())
    return f"{words}, medians over {blocks} blocks" if blocks > 1 else f"{words}, one block"


def look(contender: str) -> str:
    """How a contender's row looks that says nothing else."""
    return CEILING if is_ceiling(contender) else ""


def _look(row: Mapping[Any, Any]) -> str:
    if row["lost"] > 0 or row["unexpected"] > 0:
        return BAD
    if row["status"] != "ok":
        return WARNING
    return look(row["contender"])


def _reasons(rows: pd.DataFrame) -> list[Note]:
    reasons = ((row["contender"], row["reason"], row["status"]) for row in rows.to_dict("records"))
    return [Note(f"{who}: {status}: {why}", who) for who, why, status in reasons if why]


def _drifts(cells: pd.DataFrame) -> Iterator[Note]:
    """A line for each contender with cells whose rate was not the same throughout."""
    for name, own in cells.groupby("adapter", sort=False):
        drifting = own.loc[own.loc[:, "steadiness"] == DRIFTING]
        if len(drifting):
            ratio, at = (drifting.loc[:, column].median() for column in ("change_ratio", "change_at"))
            yield Note(
                f"{name}: drifting in {len(drifting)} of {len(own)} blocks: after {100 * at:.0f} % of the time its "
                f"rate became {number(ratio)} times that before, so its jobs/s is the rate of no moment",
                str(name),
            )


def costs(table: pd.DataFrame) -> Iterator[Sheet]:
    """By setting, what a million finished jobs cost; a cost that nobody shows is left out."""
    shown = [cost for cost in COSTS if table.loc[:, f"{cost}_per_1000"].notna().any()]
    for setting, rows in groups(table):
        lines = [
            Line(
                [Cell(row["contender"]), *(Cell(number(1000 * row[f"{cost}_per_1000"])) for cost in shown)],
                row["contender"],
                _look(row),
            )
            for row in rows.to_dict("records")
        ]
        caption = _blocks(told(table, setting), rows)
        yield Sheet(
            caption, ["contender", *(_COST_HEADS[cost] for cost in shown)], lines, range(1, 1 + len(shown))
        )
