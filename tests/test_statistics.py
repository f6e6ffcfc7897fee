from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.statistics import (
    PARTS,
    block_ratios,
    bootstrap_interval,
    cell_latencies,
    finish_curve,
    interval_coverage,
    latencies_ms,
    mean_parts,
    negative_latencies,
    quantiles,
    rate_curve,
    slowest_tenth,
    spread,
)

LATE = 2**60
"""Nanoseconds that a float64 cannot tell apart by less than 256."""
MOMENTS = ["intended_ns", "sent_ns", "accepted_ns", "started_ns", "finished_ns"]

durations = st.floats(0, 1e9) | st.just(math.inf)
rates = st.floats(0.01, 1e6)
steps = st.tuples(*(st.integers(0, 10**9) for _ in MOMENTS))


def jobs(*rows: tuple[int | None, ...]) -> pd.DataFrame:
    """Rows of jobs.csv.gz: intended, sent, accepted, started, finished, each after LATE."""
    columns = zip(*rows, strict=True)
    values = [[None if moment is None else LATE + moment for moment in column] for column in columns]
    frame = pd.DataFrame({name: pd.array(v, dtype="Int64") for name, v in zip(MOMENTS, values, strict=True)})
    return frame.assign(settled_ns=pd.array([None] * len(frame), dtype="Int64"))


def summary(rates_by_block: dict[int, dict[str, float | None]]) -> pd.DataFrame:
    """Rows of summary.csv: a rate a block and adapter, None for a cell that failed."""
    rows = [
        {"block": block, "adapter": adapter, "jobs_per_s": rate, "status": "failed" if rate is None else "ok"}
        for block, cells in rates_by_block.items()
        for adapter, rate in cells.items()
    ]
    same = {"scenario": "burst", "jobs": 10, "profile": "matched", "tier": "production", "workers": 2}
    same |= {"rate": 0.0, "concurrency": 1, "batch": 0, "payload_bytes": 64, "behind": 0, "work": "noop"}
    return pd.DataFrame(rows).assign(**same, disturbance="none", schedule="none", producers=1)


@given(st.lists(durations, min_size=1), st.integers(1, 100))
def test_a_quantile_is_the_smallest_observation_that_covers_its_share(
    values: list[float], percentile: int
) -> None:
    (quantile,) = quantiles(values, [percentile])
    assert quantile in values
    assert sum(value <= quantile for value in values) * 100 >= percentile * len(values)
    assert sum(value < quantile for value in values) * 100 < percentile * len(values)


def test_quantiles_of_nothing_are_no_numbers() -> None:
    assert np.isnan(quantiles([])).all()


def test_latency_counts_from_the_intended_moment_to_the_nanosecond() -> None:
    assert list(latencies_ms(jobs((0, 5, 6, 1, 3), (2, 5, 6, 9, 9)), "started_ns") * 1e6) == [1, 7]


def test_a_job_that_never_got_there_is_infinitely_late() -> None:
    frame = jobs((0, 1, 2, 10, 20), (0, 1, 2, 10, None), (0, 1, None, None, None))
    assert list(np.isinf(latencies_ms(frame, "started_ns"))) == [False, False, True]
    assert list(np.isinf(latencies_ms(frame, "finished_ns"))) == [False, True, True]


def test_what_a_contender_does_not_show_and_what_nobody_submitted_is_left_out() -> None:
    assert latencies_ms(jobs((0, 1, 2, None, 20)), "started_ns").size == 0
    assert latencies_ms(jobs((None, None, None, 10, 20)), "finished_ns").size == 0


def test_cell_latencies_are_the_columns_of_the_summary() -> None:
    columns = cell_latencies(jobs(*((0, 0, 0, i * 10**6, i * 2 * 10**6) for i in range(1, 101))))
    assert columns == {
        "start_p50_ms": 50,
        "start_p95_ms": 95,
        "start_p99_ms": 99,
        "finish_p50_ms": 100,
        "finish_p95_ms": 190,
        "finish_p99_ms": 198,
        "sent_start_p50_ms": 50,
        "sent_start_p95_ms": 95,
        "sent_start_p99_ms": 99,
        "sent_finish_p50_ms": 100,
        "sent_finish_p95_ms": 190,
        "sent_finish_p99_ms": 198,
        "negative_latencies": 0,
    }


