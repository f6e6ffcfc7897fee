"""`python -m adapters.conformance CELL.json [--full]`: examine the cell's contender, write the promise row.

Exit status: 0 when it conforms, 1 when there are problems, both with `<cell.directory>/conformance.json`
written; 143 after SIGTERM or Ctrl-C, with nothing left; 2 for bad usage, with one line that says what.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from adapters.base import AdapterError, Cell
from adapters.conformance.examination import Examination

PROGRAM = "python -m adapters.conformance"


def main(words: Sequence[str] | None = None) -> int:
    """Examine. Returns the exit status."""
    parser = argparse.ArgumentParser(prog=PROGRAM, description="See what a contender does.")
    parser.add_argument("cell", type=Path, metavar="CELL.json", help="holds a Cell (adapters/base.py)")
    parser.add_argument("--full", action="store_true", help="freeze a worker too: up to a minute more")
    given = parser.parse_args(words)
    try:
        cell = Cell.model_validate_json(given.cell.read_bytes())
    except (OSError, ValidationError) as error:
        return _refuse(f"{given.cell} holds no cell: {str(error).splitlines()[0]}")
    row_file = cell.directory / "conformance.json"
    row_file.unlink(missing_ok=True)
    examination = Examination(cell, full=given.full)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, examination.leave)
    try:
        row = examination.see()
    except AdapterError as error:
        return _refuse(str(error))
    draft = row_file.with_suffix(".draft")
    draft.write_text(row.model_dump_json(indent=2) + "\n")
    draft.rename(row_file)
    return 1 if row.problems else 0


def _refuse(why: str) -> int:
    print(f"{PROGRAM}: {why}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
