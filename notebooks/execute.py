"""Run the notebooks top to bottom and keep their outputs: `python notebooks/execute.py [NOTEBOOK …]`.

RUN picks the run, as in the notebooks; nothing that differs from one execution to the next is kept.
"""

import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

HERE = Path(__file__).resolve().parent


def execute(source: Path) -> nbformat.NotebookNode:
    """The notebook with fresh outputs. Raises nbclient's CellExecutionError where a cell fails."""
    notebook = nbformat.read(source, as_version=4)
    quiet = ["--IPKernelApp.log_level=ERROR"]
    here = {"metadata": {"path": HERE}}
    NotebookClient(
        notebook, timeout=300, record_timing=False, resources=here, extra_arguments=quiet
    ).execute()
    notebook.metadata["language_info"] = {"name": "python"}
    return notebook


if __name__ == "__main__":
    for path in map(Path, sys.argv[1:]) if sys.argv[1:] else sorted(HERE.glob("*.ipynb")):
        nbformat.write(execute(path), path)
