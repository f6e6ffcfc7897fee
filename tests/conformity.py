"""Examines a contender as the harness does: in a process of its own, on the servers of the tests."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from adapters.base import Cell, Service
from adapters.conformance import PromiseRow
from adapters.registry import load

ServerUrl = Callable[[Service], str]

COMMAND = [sys.executable, "-m", "adapters.conformance"]


def examine(name: str, directory: Path, server_url: ServerUrl, *options: str) -> PromiseRow:
    """What `python -m adapters.conformance` sees of a contender."""
    file = cell_file(name, directory, {service: server_url(service) for service in load(name).needs})
    return examine_cell(file, *options)


def cell_file(name: str, directory: Path, urls: dict[Service, str]) -> Path:
    """A file that holds a cell of the contender, in that directory."""
    namespace = f"conformity_{secrets.token_hex(4)}"
    cell = Cell(adapter=name, namespace=namespace, urls=urls, directory=directory)
    file = directory / "cell.json"
    file.write_text(cell.model_dump_json())
    return file


def examine_cell(file: Path, *options: str, **environment: str) -> PromiseRow:
    """What is seen of the cell in a file."""
    environment = {**os.environ, "PYDANTIC_DISABLE_PLUGINS": "__all__", **environment}
    done = subprocess.run(
        [*COMMAND, file, *options], env=environment, capture_output=True, text=True, timeout=100
    )
    assert done.returncode in (0, 1), done.stderr
    row = PromiseRow.model_validate_json((file.parent / "conformance.json").read_bytes())
    assert done.returncode == bool(row.problems), done.stderr
    return row
