from __future__ import annotations

import ast
import re
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
import pytest

from scenarios import report
from scenarios.commandline import make_parser
from tests import chapters, synthetic

ROOT = Path(__file__).resolve().parent.parent
REFERENCE = ROOT / "results" / "reference"
NAMES = ("01_throughput", "02_latency", "03_cost_and_scaling", "04_your_own_question")
NOTEBOOKS = [ROOT / "notebooks" / f"{name}.ipynb" for name in NAMES]
IMPORTABLE = {"scenarios", "scenarios.report", "pandas"}
COMMAND = re.compile(r"`python -m scenarios\.run ([^`]+)`")

notebooks = pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with every scenario that a notebook shows, on servers whose costs were all seen."""
    directory = chapters.write_run(tmp_path_factory.mktemp("everything"))
    summary = report.load(directory).summary
    for column in ("producer_cpu_s", "log_mb", "broker_mb"):
        summary[column] = summary["worker_cpu_s"]
    summary.to_csv(directory / "summary.csv", index=False)
    return directory


def code(path: Path) -> list[nbformat.NotebookNode]:
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


def results(path: Path, run: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, Any]]:
    """Of each cell its name, and the value of its last line, as a notebook shows it; without a kernel."""
    monkeypatch.setenv("RUN", str(run))
    names: dict[str, Any] = {}
    for cell in code(path):
        tree = ast.parse(cell.source)
        last = tree.body.pop()
        assert isinstance(last, ast.Expr), f"{cell.id} shows nothing"
        exec(compile(tree, cell.id, "exec"), names)
        yield cell.id, eval(compile(ast.Expression(last.value), cell.id, "eval"), names)


def outputs(cells: list[nbformat.NotebookNode]) -> list[tuple[str, dict[str, str]]]:
    """Of each cell what it shows, by kind; of a picture only that there is one."""
    return [
        (cell.id, {kind: "" if kind == "image/png" else text for kind, text in output.data.items()})
        for cell in cells
        for output in cell.outputs
    ]


def test_the_notebooks_are_all_there() -> None:
    assert sorted((ROOT / "notebooks").glob("*.ipynb")) == NOTEBOOKS


@notebooks
def test_a_notebook_imports_the_report_and_pandas_only(path: Path) -> None:
    tree = ast.parse("\n".join(cell.source for cell in code(path)))
    names = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert set(names) <= IMPORTABLE


def test_an_idiom_has_ten_lines_at_most() -> None:
    assert all(len(cell.source.splitlines()) <= 10 for cell in code(NOTEBOOKS[-1]))


@notebooks
def test_a_notebook_shows_all_that_a_run_has(
    path: Path, everything: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = dict(results(path, everything, monkeypatch))
    assert not [name for name, value in shown.items() if value is None]
    assert report.load(everything).seal in next(iter(shown.values()))
    pictures = [value.png() for value in shown.values() if isinstance(value, report.Picture)]
    assert pictures
    assert not [name for name, value in shown.items() if isinstance(value, str) and COMMAND.search(value)]
    assert not [name for name, value in shown.items() if isinstance(value, pd.DataFrame) and value.empty]


@notebooks
def test_what_a_run_lacks_is_the_command_that_measures_it(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = synthetic.write_run(tmp_path)
    shown = [value for _, value in results(path, run, monkeypatch) if isinstance(value, str)]
    commands = [words.split() for value in shown for words in COMMAND.findall(value)]
    asked = {make_parser().parse_args(words).scenario for words in commands}
    lacks = ({"burst", "promise"}, {"steady", "capacity"}, {"sweep-workers", "sensitivity"}, set())
    assert asked == lacks[NOTEBOOKS.index(path)]
    assert len(commands) == len(asked)


@notebooks
def test_a_search_alone_can_be_shown(
    path: Path, everything: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = report.load(everything)
    for name in ("jobs.csv.gz", "manifest.json"):
        (tmp_path / name).symlink_to(everything / name)
    searched = run.summary.loc[run.summary.loc[:, "scenario"].str.startswith("capacity")]
    searched.to_csv(tmp_path / "summary.csv", index=False)
    assert dict(results(path, tmp_path, monkeypatch))


@notebooks
def test_a_committed_notebook_is_what_it_shows_of_the_reference_run(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RUN", raising=False)
    committed = outputs(code(path))
    assert report.load(REFERENCE).seal in committed[0][1]["text/markdown"]
    assert any("image/png" in kinds for _, kinds in committed)
    execute = runpy.run_path(str(ROOT / "notebooks" / "execute.py"))["execute"]
    cells = [cell for cell in execute(path).cells if cell.cell_type == "code"]
    assert outputs(cells) == committed, "stale: run python notebooks/execute.py"
