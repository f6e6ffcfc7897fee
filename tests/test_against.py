"""The gate against an older version: what it decides, and a comparison from the first line to the last."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import psutil
import pytest

from scenarios import versions
from scenarios.comparison import Comparison, compare
from scenarios.errands import ErrandFailed, Errands
from scenarios.match import NEEDS, Match
from scenarios.versions import UnknownRevision
from tests.helpers import eventually

AGAINST = [sys.executable, "-m", "scenarios.against"]
ROOT = Path(__file__).parent.parent


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A directory that every user may enter, as PostgreSQL's must: it does not run as root."""
    directory = Path(tempfile.mkdtemp(prefix="distq-against-", dir="/var/tmp"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory)


def start(scratch: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*AGAINST, *arguments],
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(scratch)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def judge(*ratios: float) -> Comparison:
    """The comparison of pairs in which the new version reaches so much of what the older one does."""
    olds = np.random.default_rng(1).uniform(800, 1250, len(ratios))
    pairs = [({"a": old}, {"a": old * ratio}) for old, ratio in zip(olds, ratios, strict=True)]
    (comparison,) = compare(pairs, seed=1)
    return comparison


@pytest.mark.parametrize(
    ("ratios", "verdict"),
    [
        ((0.78, 0.83, 0.80, 0.76, 0.84, 0.79, 0.81, 0.80), "slower"),
        ((0.97, 1.04, 1.01, 0.95, 1.06, 0.99, 1.02, 0.98), "not slower"),
        ((0.93, 0.95, 0.94, 0.96, 0.92, 0.94, 0.95, 0.93), "not slower"),
        ((0.70, 1.20, 0.85, 1.05, 0.75, 1.15, 0.90, 1.00), "cannot tell"),
        ((1.25, 1.30, 1.20, 1.28, 1.22, 1.26), "not slower"),
        ((0.50, 0.51), "too few pairs"),
    ],
)
def test_only_who_is_surely_slower_fails(ratios: tuple[float, ...], verdict: str) -> None:
    found = judge(*ratios)
    assert (found.verdict, found.slower) == (verdict, verdict == "slower")
    assert found.ratio == pytest.approx(np.exp(np.median(np.log(ratios))))


def test_a_fifth_less_is_caught_and_noise_is_not() -> None:
    source = np.random.default_rng(2)
    noise = [np.exp(source.normal(0, 0.05, 8)) for _ in range(100)]
    assert all(judge(*(0.8 * ratios)).slower for ratios in noise)
    assert not any(judge(*ratios).slower for ratios in noise)


def test_the_first_revision_is_the_last_release_else_main_else_what_was_before(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(versions, "ROOT", tmp_path)
    name = ["-c", "user.name=x", "-c", "user.email=x@localhost", "-c", "commit.gpgsign=false"]

    def git(*words: str) -> str:
        done = subprocess.run(
            ["git", *name, *words], cwd=tmp_path, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    git("init", "--quiet", "--initial-branch", "main")
    with pytest.raises(UnknownRevision, match="'main~1' is no revision of the git repository in"):
        versions.find()
    for text in ("first", "second"):
        git("commit", "--quiet", "--allow-empty", "--message", text)
    first, second = git("rev-parse", "main~1"), git("rev-parse", "main")
    assert versions.find() == ("main~1", first)
    git("switch", "--quiet", "--create", "work")
    git("commit", "--quiet", "--allow-empty", "--message", "third")
    assert versions.find() == ("main", second)
    git("tag", "v1", "main~1")
    assert versions.find() == ("v1", first)
    assert versions.find("main") == ("main", second)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nonsense"], "'nonsense' is no revision of the git repository in "),
        (["--output=x"], "unrecognized arguments: --output=x"),
        (["HEAD", "--pairs", "0"], "argument --pairs: '0' is not a whole number from 1"),
    ],
)
def test_bad_usage_is_one_line(arguments: list[str], said: str, scratch: Path) -> None:
    process = start(scratch, *arguments)
    out, errors = process.communicate(timeout=30)
    assert (process.returncode, out) == (2, "")
    assert errors.startswith(f"python -m scenarios.against: {said}")
    assert len(errors.splitlines()) == 1


@pytest.mark.parametrize(
    ("redis", "said"),
    [
        ("distq-redis,failed,,1 of 50 jobs lost", "distq-redis: failed: 1 of 50 jobs lost"),
        ("distq-redis,timeout,9,", "distq-redis: timeout: out of luck"),
        ("", "out of luck"),
    ],
)
def test_a_version_that_cannot_be_measured_is_one_line(
    redis: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(errands: Errands, *command: str | Path, packages: Path) -> str:
        if "--help" in command:
            return ""
        out = Path(command[-1])
        out.mkdir()
        rows = ["adapter,status,jobs_per_s,reason", "distq-postgres,ok,1000,", redis]
        (out / "summary.csv").write_text("\n".join(rows))
        raise ErrandFailed("out of luck")

    monkeypatch.setattr(Errands, "python", run)
    monkeypatch.setattr(versions, "install_commit", lambda *_: tmp_path)
    monkeypatch.setattr(versions, "install_working_tree", lambda *_: tmp_path)
    urls = dict.fromkeys(NEEDS, "x://")
    servers: Any = SimpleNamespace(guard=SimpleNamespace(directory=tmp_path), urls=urls)
    match = Match(servers, jobs=50)
    match.install("HEAD")
    with pytest.raises(ErrandFailed, match=f"^(older version|working tree): {said}$"):
        next(match.pairs(1, seed=1))


@pytest.mark.timeout(240)
def test_two_versions_are_built_measured_and_shown(scratch: Path) -> None:
    process = start(scratch, "HEAD", "--pairs", "1", "--jobs", "50")
    out, errors = process.communicate(timeout=220)
    assert (process.returncode, errors) == (0, "")
    first, pair, heads, *rows, _ = out.splitlines()
    assert first.startswith("old: HEAD (")
    assert pair.split()[:4] == ["1/1", "new", "/", "old:"]
    assert heads.split() == ["contender", "old", "jobs/s", "new", "jobs/s", "new", "/", "old", "verdict"]
    assert [row.split()[0] for row in rows] == ["distq-postgres", "distq-redis"]
    assert all(row.rstrip().endswith("too few pairs") for row in rows)
    assert list(scratch.iterdir()) == []


def test_ctrl_c_leaves_nothing(scratch: Path) -> None:
    process = start(scratch, "HEAD", "--pairs", "1", "--jobs", "50")
    eventually(lambda: list(scratch.glob("*/older/tree/pyproject.toml")), timeout=30)
    others = psutil.Process(process.pid).children(recursive=True)
    assert others
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (1, "python -m scenarios.against: stopped\n")
    assert list(scratch.iterdir()) == []
    eventually(lambda: not any(other.is_running() for other in others))
