"""When a worker process asks for jobs, and how long it takes jobs to be: without threads, on memory."""

from __future__ import annotations

import os
from typing import cast

import pytest

from distq.job import Lease, Outcome, OutcomeKind
from distq.memory.storage import MemoryStorage
from distq.worker import intake as intakes
from distq.worker import maintenance as maintenances
from distq.worker.hints import Channel, Hints
from distq.worker.holdings import Holdings
from distq.worker.intake import Intake
from distq.worker.lanes import Lanes
from distq.worker.maintenance import Maintenance
from distq.worker.outbox import Outbox
from distq.worker.settings import Settings
from distq.worker.tally import Tally
from tests.contract.steps import QUEUE, add, expire, take


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
def hints(storage: MemoryStorage) -> Hints:
    return Hints(storage, [QUEUE], Channel.open([QUEUE]), os.pipe()[0])


SETTINGS = Settings(weights={QUEUE: 1}, concurrency=4)


@pytest.fixture
def maintenance(storage: MemoryStorage, holdings: Holdings, hints: Hints) -> Maintenance:
    return Maintenance(storage, SETTINGS, holdings, hints)


@pytest.fixture
def intake(storage: MemoryStorage, holdings: Holdings, maintenance: Maintenance, hints: Hints) -> Intake:
    """With four slots; it has found one job where there was room for more."""
    add(storage)
    lanes, outbox = cast(Lanes, Inbox()), Outbox(storage, 60, 500, Tally([QUEUE]))
    intake = Intake(SETTINGS, holdings, lanes, outbox, maintenance, hints)
    assert not intake.lease()
    add(storage)
    assert not intake.lease()
    assert len(holdings) == 1
    return intake


def test_who_has_drained_the_queue_asks_again_on_a_hint(intake: Intake, holdings: Holdings) -> None:
    intake.rouse()
    intake.lease()
    assert len(holdings) == 2


@pytest.mark.parametrize(("ready", "given"), [(2, False), (3, True), (9, True)])
def test_who_took_all_it_had_room_for_lets_another_ask(
    storage: MemoryStorage, intake: Intake, hints: Hints, ready: int, given: bool
) -> None:
    add(storage, ready - 1)  # one is there
    intake.rouse()
    intake.lease()
    assert hints.tokens.take() is given


def test_who_took_a_suspect_alone_lets_another_ask(
    storage: MemoryStorage, intake: Intake, holdings: Holdings, hints: Hints
) -> None:
    holdings.drop([Outcome(lease.id, lease.token, OutcomeKind.DONE) for lease in list(holdings)])
    (crashed,) = take(storage, 1)
    expire(storage, [crashed])
    add(storage)
    intake.rouse()
    intake.lease()
    assert [lease.id for lease in holdings] == [crashed.id]
    assert hints.tokens.take()


def test_a_pass_that_sees_jobs_lets_somebody_ask(
    storage: MemoryStorage, intake: Intake, maintenance: Maintenance, holdings: Holdings, hints: Hints
) -> None:
    maintenance.make()
    assert hints.tokens.take()
    assert intake.lease() is False
    assert len(holdings) == 2


def test_a_pass_that_sees_none_leaves_them_asleep(maintenance: Maintenance, hints: Hints) -> None:
    maintenance.make()
    assert not hints.tokens.take()


def test_who_holds_nothing_takes_its_turn_before_the_others(
    storage: MemoryStorage, hints: Hints, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maintenances, "IDLE", 0.0)
    add(storage)
    passes: list[str] = []

    def process(name: str) -> Maintenance:
        mine = Holdings(storage, name, 60)
        if name == "busy":
            mine.lease(QUEUE, 1)
        made = Maintenance(storage, SETTINGS, mine, hints)
        monkeypatch.setattr(made, "_pass", lambda queue: passes.append(name))
        return made

    for name in ("first", "busy", "idle"):
        process(name).make()
    assert passes == ["first", "idle"]


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
    outbox = Outbox(storage, 60, 500, Tally([QUEUE]))
    outbox.add(Outcome(lease.id, lease.token, OutcomeKind.RELEASE), 0.0)
    outbox.settle()
    assert outbox.mean == float("inf")
