from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios import steadiness

LATE = 2**60
"""Nanoseconds that a float64 cannot tell apart by less than 256."""
TRIALS = 200


def ended(seconds: Iterable[float]) -> pd.DataFrame:
    """A cell whose jobs were all sent at its start, and finished then."""
    ends = LATE + (np.fromiter(seconds, dtype=np.float64) * 1e9).astype(np.int64)
    sent = np.full_like(ends, LATE)
    columns = {"intended_ns": sent, "sent_ns": sent, "finished_ns": ends}
    return pd.DataFrame({name: pd.array(values, dtype="Int64") for name, values in columns.items()})


def cell(sent: Sequence[float], ends: Sequence[float | None], intended: float | None = None) -> pd.DataFrame:
    """Rows of jobs.csv.gz: when jobs were sent, and finished, in seconds."""
    due = sent if intended is None else [intended] * len(sent)
    columns = {"intended_ns": due, "sent_ns": sent, "finished_ns": ends}
    return pd.DataFrame({name: _moments(seconds) for name, seconds in columns.items()})


def _moments(seconds: Sequence[float | None]) -> pd.api.extensions.ExtensionArray:
    return pd.array([None if s is None else LATE + round(s * 1e9) for s in seconds], dtype="Int64")


def poisson(random: np.random.Generator, jobs: int, *, drop: float = 0.0) -> pd.DataFrame:
    """1,000 jobs/s, from the middle job on less."""
    return ended(np.cumsum(slowed(random.exponential(1e-3, jobs), drop)))


