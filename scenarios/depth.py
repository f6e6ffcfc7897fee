"""What lies in the queue behind the measured jobs, and what a death of all workers would repeat."""

from __future__ import annotations

import time

from adapters.base import Adapter
from scenarios import records
from scenarios.layout import Layout
from scenarios.ledger import Moment
from scenarios.plan import Failed
from scenarios.workload import Workload

_STILL_S, _PATIENCE_S = 0.3, 5.0
"""Between two looks that must agree; what a server may take to end what a killed worker had asked of it."""


def fill(adapter: Adapter, workload: Workload) -> int:
    """Submit the jobs that lie behind. Returns how many.

    Raises:
        Failed: one was not accepted, or not within the workload's deadline.
    """
    accepted, deadline = 0, time.monotonic() + workload.deadline_s
    for submission in adapter.submit(workload.behind_specs()):
        if submission.status != "accepted":
            raise Failed(f"a job that is to lie behind the measured ones was {submission.status}")
        accepted += 1
        if time.monotonic() > deadline:
            within = f"within {workload.deadline_s:g} s"
            raise Failed(f"only {accepted} of {workload.behind} jobs lay behind the measured ones {within}")
    return accepted


def at_risk(adapter: Adapter, layout: Layout, accepted: int) -> int:
    """How many jobs have run that the broker still holds: after a death of all workers they run again.

    Below 0: so many have neither run nor are there, and never will.

    Args:
        accepted: all jobs that the broker took. Every worker must be dead.
    """
    held, deadline = adapter.depth(), time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        time.sleep(_STILL_S)
        before, held = held, adapter.depth()
        if held == before:
            break
    return len(records.jobs(layout.ledger, Moment.FINISHED)) - (accepted - held)