@pytest.mark.parametrize(
    ("row", "negative"),
    [
        ((0, 1, 9, 3, 4), 0),  # accepted after the start: the answer was slower than the worker
        ((0, 1, None, None, None), 0),
        ((5, 1, 2, 7, 8), 0),  # sent before it was intended: the queue was filled first
        ((5, 1, 2, 4, 8), 1),
        ((0, 4, 5, 3, 8), 1),
        ((0, 1, 2, 8, 7), 1),
        ((0, 5, 6, None, 4), 1),
        ((None, None, None, 9, 8), 1),
    ],
)
def test_moments_in_an_impossible_order_are_counted(row: tuple[int | None, ...], negative: int) -> None:
    assert negative_latencies(jobs(row)) == negative


@given(st.lists(steps, min_size=1))
def test_the_parts_of_the_mean_add_up_to_it(lengths: list[tuple[int, ...]]) -> None:
    intended, sent, accepted, started, finished = np.cumsum(lengths, axis=1).T.tolist()
    frame = jobs(*zip(intended, sent, started, accepted, finished, strict=True))
    parts = mean_parts(frame)
    assert all(parts[part] >= 0 for part in PARTS)
    assert sum(parts.values()) == pytest.approx(latencies_ms(frame, "finished_ns").mean())


def test_what_came_before_a_job_was_intended_takes_no_part() -> None:
    ms = 10**6
    parts = mean_parts(jobs((5 * ms, 1 * ms, 2 * ms, 7 * ms, 8 * ms)))
    assert parts == {"unsent": 0, "sending": 0, "queued": 2, "running": 1, "settling": 0}


def test_who_acknowledges_before_the_run_settles_in_no_time() -> None:
    ms = 10**6
    frame = jobs((0, 1 * ms, 2 * ms, 3 * ms, 103 * ms))
    frame.loc[0, "settled_ns"] = frame.loc[0, "started_ns"]
    assert mean_parts(frame) == {"unsent": 1, "sending": 1, "queued": 1, "running": 100, "settling": 0}


def test_a_job_started_before_its_enqueue_call_returned_was_never_queued() -> None:
    ms = 10**6
    parts = mean_parts(jobs((0, 1 * ms, 9 * ms, 4 * ms, 6 * ms), (0, 1 * ms, None, 4 * ms, None)))
    assert parts == {"unsent": 1, "sending": 3, "queued": 0, "running": 2, "settling": 0}
    assert all(math.isnan(part) for part in mean_parts(jobs((0, 1, 2, 3, None))).values())


@given(st.lists(st.integers(0, 10**9) | st.none(), min_size=1), st.integers(2, 50))
def test_a_finish_curve_rises_to_the_share_that_finished(ends: list[int | None], points: int) -> None:
    times, shares = finish_curve(jobs(*((0, 0, 0, 0, end) for end in ends)), points=points)
    done = [end for end in ends if end is not None]
    assert len(times) == len(shares) <= points
    assert (np.diff(times) >= 0).all()
    assert (np.diff(shares) > 0).all()
    if done:
        assert times[-1] == pytest.approx(max(done) / 1e6)
        assert shares[-1] == pytest.approx(len(done) / len(ends))


def test_a_rate_curve_counts_what_each_part_of_the_time_finished() -> None:
    # 100 jobs in the first half of ten seconds, 50 in the second.
    ends = [*np.linspace(0, 5e9, 100, endpoint=False), *np.linspace(5e9, 10e9, 50)]
    seconds, rates = rate_curve(jobs(*((0, 0, 0, 0, int(end)) for end in ends)), parts=10)
    assert seconds.tolist() == pytest.approx([n + 0.5 for n in range(10)])
    assert rates.sum() == pytest.approx(150)
    assert rates[:5].mean() == pytest.approx(20, abs=0.5)
    slow = slowest_tenth(jobs(*((0, 0, 0, 0, int(end)) for end in ends)))
    assert slow == pytest.approx(10 / 15, abs=0.1)


