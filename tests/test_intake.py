"""When a worker process asks for jobs, and how long it takes jobs to be: without threads, on memory."""

from __future__ import annotations

from typing import cast

import pytest

from distq.job import Lease, Outcome, OutcomeKind
from distq.memory.storage import MemoryStorage
from distq.worker import intake as intakes
from distq.worker.holdings import Holdings
from distq.worker.intake import Intake
from distq.worker.lanes import Lanes
from distq.worker.maintenance import Maintenance
from distq.worker.outbox import Outbox
from distq.worker.settings import Settings
from tests.contract.steps import add, take


class Inbox:
    """Lanes that run nothing."""

    def feed(self, leases: list[Lease]) -> None:
        """Leave them where they are."""


@pytest.fixture
def storage() -> MemoryStorage:
    return MemoryStorage()


@pytest.fixture
def holdings(storage: MemoryStorage) -> Holdings:
    return Holdings(storage, "w", 60)


@pytest.fixture
def intake(storage: MemoryStorage, holdings: Holdings) -> Intake:
    """With four slots; it has found one job where there was room for more."""
    (job_id,) = add(storage)
    queue = job_id.partition(":")[0]
    lanes, outbox = cast(Lanes, Inbox()), Outbox(storage, 60, 500)
    settings = Settings(weights={queue: 1}, concurrency=4)
    intake = Intake(settings, holdings, lanes, outbox, Maintenance(storage, (queue,), 60))
    assert not intake.lease()
    add(storage)
    assert not intake.lease()
    assert len(holdings) == 1
    return intake


def test_who_has_drained_the_queue_asks_again_on_a_hint(intake: Intake, holdings: Holdings) -> None:
    intake.rouse()
    intake.lease()
    assert len(holdings) == 2


@pytest.mark.parametrize(("doubt", "held"), [(-1.0, 2), (3600.0, 1)])
def test_when_a_job_has_ended_it_asks_in_doubt_alone(
    intake: Intake, holdings: Holdings, monkeypatch: pytest.MonkeyPatch, doubt: float, held: int
) -> None:
    monkeypatch.setattr(intakes, "DOUBT", doubt)
    intake.rouse(doubting=True)
    intake.lease()
    assert len(holdings) == held


def test_who_has_not_run_says_nothing_of_how_long_jobs_take(storage: MemoryStorage) -> None:
    add(storage)
    (lease,) = take(storage)
    outbox = Outbox(storage, 60, 500)
    outbox.add(Outcome(lease.id, lease.token, OutcomeKind.RELEASE), 0.0)
    outbox.settle()
    assert outbox.mean == float("inf")
