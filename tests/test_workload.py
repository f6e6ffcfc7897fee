"""What jobs carry, and what they do."""

from __future__ import annotations

import time
from itertools import islice

import numpy as np
import pytest

from scenarios.work import parse_work
from scenarios.workload import WARM_UP, Workload


@pytest.mark.parametrize("size", [0, 1, 100, 5000])
def test_payloads_are_printable_and_have_their_size(size: int) -> None:
    jobs = list(Workload(jobs=1200, payload_bytes=size).specs())
    assert [job.id for job in jobs] == list(range(1200))
    assert {len(job.payload) for job in jobs} == {size}
    assert all(job.payload.isascii() and (job.payload.isalnum() or not size) for job in jobs)


def test_neighbours_carry_different_payloads() -> None:
    payloads = [job.payload for job in Workload(jobs=900).specs()]
    assert len(set(payloads)) == len(payloads)


def test_the_seed_decides() -> None:
    workload = Workload(jobs=50, seed=7)
    assert list(workload.specs()) == list(workload.specs()) == list(Workload(jobs=50, seed=7).specs())
    assert list(workload.specs()) != list(Workload(jobs=50, seed=8).specs())


def test_warm_up_jobs_have_numbers_of_their_own() -> None:
    numbers = [job.id for job in islice(Workload().warm_up(), 3000)]
    assert min(numbers) >= WARM_UP
    assert len(set(numbers)) == 3000


def test_work_takes_as_long_as_it_says() -> None:
    began = time.monotonic()
    parse_work("sleep:30").run()
    assert time.monotonic() - began >= 0.03
    began = time.thread_time()
    parse_work("cpu:30").run()
    assert 0.03 <= time.thread_time() - began < 0.06
    parse_work("noop").run()


def test_work_says_how_long_it_takes() -> None:
    seconds = [parse_work(text).seconds for text in ("noop", "sleep:0", "sleep:2.5", "cpu:1000")]
    assert seconds == [0, 0, 0.0025, 1]


NONSENSE = [
    "",
    "noop:",
    "noop:1",
    "sleep",
    "sleep:",
    "sleep:x",
    "sleep:nan",
    "sleep:-1",
    "sleep:inf",
    "nap:1",
]


@pytest.mark.parametrize("text", [*NONSENSE, "cpu:1e300"])
def test_nonsense_is_no_work(text: str) -> None:
    with pytest.raises(ValueError, match=r"work|float"):
        parse_work(text)


def test_only_steady_jobs_are_spread_over_time() -> None:
    assert list(Workload(jobs=3).offsets_s()) == [0.0, 0.0, 0.0]
    assert Workload(jobs=3).limit_s == 60


def test_steady_jobs_come_at_random_at_the_rate_and_the_same_again() -> None:
    workload = Workload(shape="steady", schedule="poisson", jobs=10_000, rate=500, seed=7)
    offsets = list(workload.offsets_s())
    gaps = np.diff(offsets)
    assert offsets == list(workload.offsets_s()) != list(Workload(**dict(workload) | {"seed": 8}).offsets_s())
    assert offsets[-1] == pytest.approx(20, rel=0.05)
    assert gaps.min() > 0
    assert gaps.std() == pytest.approx(gaps.mean(), rel=0.05)
    assert workload.limit_s == offsets[-1] + 60
