"""The memory storage and a server's side by side: asked the same at the same moment, they answer alike."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import note
from hypothesis.stateful import RuleBasedStateMachine

from distq.errors import JobExists
from distq.job import JobState, Lease, NewJob, Unique
from distq.memory.storage import MemoryStorage
from distq.storage import Storage
from tests import drafts
from tests.clocks import Clocked

EPOCH = 1_800_000_000 * 10**6
STEP = 1000
"""Microseconds between operations; storages use some of them to put the jobs of one call in order."""

Held = tuple[Lease, Lease]
"""A lease that the model gave, and the one that the server gave."""


class Twins(RuleBasedStateMachine):
    """`model` is the memory storage, `real` the one that is tested."""

    def __init__(self, server: Clocked) -> None:
        super().__init__()
        self.server, self.microseconds = server, EPOCH
        self.model, self.real = MemoryStorage(lambda: self.now), server.fresh()
        self.ids: list[str] = []
        self.uniques: dict[str, Unique | None] = {}
        self.leases: list[Held] = []
        self.alike = True

    @property
    def now(self) -> float:
        return self.microseconds / 1e6

    def same(self, ask: Callable[[Storage, int], Any]) -> tuple[Any, Any]:
        """Ask the model and the server, the 0th and the 1st, for what must be alike."""
        self.alike = False
        self.microseconds += STEP
        self.server.set(self.microseconds)
        answers: list[Any] = []
        for side, storage in enumerate((self.model, self.real)):
            try:
                answers.append(ask(storage, side))
            except JobExists as error:
                answers.append(str(error))
        model, real = map(drafts.plain, answers)
        note(f"    {model}")
        self.alike = real == model
        assert self.alike, drafts.difference(model, real)
        return answers[0], answers[1]

    def both(self, ask: Callable[[Storage], Any]) -> None:
        self.same(lambda storage, _: ask(storage))

    def known(self, numbers: Sequence[int], *states: JobState) -> list[str]:
        """Some of the latest ids, where that is said of jobs in these states. They ascend: on some storages
        jobs that come back at one moment are in that order, on others in the order of the call.
        """
        ids = self.ids
        if states:
            records = [self.model.run(self.model.get(job_id)) for job_id in ids]
            ids = [record.id for record in records if record and record.state in states]
        return sorted({ids[-1 - number % len(ids)] for number in numbers if ids})

    def lent(self, number: int) -> Held:
        """One of the latest leases: of any, of those that go on, or of those whose job another lease has."""
        current = [pair for pair in self.leases if self.model._held(pair[0].id, pair[0].token)]
        ids = {model.id for model, _ in current}
        stale = [pair for pair in self.leases if pair[0].id in ids and pair not in current]
        pairs = (current, stale, self.leases)[number % 3] or self.leases
        return pairs[-1 - number // 3 % len(pairs)]

    def job(self, number: int, draft: NewJob, again: int | None) -> NewJob:
        """The draft with an id and a moment that no other job has; or one with its id and key `again`."""
        job_id = f"{draft.queue}:{hashlib.md5(b'%d' % len(self.ids)).hexdigest()}"
        if again is not None and self.ids:
            (job_id,) = self.known([again])
        else:
            self.ids.append(job_id)
        run_at = None if draft.run_at is None else self.now + draft.run_at + number * 1e-5
        unique = self.uniques.setdefault(job_id, draft.unique)
        return draft._replace(id=job_id, queue=job_id.partition(":")[0], run_at=run_at, unique=unique)
