"""A contender's pool in a process of its own: `python -m scenarios.pool`, the cell in the environment.

Its memory and its start-up are the contender's: what is imported here is as little as can be.
"""

from __future__ import annotations

from adapters.base import Cell
from adapters.registry import load


def main() -> None:
    """Run the pool of the current cell until SIGTERM."""
    cell = Cell.current()
    load(cell.adapter)(cell).run_pool()


if __name__ == "__main__":
    main()
