"""What the page says in sentences: what was asked, who leads and how sure that is. Pure functions."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from scenarios.capacity import CURVE
from scenarios.catalogue import SCENARIOS
from scenarios.comparing.changes import Measure, leading
from scenarios.controls import is_control
from scenarios.page.evidence import tested
from scenarios.page.sheets import told
from scenarios.page.verdicts import larger_is_better, ranked
from scenarios.printing import TO, number
from scenarios.ranking import false_positives
from scenarios.statistics import spread
from scenarios.tables import groups, is_ceiling

Manifest = Mapping[str, Any]

PROFILES = {
    "default": "as each library's first page shows",
    "matched": "acknowledged after the run, result stored, so that all keep the same promise",
    "tuned": "as matched, with what each library's own guide recommends",
}
TIERS = {
    "memory": "durability given up",
    "production": (
        "PostgreSQL commits synchronously, Redis syncs its log each second, messages of RabbitMQ are "
        "persistent and confirmed"
    ),
    "strict": "as production, with Redis syncing each write and quorum queues of RabbitMQ",
}
_SHAPES = {
    "burst": "How fast is a pool that waits, when all jobs come at once?",
    "backlog": "How fast does a pool empty a queue that was filled before it came?",
    "steady": "How long does a job take when jobs come at a given rate, whatever becomes of those before it?",
    "churn": "Does the rate hold while jobs come as fast as others finish?",
}
_UNITS = {"jobs_per_s": "jobs/s", "start_p99_ms": "ms to start at p99"}
_TO = f"\N{WORD JOINER}{TO}\N{WORD JOINER}"
_FEWEST_BLOCKS = 3
"""Without so many there is no interval."""
_COUNTS = (
    "no",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
)


def counted(count: int, what: str) -> str:
    """`three blocks`, `one block`, `13 blocks`."""
    word = _COUNTS[count] if count < len(_COUNTS) else f"{count:,}"
    return f"{word} {what}" if count == 1 else f"{word} {what}s"


def listed(words: Sequence[str]) -> str:
    """`a, b and c`."""
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def title(summary: pd.DataFrame) -> str:
    """The page's title."""
    names = list(summary.loc[:, "scenario"].unique())
    return f"Job queues compared: {listed(names) if len(names) < 4 else counted(len(names), 'scenario')}"


def question(summary: pd.DataFrame) -> str:
    """What was asked, in a sentence."""
    names = list(summary.loc[:, "adapter"].unique())
    queues = [name for name in names if not is_ceiling(name) and not is_control(name)]
    rated = (summary.loc[:, "rate"] == 0).any()
    ask = "finishes the most jobs a second" if rated else "answers soonest at a given rate"
    return f"Which of {counted(len(queues), 'job queue')} {ask}, with what delay, and at what cost?"


def facts(summary: pd.DataFrame, manifest: Manifest, names: Sequence[str]) -> list[tuple[str, str]]:
    """What was measured, how often and where: a name and a line each.

    Args:
        names: the contenders, in the order in which they are to be told.
    """
    ceilings = [name for name in names if is_ceiling(name)]
    queues = [name for name in names if not is_ceiling(name) and not is_control(name)]
    blocks = counted(int(summary.loc[:, "block"].nunique()), "block")
    each = "each runs every contender once, in random order, in fresh processes on an empty queue"
    limits = f"{listed(ceilings)}: no queues, but what the harness or a store can do at most"
    told = [
        ("Contenders", listed(queues)),
        ("Ceilings", limits if ceilings else ""),
        ("Control", listed([name for name in names if is_control(name)])),
        ("Scenarios", listed(list(summary.loc[:, "scenario"].unique()))),
        ("Blocks", f"{blocks}; {each}"),
        *(("Profile", f"{name}: {PROFILES.get(name, '')}") for name in summary.loc[:, "profile"].unique()),
        *(("Durability", f"{name}: {TIERS.get(name, '')}") for name in summary.loc[:, "tier"].unique()),
        ("Machine", machine(manifest)),
        (
            "Code",
            f"commit {manifest.get('commit') or 'unknown'}{', with changes' * bool(manifest.get('dirty'))}",
        ),
    ]
    return [(name, line) for name, line in told if line]


def machine(manifest: Manifest) -> str:
    """The machine in a line."""
    known = manifest.get("machine", {})
    memory = f"{known['memory_mb'] / 1024:.0f} GB" if known.get("memory_mb") else None
    cores = f"{known['cores']} cores" if known.get("cores") else None
    kernel = f"kernel {known['kernel']}" if known.get("kernel") else None
    python = f"Python {known['python']}" if known.get("python") else None
    return " · ".join(str(part) for part in (known.get("cpu"), cores, memory, kernel, python) if part)


def command(manifest: Manifest) -> str:
    """The exact command of the run."""
    words = manifest.get("command") or "python -m scenarios.run"
    return words if isinstance(words, str) else shlex.join(words)


