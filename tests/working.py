"""An application in memory, whose jobs a test runs itself.

Fixtures are imported as themselves, `import app as app`: tests name them as parameters.
"""

from __future__ import annotations

import asyncio

import pytest

from distq import DistQ
from distq.context import CurrentJob
from distq.job import Lease
from distq.options import NO_LIMITS
from distq.worker.execution import arun, is_async, run
from distq.worker.running import Run


@pytest.fixture
def app() -> DistQ:
    return DistQ("memory://")


def attempt(lease: Lease) -> Run:
    return Run(lease, CurrentJob(lease, lambda job_id, progress: None), NO_LIMITS)


def work(app: DistQ, queue: str = "default") -> int:
    """Run what is ready here and now; returns how many jobs ran."""
    leases = app.storage.run(app.storage.lease(queue, worker="w", limit=100, ttl=60, alone=True))
    outcomes = [
        asyncio.run(arun(app, attempt(lease))) if is_async(app, lease.task) else run(app, attempt(lease))
        for lease in leases
    ]
    app.storage.run(app.storage.settle(outcomes, keep=60))
    return len(outcomes)
