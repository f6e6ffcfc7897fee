"""The scenarios by name: each a few settings of the one Workload, which the command line may override."""

from __future__ import annotations

from typing import Any, NamedTuple

from scenarios.workload import UNDISTURBED, Disturbance, Shape


class Setting(NamedTuple):
    """What the cells of a run differ in beside the contender and the block; named as in summary.csv."""

    jobs: int
    workers: int
    batch: int
    payload_bytes: int
    behind: int
    disturbance: Disturbance


class Preset(NamedTuple):
    """A scenario. Of the lists each value is a setting of its own; an empty one leaves it to the default."""

    about: str
    shape: Shape
    jobs: tuple[int, ...] = (100, 1_000, 10_000)
    rate: float = 0.0
    seconds: float = 0.0
    workers: tuple[int, ...] = ()
    batch: tuple[int, ...] = (0,)
    payload: tuple[int, ...] = (100,)
    behind: tuple[int, ...] = (0,)
    disturb: tuple[Disturbance, ...] = (UNDISTURBED,)
    deadline_s: float = 60.0


PRESETS: dict[str, Preset] = {
    "burst": Preset("the pool waits, then all jobs come at once", "burst"),
    "backlog": Preset("all jobs wait, then the pool comes", "backlog"),
    "steady": Preset("an open loop of --rate jobs a second", "steady", rate=500.0, seconds=10.0),
    "churn": Preset("a closed loop: 10,000 jobs are always on their way", "churn", jobs=(100_000,)),
    "idle": Preset("next to nothing to do", "steady", rate=0.1, seconds=60.0),
    "sweep-workers": Preset("backlog", "backlog", jobs=(20_000,), workers=(1, 2, 4, 8, 16, 64)),
    "sweep-batch": Preset(
        "backlog, by the jobs a worker takes at once",
        "backlog",
        (10_000,),
        batch=(1, 10, 100, 1000),
        behind=(5_000,),
    ),
    "sweep-payload": Preset("backlog", "backlog", jobs=(5_000,), payload=(100, 1_024, 10_240, 102_400)),
    "backlog-depth": Preset(
        "the first of a backlog of 10 k to 5 M",
        "backlog",
        jobs=(10_000,),
        behind=(0, 90_000, 990_000, 4_990_000),
        deadline_s=300.0,
    ),
    "held-snapshot": Preset(
        "churn, with an old snapshot held in PostgreSQL and without",
        "churn",
        jobs=(1_000_000,),
        disturb=(UNDISTURBED, "snapshot"),
        deadline_s=300.0,
    ),
}


def varied(settings: list[Setting]) -> list[str]:
    """The fields, but for the jobs, that are not the same in all settings."""
    return [name for name in Setting._fields[1:] if len({getattr(each, name) for each in settings}) > 1]


def describe(name: str, value: Any) -> str:
    """A setting in the key of a cell: `workers4`, `batch10`, `snapshot`."""
    return str(value) if isinstance(value, str) else f"{name.partition('_')[0]}{value}"
