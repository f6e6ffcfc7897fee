"""What people see of a deployment in motion: its queues with their rates, its workers, what is wrong."""

from __future__ import annotations

from datetime import datetime

from distq.admin.crew import WorkerView
from distq.admin.views import QueueView, View
from distq.finding import Finding, Severity


class Rates(View):
    """Jobs a second that came, replayed ones too, and that ended; and the share of the last minute's attempts
    that failed, None where they were few.
    """

    enqueued: float
    done: float
    dead: float
    cancelled: float
    failing: float | None


class QueueStatus(QueueView):
    """A queue and its rates; None at the first look, which has nothing to compare with."""

    rates: Rates | None = None


class Trouble(View):
    """What somebody should look at: in which queue, of which kind, and the command that mends it."""

    severity: Severity
    kind: str
    queue: str
    what: str
    why: str
    remedy: str

    @classmethod
    def of(cls, finding: Finding) -> Trouble:
        """The view of a finding."""
        return cls(
            severity=finding.severity,
            kind=finding.kind,
            queue=finding.queue,
            what=finding.what,
            why=finding.why,
            remedy=finding.remedy,
        )


class Picture(View):
    """What there was at one moment of the storage's clock."""

    at: datetime
    queues: list[QueueStatus]
    workers: list[WorkerView]
    troubles: list[Trouble]
