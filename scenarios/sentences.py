"""What the page says in sentences: what was asked, who leads and how sure that is. Pure functions."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from scenarios.catalogue import SCENARIOS
from scenarios.changes import Measure, leading
from scenarios.controls import is_control
from scenarios.evidence import tested
from scenarios.look import order
from scenarios.printing import TO, number
from scenarios.ranking import false_positives
from scenarios.sheets import told
from scenarios.tables import contenders, groups, is_ceiling
from scenarios.verdicts import larger_is_better, ranked

Manifest = Mapping[str, Any]

PROFILES = {
    "default": "as each library's first page shows",
    "matched": "acknowledged after the run, result stored, so that all keep the same promise",
    "tuned": "as matched, with what each library's own guide recommends",
}
TIERS = {
    "memory": "durability given up",
    "production": "PostgreSQL commits synchronously, Redis syncs its log each second, RabbitMQ's messages are "
    "persistent and confirmed",
    "strict": "as production, with Redis syncing each write and RabbitMQ's quorum queues",
}
_SHAPES = {
    "burst": "How fast is a pool that waits, when all jobs come at once?",
    "backlog": "How fast does a pool empty a queue that was filled before it came?",
    "steady": "How long does a job take when jobs come at a given rate, whatever becomes of those before it?",
    "churn": "Does the rate hold while jobs come as fast as others finish?",
}
_UNITS = {"jobs_per_s": "jobs/s", "start_p99_ms": "ms to start at p99"}
FEWEST_BLOCKS = 3
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


def facts(summary: pd.DataFrame, manifest: Manifest) -> list[tuple[str, str]]:
    """What was measured, how often and where: a name and a line each."""
    names = order(contenders(summary))
    ceilings = [name for name in names if is_ceiling(name)]
    queues = [name for name in names if not is_ceiling(name) and not is_control(name)]
    blocks = counted(int(summary.loc[:, "block"].nunique()), "block")
    told = [
        ("Contenders", listed(queues)),
        (
            "Ceilings",
            f"{listed(ceilings)}: no queues, but what the harness or a store can do at most"
            if ceilings
            else "",
        ),
        ("Control", f"{listed([name for name in names if is_control(name)])}"),
        ("Scenarios", listed(list(summary.loc[:, "scenario"].unique()))),
        (
            "Blocks",
            f"{blocks}; each runs every contender once, in random order, in fresh processes on an empty queue",
        ),
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
    expected = 1 - found.loc[:, "coverage"].dropna().mean()
    return (
        f"A/A control: {names} ran a second time by another name. {flagged} of {tested} comparisons say that they "
        f"differ, a false-positive rate of {100 * flagged / tested:.0f} %; by chance {100 * expected:.0f} % would."
    )


def answer(summary: pd.DataFrame, *, seed: int) -> Answer:
    """Who leads under the last setting of a scenario's rows (the most jobs), and how sure that is."""
    *_, (setting, cells) = groups(summary)
    place = f"{setting['scenario']}, {told(contenders(summary), setting)}"
    ranks = ranked(cells, setting, seed=seed).to_dict("records")
    if not ranks:
        return Answer(place, "No queue was ok in every block with nothing lost, so there is nobody to rank.")
    return Answer(place, _lead(ranks, leading(setting)))


def ceiling(summary: pd.DataFrame) -> str:
    """What the harness itself can reach under the last setting; empty where nobody measured it."""
    *_, (setting, cells) = groups(summary)
    table = contenders(cells).set_index("contender")
    if setting["rate"] > 0 or "null" not in table.index or pd.isna(table.at["null", "jobs_per_s"]):
        return ""
    rate = number(float(table.loc["null", "jobs_per_s"]))
    return f"The harness itself reaches {rate} jobs/s without any broker; nobody can be measured above that."


def _lead(ranks: Sequence[Mapping[Any, Any]], measure: Measure) -> str:
    """Of the rows of `ranking.ranking`: who is first, the next, and by how much."""
    first, *others = ranks
    reached = f"{number(first['value'])} {_UNITS.get(measure.column, measure.head)}"
    if not others:
        return f"Only {first['contender']} can be ranked: {reached}."
    leaders = [row["contender"] for row in ranks if row["rank"] == 1]
    after = [row for row in ranks if row["rank"] > 1]
    if first["blocks"] < FEWEST_BLOCKS:
        blocks = counted(first["blocks"], "block")
        return f"No winner is named: {blocks} give no interval. {first['contender']} has the best median, {reached}."
    if len(leaders) > 1:
        next_one = f" Then comes {after[0]['contender']}, {_times(after[0], measure)}." if after else ""
        return (
            f"No winner is named: {listed(leaders)} cannot be told apart. {first['contender']} has the best median, "
            f"{reached}.{next_one}"
        )
    return f"{first['contender']} leads with {reached}. The next is {after[0]['contender']}, {_times(after[0], measure)}."


def _times(row: Mapping[Any, Any], measure: Measure) -> str:
    """How far a row of `ranking.ranking` is from the first: always a factor above 1."""
    ends = (row["ratio"], row["low"], row["high"])
    if larger_is_better(measure):
        ends = tuple(1 / end if end else math.inf for end in (row["ratio"], row["high"], row["low"]))
    factor, low, high = map(number, ends)
    kind = "slower" if larger_is_better(measure) else "as long"
    return f"{factor} times {kind} ({100 * row['coverage']:.0f} % interval {low}{TO}{high}, {row['blocks']} blocks)"
