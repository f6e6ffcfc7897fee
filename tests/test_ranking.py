from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scenarios.controls import CONTROL, is_control, original
from scenarios.ranking import MEASURES, control, false_positives, ranking
from scenarios.statistics import SETTINGS
from tests.summaries import summary

rates = st.integers(1, 1_000)


def ranks(frame: pd.DataFrame, **given) -> dict[str, int]:
    """Rank by contender, in the table's order."""
    found = ranking(frame, seed=5, **given)
    return dict(zip(found["contender"], found["rank"], strict=True))


def noisy(around: float, noise: float, blocks: int, seed: int) -> np.ndarray:
    return around * np.exp(np.random.default_rng(seed).normal(0, noise, blocks))


def test_contenders_that_are_far_apart_have_ranks_of_their_own() -> None:
    frame = summary({"slow": [10, 11, 12], "fast": [100, 110, 120], "middle": [50, 52, 51]})
    assert ranks(frame) == {"fast": 1, "middle": 2, "slow": 3}


def test_contenders_whose_interval_holds_one_share_a_rank_and_the_next_counts_them() -> None:
    frame = summary({"a": [100, 99, 104, 95], "b": [99, 101, 98, 103], "c": [50, 50, 51, 50]})
    assert ranks(frame) == {"a": 1, "b": 1, "c": 3}


def test_the_first_of_a_rank_is_who_the_others_are_compared_with() -> None:
    # c is told from a, d from a but not from c.
    frame = summary({"a": [100.0] * 6, "b": [99, 101] * 3, "c": [90.0] * 6, "d": [89, 91, 89, 91, 89, 90]})
    assert ranks(frame) == {"a": 1, "b": 1, "c": 3, "d": 3}


def test_what_a_whole_block_suffers_decides_nothing() -> None:
    slow = np.array([1, 0.3, 1, 0.5, 0.8, 1])
    frame = summary({"a": 100 * slow, "b": 96 * slow})
    found = ranking(frame, seed=1).set_index("contender")
    assert found["rank"].to_dict() == {"a": 1, "b": 2}
    assert found.loc["b", ["ratio", "low", "high"]].tolist() == pytest.approx([0.96] * 3)
    assert found.loc["a", ["ratio", "low", "high", "coverage", "blocks"]].tolist() == [1, 1, 1, 0.95, 6]


@settings(max_examples=25)
@given(st.dictionaries(st.sampled_from("abcde"), st.tuples(rates, rates), min_size=2))
def test_two_blocks_decide_nothing(values: dict[str, tuple[int, int]]) -> None:
    found = ranking(summary(values), seed=1)
    assert set(found["rank"]) == {1}
    assert found["low"].isna().all()
    assert found["value"].is_monotonic_decreasing


@settings(max_examples=25)
@given(st.dictionaries(st.sampled_from("abcde"), st.tuples(rates, rates, rates), min_size=1))
def test_less_is_better_is_the_same_the_other_way_round(values: dict[str, tuple[int, int, int]]) -> None:
    waits = {contender: [1 / value for value in own] for contender, own in values.items()}
    frame = summary(waits, column="start_p99_ms")
    faster = ranks(summary(values))
    assert ranks(frame, column="start_p99_ms", larger_is_better=False) == faster
    assert sorted(faster.values()) == list(faster.values())
    assert faster[next(iter(faster))] == 1


def test_only_queues_that_did_all_are_ranked() -> None:
    names = ["good", "late", "loser", "ghostly", "unseen", "null", "raw-redis", "good" + CONTROL]
    frame = summary({name: [10, 11, 12] for name in names})
    frame.loc[(frame["adapter"] == "late") & (frame["block"] == 2), "status"] = "timeout"
    frame.loc[(frame["adapter"] == "loser") & (frame["block"] == 3), "lost"] = 1
    frame.loc[(frame["adapter"] == "ghostly") & (frame["block"] == 3), "unexpected"] = 1
    frame.loc[(frame["adapter"] == "unseen") & (frame["block"] == 1), "jobs_per_s"] = math.nan
    assert ranks(frame) == {"good": 1}
    assert ranking(frame[frame["adapter"] != "good"], seed=1).empty


