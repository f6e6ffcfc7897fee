"""The scenarios by name: each a few settings of the one Workload, which the command line may override."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict

from adapters.base import Profile
from scenarios.workload import UNDISTURBED, Arrivals, Disturbance, Shape, Workload


class Setting(BaseModel):
    """What the cells of a run may differ in beside the contender and the block; named as in summary.csv."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    scenario: str = "burst"
    shape: Shape = "burst"
    profile: Profile = "matched"
    jobs: int = 10_000
    rate: float = 0.0
    schedule: Arrivals = "none"
    producers: int = 1
    workers: int = 2
    concurrency: int = 1
    batch: int = 0
    payload_bytes: int = 100
    behind: int = 0
    disturbance: Disturbance = UNDISTURBED
    work: str = "noop"
    slo: str = ""
    deadline_s: float = 60.0

    def workload(self, seed: int) -> Workload:
        """The workload of a cell with this setting."""
        own = self.model_dump(include=set(Workload.model_fields))
        return Workload.model_validate(own | {"seed": seed})


class Scenario(NamedTuple):
    """A scenario. Of the lists each value is a setting of its own; an empty one leaves it to the default."""

    about: str
    shape: Shape
    profile: tuple[Profile, ...] = ("matched",)
    jobs: tuple[int, ...] = (100, 1_000, 10_000)
    rate: float = 0.0
    seconds: float = 0.0
    workers: tuple[int, ...] = ()
    batch: tuple[int, ...] = (0,)
    payload: tuple[int, ...] = (100,)
    behind: tuple[int, ...] = (0,)
    disturb: tuple[Disturbance, ...] = (UNDISTURBED,)
    deadline_s: float = 60.0
    slo: str = ""
    stepped: bool = False
    """Beside each setting those a step away in one thing."""


SCENARIOS: dict[str, Scenario] = {
    "burst": Scenario("the pool waits, then all jobs come at once", "burst"),
    "backlog": Scenario("all jobs wait, then the pool comes", "backlog"),
    "steady": Scenario("an open loop of --rate jobs a second", "steady", rate=500.0, seconds=10.0),
    "capacity": Scenario(
        "the highest rate that holds --slo, and latencies from 10 to 105 % of it",
        "steady",
        rate=200.0,
        seconds=4.0,
        deadline_s=15.0,
        slo="finish_p99<50ms",
    ),
    "churn": Scenario("a closed loop: 10,000 jobs are always on their way", "churn", jobs=(100_000,)),
    "promise": Scenario(
        "burst, as the first page says and by the promise that all keep",
        "burst",
        jobs=(1_000,),
        profile=("default", "matched"),
    ),
    "idle": Scenario("next to nothing to do", "steady", rate=0.1, seconds=60.0),
    "sweep-workers": Scenario("backlog", "backlog", jobs=(20_000,), workers=(1, 2, 4, 8, 16, 64)),
    "sweep-batch": Scenario(
        "backlog, by the jobs a worker takes at once",
        "backlog",
        jobs=(10_000,),
        batch=(1, 10, 100, 1000),
        behind=(5_000,),
    ),
    "sweep-payload": Scenario("backlog", "backlog", jobs=(5_000,), payload=(100, 1_024, 10_240, 102_400)),
    "sensitivity": Scenario("backlog, one setting changed at a time", "backlog", jobs=(5_000,), stepped=True),
    "backlog-depth": Scenario(
        "the first of a backlog of 10 k to 5 M",
        "backlog",
        jobs=(10_000,),
        behind=(0, 90_000, 990_000, 4_990_000),
        deadline_s=300.0,
    ),
    "held-snapshot": Scenario(
        "churn, with an old snapshot held in PostgreSQL and without",
        "churn",
        jobs=(1_000_000,),
        disturb=(UNDISTURBED, "snapshot"),
        deadline_s=300.0,
    ),
}


def around(base: Setting) -> list[Setting]:
    """The setting, and those a step away from it in one thing: prefetch or batch, payload, workers."""
    steps: dict[str, Sequence[int]] = {
        "batch": (10, 1_000),
        "payload_bytes": (max(1, base.payload_bytes // 10), base.payload_bytes * 10),
        "workers": (max(1, base.workers // 2), base.workers * 2),
    }
    changed = [base.model_copy(update={name: value}) for name, values in steps.items() for value in values]
    return list(dict.fromkeys([base, *changed]))


_UNTOLD = ("scenario", "shape", "jobs", "slo", "deadline_s")


def varied(settings: Sequence[Setting]) -> list[str]:
    """The fields that are to be told in a cell's key, as they are not the same in all settings."""
    names = [name for name in Setting.model_fields if name not in _UNTOLD]
    return [name for name in names if len({getattr(each, name) for each in settings}) > 1]


def describe(name: str, value: Any) -> str:
    """A setting in the key of a cell: `workers4`, `batch10`, `rate99.5`, `snapshot`."""
    if isinstance(value, str):
        return value.replace(":", "")
    return (
        f"{name.partition('_')[0]}{value:g}"
        if isinstance(value, float)
        else f"{name.partition('_')[0]}{value}"
    )
