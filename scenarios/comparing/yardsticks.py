"""The yardstick of a comparison: a contender in several runs, whose speed tells that of the machine."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pandas as pd

from scenarios.comparing.changes import leading
from scenarios.controls import is_control
from scenarios.statistics import BASELINE, SETTINGS
from scenarios.tables import groups, is_ceiling


def choose(cells: pd.DataFrame, suspects: Collection[str] = ()) -> str | None:
    """Of the ceilings and the baseline, the one in most settings and runs, and of those the steadiest.

    The choice looks at the spread within runs and never at the difference between them.

    Args:
        cells: what `changes.shared` returns.
        suspects: contenders that are themselves not the same in all runs: only where there is no other.

    Returns:
        None where no such contender is shared.
    """
    names = [name for name in cells.loc[:, "adapter"].unique() if _may_be(name)]
    own = {name: cells.loc[cells.loc[:, "adapter"] == name] for name in names}
    return min(
        names,
        key=lambda name: (-_presence(own[name]), name in suspects, _unrest(own[name]), name),
        default=None,
    )


def _may_be(name: str) -> bool:
    return name == BASELINE or (is_ceiling(name) and not is_control(name))


def _presence(cells: pd.DataFrame) -> int:
    return cells.groupby([*SETTINGS, "run"], dropna=False).ngroups


def _unrest(cells: pd.DataFrame) -> float:
    """How much the leading measure differs between blocks: standard deviation of logs, mean over settings."""
    found = []
    for settings, of_setting in groups(cells):
        value = of_setting.loc[:, leading(settings).column]
        logs = np.log(value.where(value > 0))
        found += [of_run.std() for _, of_run in logs.groupby(of_setting.loc[:, "run"])]
    known = [each for each in found if np.isfinite(each)]
    return float(np.mean(known)) if known else np.inf
