"""The command line: what is meant, and one line for what cannot be."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from adapters.base import Service
from adapters.registry import REGISTRY
from scenarios import options
from scenarios.options import Options
from scenarios.presets import PRESETS, Setting, varied


def parse(tmp_path: Path, *arguments: str) -> Options:
    return options.parse(["--out", str(tmp_path / "run"), *arguments])


def test_the_defaults(tmp_path: Path) -> None:
    given = parse(tmp_path)
    assert [setting.jobs for setting in given.settings] == [100, 1000, 10_000]
    assert given.adapters == list(REGISTRY)
    assert not given.named
    assert (given.scenario, given.tier, given.profile) == ("burst", "production", "matched")
    assert given.settings[0] == Setting(100, os.cpu_count() or 1, 0, 100, 0, "none")
    assert (given.concurrency, given.repeats, given.work, given.deadline) == (1, 3, "noop", 60)
    assert given.out == tmp_path / "run"
    assert set(given.urls.values()) == {None}


def test_every_option_is_heard(tmp_path: Path) -> None:
    given = parse(
        tmp_path,
        *("--jobs", "5,7,5", "--adapters", "distq-redis, null,distq-redis", "--scenario", "backlog"),
        *("--workers", "4", "--concurrency", "8", "--repeats", "1", "--tier", "strict", "--profile", "tuned"),
        *("--work", "sleep:2.5", "--payload", "0", "--deadline", "0.5", "--seed", "0", "--batch", "3"),
        *("--behind", "0, 9", "--disturb", "snapshot", "--redis-url", "redis://somewhere"),
    )
    assert given.settings == [
        Setting(jobs, 4, 3, 0, behind, "snapshot") for jobs in (5, 7) for behind in (0, 9)
    ]
    assert given.adapters == ["distq-redis", "null"]
    assert given.named
    assert (given.scenario, given.shape, given.concurrency, given.repeats) == ("backlog", "backlog", 8, 1)
    assert (given.tier, given.profile, given.work) == ("strict", "tuned", "sleep:2.5")
    assert (given.deadline, given.seed) == (0.5, 0)
    assert given.urls == {
        Service.POSTGRES: None,
        Service.REDIS: "redis://somewhere",
        Service.RABBITMQ: None,
    }


def test_a_steady_load_has_a_rate_and_a_time(tmp_path: Path) -> None:
    given = parse(tmp_path, "--scenario", "steady", "--rate", "200.5", "--for", "2s")
    assert ([setting.jobs for setting in given.settings], given.rate) == ([401], 200.5)
    assert parse(tmp_path / "other", "--scenario", "steady").settings[0].jobs == 5000


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_a_few_settings_of_one_shape(name: str, tmp_path: Path) -> None:
    given = parse(tmp_path, "--scenario", name)
    assert given.shape == PRESETS[name].shape
    assert len(varied(given.settings)) == ("sweep" in name or name in ("backlog-depth", "held-snapshot"))
    assert len(set(given.settings)) == len(given.settings)


def test_nothing_behind_may_be_said_of_any_scenario(tmp_path: Path) -> None:
    assert {setting.behind for setting in parse(tmp_path, "--behind", "0").settings} == {0}


def test_the_command_line_comes_before_the_preset(tmp_path: Path) -> None:
    given = parse(tmp_path, "--scenario", "sweep-workers", "--workers", "3", "--jobs", "7")
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
    ("--rate 100", "--rate and --for are for --scenario steady"),
    ("--for 3s", "--rate and --for are for --scenario steady"),
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
