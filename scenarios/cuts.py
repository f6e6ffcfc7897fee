"""Cuts through a run: by scenario, and without those that are no queues."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from scenarios.capacity import CURVE, SCENARIO
from scenarios.controls import is_control
from scenarios.folder import Run
from scenarios.tables import is_ceiling


def scenarios(run: Run) -> dict[str, Run]:
    """The run cut down to each of its scenarios, in the order in which they ran."""
    names = run.summary.loc[:, "scenario"]
    return {str(name): replace(run, summary=run.summary.loc[names == name]) for name in names.unique()}


def plain(run: Run) -> Run | None:
    """The run cut down to what its throughput is judged by: `burst`, or else its first scenario that is
    neither a search for a capacity nor the curve of one. None where all are.
    """
    parts = {name: part for name, part in scenarios(run).items() if name not in (SCENARIO, CURVE)}
    return parts.get("burst") or next(iter(parts.values()), None)


def queues(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows whose `contender` is a queue: neither a ceiling nor a control."""
    names = frame.loc[:, "contender"]
    return frame.loc[~names.map(lambda name: is_ceiling(name) or is_control(name)).astype(bool)]
