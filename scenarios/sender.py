"""The producer: submits a cell's jobs until the deadline, and records both moments of each."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from adapters.base import Adapter, JobSpec
from scenarios.layout import Layout
from scenarios.ledger import Moment, Writer
from scenarios.limits import Overdue, alarm
from scenarios.workload import Workload

PATIENCE_S = 2.0
"""What a contender may take after the deadline to answer for the jobs that it took before."""


class Sent(NamedTuple):
    """What became of an enqueue."""

    answers: Counter[str]
    """How many jobs were accepted, rejected, unknown."""
    overdue: bool
    """The deadline came before every job was sent and answered."""

    def failures(self, jobs: int) -> list[str]:
        """What the contender did wrong: being slow is not among it."""
        counts = {
            "rejected": self.answers["rejected"],
            "unknown, for no answer came": self.answers["unknown"],
            "without a word": 0 if self.overdue else jobs - self.answers.total(),
        }
        return [f"{count} of {jobs} jobs {what}" for what, count in counts.items() if count]


def send(adapter: Adapter, workload: Workload, layout: Layout) -> Sent:
    """Submit every job, as fast as the contender takes them; after the deadline it is given no more."""
    writer = Writer(layout.producer)
    deadline = time.monotonic() + workload.deadline_s
    answers: Counter[str] = Counter()
    overdue = False

    def stamped() -> Iterator[JobSpec]:
        nonlocal overdue
        for job in workload.specs():
            if time.monotonic() > deadline:
                overdue = True
                return
            writer.add(Moment.SENT, job.id)
            yield job

    try:
        with alarm(workload.deadline_s + PATIENCE_S):
            for submission in adapter.submit(stamped()):
                answers[submission.status] += 1
                if submission.status == "accepted":
                    writer.add(Moment.ACCEPTED, submission.id)
    except Overdue:
        overdue = True
    return Sent(answers, overdue)
