"""What one cell is asked to do: how many jobs, how they arrive, what they carry and do."""

from __future__ import annotations

import random
import string
from collections.abc import Iterator
from typing import Literal

from pydantic import BaseModel, ConfigDict

from adapters.base import JobSpec

Scenario = Literal["burst", "backlog"]

WARM_UP = 1_000_000_000
"""Jobs of this number and above warm a pool up and are not measured."""


class Workload(BaseModel):
    """A workload; the same one is given to every contender of a block."""

    model_config = ConfigDict(frozen=True)

    scenario: Scenario = "burst"
    jobs: int = 10_000
    payload_bytes: int = 100
    deadline_s: float = 60.0
    seed: int = 0

    def specs(self) -> Iterator[JobSpec]:
        """The jobs, with payloads that differ from each other."""
        yield from self._specs(0, self.jobs)

    def warm_up(self, round: int, count: int) -> Iterator[JobSpec]:
        """Jobs that only wake the pool."""
        yield from self._specs(WARM_UP + round * 1000, count)

    def _specs(self, first: int, count: int) -> Iterator[JobSpec]:
        size = self.payload_bytes
        source = random.Random(self.seed)
        text = "".join(source.choices(string.ascii_letters + string.digits, k=size + 997))
        for number in range(first, first + count):
            start = number % 997
            yield JobSpec(number, text[start : start + size])
