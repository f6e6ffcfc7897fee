"""What one cell is asked to do: how many jobs, how they arrive, what they carry."""

from __future__ import annotations

import random
import string
from collections.abc import Iterable, Iterator
from itertools import count
from typing import Literal

from pydantic import BaseModel, ConfigDict

from adapters.base import JobSpec

Scenario = Literal["burst", "backlog"]

WARM_UP = 1_000_000_000
"""Jobs of this number and above warm a pool up: they do no work and are not measured."""

_VARIETY = 997
"""After so many jobs the payloads repeat."""


class Workload(BaseModel):
    """A workload; the same one is given to every contender of a block."""

    model_config = ConfigDict(frozen=True)

    scenario: Scenario = "burst"
    jobs: int = 10_000
    payload_bytes: int = 100
    deadline_s: float = 60.0
    """Burst: for the enqueue and the drain together. Backlog: for either, since one ends before the other."""
    seed: int = 0

    def specs(self) -> Iterator[JobSpec]:
        """The jobs, numbered from 0; two neighbours never carry the same payload."""
        return self._make(range(self.jobs))

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
