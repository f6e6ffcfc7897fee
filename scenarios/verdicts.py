"""The page's tables of what follows from the results: who leads, what the promise costs, how far it holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from scenarios import scaling, statistics
from scenarios.capacity import capacities
from scenarios.changes import Measure, leading
from scenarios.controls import is_control
from scenarios.printing import TIMES, TO, number
from scenarios.ranking import ranking
from scenarios.sensitivity import strip
from scenarios.sheets import BAD, WARNING, Cell, Line, Sheet, look, told
from scenarios.statistics import MEASURED, SETTINGS
from scenarios.tables import contenders, describe, groups

Setting = Mapping[Any, Any]

_WORKERS = "workers"


def between(low: float, high: float, coverage: float) -> str:
    """An interval: `1.20–1.45 (95 %)`, or `--` where there is none."""
    return "--" if np.isnan(low) else f"{number(low)}{TO}{number(high)} ({100 * coverage:.0f} %)"


def larger_is_better(measure: Measure) -> bool:
    """Whether who has more of it is the faster one."""
    return measure.up == "faster"


def ranked(cells: pd.DataFrame, setting: Setting, *, seed: int) -> pd.DataFrame:
    """`ranking.ranking` of one setting, by what it is judged by."""
    measure = leading(dict(setting))
    return ranking(cells, seed=seed, column=measure.column, larger_is_better=larger_is_better(measure))


def ranks(cells: pd.DataFrame, setting: Setting, *, seed: int) -> Sheet | None:
    """Who leads under one setting; None for fewer than two queues."""
    rows = ranked(cells, setting, seed=seed).to_dict("records")
    lines = [
        Line([Cell(text) for text in (row["contender"], str(row["rank"]), *_figures(row))], row["contender"])
        for row in rows
    ]
    heads = ["contender", "rank", leading(dict(setting)).head, f"{TIMES} the best", "interval", "blocks"]
    caption = "Ranks; who cannot be told from the first of a rank shares it"
    return Sheet(caption, heads, lines, range(1, len(heads))) if len(lines) > 1 else None


def _figures(row: Setting) -> tuple[str, ...]:
    interval = between(row["low"], row["high"], row["coverage"]) if row["ratio"] != 1 else "--"
    return number(row["value"]), number(row["ratio"]), interval, str(row["blocks"])


def profiles(summary: pd.DataFrame, *, seed: int) -> Iterator[Sheet]:
    """By setting that was measured under both, profile `default` beside `matched`: what the promise costs."""
    keys = [name for name in SETTINGS if name != "profile"]
    for others, cells in summary.groupby(keys, sort=False, dropna=False):
        if {"default", "matched"} <= set(cells.loc[:, "profile"]):
            yield _two_profiles(cells, dict(zip(keys, others, strict=True)), seed)


def _two_profiles(cells: pd.DataFrame, setting: Setting, seed: int) -> Sheet:
    measure = leading(dict(setting))
    known = cells.loc[cells.loc[:, "status"].isin(MEASURED)]
    lines = []
    for name in dict.fromkeys(contenders(cells).loc[:, "contender"]):
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


def scales(summary: pd.DataFrame, *, seed: int) -> Sheet | None:
    """The Universal Scalability Law by contender, or why it does not hold; None where workers were not swept."""
    if summary.loc[:, _WORKERS].nunique() < 2 or summary.loc[:, SETTINGS].drop_duplicates().shape[0] < 2:
        return None
    known = summary.loc[summary.loc[:, "status"].isin(MEASURED)]
    names = [name for name in dict.fromkeys(contenders(summary).loc[:, "contender"]) if not is_control(name)]
    lines = []
    for name in names:
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


def sensitivity(summary: pd.DataFrame, *, seed: int) -> Sheet:
    """The sensitivity strip around the setting of which the others are a step away."""
    settings = pd.DataFrame([setting for setting, _ in groups(summary)])
    base = {name: settings.loc[:, name].mode().iloc[0] for name in SETTINGS}
    lines = []
    for row in strip(summary, base=base, seed=seed).to_dict("records"):
        setting = describe({row["changed"]: row["value"]}) if row["changed"] else "as it is"
        order = " > ".join(row["order"]) or "--"
        flips = Cell("another leads", BAD) if row["flips"] else Cell("no")
        leaders = Cell(", ".join(row["leaders"]) or "--")
        lines.append(Line([Cell(setting), leaders, Cell(number(row["ratio"])), flips, Cell(order)]))
    heads = ["one step away", "first rank", "first to second", "does it flip?", "order"]
    caption = f"The ranking a step away from: {told(contenders(summary), base)}"
    return Sheet(caption, heads, lines, {2}, sortable=False)


def controls(found: pd.DataFrame) -> Sheet:
    """The rows of `ranking.control`."""
    lines = []
    for row in found.to_dict("records"):
        verdict = (
            Cell("flagged", BAD) if row["flagged"] else Cell("no difference" if row["low"] > 0 else "--")
        )
        place = describe({name: row[name] for name in ("scenario", "jobs", "rate")})
        texts = (row["contender"], place, row["measure"].replace("_", " "), number(row["ratio"]))
        interval = between(row["low"], row["high"], row["coverage"])
        lines.append(Line([*map(Cell, texts), Cell(interval), verdict]))
    heads = ["contender", "under", "measure", "ratio", "interval", ""]
    return Sheet("The same contender by two names", heads, lines, {3, 4})
