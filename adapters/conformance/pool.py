"""A contender's pool in a process of its own, for the conformance kit: `python -m adapters.conformance.pool`.

The cell is named in the environment. The contender's library is imported at once, and the pool begins
with the first line on stdin; when stdin ends without one, so does this process.
"""

from __future__ import annotations

import os
import sys

from adapters.base import Cell
from adapters.registry import load


def main() -> None:
    """Run the pool of the current cell until SIGTERM."""
    cell = Cell.current()
    contender = load(cell.adapter)
    if sys.stdin.readline():
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        contender(cell).run_pool()


if __name__ == "__main__":
    main()
