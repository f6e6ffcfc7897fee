"""What lies in the queue behind the measured jobs, and what a death of all workers would repeat."""

from __future__ import annotations

import time
from typing import Any

import redis

from adapters.base import Adapter, Cell, Service
from scenarios import records
from scenarios.layout import Layout
from scenarios.ledger import Moment
from scenarios.plan import Failed, Plan

_STILL_S, _PATIENCE_S = 0.3, 5.0
"""Between two looks that must agree; what a server may take to end what a killed worker had asked of it."""


def fill(adapter: Adapter, plan: Plan) -> int:
    """Submit the jobs that lie behind. Returns how many.

    A Redis then rewrites its AOF, at half its speed or less, for seconds that have nothing to do with how
    many jobs lie there: that is waited for.

    Raises:
        Failed: one was not accepted, or not within the workload's deadline.
    """
    workload = plan.workload
    accepted, deadline = 0, time.monotonic() + workload.deadline_s
    for submission in adapter.submit(workload.behind_specs()):
        if submission.status != "accepted":
            raise Failed(f"a job that is to lie behind the measured ones was {submission.status}")
        accepted += 1
        if time.monotonic() > deadline:
            within = f"within {workload.deadline_s:g} s"
            raise Failed(f"only {accepted} of {workload.behind} jobs lay behind the measured ones {within}")
    while accepted and _rewrites(plan.cell) and time.monotonic() < deadline:
        time.sleep(_STILL_S)
    return accepted


def _rewrites(cell: Cell) -> bool:
    if Service.REDIS not in cell.urls:
        return False
    with redis.Redis.from_url(cell.urls[Service.REDIS]) as client:
        info: Any = client.info("persistence")
    words = ("aof_rewrite_in_progress", "aof_rewrite_scheduled", "rdb_bgsave_in_progress")
    return any(info.get(word) for word in words)


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
