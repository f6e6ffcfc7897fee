"""What two runs do not share, and what went wrong in one and not in the other: a line of words each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from scenarios.columns import COUNTS
from scenarios.comparing.searched import title
from scenarios.statistics import SETTINGS
from scenarios.tables import contenders, groups

Row = dict[Any, Any]
"""A row of `tables.contenders`, and `run`: 0 in A, the old one, 1 in B."""

_COMPARED = ("status", *(name for name in COUNTS if name != "censored"))
"""The status tells of a deadline."""
_ALWAYS_TOLD = ("scenario", "jobs")


def unshared(old: pd.DataFrame, new: pd.DataFrame) -> list[str]:
    """What was measured in one run only, and what became of it in the other.

    Args:
        old, new: rows of summary.csv, of A and of B.
    """
    lines = []
    for setting, rows in _settings(old, new):
        if len({row["run"] for row in rows}) == 1:
            names = ", ".join(sorted(row["contender"] for row in rows))
            lines.append(f"only in {_letter(rows[0])}: {setting}: {names}")
            continue
        for name, own in _by_contender(rows):
            measured = [row for row in own if not pd.isna(row["jobs_per_s"])]
            if len(measured) == 1:
                fate = "".join(f"; {_fate(row)}" for row in own if row not in measured)
                lines.append(f"only in {_letter(measured[0])}: {name} ({setting}){fate}")
    return lines


def miscounts(old: pd.DataFrame, new: pd.DataFrame) -> list[str]:
    """Where a status, or a sum of jobs lost, duplicated … is not the same in both runs.

    Args:
        old, new: rows of summary.csv, of A and of B.
    """
    lines = []
    for setting, rows in _settings(old, new):
        for name, own in _by_contender(rows):
            told = [f"{column.replace('_', ' ')} {_change(own, column)}" for column in _differing(own)]
            if told and own[0]["blocks"] != own[1]["blocks"]:
                told.append(f"blocks {_change(own, 'blocks')}")
            if told:
                lines.append(f"{name} ({setting}): {', '.join(told)}")
    return lines


def _settings(old: pd.DataFrame, new: pd.DataFrame) -> Iterator[tuple[str, list[Row]]]:
    """Of each setting, those columns in words that tell it from the others, and its rows of both runs."""
    tables = [contenders(summary).assign(run=run) for run, summary in enumerate((old, new))]
    table = pd.concat(tables, ignore_index=True)
    told = [name for name in SETTINGS if name in _ALWAYS_TOLD or len(set(table.loc[:, name])) > 1]
    for setting, rows in groups(table):
        yield title({name: setting[name] for name in told}), rows.to_dict("records")


def _by_contender(rows: list[Row]) -> Iterator[tuple[str, list[Row]]]:
    """A's row and then B's, or the one that there is."""
    for name in sorted({row["contender"] for row in rows}):
        yield name, sorted((row for row in rows if row["contender"] == name), key=lambda row: row["run"])


def _differing(own: list[Row]) -> list[str]:
    """The columns in which A's and B's rows do not say the same, NaN being the same as NaN."""
    return [name for name in _COMPARED if len({str(row[name]) for row in own}) > 1]


def _change(own: list[Row], column: str) -> str:
    return " → ".join(
        value if isinstance(value, str) else f"{value:,g}" for value in (row[column] for row in own)
    )


def _letter(row: Row) -> str:
    return "AB"[row["run"]]


def _fate(row: Row) -> str:
    reason = f": {row['reason']}" if row["reason"] else ""
    return f"in {_letter(row)} {row['status']}{reason}"
