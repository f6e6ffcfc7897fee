"""What a notebook says between its figures: sentences in Markdown, and tables that are to be looked at."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from scenarios.capacity import CURVE
from scenarios.folder import Run
from scenarios.page import sections, sentences
from scenarios.page.verdicts import between
from scenarios.printing import number
from scenarios.ranking import control
from scenarios.statistics import SETTINGS
from scenarios.tables import describe

_LITERAL = str.maketrans({sign: f"\\{sign}" for sign in "$~<"})
"""Two dollars would be a formula, two tildes a line through what is between, `<` a tag."""


class Prose(str):
    """Markdown that a notebook shows as such; its code must hold no `$`, `~` or `<`, which are literal."""

    __slots__ = ()

    def _repr_markdown_(self) -> str:
        return self.translate(_LITERAL)


def missing(words: str) -> Prose:
    """In place of what a run does not have: the command that measures it.

    Args:
        words: of `scenarios.run`.
    """
    return Prose(f"*Not in this run:* `python -m scenarios.run {words}` *measures it.*")


def answers(run: Run) -> Prose:
    """By scenario who leads, and how sure that is, as the page says it: `sections.answer`."""
    seed = sections.seed_of(run)
    found = [sections.answer(part, seed=seed) for part in sections.parts(run) if part.name != CURVE]
    return Prose("\n".join(f"- **{answer.place}**: {answer.text}" for answer in found))


def noise(run: Run) -> Prose:
    """What the A/A control says, as the page says it; empty without a control."""
    return Prose(sentences.noise(control(run.summary, seed=sections.seed_of(run))))


def readable(frame: pd.DataFrame, heads: Mapping[str, str]) -> pd.DataFrame:
    """Columns of a table by contender, and by the settings that are not the same in all rows; all in words.

    Args:
        frame: with `contender`, as `tables.contenders` or `ranking.ranking` give it.
        heads: by column how it is called. `interval` is made of `low`, `high` and `coverage`.
    """
    varied = [name for name in SETTINGS if name in frame and frame.loc[:, name].nunique() > 1]
    settings = [describe(row) for row in frame.loc[:, varied].to_dict("records")]
    frame = frame.assign(setting=settings) if varied else frame
    if "interval" in heads:
        ends = frame.loc[:, ["low", "high", "coverage"]].itertuples(index=False)
        frame = frame.assign(interval=[_interval(*each) for each in ends])
    shown = frame.set_index(["setting", "contender"] if varied else "contender").loc[:, list(heads)]
    return shown.map(lambda value: number(value) if isinstance(value, float) else value).rename(
        columns=dict(heads)
    )


def _interval(low: float, high: float, coverage: float) -> str:
    """None where a contender is compared with itself."""
    return "--" if low == high else between(low, high, coverage)
