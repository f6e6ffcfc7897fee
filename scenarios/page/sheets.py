"""The tables of the page, as values: heads and cells in words, ready to be shown. Pure functions."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import pandas as pd

from scenarios import printing
from scenarios.prices import price
from scenarios.printing import Column, number
from scenarios.statistics import SETTINGS
from scenarios.steadiness import DRIFTING
from scenarios.tables import describe, groups, is_ceiling

BAD, WARNING, DIFFERENT, CEILING, QUIET = "bad", "warning", "different", "ceiling", "quiet"
"""How a row or a cell looks: something is wrong; not ok; not as claimed; no queue; there is nothing."""


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


def told(frame: pd.DataFrame, setting: Mapping[Any, Any]) -> str:
    """A setting in words: its jobs, and what else is not the same in all rows of a frame."""
    known = {"jobs": setting["jobs"]} | varied(frame, setting)
    return describe({name: value for name, value in known.items() if name != "jobs" or value})


def varied(frame: pd.DataFrame, setting: Mapping[Any, Any]) -> dict[str, Any]:
    """What of a setting is not the same in all rows of a frame."""
    return {name: setting[name] for name in SETTINGS if frame.loc[:, name].nunique() > 1}


def results(summary: pd.DataFrame, table: pd.DataFrame) -> Iterator[tuple[dict[Any, Any], Sheet]]:
    """By setting, the terminal's table of rows of summary.csv, and of `tables.contenders` of these."""
    columns = printing.result_columns(table, narrow=False)
    for (setting, cells), (_, rows) in zip(groups(summary), groups(table), strict=True):
        caption = f"{told(table, setting)}, {_blocks(rows)}"
        yield setting, _sheet(rows, columns, caption, notes=[*_reasons(rows), *_drifts(cells)])


def long(summary: pd.DataFrame, table: pd.DataFrame) -> Sheet:
    """The same as one table, for many settings: each row says its own."""
    columns = printing.result_columns(table, narrow=False)
    columns.insert(1, _setting_column(table))
    notes = [*_reasons(table), *_drifts(summary)]
    return _sheet(table, columns, f"All settings, {_blocks(table)}", notes=notes)


def costs(table: pd.DataFrame, caption: str) -> Sheet:
    """What a million finished jobs cost, of `tables.contenders`; a cost that nobody shows is left out."""
    table = table.assign(price=price(table))
    columns = [Column("contender", lambda row: row["contender"], "left")]
    if len(list(groups(table))) > 1:
        columns.append(_setting_column(table))
    columns += printing.cost_columns(table)
    return _sheet(table, columns, f"{caption}, {_blocks(table)}")


def _setting_column(table: pd.DataFrame) -> Column:
    return Column("setting", lambda row: describe(varied(table, row)), "left")


def _sheet(rows: pd.DataFrame, columns: Sequence[Column], caption: str, notes: Sequence[Note] = ()) -> Sheet:
    lines = []
    for row in rows.to_dict("records"):
        own = _look(row)
        cells = [Cell(column.show(row), own if column.head == "status" else "") for column in columns]
        lines.append(Line(cells, row["contender"], own))
    numeric = {place for place, column in enumerate(columns) if column.justify == "right"}
    return Sheet(caption, [column.head for column in columns], lines, numeric, list(dict.fromkeys(notes)))


def _blocks(rows: pd.DataFrame) -> str:
    blocks = int(rows.loc[:, "blocks"].max())
    return f"medians over {blocks} blocks" if blocks > 1 else "one block"


def look(contender: str) -> str:
    """How a contender's row looks that says nothing else."""
    return CEILING if is_ceiling(contender) else ""


def _look(row: Mapping[Any, Any]) -> str:
    if row["lost"] > 0 or row["unexpected"] > 0:
        return BAD
    if row["status"] != "ok" or row["drifting"]:
        return WARNING
    return look(row["contender"])


def _reasons(rows: pd.DataFrame) -> Iterator[Note]:
    for row in rows.to_dict("records"):
        if row["reason"]:
            yield Note(f"{row['contender']}: {row['status']}: {row['reason']}", row["contender"])


def _drifts(cells: pd.DataFrame) -> Iterator[Note]:
    """A line for each contender with cells whose rate was not the same throughout."""
    for name, own in cells.groupby("adapter", sort=False):
        drifting = own.loc[own.loc[:, "steadiness"] == DRIFTING]
        if len(drifting):
            ratio, at = (drifting.loc[:, column].median() for column in ("change_ratio", "change_at"))
            when = f"drifting in {len(drifting)} of {len(own)} cells, after {100 * at:.0f} % of the time"
            told = f"{when}: its rate became {number(ratio)} times that before, so the mean is of no moment"
            yield Note(f"{name}: {told}", str(name))
