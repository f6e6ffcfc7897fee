"""What the steps of an examination share: the contender, its pools, its jobs, and what was seen so far."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

from adapters.base import Adapter, Cell, JobSpec, Submission
from adapters.conformance.limits import limit
from adapters.conformance.pools import Broken, Pool, until
from adapters.conformance.probe import Moment, Notes
from adapters.registry import load

READY_S = 30.0
"""How long a pool may take until it runs its first job, and a few hundred jobs until they have run."""

SETTLE_S = 5.0
"""How long results and an empty queue may take after the last job."""


class Bench:
    """One contender under examination. Two pools wait from the start, with the library imported."""

    def __init__(self, cell: Cell) -> None:
        self.cell, self.notes = cell, Notes(cell.directory)
        self._contender = load(cell.adapter)
        self.claims = self._contender.promises(cell.profile)
        self.pools = [Pool(self.notes, name) for name in ("pool-a", "pool-b")]
        self.seen: dict[str, Any] = {}
        """Fields of the promise row."""
        self.problems: list[str] = []
        self.accepted: dict[int, JobSpec] = {}
        self.accepted_ns: dict[int, int] = {}
        """When their submissions were told."""
        self.victims: set[int] = set()
        """Jobs that the killed process had taken."""

    @cached_property
    def adapter(self) -> Adapter:
        """The contender as this process uses it."""
        return self._contender(self.cell)

    def submit(self, ids: Sequence[int]) -> None:
        """Submit jobs. Those that are not accepted, once each, are a problem; Broken where none is."""
        jobs = {id: JobSpec(id, "x" * (id % 50)) for id in ids}
        answers: list[Submission] = []
        with limit("submit"):
            for answer in self.adapter.submit(iter(jobs.values())):
                answers.append(answer)
                self.accepted_ns.setdefault(answer.id, time.monotonic_ns())
        said = Counter(answers)
        accepted = {id: job for id, job in jobs.items() if said[Submission(id, "accepted")] == 1}
        self.accepted |= accepted
        if answers and len(accepted) == len(jobs) == len(answers):
            return
        others = [f"job {id} was {status}" for id, status in answers if status != "accepted"]
        self.problems.append(
            f"submit: of {len(jobs)} jobs {len(accepted)} were accepted, with {len(answers)} submissions"
            + "".join(f"; {other}" for other in others[:1])
        )
        if not accepted:
            raise Broken("no job was accepted")

    def wait(self, condition: Callable[[], object], seconds: float) -> bool:
        """Whether the condition came to hold in time. Raises Broken where a pool ends by itself."""
        return until(condition, seconds, watch=lambda: [pool.check() for pool in self.pools])

    def started(self, job: int) -> list[Moment]:
        """The starts of a job, in their order."""
        return [moment for moment in self.notes.moments("started") if moment.job == job]

    def unfinished(self) -> set[int]:
        """Accepted jobs of which no run has ended."""
        return self.accepted.keys() - {moment.job for moment in self.notes.moments("finished")}

    def depth(self) -> int:
        """How many jobs wait or run."""
        with limit("depth"):
            return self.adapter.depth()

    def await_end(self, ids: set[int]) -> None:
        """Wait until these jobs have run. Raises Broken."""
        if not self.wait(lambda: not self.unfinished() & ids, READY_S):
            left = sorted(self.unfinished() & ids)
            raise Broken(f"{len(left)} jobs did not end within {READY_S:g} s, the first is job {left[0]}")