def test_a_contender_that_stood_still_most_of_the_time_was_not_even() -> None:
    ends = [*range(1, 31), *range(3000, 3031)]
    assert slowest_tenth(jobs(*((0, 0, 0, 0, end) for end in ends))) == 0


def test_a_few_jobs_make_no_curve() -> None:
    few = jobs(*((0, 0, 0, 0, end) for end in range(5)))
    assert rate_curve(few, parts=10)[0].size == 0
    assert math.isnan(slowest_tenth(few))


def test_a_spread_leaves_out_what_is_no_number() -> None:
    assert spread([3, math.nan, 1, math.inf]) == (3, 1, math.inf)
    assert all(math.isnan(value) for value in spread([math.nan]))


@given(st.dictionaries(st.integers(1, 9), st.tuples(rates, rates, st.floats(0.1, 10)), min_size=1))
def test_what_slows_a_whole_block_does_not_move_its_ratios(
    blocks: dict[int, tuple[float, float, float]],
) -> None:
    calm = summary({b: {"mine": mine, "base": base} for b, (mine, base, _) in blocks.items()})
    noisy = summary(
        {b: {"mine": mine * slow, "base": base * slow} for b, (mine, base, slow) in blocks.items()}
    )
    expected = [ratio for mine, base, _ in blocks.values() for ratio in (mine / base, 1)]
    assert block_ratios(calm, "base").tolist() == pytest.approx(expected)
    assert block_ratios(noisy, "base").tolist() == pytest.approx(expected)


def test_a_ratio_needs_both_cells_of_the_block_under_the_same_setting() -> None:
    cells = summary({1: {"mine": 6, "base": 3}, 2: {"mine": 6, "base": None}, 3: {"mine": None, "base": 3}})
    other = summary({1: {"mine": 6, "base": 2}}).assign(jobs=99)
    ratios = block_ratios(pd.concat([cells, other], ignore_index=True), "base")
    assert ratios.fillna(-1).tolist() == [2, 1, -1, -1, -1, 1, 3, 1]
    assert block_ratios(summary({1: {"mine": 6, "base": 0}}), "base").isna().all()


@given(st.lists(rates, min_size=3, max_size=12), st.integers(0, 9))
def test_a_bootstrap_interval_is_repeatable_within_range_and_symmetric(
    ratios: list[float], seed: int
) -> None:
    interval = bootstrap_interval(ratios, seed=seed, resamples=500)
    mirrored = bootstrap_interval([1 / ratio for ratio in ratios], seed=seed, resamples=500)
    assert interval is not None
    assert mirrored is not None
    assert interval == bootstrap_interval(ratios, seed=seed, resamples=500)
    assert min(ratios) <= interval.low * 1.000001
    assert interval.high <= max(ratios) * 1.000001
    assert (1 / mirrored.high, 1 / mirrored.low) == pytest.approx(interval[:2])


def test_fewer_than_three_blocks_give_no_interval() -> None:
    assert bootstrap_interval([2.0, math.nan, 3.0], seed=1) is None


def test_a_rate_of_zero_is_a_ratio_of_zero() -> None:
    interval = bootstrap_interval([0.0, 0.0, 2.0, 3.0], seed=1)
    assert interval is not None
    assert interval.low == 0


def test_three_blocks_cannot_claim_more_than_three_quarters() -> None:
    assert [interval_coverage(blocks) for blocks in (3, 5, 6)] == [0.75, 0.9375, 0.95]


@pytest.mark.parametrize("blocks", [3, 6])
def test_the_interval_covers_the_median_as_often_as_it_says(blocks: int) -> None:
    random = np.random.default_rng(7)
    hits = 0
    for trial in range(400):
        interval = bootstrap_interval(np.exp(random.normal(size=blocks)), seed=trial, resamples=300)
        assert interval is not None
        hits += interval.low <= 1 <= interval.high
    assert hits / 400 == pytest.approx(interval_coverage(blocks), abs=0.07)
