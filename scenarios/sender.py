"""A producer: submits its share of a cell's jobs, each when it is intended, and records its moments."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from adapters.base import Adapter, JobSpec
from scenarios import ledger
from scenarios.layout import Layout
from scenarios.ledger import Moment, Writer
from scenarios.limits import Overdue, alarm
from scenarios.workload import Workload

PATIENCE_S = 2.0
"""What a contender may take after the deadline to answer for the jobs that it took before."""

IN_FLIGHT = 10_000
"""Jobs of a churn that are sent and not finished, at most; more come when there are half as many."""

_POLL_S = 0.005


class Sent(NamedTuple):
    """What became of an enqueue, by one producer or by all."""

    answers: Counter[str]
    """How many jobs were accepted, rejected, unknown."""
    overdue: bool
    """The deadline came before every job was sent and answered."""
    cpu_s: float
    """What this process spent on it, the harness's own part with it."""

    def __or__(self, other: Sent) -> Sent:
        """Both together."""
        return Sent(self.answers + other.answers, self.overdue or other.overdue, self.cpu_s + other.cpu_s)

    def failures(self, jobs: int) -> list[str]:
        """What the contender did wrong: being slow is not among it."""
        counts = {
            "rejected": self.answers["rejected"],
            "unknown, for no answer came": self.answers["unknown"],
            "without a word": 0 if self.overdue else jobs - self.answers.total(),
        }
        return [f"{count} of {jobs} jobs {what}" for what, count in counts.items() if count]


class Window:
    """How many more jobs may be on their way, by what the workers' ledgers tell."""

    def __init__(self, workload: Workload, layout: Layout) -> None:
        self._layout, self._before = layout, ledger.at_most_finished(layout.ledger)
        self._closed, self._sent, self._room = workload.shape == "churn", 0, 0

    def take(self) -> bool:
        """Count one more as sent, if there is room for it."""
        if not self._closed:
            return True
        if not self._room:
            under_way = self._sent - (ledger.at_most_finished(self._layout.ledger) - self._before)
            self._room = IN_FLIGHT - under_way if under_way <= IN_FLIGHT // 2 else 0
        if not self._room:
            return False
        self._room, self._sent = self._room - 1, self._sent + 1
        return True


class _Schedule:
    """A producer's jobs, each from when it is due."""

    def __init__(self, workload: Workload, layout: Layout, began: float, producer: int) -> None:
        self._coming = workload.share(producer)
        self._following = next(self._coming, None)
        self._window, self._writer = Window(workload, layout), Writer(layout.producer)
        self._began, self.deadline = began, began + workload.limit_s
        self.overdue = False

    def wait(self) -> bool:
        """Wait until the next job may be due. Returns whether there is one."""
        if self._following:
            time.sleep(max(self._began + self._following[0] - time.monotonic(), 0.0))
        return self._following is not None

    def due(self) -> Iterator[JobSpec]:
        """The jobs that are due now; each is recorded as sent when it is taken."""
        while self._following:
            offset, job = self._following
            now = time.monotonic()
            if now > self.deadline:
                self._following, self.overdue = None, True
            elif self._began + offset > now:
                return
            elif not self._window.take():
                time.sleep(_POLL_S)
                return
            else:
                self._following = next(self._coming, None)
                self._writer.add(Moment.SENT, job.id)
                yield job

    def accepted(self, job: int) -> None:
        """Record that the contender has a job."""
        self._writer.add(Moment.ACCEPTED, job)


def send(adapter: Adapter, workload: Workload, layout: Layout, *, began_ns: int, producer: int = 0) -> Sent:
    """Submit every job of a producer when it is intended, or as soon after as the contender takes it.

    After the deadline it is given no more.
    """
    schedule, began_cpu = _Schedule(workload, layout, began_ns / 1e9, producer), time.process_time()
    answers: Counter[str] = Counter()
    try:
        with alarm(schedule.deadline - time.monotonic() + PATIENCE_S):
            while schedule.wait():
                for submission in adapter.submit(schedule.due()):
                    answers[submission.status] += 1
                    if submission.status == "accepted":
                        schedule.accepted(submission.id)
    except Overdue:
        schedule.overdue = True
    return Sent(answers, schedule.overdue, time.process_time() - began_cpu)
