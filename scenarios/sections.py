"""The page's sections: a scenario each, with its question, its tables and its figures."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from scenarios import figures, sentences, sheets, verdicts
from scenarios.capacity import CURVE, SCENARIO
from scenarios.figures import Figure
from scenarios.folder import Run
from scenarios.sheets import Sheet
from scenarios.statistics import SETTINGS
from scenarios.tables import contenders, describe, groups

Setting = dict[Any, Any]

SENSITIVITY = "sensitivity"


@dataclass(frozen=True)
class Section:
    """A scenario."""

    name: str
    anchor: str
    asks: str
    shared: str
    """What all its cells have in common."""
    ranks: Sheet | None
    """Who leads under its last setting; None where the page has that at its head."""
    sheets: list[Sheet]
    first: str
    """The setting whose table and figure the page has at its head; empty where it is of another scenario."""
    figures: list[Figure]


def scenarios(run: Run) -> Iterator[tuple[str, Run]]:
    """The run cut down to each of its scenarios, in the order in which they ran."""
    for name in run.summary.loc[:, "scenario"].unique():
        yield str(name), replace(run, summary=run.summary.loc[run.summary.loc[:, "scenario"] == name])


def without_searches(summary: pd.DataFrame) -> pd.DataFrame:
    """The cells but for those of a search and its curve, which lie beside what is asked for."""
    return summary.loc[~summary.loc[:, "scenario"].isin([SCENARIO, CURVE])]


def section(run: Run, name: str, part: Run, head: Setting) -> Section:
    """One scenario.

    Args:
        part: the run, cut down to it.
        head: the setting that the page has at its head.
    """
    summary, seed = part.summary, seed_of(run)
    anchor = f"s-{re.sub(r'[^a-z0-9]+', '-', name.lower())}"
    tables = list(_tables(summary, name, seed))
    *_, (last, cells) = groups(summary)
    heads = head["scenario"] == name
    return Section(
        name=name,
        anchor=anchor,
        asks=sentences.asks(name, str(summary.loc[:, "shape"].iloc[0])),
        shared=_shared(summary),
        ranks=None if heads else verdicts.ranks(cells, last, seed=seed),
        sheets=[sheet for setting, sheet in tables if setting != head],
        first=sheets.told(contenders(summary), head) if heads else "",
        figures=figures.of_scenario(
            summary,
            run.jobs,
            part.foot,
            anchor,
            shown=figures.judged_by(cells) if heads and len(tables) == 1 else "",
        ),
    )


def seed_of(run: Run) -> int:
    """The seed of the bootstrap."""
    return int(run.summary.loc[:, "seed"].iloc[0])


def _tables(summary: pd.DataFrame, name: str, seed: int) -> Iterator[tuple[Setting, Sheet]]:
    """With the setting of each; a search has cells by the hundred, each with a rate of its own."""
    if name == SCENARIO:
        yield {}, verdicts.capacity(summary, seed=seed)
        return
    if name == SENSITIVITY:
        yield {}, verdicts.sensitivity(summary, seed=seed)
    if scales := verdicts.scales(summary, seed=seed):
        yield {}, scales
    settings = summary.groupby([*SETTINGS], dropna=False)["adapter"].nunique()
    if len(settings) > 1 and settings.max() == 1:
        yield {}, sheets.long(summary)
    else:
        yield from sheets.results(summary)


def _shared(summary: pd.DataFrame) -> str:
    own = summary.loc[:, [name for name in SETTINGS if name not in ("scenario", "jobs")]]
    return describe({name: values.iloc[0] for name, values in own.items() if values.nunique() == 1})