def test_each_setting_has_its_own_ranking() -> None:
    small = summary({"a": [10, 10, 10], "b": [5, 5, 5]}, jobs=100)
    large = summary({"a": [10, 10, 10], "b": [50, 50, 50]}, jobs=1_000)
    found = ranking(pd.concat([small, large]), seed=1)
    assert found.loc[:, ["jobs", "contender", "rank", "ratio"]].to_numpy().tolist() == [
        *([100, "a", 1, 1], [100, "b", 2, 0.5]),
        *([1_000, "b", 1, 1], [1_000, "a", 2, 0.2]),
    ]
    assert list(found.columns[: len(SETTINGS)]) == list(SETTINGS)


def test_equals_are_told_apart_as_seldom_as_the_coverage_says() -> None:
    told = [
        len(
            set(ranks(summary({"a": noisy(100, 0.1, 6, 2 * n), "b": noisy(100, 0.1, 6, 2 * n + 1)})).values())
        )
        for n in range(80)
    ]
    assert sum(number > 1 for number in told) <= 0.1 * 80


def test_a_control_is_known_by_its_name() -> None:
    assert [is_control(name) for name in ("celery-redis~2", "celery-redis")] == [True, False]
    assert [original(name) for name in ("celery-redis~2", "celery-redis")] == ["celery-redis"] * 2


def test_a_control_is_compared_by_each_measure_that_both_have() -> None:
    frame = summary({"a": [100, 200, 300], "a~2": [110, 200, 330], "b": [1, 1, 1]})
    frame["start_p50_ms"] = [1.0, 2, 3, 2, 4, 6, 9, 9, 9]
    frame["worker_cpu_s"] = [1.0, 2, 3, math.nan, math.nan, math.nan, 1, 1, 1]
    found = control(frame, seed=1)
    assert found["measure"].tolist() == ["jobs_per_s", "start_p50_ms"]
    assert set(found["contender"]) == {"a"}
    assert found["ratio"].tolist() == pytest.approx([1.1, 2])
    assert found["flagged"].tolist() == [False, True]
    assert found.loc[1, ["low", "high", "coverage", "blocks"]].tolist() == pytest.approx([2, 2, 0.75, 3])
    assert false_positives(found) == (1, 2)


def test_two_blocks_of_a_control_test_nothing_and_without_one_there_is_none() -> None:
    found = control(summary({"a": [100, 200], "a~2": [50, 100]}), seed=1)
    assert found["flagged"].tolist() == [False]
    assert false_positives(found) == (0, 0)
    none = control(summary({"a": [100, 200, 300]}), seed=1)
    assert none.empty
    assert false_positives(none) == (0, 0)


@pytest.mark.parametrize(("blocks", "expected"), [(3, 0.25), (6, 0.05)])
def test_of_a_fair_control_about_what_chance_allows_is_flagged(blocks: int, expected: float) -> None:
    frames = [
        summary({"a": noisy(100, 0.1, blocks, 2 * n), "a~2": noisy(100, 0.1, blocks, 2 * n + 1)}, jobs=n)
        for n in range(200)
    ]
    found = control(pd.concat(frames, ignore_index=True), seed=1)
    flagged, tested = false_positives(found)
    assert tested == 200
    assert (1 - found["coverage"]).tolist() == pytest.approx([expected] * 200)
    assert flagged / tested == pytest.approx(expected, abs=0.06)


def test_a_control_that_is_not_the_same_is_flagged() -> None:
    frame = summary({"a": noisy(100, 0.03, 6, 1), "a~2": noisy(80, 0.03, 6, 2)})
    assert control(frame, seed=1)["flagged"].tolist() == [True]
    assert set(control(frame, seed=1)["measure"]) <= set(MEASURES)
