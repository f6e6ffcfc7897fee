"""The page's tables of what follows from the results: who leads, what the promise costs, how far it holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import filterfalse
from typing import Any

import numpy as np
import pandas as pd

from scenarios import scaling, statistics
from scenarios.capacity import capacities
from scenarios.comparing.changes import Measure, leading
from scenarios.controls import is_control
from scenarios.page.sheets import BAD, WARNING, Cell, Line, Sheet, look, told
from scenarios.printing import TIMES, TO, number
from scenarios.ranking import ranking
from scenarios.sensitivity import strip
from scenarios.statistics import MEASURED, SETTINGS
from scenarios.tables import describe, groups

Setting = Mapping[Any, Any]

SWEEP, SENSITIVITY = "sweep-workers", "sensitivity"
"""Scenarios that have a table of their own."""


def between(low: float, high: float, coverage: float) -> str:
    """An interval and its coverage, as `(95 %)`; `--` where there is none."""
    return "--" if np.isnan(low) else f"{number(low)}{TO}{number(high)} ({100 * coverage:.0f} %)"


def larger_is_better(measure: Measure) -> bool:
    """Whether who has more of it is the faster one."""
    return measure.up == "faster"


def ranked(cells: pd.DataFrame, setting: Setting, *, seed: int) -> pd.DataFrame:
    """`ranking.ranking` of one setting, by what it is judged by."""
    measure = leading(dict(setting))
    return ranking(cells, seed=seed, column=measure.column, larger_is_better=larger_is_better(measure))


def ranks(cells: pd.DataFrame, setting: Setting, place: str, *, seed: int) -> Sheet | None:
    """Who leads under one setting, which is called `place`; None for fewer than two queues."""
    rows = ranked(cells, setting, seed=seed).to_dict("records")
    lines = [
        Line([Cell(text) for text in (row["contender"], str(row["rank"]), *_figures(row))], row["contender"])
        for row in rows
    ]
    heads = ["contender", "rank", leading(dict(setting)).head, f"{TIMES} the best", "interval", "blocks"]
    caption = ", ".join(filter(None, [place, "ranks: who cannot be told from the first of a rank shares it"]))
    return Sheet(caption, heads, lines, range(1, len(heads))) if len(lines) > 1 else None


def _figures(row: Setting) -> tuple[str, ...]:
    interval = between(row["low"], row["high"], row["coverage"]) if row["ratio"] != 1 else "--"
    return number(row["value"]), number(row["ratio"]), interval, str(row["blocks"])


def profiles(summary: pd.DataFrame, names: Sequence[str], *, seed: int) -> Iterator[Sheet]:
    """By setting that was measured under both, profile `default` beside `matched`: what the promise costs."""
    for setting, _ in groups(summary.assign(profile="")):
        others = {name: value for name, value in setting.items() if name != "profile"}
        cells = summary.loc[(summary.loc[:, list(others)] == pd.Series(others)).all(axis=1)]
        if {"default", "matched"} <= set(cells.loc[:, "profile"]):
            yield _two_profiles(cells, others, names, seed)


def _two_profiles(cells: pd.DataFrame, setting: Setting, names: Sequence[str], seed: int) -> Sheet:
    measure = leading(dict(setting))
    known = cells.loc[cells.loc[:, "status"].isin(MEASURED)]
    lines = []
    for name in names:
        own = known.loc[known.loc[:, "adapter"] == name].set_index("block")
        sides = (own.loc[own.loc[:, "profile"] == side, measure.column] for side in ("default", "matched"))
        default, matched = sides
        ratios = (default / matched).dropna()
        texts = [number(statistics.spread(values).median) for values in (default, matched, ratios)]
        interval = statistics.bootstrap_interval(ratios, seed=seed)
        texts.append(between(*interval) if interval else "--")
        lines.append(Line([Cell(text) for text in (name, *texts)], name, look(name)))
    heads = [
        *("contender", f"default\n{measure.head}", f"matched\n{measure.head}", f"default\n{TIMES} matched"),
        "interval",
    ]
    return Sheet(describe(setting), heads, lines, range(1, len(heads)))


def capacity(summary: pd.DataFrame, *, seed: int) -> Sheet:
    """The rates that searches found: `capacity.capacities`."""
    lines = []
    for row in capacities(summary, seed=seed).to_dict("records"):
        interval = between(row["low"], row["high"], row["coverage"])
        texts = (row["contender"], row["slo"], number(row["capacity"]), interval, row["limit"])
        lines.append(Line([Cell(text) for text in texts], row["contender"], look(row["contender"])))
    heads = ["contender", "level", "capacity\njobs/s", "interval", "what gave way"]
    return Sheet("The highest rate at which each held the level, median over blocks", heads, lines, {2, 3})


def scales(summary: pd.DataFrame, names: Sequence[str], *, seed: int) -> Sheet:
    """The Universal Scalability Law by contender, or why it does not hold."""
    known = summary.loc[summary.loc[:, "status"].isin(MEASURED)]
    lines = []
    for name in filterfalse(is_control, names):
        found = scaling.fit(known.loc[known.loc[:, "adapter"] == name], seed=seed)
        lines.append(Line([Cell(name), *_fitted(found)], name, look(name)))
    heads = [
        *("contender", "one worker\njobs/s", "contention", "coherency", "most with\nworkers", "then\njobs/s"),
        "R²",
    ]
    caption = "Universal Scalability Law, with the intervals over blocks; refused where it does not hold"
    return Sheet(caption, heads, lines, range(1, len(heads)))


def _fitted(found: scaling.Fit | scaling.Refused) -> list[Cell]:
    if isinstance(found, scaling.Refused):
        return [Cell(f"refused: {found.reason}", WARNING)]
    estimates = (found.rate, found.sigma, found.kappa, found.best_workers, found.peak)
    shown = [Cell(f"{number(each.value)} ({number(each.low)}{TO}{number(each.high)})") for each in estimates]
    return [*shown, Cell(f"{found.explained:.3f}")]


def steps(summary: pd.DataFrame, *, seed: int) -> pd.DataFrame:
    """`sensitivity.strip` around the setting of which the others are a step away, with the steps in words as
    `place`.
    """
    settings = pd.DataFrame([setting for setting, _ in groups(summary)])
    base = {name: settings.loc[:, name].mode().iloc[0] for name in SETTINGS}
    found = strip(summary, base=base, seed=seed)
    changes = zip(found.loc[:, "changed"], found.loc[:, "value"], strict=True)
    return found.assign(
        place=[describe({name: value}) if name else told(summary, base) for name, value in changes]
    )


def sensitivity(found: pd.DataFrame) -> Sheet:
    """The rows of `steps`."""
    lines = []
    for row in found.to_dict("records"):
        flips = Cell("another leads", BAD) if row["flips"] else Cell("no")
        leaders, order = Cell(", ".join(row["leaders"]) or "--"), Cell(" > ".join(row["order"]) or "--")
        lines.append(Line([Cell(row["place"]), leaders, Cell(number(row["ratio"])), flips, order]))
    heads = ["setting", "first rank", "first to second", "does it flip?", "order"]
    caption = "The ranking, and what it is one step away in one setting"
    return Sheet(caption, heads, lines, {2}, sortable=False)


def controls(found: pd.DataFrame) -> Sheet:
    """The rows of `ranking.control`, those of all settings together."""
    lines = []
    for name, measure in dict.fromkeys(zip(found.loc[:, "contender"], found.loc[:, "measure"], strict=True)):
        own = found.loc[(found.loc[:, "contender"] == name) & (found.loc[:, "measure"] == measure)]
        tested = own.loc[own.loc[:, "low"].notna()]
        flagged = int(tested.loc[:, "flagged"].sum())
        ratios = own.loc[:, "ratio"]
        ends = (tested["low"].min(), tested["high"].max()) if len(tested) else (ratios.min(), ratios.max())
        spread = f"{number(ratios.median())} ({TO.join(map(number, ends))})"
        texts = (name, measure.replace("_", " "), spread, str(len(tested)))
        lines.append(Line([*map(Cell, texts), Cell(str(flagged))]))
    heads = ["contender", "measure", "ratio", "compared", "said to differ"]
    return Sheet(
        "The same contender by two names: ratios, and their intervals over all settings",
        heads,
        lines,
        range(2, 5),
    )
