"""Where the time goes, by part, also inside of calls: the meter, and a storage that has one."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np

from distq.job import Lease, Outcome
from distq.storage import Op, Storage
from scenarios.resources import cpu_seconds


class Meter:
    """Seconds by part: wall, CPU of this process, CPU of the server, which comes in steps of 10 ms."""

    def __init__(self, server: int) -> None:
        self._server = [server]
        self.spent: dict[str, Any] = defaultdict(lambda: np.zeros(3))

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        wall, client = time.perf_counter(), time.process_time()
        yield
        self.spent[name] += (time.perf_counter() - wall, time.process_time() - client, 0.0)

    @contextmanager
    def server(self, name: str) -> Iterator[None]:
        before = cpu_seconds(self._server)
        yield
        self.spent[name] += (0.0, 0.0, cpu_seconds(self._server) - before)


class Metered:
    """A storage that times, of what a worker leases and settles, what it does itself."""

    def __init__(self, storage: Storage, meter: Meter) -> None:
        self.run, self._storage, self._meter = storage.run, storage, meter

    def lease(self, queue: str, **options: Any) -> Op[list[Lease]]:
        op = self._storage.lease(queue, **options)

        def decode(answer: Any) -> list[Lease]:
            with self._meter.part("decode"):
                return op.decode(answer)

        return replace(op, decode=decode)

    def settle(self, outcomes: Sequence[Outcome], *, keep: float) -> Op[set[str]]:
        with self._meter.part("settle: build"):
            return self._storage.settle(outcomes, keep=keep)