def batches(random: np.random.Generator, jobs: int, *, size: int = 500, drop: float = 0.0) -> pd.DataFrame:
    """10,000 jobs/s, `size` at one instant, after gaps that differ."""
    gaps = slowed(random.gamma(16, size / 16e4, jobs // size), drop)
    return ended(np.repeat(np.cumsum(gaps), size))


def pools(random: np.random.Generator, jobs: int) -> pd.DataFrame:
    """Two workers that each take 200 jobs, run them for a while one after another, and then settle them."""
    rounds = random.gamma(16, 1 / 1600, (2, jobs // 400))
    ends = np.cumsum(rounds, axis=1)[..., None] - rounds[..., None] * np.linspace(0.8, 0.2, 200)
    return ended(ends.ravel())


def slowed(gaps: np.ndarray, drop: float) -> np.ndarray:
    gaps[len(gaps) // 2 :] /= 1 - drop
    return gaps


@pytest.mark.parametrize(
    ("make", "jobs"), [(poisson, 1_000), (poisson, 10_000), (batches, 60_000), (pools, 40_000)]
)
def test_what_is_stationary_is_seldom_called_drifting(make, jobs: int) -> None:
    found = [steadiness.columns(make(np.random.default_rng(trial), jobs)) for trial in range(TRIALS)]
    assert all(found), "each can be told"
    assert sum(each["steadiness"] == "drifting" for each in found) <= 0.03 * TRIALS


@pytest.mark.parametrize(("make", "jobs", "share"), [(poisson, 3_000, 0.97), (batches, 100_000, 0.97)])
def test_a_drop_by_thirty_percent_is_caught_and_placed(make, jobs: int, share: float) -> None:
    found = [steadiness.change(make(np.random.default_rng(trial), jobs, drop=0.3)) for trial in range(100)]
    caught = [each for each in found if each is not None]
    assert len(caught) >= share * 100
    # Half of the jobs take 1 s where the others take 1/0.7 s.
    assert np.median([each.at for each in caught]) == pytest.approx(1 / (1 + 1 / 0.7), abs=0.06)
    assert np.median([each.ratio for each in caught]) == pytest.approx(0.7, abs=0.05)


def test_the_columns_of_a_drifting_cell_say_where_and_by_how_much() -> None:
    jobs = poisson(np.random.default_rng(1), 10_000, drop=0.5)
    found = steadiness.change(jobs)
    assert found is not None
    assert steadiness.columns(jobs) == {
        "steadiness": "drifting",
        "change_at": found.at,
        "change_ratio": found.after / found.before,
    }
    assert (found.before, found.after) == pytest.approx((1_000, 500), rel=0.05)


def test_a_slow_rise_drifts_and_one_of_a_few_percent_does_not() -> None:
    # Even arrivals: the smallest rise is beyond chance, so only the 10 % hold it back.
    assert steadiness.columns(ended(np.linspace(0, 1, 10_000) ** 0.5))["steadiness"] == "drifting"
    assert steadiness.columns(ended(np.linspace(0, 1, 10_000) ** 0.95)) == {"steadiness": "steady"}


def test_the_same_jobs_give_the_same_answer_in_any_order() -> None:
    jobs = batches(np.random.default_rng(3), 60_000, drop=0.2)
    assert steadiness.columns(jobs) == steadiness.columns(jobs.sample(frac=1, random_state=1))


def test_ramp_up_and_tail_are_no_drift() -> None:
    even = np.linspace(0.04, 0.96, 10_000)
    assert steadiness.columns(ended([0.0, *even, 1.0])) == {"steadiness": "steady"}


def test_one_stall_neither_makes_a_drift_nor_hides_one() -> None:
    def stalled(jobs: pd.DataFrame) -> pd.DataFrame:
        ends = jobs.loc[:, "finished_ns"]
        return jobs.assign(finished_ns=ends + 10**9 * (ends > LATE + 6 * 10**9).astype("Int64"))

    steady = stalled(poisson(np.random.default_rng(5), 10_000))
    assert steadiness.columns(steady) == {"steadiness": "steady"}
    assert steadiness.longest_pause_s(steady) == pytest.approx(1, abs=0.02)
    dropped = stalled(poisson(np.random.default_rng(5), 10_000, drop=0.3))
    assert steadiness.columns(dropped)["steadiness"] == "drifting"
    assert steadiness.longest_pause_s(dropped) == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize(
    "jobs",
    [
        ended([]),
        ended([1.0]),
        ended(np.linspace(0, 10, 600)),
        ended(np.linspace(0, 0.19, 10_000)),
        ended(np.repeat(np.linspace(0, 10, 50), 1_000)),
        ended([1.0] * 1_000),
        cell([0.0] * 1_000, [None] * 1_000),
    ],
    ids=["none", "one", "few", "short", "few batches", "one instant", "none finished"],
)
def test_where_too_little_happened_it_cannot_be_told(jobs: pd.DataFrame) -> None:
    assert not steadiness.can_tell(jobs)
    assert steadiness.columns(jobs) == {}
    assert steadiness.change(jobs) is None


def test_a_long_wait_after_the_first_job_is_a_drift() -> None:
    found = steadiness.columns(ended([0.0, *np.linspace(0.3, 1, 10_000)]))
    assert found["steadiness"] == "drifting"
    assert found["change_at"] == pytest.approx(0.3, abs=0.05)
    assert found["change_ratio"] > 100
    assert steadiness.Change(0.3, 0.0, 900.0).ratio == math.inf


@pytest.mark.parametrize(
    ("jobs", "pause"),
    [
        # Between two finishes, with a third job on its way.
        (cell([0, 0, 0], [1, 2, 5]), 3),
        # Before the first.
        (cell([1, 1], [5, 6]), 4),
        # Nothing was due between 2 and 7.
        (cell([0, 7], [2, 8]), 2),
        # The second came while the first was on its way.
        (cell([0, 1], [2, 6]), 4),
        # Nothing finished after 3, and that is not looked at.
        (cell([0, 0], [3, None]), 3),
        # A backlog is due from the gate's opening.
        (cell([0, 0], [11, 13], intended=10), 2),
        # Two at one instant.
        (cell([0, 0, 4], [3, 3, 5]), 3),
    ],
)
def test_a_pause_is_a_time_without_a_finish_though_a_job_was_due(jobs: pd.DataFrame, pause: float) -> None:
    assert steadiness.longest_pause_s(jobs) == pytest.approx(pause)


def test_without_a_finish_there_is_no_pause() -> None:
    assert math.isnan(steadiness.longest_pause_s(cell([0.0], [None])))
    assert math.isnan(steadiness.longest_pause_s(ended([])))


def test_a_job_that_nobody_submitted_ends_no_pause() -> None:
    jobs = cell([0, 0], [1, 9])
    stray = cell([0], [5]).assign(intended_ns=pd.NA, sent_ns=pd.NA).astype("Int64")
    assert steadiness.longest_pause_s(pd.concat([jobs, stray])) == 8


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50) | st.none()), min_size=1, max_size=12))
def test_the_longest_pause_is_what_counting_second_by_second_finds(
    rows: list[tuple[int, int | None]],
) -> None:
    sent = [start for start, _ in rows]
    ends = [None if took is None else start + took for start, took in rows]
    done = {end for end in ends if end is not None}
    longest = now = 0
    for second in range(max(done, default=0)):
        now = 0 if second in done else now
        due = any(s <= second and (e is None or e > second) for s, e in zip(sent, ends, strict=True))
        now = now + 1 if due else 0
        longest = max(longest, now)
    found = steadiness.longest_pause_s(cell(sent, ends))
    assert found == pytest.approx(longest) if done else math.isnan(found)
