"""The command line: what is meant, and one line for what cannot be."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest

from adapters.base import Service
from adapters.registry import REGISTRY
from scenarios import options
from scenarios.catalogue import SCENARIOS, Setting, varied
from scenarios.options import Chapter, Options
from scenarios.presets import PRESETS
from scenarios.tasks import Task, tasks, work_off


def parse(tmp_path: Path, *arguments: str) -> Options:
    return options.parse(["--out", str(tmp_path / "run"), *arguments])


def chapter(tmp_path: Path, *arguments: str) -> Chapter:
    (only,) = parse(tmp_path, *arguments).chapters
    return only


def test_the_defaults(tmp_path: Path) -> None:
    given = parse(tmp_path)
    (only,) = given.chapters
    assert [setting.jobs for setting in only.settings] == [100, 1000, 10_000]
    assert (only.adapters, only.repeats) == (list(REGISTRY), 3)
    assert not given.named
    assert given.conform
    assert not given.mutants
    assert (given.title, given.tier, given.expected) == ("burst", "production", "")
    assert only.settings[0] == Setting(jobs=100, workers=os.cpu_count() or 1)
    assert given.out == tmp_path / "run"
    assert set(given.urls.values()) == {None}


def test_every_option_is_heard(tmp_path: Path) -> None:
    given = parse(
        tmp_path,
        *("--jobs", "5,7,5", "--adapters", "distq-redis, null,distq-redis", "--scenario", "backlog"),
        *(
            "--workers",
            "4",
            "--concurrency",
            "8",
            "--repeats",
            "1",
            "--tier",
            "strict",
            "--profile",
            "tuned,default",
        ),
        *("--work", "sleep:2.5", "--payload", "0", "--deadline", "0.5", "--seed", "0", "--batch", "3"),
        *("--behind", "0, 9", "--disturb", "snapshot", "--redis-url", "redis://somewhere"),
        *("--control", "null", "--producers", "2", "--no-conform", "--profile", "tuned,default"),
    )
    (only,) = given.chapters
    shared = {"scenario": "backlog", "shape": "backlog", "concurrency": 8, "work": "sleep:2.5", "workers": 4}
    shared |= {"batch": 3, "payload_bytes": 0, "disturbance": "snapshot", "deadline_s": 0.5, "producers": 2}
    assert only.settings == [
        Setting(**shared, profile=profile, jobs=jobs, behind=behind)
        for profile in ("tuned", "default")
        for jobs in (5, 7)
        for behind in (0, 9)
    ]
    assert only.adapters == ["distq-redis", "null", "null~2"]
    assert (given.named, only.repeats, given.tier, given.seed, given.conform) == (True, 1, "strict", 0, False)
    assert given.urls == {
        Service.POSTGRES: None,
        Service.REDIS: "redis://somewhere",
        Service.RABBITMQ: None,
    }


def test_a_steady_load_has_a_rate_and_a_time(tmp_path: Path) -> None:
    (given,) = chapter(tmp_path, "--scenario", "steady", "--rate", "200.5", "--for", "2s").settings
    assert (given.jobs, given.rate, given.schedule) == (401, 200.5, "poisson")
    (given,) = chapter(tmp_path / "other", "--scenario", "steady", "--schedule", "uniform").settings
    assert (given.jobs, given.schedule) == (5000, "uniform")


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_scenario_is_a_few_settings_of_one_shape(name: str, tmp_path: Path) -> None:
    given = chapter(tmp_path, "--scenario", name)
    assert {setting.shape for setting in given.settings} == {SCENARIOS[name].shape}
    swept = "sweep" in name or name in ("backlog-depth", "held-snapshot", "promise")
    assert len(varied(given.settings)) == (3 if name == "sensitivity" else swept)
    assert len(set(given.settings)) == len(given.settings)


def test_around_a_setting_one_thing_changes_at_a_time(tmp_path: Path) -> None:
    base, *near = chapter(tmp_path, "--scenario", "sensitivity", "--workers", "2").settings
    assert (base.workers, base.payload_bytes, base.batch) == (2, 100, 0)
    assert all(len(varied([base, setting])) == 1 for setting in near)
    assert [setting.workers for setting in near if setting.workers != 2] == [1, 4]


@pytest.mark.parametrize("name", PRESETS)
def test_the_cells_of_a_preset_have_keys_of_their_own(name: str, tmp_path: Path) -> None:
    given = parse(tmp_path, "--preset", name, "--seed", "1")
    keys = [task.key for task in run_through(given)]
    assert len(set(keys)) == len(keys) > 10
    assert given.title == name
    assert given.expected.startswith("about")


def test_a_preset_keeps_to_the_contenders_that_are_named(tmp_path: Path) -> None:
    given = parse(tmp_path, "--preset", "standard", "--adapters", "celery-redis,null")
    assert {task.adapter for task in run_through(given)} == {"celery-redis", "null"}


def run_through(given: Options) -> list[Task]:
    """All cells, where each of a search holds its level up to 900 jobs a second."""
    found: list[Task] = []

    def measure(task: Task) -> dict[str, Any]:
        found.append(task)
        return {"status": "ok", "finish_p99_ms": 1.0 if task.setting.rate < 900 else 1000.0}

    work_off(tasks(given), measure)
    return found


def test_a_search_goes_up_and_then_closes_in(tmp_path: Path) -> None:
    words = ("--scenario", "capacity", "--repeats", "1", "--adapters", "null", "--rate", "50", "--for", "2")
    ran = run_through(parse(tmp_path, *words))
    searched = [task.setting.rate for task in ran if task.setting.scenario == "capacity"]
    assert searched[:4] == [50, 200, 800, 3200]
    assert 800 < searched[-1] < 1000
    curve = [task.setting.rate for task in ran if task.setting.scenario == "capacity-curve"]
    assert curve == sorted(curve)
    assert curve[0] == pytest.approx(curve[-2] / 10, rel=0.01)
    assert all(task.setting.jobs >= 100 for task in ran)
    assert len({task.key for task in ran}) == len(ran)


def test_nothing_behind_may_be_said_of_any_scenario(tmp_path: Path) -> None:
    assert {setting.behind for setting in chapter(tmp_path, "--behind", "0").settings} == {0}


def test_the_command_line_comes_before_the_preset(tmp_path: Path) -> None:
    given = chapter(tmp_path, "--scenario", "sweep-workers", "--workers", "3", "--jobs", "7")
    assert [(setting.workers, setting.jobs) for setting in given.settings] == [(3, 7)]


def test_naming_all_of_them_is_naming_them(tmp_path: Path) -> None:
    assert parse(tmp_path, "--adapters", ",".join(REGISTRY)).named
    assert not parse(tmp_path, "--adapters", "all").named


def test_without_a_seed_each_run_has_another(tmp_path: Path) -> None:
    assert parse(tmp_path).seed != parse(tmp_path).seed


BAD = [
    ("--jobs 0", "--jobs: '0' is not a whole number from 1"),
    ("--jobs abc", "--jobs: 'abc'"),
    ("--jobs 100,,5", "--jobs: ''"),
    ("--jobs 1e3", "--jobs: '1e3'"),
    ("--jobs ٣", "--jobs"),
    ("--jobs 1000000000", "to 999999999"),
    (f"--jobs {'9' * 5000}", "--jobs"),
    ("--workers -1", "--workers: '-1'"),
    ("--workers 0", "--workers: '0'"),
    ("--concurrency 1.5", "--concurrency: '1.5'"),
    ("--repeats 0", "--repeats"),
    ("--payload -5", "--payload"),
    ("--payload 99999999999", "--payload"),
    ("--deadline 0", "--deadline: '0' is not a number of seconds above 0"),
    ("--deadline nan", "--deadline"),
    ("--deadline inf", "--deadline"),
    ("--deadline soon", "--deadline"),
    ("--seed x", "--seed"),
    ("--work sleep:x", "--work: 'sleep:x' is none of noop, sleep:MS and cpu:MS"),
    ("--work sleep:nan", "--work"),
    ("--work nap:1", "--work"),
    ("--scenario storm", "--scenario: invalid choice: 'storm'"),
    ("--batch 0", "--batch: '0'"),
    ("--disturb none,storm", "--disturb: 'storm' is none of none, snapshot"),
    ("--behind 10", "--behind: only where a backlog is filled first"),
    ("--scenario churn --behind 10", "--behind: only where a backlog is filled first"),
    ("--scenario idle --jobs 1", "--jobs: in --scenario idle --rate and --for say how many"),
    ("--rate 100", "--rate, --for and --schedule are for --scenario steady"),
    ("--for 3s", "--rate, --for and --schedule are for --scenario steady"),
    ("--scenario steady --jobs 10", "--jobs: in --scenario steady --rate and --for say how many"),
    ("--scenario steady --rate 0", "--rate: '0' is not a number of jobs a second"),
    ("--scenario steady --rate fast", "--rate"),
    ("--scenario steady --for 1h", "--for: '1h' is not a number of seconds"),
    ("--tier eternal", "--tier"),
    ("--profile mine", "--profile"),
    ("--adapters celery-reddis", "did you mean celery-redis"),
    ("--adapters distq", "did you mean distq-"),
    ("--adapters ,", "no contender is named"),
    ("--adapter null", "unrecognized arguments: --adapter"),
    ("--jobs", "--jobs: expected one argument"),
    ("null", "unrecognized arguments: null"),
]


@pytest.mark.parametrize(("line", "said"), BAD, ids=[line[:30] for line, _ in BAD])
def test_a_mistake_is_one_line_and_status_2(
    line: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        parse(tmp_path, *line.split())
    assert caught.value.code == 2
    assert re.fullmatch(r"python -m scenarios\.run: [^\n]+\n", error := capsys.readouterr().err)
    assert said in error
    assert not (tmp_path / "run").exists()


def test_a_folder_that_cannot_be_written_is_a_mistake(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit, match="2"):
        options.parse(["--out", str(tmp_path / "file" / "run")])
    assert capsys.readouterr().err.endswith("run: cannot write there: Not a directory\n")


def test_a_run_is_not_written_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    parse(tmp_path)
    (tmp_path / "run" / "summary.csv").touch()
    with pytest.raises(SystemExit, match="2"):
        parse(tmp_path)
    assert "there is a run already" in capsys.readouterr().err


def test_the_list_has_a_line_a_contender(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(REGISTRY, "absent", "absent.module:Absent")
    with pytest.raises(SystemExit, match="0"):
        options.parse(["--list"])
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert list(lines) == list(REGISTRY)
    assert lines["null"].startswith("no server")
    assert lines["celery-rabbitmq"].startswith("rabbitmq + redis")
    assert lines["absent"] == "unavailable: absent needs the library 'absent': pip install absent"
