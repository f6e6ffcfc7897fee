"""How long a job had been ready when it was leased."""

from __future__ import annotations

import time

import pytest

from distq.job import AGEING, OutcomeKind
from distq.storage import Storage
from tests.contract.steps import NEVER, QUEUE, add, settle, take
from tests.helpers import eventually

SLACK = 5.0
"""Seconds that a busy machine may take."""


def pause(seconds: float) -> None:
    until = time.monotonic() + seconds
    eventually(lambda: time.monotonic() > until)


@pytest.mark.parametrize("priority", [0, 1, 9])
def test_it_counts_from_when_the_job_was_ready(storage: Storage, priority: int) -> None:
    add(storage, 2, priority=priority)
    pause(0.2)
    leases = take(storage)
    assert len(leases) == 2
    for lease in leases:
        assert 0.2 <= storage.waited(lease) - priority * AGEING < SLACK


def test_it_counts_anew_for_a_second_try(storage: Storage) -> None:
    add(storage)
    pause(0.4)
    (first,) = take(storage)
    settle(storage, [first], OutcomeKind.RETRY, body=b"{}", delay=0.0)
    (second,) = take(storage)
    assert storage.waited(second) < storage.waited(first)


def test_it_does_not_count_a_delay(storage: Storage) -> None:
    add(storage, delay=0.5)
    tick = storage.tick(QUEUE, limit=100, grace=0, outage=NEVER, eager=True)
    eventually(lambda: storage.run(tick).promoted)
    (lease,) = take(storage)
    assert -0.01 <= storage.waited(lease) < SLACK
