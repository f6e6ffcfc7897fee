"""Which cells a run has, in which order; of a search the next one depends on what the last one gave."""

from __future__ import annotations

import random
from collections.abc import Callable, Generator, Mapping
from typing import Any, NamedTuple

from adapters.registry import Unavailable, load
from scenarios import capacity
from scenarios.catalogue import Setting, describe, varied
from scenarios.controls import original
from scenarios.disturbances import concerns
from scenarios.options import Chapter, Options
from scenarios.slo import Slo

Row = Mapping[str, Any]


class Task(NamedTuple):
    """One cell to measure."""

    block: int
    adapter: str
    """As the tables name it: a control by a name of its own."""
    setting: Setting
    key: str
    """Unique in the run."""


Tasks = Generator[Task, Row, None]
"""Cells, each answered by its row of the summary."""


def tasks(options: Options) -> Tasks:
    """All cells in the order in which they run: the same seed and the same rows, the same order.

    A block runs every contender once under every setting.
    """
    order, name_of = random.Random(options.seed), _namer(options)
    for chapter in options.chapters:
        for block in range(1, chapter.repeats + 1):
            for setting in chapter.settings:
                adapters = [name for name in chapter.adapters if _concerned(name, setting)]
                order.shuffle(adapters)
                for adapter in adapters:
                    task = Task(block, adapter, setting, name_of(block, adapter, setting))
                    yield from _search(task, chapter.seconds) if setting.slo else _once(task)


def work_off(source: Tasks, measure: Callable[[Task], Row]) -> None:
    """Measure all cells; what each gave goes back to where they come from."""
    task = next(source, None)
    while task is not None:
        row = measure(task)
        try:
            task = source.send(row)
        except StopIteration:
            task = None


def about_how_many(options: Options) -> int:
    """Cells; a search has more or fewer."""
    return sum(_cells(chapter) for chapter in options.chapters)


def _cells(chapter: Chapter) -> int:
    a_time = sum(capacity.ABOUT_CELLS if setting.slo else 1 for setting in chapter.settings)
    return a_time * len(chapter.adapters) * chapter.repeats


def _once(task: Task) -> Tasks:
    yield task


def _search(task: Task, seconds: float) -> Tasks:
    """The cells of one search for a capacity, then those of the curve below it."""
    search = capacity.search(task.setting.rate, Slo.parse(task.setting.slo))
    rate = next(search)
    while True:
        row = yield _at_rate(task, rate, seconds)
        if row["status"] == "unavailable":
            return
        try:
            rate = search.send(row)
        except StopIteration as found:
            rates = capacity.curve(found.value)
            break
    for rate in rates:
        yield _at_rate(task, rate, seconds, scenario=capacity.CURVE)


def _at_rate(task: Task, rate: float, seconds: float, **other: str) -> Task:
    setting = capacity.at_rate(task.setting, rate, seconds).model_copy(update=other)
    return task._replace(setting=setting, key=f"{task.key}{'-curve' * bool(other)}-rate{rate:g}")


def _namer(options: Options) -> Callable[[int, str, Setting], str]:
    """What makes a cell's key: all that is not the same in every cell of its scenario."""
    by_scenario: dict[str, list[Setting]] = {}
    for chapter in options.chapters:
        by_scenario.setdefault(chapter.scenario, []).extend(chapter.settings)
    told = {scenario: varied(settings) for scenario, settings in by_scenario.items()}

    def name_of(block: int, adapter: str, setting: Setting) -> str:
        head = f"{setting.scenario}-" if len(told) > 1 else ""
        ending = "".join(f"-{describe(field, getattr(setting, field))}" for field in told[setting.scenario])
        return f"{head}b{block}-{adapter}-{setting.jobs}{ending}"

    return name_of


def _concerned(name: str, setting: Setting) -> bool:
    """Whether the setting means anything to a contender; one that is unavailable is to be told of."""
    try:
        return concerns(setting.disturbance, load(original(name)).needs)
    except Unavailable:
        return True
