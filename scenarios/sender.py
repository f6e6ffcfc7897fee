"""The producer: submits a cell's jobs, each when it is intended, and records both moments of each."""

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


def send(adapter: Adapter, workload: Workload, layout: Layout, *, began_ns: int) -> Sent:
    """Submit every job when it is intended, or as soon after as the contender takes it.

    After the deadline it is given no more.
    """
    writer, began = Writer(layout.producer), began_ns / 1e9
    deadline = began + workload.limit_s
    answers: Counter[str] = Counter()
    coming = zip(workload.offsets_s(), workload.specs(), strict=True)
    following = next(coming, None)
    overdue = False

    def due() -> Iterator[JobSpec]:
        nonlocal following, overdue
        while following:
            offset, job = following
            now = time.monotonic()
            if now > deadline:
                following, overdue = None, True
            elif began + offset > now:
                return
            else:
                following = next(coming, None)
                writer.add(Moment.SENT, job.id)
                yield job

    try:
        with alarm(deadline - time.monotonic() + PATIENCE_S):
            while following:
                time.sleep(max(began + following[0] - time.monotonic(), 0.0))
                for submission in adapter.submit(due()):
                    answers[submission.status] += 1
                    if submission.status == "accepted":
                        writer.add(Moment.ACCEPTED, submission.id)
    except Overdue:
        overdue = True
    return Sent(answers, overdue)
