from __future__ import annotations

import ast
import runpy
from pathlib import Path

import nbformat
import pytest

from scenarios import report
from tests import synthetic

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
IMPORTABLE = {"scenarios", "scenarios.report", "pandas"}

notebooks = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def code(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def shown(notebook: nbformat.NotebookNode, kind: str) -> list[str]:
    outputs = (output for cell in code(notebook) for output in cell.outputs)
    return [output.data[kind] for output in outputs if kind in output.get("data", {})]


def test_both_notebooks_are_there() -> None:
    assert [path.name for path in NOTEBOOKS] == ["01_throughput.ipynb", "02_latency.ipynb"]


@notebooks
def test_a_notebook_imports_the_report_and_pandas_only(path: Path) -> None:
    tree = ast.parse("\n".join(cell.source for cell in code(nbformat.read(path, as_version=4))))
    names = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert set(names) <= IMPORTABLE


@notebooks
def test_a_notebook_runs_top_to_bottom_on_any_run(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUN", str(synthetic.write_run(tmp_path)))
    execute = runpy.run_path(str(ROOT / "notebooks" / "execute.py"))["execute"]
    notebook = execute(path)
    assert all(cell.outputs[-1].output_type == "execute_result" for cell in code(notebook) if cell.outputs)
    assert all(len(cell.outputs) == 1 for cell in code(notebook))
    assert synthetic.RUN_ID in shown(notebook, "text/markdown")[0]
    assert shown(notebook, "image/png")


@notebooks
def test_a_notebook_opens_with_the_reference_run_in_it(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    assert shown(notebook, "image/png")
    assert report.load(ROOT / "results" / "reference").id in shown(notebook, "text/markdown")[0]
