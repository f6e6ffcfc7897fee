"""The page's sections: a scenario each, with its question, its tables and its figures."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import pandas as pd

from scenarios.capacity import CURVE, SCENARIO
from scenarios.comparing.searched import with_capacities
from scenarios.folder import Run
from scenarios.page import figures, sentences, sheets, verdicts
from scenarios.page.figures import Figure
from scenarios.page.sentences import Answer
from scenarios.page.sheets import Sheet
from scenarios.statistics import SETTINGS
from scenarios.tables import contenders, describe, groups

Setting = dict[Any, Any]

_MOST_TABLES = 3
"""Settings beyond which they share one table."""


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


@dataclass(frozen=True)
class Part:
    """A run cut down to one scenario."""

    name: str
    run: Run
    table: pd.DataFrame
    """Of `tables.contenders`."""

    @property
    def searches(self) -> bool:
        """Whether it is a search, with cells by the hundred, each with a rate of its own."""
        return self.name == SCENARIO

    @property
    def judged(self) -> pd.DataFrame:
        """The cells that are ranked: each search counts as one."""
        if not self.searches:
            return self.run.summary
        return with_capacities(self.run.summary).fillna({"lost": 0, "unexpected": 0})

    @cached_property
    def steps(self) -> pd.DataFrame:
        """Of a sensitivity: `verdicts.steps`."""
        return verdicts.steps(self.run.summary, seed=seed_of(self.run))

    @property
    def has_costs(self) -> bool:
        """Whether its costs are of interest."""
        return self.name not in (SCENARIO, CURVE, verdicts.SENSITIVITY)


def parts(run: Run) -> list[Part]:
    """The run's scenarios, in the order in which they ran."""
    found = []
    for name in run.summary.loc[:, "scenario"].unique():
        cells = run.summary.loc[run.summary.loc[:, "scenario"] == name]
        found.append(Part(str(name), replace(run, summary=cells), contenders(cells)))
    return found


def table(part: Part, head: Setting, *, seed: int) -> Sheet:
    """The table that the page has at its head."""
    if part.searches:
        return verdicts.capacity(part.run.summary, seed=seed)
    found = sheets.results(part.run.summary, part.table)
    return next(sheet for setting, sheet in found if setting == head)


def answer(part: Part, *, seed: int) -> Answer:
    """Who leads in a scenario, and how sure that is."""
    if part.name == verdicts.SENSITIVITY:
        return sentences.flips(part.steps)
    return sentences.answer(part.judged, seed=seed)


def section(run: Run, part: Part, names: Sequence[str], head: Setting) -> Section:
    """One scenario.

    Args:
        names: the contenders, in the page's order.
        head: the setting that the page has at its head.
    """
    summary, seed = part.run.summary, seed_of(run)
    anchor = f"s-{re.sub(r'[^a-z0-9]+', '-', part.name.lower())}"
    tables = list(_tables(part, names, seed))
    *_, (last, cells) = groups(part.judged)
    heads = head["scenario"] == last["scenario"]
    ranked = not heads and part.name not in (CURVE, verdicts.SENSITIVITY)
    shown = figures.judged_by(cells) if heads and len(tables) == 1 else ""
    return Section(
        name=part.name,
        anchor=anchor,
        asks=sentences.asks(part.name, str(summary.loc[:, "shape"].iloc[0])),
        shared=_shared(summary),
        ranks=verdicts.ranks(cells, last, sheets.told(summary, last), seed=seed) if ranked else None,
        sheets=[sheet for setting, sheet in tables if setting != head],
        first=sheets.told(summary, head) if heads else "",
        figures=figures.of_scenario(summary, run.jobs, part.run.foot, anchor, shown=shown),
    )


def seed_of(run: Run) -> int:
    """The seed of the bootstrap."""
    return int(run.summary.loc[:, "seed"].iloc[0])


def _tables(part: Part, names: Sequence[str], seed: int) -> Iterator[tuple[Setting, Sheet]]:
    """Each with its setting, or with none where it is of several."""
    summary = part.run.summary
    if part.searches:
        *_, (found, _) = groups(part.judged)
        yield found, verdicts.capacity(summary, seed=seed)
        return
    if part.name == verdicts.SENSITIVITY:
        yield {}, verdicts.sensitivity(part.steps)
    if part.name == verdicts.SWEEP:
        yield {}, verdicts.scales(summary, names, seed=seed)
    if len(list(groups(summary))) > _MOST_TABLES:
        yield {}, sheets.long(summary, part.table)
    else:
        yield from sheets.results(summary, part.table)


def _shared(summary: pd.DataFrame) -> str:
    own = summary.loc[:, [name for name in SETTINGS if name not in ("scenario", "jobs")]]
    return describe({name: values.iloc[0] for name, values in own.items() if values.nunique() == 1})
