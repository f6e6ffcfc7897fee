"""The checkers' own test: that it finds every mutant, and that it notices a checker which does not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import psutil
import pytest
from rich.console import Console

from adapters.registry import MUTANTS, REGISTRY, load
from scenarios import moments, mutants
from scenarios.mutation import checkers, suspects, trials
from scenarios.mutation.suspects import SUSPECTS, Suspect
from scenarios.mutation.trials import Trial
from tests.helpers import eventually

COMMAND = [sys.executable, "-m", "scenarios.mutants"]
ROOT = Path(__file__).parent.parent
TWICE = next(suspect for suspect in SUSPECTS if suspect.name == "null-twice")


@pytest.fixture
def only_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole way, for one mutant."""
    monkeypatch.setattr(trials, "BESIDE", [Trial("small", ["null", "null-twice"])])
    monkeypatch.setattr(trials, "_on_redis", lambda *_: {})
    monkeypatch.setattr(suspects, "SUSPECTS", [TWICE])


def count_duplicates(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    count = moments.count
    monkeypatch.setattr(moments, "count", lambda rows, **given: count(rows, **given) | {"duplicated": number})


@pytest.mark.timeout(300)
def test_every_mutant_is_caught() -> None:
    done = subprocess.run(
        COMMAND, cwd=ROOT, env=os.environ | {"COLUMNS": "250"}, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    head, *lines = done.stdout.splitlines()
    assert head.split()[0] == "mutant"
    assert [line.split()[0] for line in lines] == [suspect.name for suspect in SUSPECTS]
    for suspect, line in zip(SUSPECTS, lines, strict=True):
        verdict, _, said = line.partition(suspect.title)[2].strip().partition(" ")
        assert verdict == "caught", line
        assert said.strip(), line


@pytest.mark.usefixtures("only_twice")
def test_a_checker_that_is_switched_off_is_noticed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert mutants.main([]) == 0
    assert "NOT CAUGHT" not in capsys.readouterr().out

    count_duplicates(monkeypatch, 0)
    assert mutants.main([]) == 1
    assert "NOT CAUGHT" in capsys.readouterr().out


@pytest.mark.usefixtures("only_twice")
def test_a_checker_that_always_fires_has_caught_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    count_duplicates(monkeypatch, 7)
    assert mutants.run_all() == [
        mutants.Outcome(
            name="null-twice",
            fault=TWICE.fault,
            checker="duplicated",
            caught=False,
            said="of the sound original too: 7 duplicated of 2,000 jobs",
        )
    ]


def test_an_original_that_is_not_ok_is_no_yardstick() -> None:
    def cells(status: str, duplicated: int) -> pd.DataFrame:
        row = {"cell": "b1", "status": status, "reason": "no luck", "duplicated": duplicated, "jobs": 9}
        return pd.DataFrame([row])

    found = {"null": cells("failed", 0), "null-twice": cells("ok", 1)}
    outcome = mutants.judge(TWICE, found)
    assert (outcome.caught, outcome.said) == (False, "the original is no yardstick: b1 is failed: no luck")
    assert mutants.judge(TWICE, found | {"null": cells("ok", 0)}).caught


def test_a_mutant_that_could_not_run_is_not_caught() -> None:
    outcome = mutants.judge(TWICE, {"null": pd.DataFrame()})
    assert (outcome.caught, outcome.said) == (False, "it could not be run: there is no Redis or Valkey")


@pytest.mark.parametrize(
    ("pauses", "said"), [([1.2, 0.1], ""), ([1.2, 1.04], "longest pause 1.04 s"), ([float("nan")], "")]
)
def test_a_pause_counts_where_every_cell_has_it(pauses: list[float], said: str) -> None:
    assert checkers.paused(pd.DataFrame({"longest_pause_s": pauses})) == said


@pytest.mark.parametrize(
    ("ratios", "fires"),
    [
        ([0.84, 0.85, 0.83, 0.86, 0.8, 0.9], True),
        ([0.84, 0.85, 1.1, 1.2, 0.8, 0.9], False),
        ([0.999, 0.998, 0.997, 0.999, 0.98, 0.99], False),
        ([0.8, 0.8], False),
    ],
)
def test_slower_is_an_interval_that_lies_lower(ratios: list[float], fires: bool) -> None:
    assert bool(checkers.slower(pd.DataFrame({"ratio": ratios}))) == fires


def test_mutants_are_known_and_not_offered() -> None:
    assert not MUTANTS.keys() & REGISTRY.keys()
    assert {suspect.name for suspect in SUSPECTS} >= MUTANTS.keys()
    assert [load(name).name for name in MUTANTS] == [*MUTANTS]
    assert all(load(name).__bases__ == (load(original_of(name)),) for name in MUTANTS)


def original_of(name: str) -> str:
    found: Suspect = next(suspect for suspect in SUSPECTS if suspect.name == name)
    return found.original.removesuffix("~2")


def test_the_manifest_holds_every_outcome() -> None:
    outcome = mutants.Outcome("null-twice", "runs twice", "duplicated", True, "2 duplicated")
    told = ("name", "fault", "checker", "caught", "said")
    expected = dict(zip(told, ("null-twice", "runs twice", "duplicated", True, "2 duplicated"), strict=True))
    assert mutants.as_manifest([outcome]) == {"caught": [expected]}


def test_the_table_says_what_was_not_caught(capsys: pytest.CaptureFixture[str]) -> None:
    outcomes = [
        mutants.Outcome("null-a", "one [fault]", "this", True, "caught it [so]"),
        mutants.Outcome("null-b", "another", "that", False, "nothing"),
    ]
    mutants.print_table(outcomes, Console(width=100))
    _, first, second = capsys.readouterr().out.splitlines()
    assert first.split() == ["null-a", "one", "[fault]", "this", "caught", "caught", "it", "[so]"]
    assert second.split() == ["null-b", "another", "that", "NOT", "CAUGHT", "nothing"]


def test_bad_usage_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        mutants.main(["--all"])
    assert capsys.readouterr().err == "python -m scenarios.mutants: unrecognized arguments: --all\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_nothing(number: signal.Signals) -> None:
    with subprocess.Popen(
        COMMAND, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as run:
        wanted = {"scenarios.harness", "adapters.conformance", "scenarios.pool"}
        eventually(lambda: wanted <= {word for child in family(run) for word in words(child)}, timeout=30)
        children, began = family(run), time.monotonic()
        files = [Path(word) for child in children for word in words(child) if "/distq-" in word]
        run.send_signal(number)
        out, errors = run.communicate(timeout=20)
        assert time.monotonic() - began < 8
    assert (run.returncode, out, errors) == (1, "", "python -m scenarios.mutants: stopped\n")
    assert not [child for child in children if child.is_running()]
    assert files
    assert not any(path.exists() for path in files)


def family(process: subprocess.Popen[str]) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


def words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []
