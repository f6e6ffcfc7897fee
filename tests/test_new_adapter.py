"""`python -m adapters.new`, and docs/adapters.md, whose contender is built here as a reader builds it."""

from __future__ import annotations

import csv
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.likeness import Likeness
from tests.pools import ROOT

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of what a contender needs, to write in."""
    for name in ("adapters", "scenarios", "tests"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def run(tree: Path, command: str) -> subprocess.CompletedProcess[str]:
    """Run a command as a reader of the page does, in the copy."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {
        **os.environ,
        "PATH": path,
        "PYTHONPATH": str(tree),
        "COLUMNS": "120",
        # Else the plugins of this environment are loaded too, which takes seconds.
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTEST_ADDOPTS": "-p pytest_timeout",
        "PYDANTIC_DISABLE_PLUGINS": "__all__",
    }
    return subprocess.run(
        command, shell=True, cwd=tree, env=environment, capture_output=True, text=True, timeout=100
    )


def test_the_page_builds_a_contender(tree: Path) -> None:
    page = (ROOT / "docs" / "adapters.md").read_text()
    file, pieces = tree / "adapters" / "sqlite.py", []
    for kind, block in _BLOCK.findall(page):
        if kind == "python":
            pieces.append(block)
            file.write_text("\n".join(pieces))
        elif kind == "console":
            follow(tree, block)
    (summary,) = tree.glob("results/*/summary.csv")
    with summary.open(newline="") as rows:
        status = {row["adapter"]: row["status"] for row in csv.DictReader(rows)}
    assert status == {"sqlite": "ok", "null": "ok"}


def follow(tree: Path, block: str) -> None:
    """Run the commands of a block, and see that they print what is shown."""
    _, *steps = re.split(r"^\$ ", block, flags=re.MULTILINE)
    for step in steps:
        command, _, shown = step.partition("\n")
        done = run(tree, command)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        said = "\n".join(line.rstrip() for line in done.stdout.splitlines())
        Likeness({}).check(shown.rstrip(), said)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "'' is no name for a contender"),
        ("Kafka", "'Kafka' is no name for a contender"),
        ("../x", "'../x' is no name for a contender"),
        ("a--b", "'a--b' is no name for a contender"),
        ("a" * 41, "is no name for a contender"),
        ("import", "'import' is taken"),
        ("null", "'null' is taken"),
        ("base", "adapters/base.py is there already"),
        ("templates", "adapters/templates is there already"),
        ("report", "tests/test_report.py is there already"),
    ],
)
def test_a_name_that_will_not_do_is_refused_in_one_line(name: str, why: str, tree: Path) -> None:
    before = contents(tree)
    done = run(tree, f"python -m adapters.new '{name}'")
    assert (done.returncode, done.stdout) == (2, "")
    assert why in done.stderr
    assert done.stderr.startswith("python -m adapters.new: ")
    assert len(done.stderr.splitlines()) == 1
    assert contents(tree) == before


def test_a_registry_that_is_not_understood_is_left_alone(tree: Path) -> None:
    registry = tree / "adapters" / "registry.py"
    registry.write_text(registry.read_text().replace("REGISTRY: dict[str, str] = {", "REGISTRY = {"))
    before = contents(tree)
    done = run(tree, "python -m adapters.new kafka")
    assert done.returncode == 2
    assert "has no REGISTRY" in done.stderr
    assert contents(tree) == before


def contents(tree: Path) -> dict[Path, bytes]:
    """Every file, but for compiled ones."""
    return {path: path.read_bytes() for path in tree.rglob("*.*") if path.is_file() and path.suffix != ".pyc"}
