"""Tears a cell down in place of its harness: `python -m scenarios.teardown PLAN.json`."""

from __future__ import annotations

import sys
from pathlib import Path

from adapters.registry import load
from scenarios.plan import Plan


def main(path: str) -> None:
    """Tear down the cell of the plan in a file."""
    cell = Plan.model_validate_json(Path(path).read_bytes()).cell
    load(cell.adapter)(cell).teardown()


if __name__ == "__main__":
    main(sys.argv[1])
