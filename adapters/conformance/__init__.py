"""The adapter contract's short and full form: what a contender does, observed before it is measured.

    python -m adapters.conformance CELL.json [--full]

starts the contender's own pools with a handler that takes notes (`probe.py`), kills the process that runs a
job, and writes what was seen as `<cell.directory>/conformance.json`, a `PromiseRow`. In the cell processes,
concurrency, work and handler are replaced: two pools of one process each, one job at a time.
"""

from adapters.conformance.row import PromiseRow

__all__ = ["PromiseRow"]
