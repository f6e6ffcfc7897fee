"""Runs compared: what changed, and what chance would flag."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest

from scenarios.comparing import changes
from scenarios.comparing.changes import Line, tally
from scenarios.comparing.mismatches import miscounts, unshared
from scenarios.comparing.searched import with_capacities
from scenarios.comparing.unpaired import median_ratio, ratio_interval, widest_coverage
from scenarios.comparing.yardsticks import choose
from tests.runs import RATES, cells, gathered


def compared(old: pd.DataFrame, new: pd.DataFrame, yardstick: str | None = "null") -> list[Line]:
    return changes.compare(gathered([old, new]), yardstick=yardstick, seed=1)


def verdicts(lines: Sequence[Line], contender: str) -> dict[str, tuple[str, str]]:
    """By measure what is said of a contender, as it is and relative."""
    return {
        line.measure.column: (
            line.plain.verdict(line.measure),
            line.relative.verdict(line.measure) if line.relative else "",
        )
        for line in lines
        if line.contender == contender
    }


# -- the interval -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("old", "new"), [(3, 3), (3, 6), (4, 4), (5, 5), (6, 6), (5, 10)])
def test_what_is_unchanged_is_flagged_about_as_often_as_claimed(old: int, new: int) -> None:
    random, flags, claims = np.random.default_rng(old * 100 + new), 0, 0.0
    trials = 800
    for trial in range(trials):
        before, after = (np.exp(random.normal(size=blocks)) for blocks in (old, new))
        interval = ratio_interval(before, after, seed=trial, resamples=400)
        assert interval is not None
        flags += not interval.low <= 1 <= interval.high
        claims += 1 - interval.coverage
    expected = claims / trials
    assert flags / trials <= expected + 0.02
    assert flags / trials >= expected / 3


def test_a_ratio_is_one_of_medians_and_its_interval_is_repeatable_and_symmetric() -> None:
    random = np.random.default_rng(3)
    old, new = np.exp(random.normal(size=6)), np.exp(random.normal(size=9))
    there, back = ratio_interval(old, new, seed=1), ratio_interval(new, old, seed=1)
    assert there is not None
    assert back is not None
    assert median_ratio(old, [*new, np.nan]) == np.median(new) / np.median(old)
    assert ratio_interval(old, new, seed=1) == there
    assert (1 / back.high, 1 / back.low) == pytest.approx((there.low, there.high), rel=0.05)
    assert there.low < median_ratio(old, new) < there.high


def test_three_blocks_against_three_claim_ninety_percent_and_say_how_far_they_go() -> None:
    assert widest_coverage(3, 3) == pytest.approx(0.9)
    interval = ratio_interval([1, 2, 3], [2, 4, 8], seed=1)
    assert interval == (2 / 3, 8.0, pytest.approx(0.9))
    assert ratio_interval([1, 2, np.nan], [2, 4, 8], seed=1) is None


@pytest.mark.parametrize("blocks", [3, 6])
def test_what_cannot_be_divided_might_be_anything(blocks: int) -> None:
    for value in (0.0, np.inf):
        assert ends([value] * blocks, [value] * blocks) == (0, np.inf)
        assert np.isnan(median_ratio([value], [value]))
    assert ends([5.0] * blocks, [np.inf] * blocks) == (np.inf, np.inf)
    assert ends([5.0] * blocks, [0.0] * blocks) == (0, 0)


def ends(old: Sequence[float], new: Sequence[float]) -> tuple[float, float]:
    interval = ratio_interval(old, new, seed=1)
    assert interval is not None
    return interval.low, interval.high


# -- the lines --------------------------------------------------------------------------------------


def test_runs_of_the_same_are_flagged_about_as_often_as_the_tally_expects() -> None:
    counted = []
    for seed in range(25):
        lines = compared(cells(seed=seed, blocks=3), cells(seed=1000 + seed, blocks=3))
        rates = [line for line in lines if line.measure.column == "jobs_per_s"]
        counted.append(tally(line.plain for line in rates))
    expected, flagged = sum(each.expected for each in counted), sum(each.flagged for each in counted)
    assert expected == pytest.approx(25 * len(RATES) * 0.1)
    assert 0.4 * expected <= flagged <= 1.8 * expected


def test_a_fifth_slower_is_found_and_the_others_are_not_accused() -> None:
    found = compared(cells(seed=1), cells(RATES | {"distq-redis": 16_000.0}, seed=2))
    slower = verdicts(found, "distq-redis")
    assert slower["jobs_per_s"] == ("slower", "slower")
    assert slower["finish_p99_ms"] == ("slower", "slower")
    assert slower["worker_cpu_s_per_1000"] == ("more", "more")
    assert slower["peak_rss_mb"] == ("no difference seen", "")
    assert {line.contender for line in found if line.flagged} == {"distq-redis"}
    (rate,) = (line for line in found if (line.contender, line.measure.head) == ("distq-redis", "jobs/s"))
    assert rate.plain.ratio == pytest.approx(rate.new / rate.old)
    assert rate.relative is not None
    assert rate.relative.ratio == pytest.approx(0.8, abs=0.06)


def test_a_machine_twice_as_fast_is_faster_as_it_is_and_relatively_the_same() -> None:
    found = compared(cells(seed=1), cells(seed=2, machine=2.0))
    for contender in set(RATES) - {"null"}:
        said = verdicts(found, contender)
        assert said["jobs_per_s"] == ("faster", "no difference seen")
        assert said["start_p50_ms"] == ("faster", "no difference seen")
        assert said["worker_cpu_s_per_1000"] == ("less", "no difference seen")
        assert said["broker_cpu_s_per_1000"] == ("less", "")  # null has no broker
    assert verdicts(found, "null")["jobs_per_s"] == ("faster", "")
    assert not any(line.flagged for line in found)


def test_without_a_yardstick_what_is_as_it_is_decides() -> None:
    found = compared(cells(seed=1), cells(seed=2, machine=2.0), yardstick=None)
    assert all(line.relative is None for line in found)
    assert all(line.flagged for line in found if line.measure.speed)


def test_few_blocks_and_no_numbers_tell_nothing() -> None:
    few = verdicts(compared(cells(seed=1, blocks=2), cells(seed=2)), "distq-redis")
    assert few["jobs_per_s"] == ("cannot tell (too few blocks)",) * 2
    never = [cells(seed=seed).assign(finish_p99_ms=np.inf) for seed in (1, 2)]
    assert verdicts(compared(*never), "distq-redis")["finish_p99_ms"][0] == "cannot tell (no ratio)"
    coarse = [cells(seed=seed).assign(worker_cpu_s=[0.0, 0.01] * 12) for seed in (1, 2)]
    assert verdicts(compared(*coarse), "null")["worker_cpu_s_per_1000"][0] == "cannot tell (no ratio)"
    for lines in (compared(*never), compared(*coarse)):
        assert tally(line.plain for line in lines).tested < len(lines)


def test_only_what_was_measured_under_one_setting_is_compared() -> None:
    new = cells(seed=2)
    new.loc[new["adapter"] == "celery-redis", "tier"] = "strict"
    new.loc[new["adapter"] == "raw-redis", "status"] = "failed"
    assert {line.contender for line in compared(cells(seed=1), new)} == {"null", "distq-redis"}


def test_where_the_rate_is_given_it_is_no_result() -> None:
    steady = [cells(seed=seed, rate=200.0, scenario="steady") for seed in (1, 2)]
    assert "jobs_per_s" not in {line.measure.column for line in compared(*steady)}


def test_a_capacity_is_compared_by_what_the_blocks_found() -> None:
    def searched(found: float) -> pd.DataFrame:
        level = {"scenario": "capacity", "slo": "finish_p99<50ms"}
        held = [cells({"distq-redis": 30_000.0}, seed=1, **level, rate=found)]
        held += [cells({"distq-redis": 10_000.0}, seed=1, **level, rate=1.1 * found, jobs=2000)]
        held += [cells({"distq-redis": 30_000.0}, seed=1, **level | {"scenario": "capacity-curve"}, rate=1.0)]
        return with_capacities(pd.concat(held, ignore_index=True))

    old, new = searched(1000.0), searched(700.0)
    assert old["jobs_per_s"].tolist() == [1000.0] * 6
    (line,) = compared(old, new, yardstick=None)
    assert (line.settings["scenario"], line.plain.ratio) == ("capacity finish_p99<50ms", 0.7)
    assert line.plain.verdict(line.measure) == "slower"
    assert unshared(old, new) == []


# -- the yardstick ----------------------------------------------------------------------------------


def test_the_yardstick_is_the_steadiest_that_is_in_most_and_not_itself_another_one() -> None:
    both = gathered([cells(seed=1), cells(seed=2)])
    restless = both["adapter"].isin(["null", "raw-redis"])
    both.loc[restless, "jobs_per_s"] *= np.exp(np.random.default_rng(3).normal(0, 0.5, restless.sum()))
    assert choose(both) == "celery-redis"
    assert choose(both, {"celery-redis", "raw-redis"}) == "null"
    assert choose(both.loc[both["adapter"] == "raw-redis"], {"raw-redis"}) == "raw-redis"
    assert choose(both.loc[both["adapter"] == "distq-redis"]) is None
    rare = (both["adapter"] == "celery-redis") & (both["run"] == 1)
    assert choose(both.loc[~rare], {"null"}) == "raw-redis"


# -- what is not shared, what went wrong ------------------------------------------------------------


def test_what_only_one_run_has_is_told_in_a_line_each() -> None:
    old = pd.concat([cells(seed=1), cells({"null": 9e4, "raw-redis": 5e4}, seed=1, jobs=10_000)])
    new = cells({name: rate for name, rate in RATES.items() if name != "null"}, seed=2)
    new.loc[new["adapter"] == "celery-redis", ["status", "reason"]] = ["failed", "out of luck"]
    assert unshared(old, new) == [
        "only in A: celery-redis (burst · 1,000 jobs); in B failed: out of luck",
        "only in A: null (burst · 1,000 jobs)",
        "only in A: burst · 10,000 jobs: null, raw-redis",
    ]
    assert unshared(old, old) == []


def test_jobs_that_got_lost_in_one_run_are_told() -> None:
    old, new = cells(seed=1), cells(seed=2, blocks=3)
    new.loc[new.index[3], ["lost", "status"]] = [2.0, "failed"]
    name = new["adapter"].iloc[3]
    assert miscounts(old, new) == [
        f"{name} (burst · 1,000 jobs): status ok → failed (1/3), lost 0 → 2, blocks 6 → 3"
    ]
    assert miscounts(old, old) == []
