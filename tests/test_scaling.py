from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.scaling import Fit, Refused, curve, fit

COUNTS = (1, 2, 4, 8, 16, 64)

Law = Callable[[np.ndarray], np.ndarray]


def usl(rate: float, sigma: float, kappa: float) -> Law:
    return lambda n: rate * n / (1 + sigma * (n - 1) + kappa * n * (n - 1))


def cells(
    law: Law, *, counts: Sequence[int] = COUNTS, blocks: int = 6, noise: float = 0.0, seed: int = 1
) -> pd.DataFrame:
    """A row a cell, with rates by the law and log-normal noise."""
    rows = pd.DataFrame([(n, block) for block in range(1, blocks + 1) for n in counts])
    rows.columns = ["workers", "block"]
    off = np.exp(np.random.default_rng(seed).normal(0, noise, len(rows)))
    return rows.assign(jobs_per_s=law(rows["workers"].to_numpy(dtype=np.float64)) * off)


def fitted(frame: pd.DataFrame) -> Fit:
    found = fit(frame, seed=7)
    assert isinstance(found, Fit), found
    return found


def refused(frame: pd.DataFrame) -> str:
    found = fit(frame, seed=7)
    assert isinstance(found, Refused), found
    assert "\n" not in found.reason
    return found.reason


@given(st.floats(10, 1e5), st.floats(0, 0.5), st.floats(1e-4, 0.02))
def test_without_noise_the_parameters_come_back(rate: float, sigma: float, kappa: float) -> None:
    found = fitted(cells(usl(rate, sigma, kappa), blocks=3))
    assert found.rate.value == pytest.approx(rate, rel=1e-5)
    assert found.sigma.value == pytest.approx(sigma, rel=1e-5, abs=1e-7)
    assert found.kappa.value == pytest.approx(kappa, rel=1e-5)
    assert found.best_workers.value == pytest.approx(math.sqrt((1 - sigma) / kappa), rel=1e-4)
    assert found.peak.value == pytest.approx(max(usl(rate, sigma, kappa)(np.arange(1, 200))), rel=0.02)
    assert found.residual < 1e-6
    assert found.explained > 0.999_999


def test_with_noise_the_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    truth = (1_000, 0.05, 0.001, math.sqrt(0.95 / 0.001))
    held = np.zeros(4)
    for seed in range(60):
        found = fitted(cells(usl(*truth[:3]), noise=0.05, seed=seed))
        assert found.coverage == 0.95
        estimates = (found.rate, found.sigma, found.kappa, found.best_workers)
        assert all(each.low <= each.value <= each.high for each in estimates)
        assert found.rate.value == pytest.approx(1_000, rel=0.15)
        held += [each.low <= true <= each.high for each, true in zip(estimates, truth, strict=True)]
    assert (held / 60 > 0.8).all(), held


def test_a_curve_that_never_falls_has_no_best_number_of_workers() -> None:
    found = fitted(cells(usl(500, 0.1, 0)))
    assert found.kappa.value == pytest.approx(0, abs=1e-9)
    assert found.peak.value == pytest.approx(5_000, rel=0.01)
    linear = fitted(cells(usl(500, 0, 0), noise=0.01))
    assert linear.sigma.value < 0.01
    assert linear.rate.value == pytest.approx(500, rel=0.03)


def test_where_one_worker_does_most_one_is_best() -> None:
    found = fitted(cells(usl(500, 1.2, 0.01)))
    assert found.best_workers.value == 1
    assert found.peak.value == pytest.approx(500)


def test_the_curve_is_the_law() -> None:
    found = fitted(cells(usl(800, 0.02, 0.0005)))
    numbers = np.linspace(1, 100, 30)
    assert curve(found, numbers) == pytest.approx(usl(800, 0.02, 0.0005)(numbers))
    assert curve(found, [1])[0] == pytest.approx(found.rate.value)


def test_the_same_seed_gives_the_same_fit() -> None:
    frame = cells(usl(1_000, 0.05, 0.001), noise=0.1)
    assert fit(frame, seed=3) == fit(frame.sample(frac=1, random_state=1), seed=3)


def test_five_numbers_of_workers_are_too_few() -> None:
    assert refused(cells(usl(1_000, 0.05, 0.001), counts=COUNTS[:5])).startswith("measured with 5 numbers")
    assert refused(cells(usl(1_000, 0.05, 0.001)).head(0)).startswith("measured with 0 numbers")


def test_two_blocks_are_too_few_and_only_whole_blocks_count() -> None:
    assert refused(cells(usl(1_000, 0.05, 0.001), blocks=2)).startswith("2 blocks have all")
    frame = cells(usl(1_000, 0.05, 0.001), blocks=4)
    assert fitted(frame).blocks == 4
    frame.loc[(frame["block"] == 1) & (frame["workers"] == 8), "jobs_per_s"] = math.nan
    assert fitted(frame).blocks == 3
    frame = frame[(frame["block"] != 2) | (frame["workers"] != 64)]
    assert refused(frame).startswith("2 blocks have all")


def test_a_step_is_refused() -> None:
    assert refused(cells(lambda n: np.where(n < 8, 1_000.0, 8_000.0))).startswith(
        "the curve explains 71.6% of"
    )
    # What four cores make of what would scale.
    assert refused(cells(lambda n: 1_000 * np.minimum(n, 4))) == "at N = 4 the rate is 26% off the curve"


def test_two_modes_are_refused() -> None:
    frame = cells(usl(1_000, 0.05, 0.002), noise=0.02)
    slow = np.random.default_rng(2).random(len(frame)) < 0.5
    frame.loc[slow, "jobs_per_s"] /= 2
    assert refused(frame).startswith("the curve explains")


def test_a_curve_that_explains_little_is_refused() -> None:
    assert refused(cells(lambda n: 1_000 + 0 * n, noise=0.05)).startswith("the curve explains")


def test_a_rate_of_one_worker_that_nobody_knows_is_refused() -> None:
    # Sixteen and more workers say little of what one would do.
    saturated = cells(usl(1_000, 0.9, 0.01), counts=(16, 24, 32, 48, 64, 96), noise=0.05, blocks=5)
    assert refused(saturated).startswith("the rate of one worker cannot be told")
    endless = cells(lambda n: 1e6 / (n - 1), counts=(16, 24, 32, 48, 64, 96))
    assert refused(endless) == "the rate of one worker cannot be told: inf to inf jobs/s"


def test_a_cell_in_which_nothing_finished_is_refused() -> None:
    frame = cells(usl(1_000, 0.05, 0.001))
    frame.loc[3, "jobs_per_s"] = 0.0
    assert refused(frame) == "there is a cell in which nothing finished"
