"""The sensitivity strip: the order of contenders a step away from a base setting, and where the winner flips.

A ranking holds under the settings that it was measured with: a longer run or more producers have turned round
who wins (Vanlightly, Kafka vs Redpanda Performance: Do the Claims Add Up?, 2023). So one at a time is varied.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from scenarios.ranking import ranking
from scenarios.statistics import SETTINGS
from scenarios.tables import groups

_COLUMNS = ["changed", "value", "step", "order", "leaders", "ratio", "flips"]

Change = tuple[tuple[str, Any], ...]
"""The settings that are not the base's, with their values, in the order of `SETTINGS`."""


def strip(summary: pd.DataFrame, *, base: Mapping[str, object], seed: int) -> pd.DataFrame:
    """The ranking by jobs/s under the base, and under each setting that differs from it in one column.

    Args:
        summary: rows of summary.csv.
        base: by column of `SETTINGS` the value of the base; one that all rows share may be left out.
        seed: of the bootstrap.

    Returns:
        The base first, then by column and value: `changed`, which column, empty for the base; its `value`;
        the `step`, how many of the measured values it is above the base's; `order`, the contenders as in
        `ranking`; `leaders`, those of rank 1; `ratio` of the first to the second by block, NaN without a
        second; `flips`: whether none of the base's leaders leads. Where nobody can be ranked, nothing flips.

    Raises:
        ValueError: the base names what is no setting, lacks a setting that varies, or was not measured.
    """
    whole = _whole(summary, base)
    cells = {_change(settings, whole): rows for settings, rows in groups(summary)}
    changes = sorted((change for change in cells if len(change) < 2), key=_place)
    if () not in cells:
        raise ValueError("the base was not measured")
    rows = [_row(change, changes, whole) | _order(cells[change], seed) for change in changes]
    for row in rows:
        row["flips"] = _flips(rows[0]["leaders"], row["leaders"])
    values = pd.Series([row["value"] for row in rows], dtype=object)
    return pd.DataFrame(rows, columns=_COLUMNS).assign(value=values)


def _whole(summary: pd.DataFrame, base: Mapping[str, object]) -> dict[str, object]:
    if unknown := sorted(set(base) - set(SETTINGS)):
        raise ValueError(f"no setting: {', '.join(unknown)}")
    whole = dict(base)
    for name in [name for name in SETTINGS if name not in base]:
        values = summary.loc[:, name].unique()
        if len(values) != 1:
            raise ValueError(f"the base does not say which {name} of {len(values)}")
        whole[name] = values[0]
    return whole


def _change(settings: Mapping[Any, Any], base: Mapping[str, object]) -> Change:
    return tuple((name, settings[name]) for name in SETTINGS if settings[name] != base[name])


def _place(change: Change) -> tuple[Any, ...]:
    return tuple((SETTINGS.index(name), value) for name, value in change)


def _row(change: Change, changes: list[Change], base: Mapping[str, Any]) -> dict[str, Any]:
    """What was changed, to what, and by how many steps."""
    if not change:
        return {"changed": "", "value": None, "step": 0}
    ((name, value),) = change
    values: list[Any] = [own for each in changes for setting, own in each if setting == name]
    ordered = sorted([*values, base[name]])
    return {"changed": name, "value": value, "step": ordered.index(value) - ordered.index(base[name])}


def _order(cells: pd.DataFrame, seed: int) -> dict[str, Any]:
    ranks = ranking(cells, seed=seed)
    names = ranks.loc[:, "contender"]
    return {
        "order": tuple(names),
        "leaders": tuple(names[ranks.loc[:, "rank"] == 1]),
        "ratio": 1 / ranks.loc[1, "ratio"] if len(ranks) > 1 else np.nan,
    }


def _flips(before: tuple[str, ...], now: tuple[str, ...]) -> bool:
    return bool(before and now) and set(before).isdisjoint(now)
