"""What one cell is asked to do: how many jobs, how they arrive, what they carry."""

from __future__ import annotations

import random
import string
from collections.abc import Iterable, Iterator
from itertools import accumulate, count, islice, repeat
from typing import Literal

from pydantic import BaseModel, ConfigDict

from adapters.base import JobSpec

Shape = Literal["burst", "backlog", "steady", "churn"]
"""How jobs come: all at once to a waiting pool; all before the pool; at a rate; as fast as others finish."""

Arrivals = Literal["none", "poisson", "uniform"]
"""How an open loop's jobs follow one another; none where there is no such loop."""

Disturbance = Literal["none", "snapshot"]
"""What is done to the servers meanwhile: see disturbances.py."""
UNDISTURBED: Disturbance = "none"

WARM_UP = 1_000_000_000
"""Jobs of this number and above warm a pool up or lie behind: they do no work and are not measured."""

_VARIETY = 997
"""After so many jobs the payloads repeat."""


class Workload(BaseModel):
    """A workload; the same one is given to every contender of a block."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    shape: Shape = "burst"
    jobs: int = 10_000
    rate: float = 0.0
    """Steady: jobs a second, on average."""
    schedule: Arrivals = "none"
    producers: int = 1
    """Processes that send; each has every so many-th job."""
    payload_bytes: int = 100
    behind: int = 0
    """Backlog: jobs that wait behind the measured ones; most of them still do when the measurement ends."""
    disturbance: Disturbance = UNDISTURBED
    deadline_s: float = 60.0
    """Burst: for the enqueue and the drain together. Backlog: for either, since one ends before the other.
    Steady: after the last job is intended. What lies behind must be there within as long again.
    """
    seed: int = 0

    def specs(self) -> Iterator[JobSpec]:
        """The jobs, numbered from 0; two neighbours never carry the same payload."""
        return self._make(range(self.jobs))

    def offsets_s(self) -> Iterator[float]:
        """When each job is intended to be sent, in seconds from the start: all at once, by a Poisson
        process, or evenly.

        Steady jobs do not wait for one another: how long one takes changes nothing of when the next is sent.
        """
        if self.shape != "steady":
            return repeat(0.0, self.jobs)
        if self.schedule == "uniform":
            return (number / self.rate for number in range(self.jobs))
        source = random.Random(self.seed)
        return accumulate(source.expovariate(self.rate) for _ in range(self.jobs))

    @property
    def lasts_s(self) -> float:
        """Steady: how long the load is to last, whether anything happens or not; else 0."""
        return self.jobs / self.rate if self.shape == "steady" else 0.0

    @property
    def limit_s(self) -> float:
        """From the start until what is not done is given up."""
        return max(self.offsets_s()) + self.deadline_s

    def share(self, producer: int) -> Iterator[tuple[float, JobSpec]]:
        """The jobs of one producer, of as many as there are from 0 on, each with its offset."""
        each = zip(self.offsets_s(), self.specs(), strict=True)
        return islice(each, producer, None, self.producers)

    def behind_specs(self) -> Iterator[JobSpec]:
        """The jobs that wait behind; a backlog has no warm-up, whose numbers these are."""
        return self._make(range(WARM_UP, WARM_UP + self.behind))

    def warm_up(self) -> Iterator[JobSpec]:
        """Jobs without end that only wake the pool."""
        return self._make(count(WARM_UP))

    def _make(self, numbers: Iterable[int]) -> Iterator[JobSpec]:
        size = self.payload_bytes
        source = random.Random(self.seed)
        text = "".join(source.choices(string.ascii_letters + string.digits, k=size + _VARIETY))
        for number in numbers:
            start = number % _VARIETY
            yield JobSpec(number, text[start : start + size])