def asks(scenario: str, shape: str) -> str:
    """What a scenario asks, in a line."""
    if scenario == CURVE:
        return "How does the latency grow on the way to the capacity that was found?"
    about = SCENARIOS[scenario].about if scenario in SCENARIOS else ""
    detail = f" ({about})" if about and scenario != shape and about != shape else ""
    return f"{_SHAPES.get(shape, '')}{detail}"


def untested(manifest: Manifest) -> str:
    """What is to be said in red of the checkers; empty where every mutant was caught."""
    found = tested(manifest)
    if not found:
        return "The checkers were not tested in this run: python -m scenarios.mutants"
    missed = [str(mutant["name"]) for mutant in found if not mutant["caught"]]
    if not missed:
        return ""
    return (
        f"{len(missed)} of {len(found)} mutants were not caught: {listed(missed)}. "
        "The checkers of this run do not see such faults."
    )


class Answer(NamedTuple):
    """What was found, and where."""

    place: str
    text: str


def noise(found: pd.DataFrame) -> str:
    """What the A/A control says, of the rows of `ranking.control`; empty without a control."""
    if found.empty:
        return ""
    flagged, tested = false_positives(found)
    if not tested:
        return "An A/A control ran, but fewer than three blocks give no interval, so it tells nothing."
    names = listed(list(found.loc[:, "contender"].unique()))
    expected = 100 * (1 - found.loc[:, "coverage"].dropna().mean())
    return (
        f"A/A control: {names} ran a second time by another name. {flagged} of {tested} comparisons say that "
        f"they differ: a false-positive rate of {100 * flagged / tested:.0f} %. "
        f"Intervals of this coverage err in {expected:.0f} % by chance alone."
    )


def answer(summary: pd.DataFrame, *, seed: int) -> Answer:
    """Who leads under the last setting of a scenario's rows (the most jobs), and how sure that is."""
    *_, (setting, cells) = groups(summary)
    place = ", ".join(filter(None, [setting["scenario"], told(summary, setting)]))
    ranks = ranked(cells, setting, seed=seed).to_dict("records")
    if not ranks:
        return Answer(place, "No queue was ok in every block with nothing lost, so there is nobody to rank.")
    return Answer(place, _lead(ranks, leading(setting)))


def flips(steps: pd.DataFrame) -> Answer:
    """Where another leads, of the rows of `verdicts.steps`."""
    base, *others = steps.to_dict("records")
    flipped = [row["place"] for row in others if row["flips"]]
    leaders = base["leaders"]
    verb = "share" if len(leaders) > 1 else "has"
    first = f"{listed(leaders)} {verb} the first rank" if leaders else "Nobody can be ranked"
    then = f"another leads with {listed(flipped)}" if flipped else "no single step from there changes that"
    return Answer(f"sensitivity, {base['place']}", f"{first}; {then}.")


def ceiling(summary: pd.DataFrame) -> str:
    """What the harness itself can reach under the last setting; empty where nobody measured it."""
    *_, (setting, cells) = groups(summary)
    sound = (cells.loc[:, "adapter"] == "null") & (cells.loc[:, "status"] == "ok")
    rate = spread(cells.loc[sound, "jobs_per_s"]).median
    if setting["rate"] > 0 or pd.isna(rate):
        return ""
    return f"Without any broker the harness reaches {number(rate)} jobs/s: nobody can be measured above that."


def _lead(ranks: Sequence[Mapping[Any, Any]], measure: Measure) -> str:
    """Of the rows of `ranking.ranking`: who is first, the next, and by how much."""
    first, *others = ranks
    who, reached = first["contender"], f"{number(first['value'])} {_UNITS.get(measure.column, measure.head)}"
    if not others:
        return f"Only {who} can be ranked: {reached}."
    if first["blocks"] < _FEWEST_BLOCKS:
        blocks = counted(first["blocks"], "block")
        return (
            f"No winner is named, for {blocks} cannot give an interval. {who} has the best median: {reached}."
        )
    leaders = [row["contender"] for row in ranks if row["rank"] == 1]
    after = [row for row in ranks if row["rank"] > 1]
    gap = f", {_gap(after[0], measure)}" if after else ""
    if len(leaders) > 1:
        alike = f"No winner is named: {listed(leaders)} cannot be told apart."
        return f"{alike} {who} has the best median, {reached}{gap}."
    return f"{who} leads with {reached}{gap}."


def _gap(row: Mapping[Any, Any], measure: Measure) -> str:
    """How far a row of `ranking.ranking` is from the first: always a factor above 1."""
    if larger_is_better(measure):
        middle, low, high = (1 / end if end else math.inf for end in (row["ratio"], row["high"], row["low"]))
        told = f"{number(middle)} times the rate of the next, {row['contender']}"
    else:
        middle, low, high = row["ratio"], row["low"], row["high"]
        told = f"and the next, {row['contender']}, takes {number(middle)} times as long"
    interval = f"{100 * row['coverage']:.0f} % interval {number(low)}{_TO}{number(high)}"
    return f"{told} ({interval} over {row['blocks']} blocks)"
