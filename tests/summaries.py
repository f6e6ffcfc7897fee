"""Rows of summary.csv made by hand: a few contenders, blocks and settings, one measure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from scenarios.ranking import MEASURES
from scenarios.statistics import SETTINGS

_SETTING: dict[str, Any] = dict.fromkeys(SETTINGS, "same")
_SETTING |= {"jobs": 10_000, "rate": 0.0, "workers": 2, "batch": 0, "payload_bytes": 100}


def summary(
    values: Mapping[str, Sequence[float]], *, column: str = "jobs_per_s", **settings: Any
) -> pd.DataFrame:
    """A row a contender and block: `{"celery-redis": [800, 810, 790]}` is three blocks of it.

    Args:
        values: of `column`; all other measures are NaN.
        settings: columns of `SETTINGS` that are not as usual.
    """
    rows = [
        {"adapter": adapter, "block": block, column: value}
        for adapter, own in values.items()
        for block, value in enumerate(own, 1)
    ]
    sound = {"status": "ok", "lost": 0.0, "unexpected": 0.0}
    frame = pd.DataFrame(rows).assign(**(_SETTING | sound | settings))
    return frame.reindex(columns=list(dict.fromkeys([*frame.columns, *MEASURES])))
