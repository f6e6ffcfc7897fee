"""`python -m scenarios.compare`: its tables, its plot of the history, its mistakes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from scenarios import compare
from scenarios.comparing.history import Timeline, history
from tests.runs import RATES, cells, gathered, manifest


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
