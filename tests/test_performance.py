"""The programs of tests/performance run, and print what they are for. What they measure is nobody's proof."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def program(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", f"tests.performance.{name}", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        (
            "budget",
            ["postgres: µs a job", "redis: µs a job", "| lease |", "| sum of these |", "| enqueue_many |"],
        ),
        ("enqueue", ["many: jobs/s", "one at a time: jobs/s", "| distq-postgres |", "| distq-redis |"]),
        ("listeners", ["one job a transaction", "1,000 jobs a transaction", "| 0 |", "| 8 |", "| 64 |"]),
        (
            "telemetry",
            [
                "postgres: CPU, µs a job",
                "redis: CPU, µs a job",
                "| off |",
                "| Logfire, 1 % |",
                "| Logfire, all |",
            ],
        ),
        ("growth", ["postgres: after so many", "redis: after so many", "| dead rows of job |", "| 200 |"]),
        (
            "pages",
            ["postgres: pages with 4,000", "redis: pages with", "| dead letters |", "| a dead job |"],
        ),
    ],
)
def test_a_program_prints_its_tables(name: str, parts: list[str]) -> None:
    done = program(name, "--jobs", "4000" if name == "pages" else "200", "--rounds", "1")
    assert done.returncode == 0
    assert [line for line in done.stderr.splitlines() if " INFO " not in line] == []
    for part in parts:
        assert part in done.stdout
    assert "nan" not in done.stdout


def test_a_trace_is_drawn(tmp_path: Path) -> None:
    picture = tmp_path / "trace.png"
    assert program("trace", str(picture)).returncode == 0
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_bad_usage_is_one_line() -> None:
    done = program("budget", "--rounds", "0")
    assert (done.returncode, done.stdout) == (2, "")
    said = "python -m tests.performance.budget: argument --rounds: '0' is not a whole number from 1"
    assert done.stderr.startswith(said)
    assert len(done.stderr.splitlines()) == 1
