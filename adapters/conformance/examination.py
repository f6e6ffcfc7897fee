"""The examination of one contender: set up, see, tear down, whatever happens."""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from adapters.base import AdapterError, Cell
from adapters.conformance.bench import Bench
from adapters.conformance.closing import see_the_end
from adapters.conformance.freezing import see_a_freeze
from adapters.conformance.killing import see_a_kill
from adapters.conformance.leftovers import files_of, leftovers
from adapters.conformance.limits import limit
from adapters.conformance.pools import Broken, kill_carriers, one_line
from adapters.conformance.probe import Notes
from adapters.conformance.row import PromiseRow, broken_claims
from adapters.conformance.taking import see_the_batch, see_the_order

TORN_DOWN = 143
"""Exit status after SIGTERM, when nothing of the cell is left."""

_HANDLER = "adapters.conformance.probe:ProbeHandler"


class Examination:
    """Of one contender, once."""

    def __init__(self, cell: Cell, *, full: bool) -> None:
        changes = {"processes": 1, "concurrency": 1, "work": "noop", "handler": _HANDLER}
        self._cell, self._full = cell.model_copy(update=changes), full
        self._notes = Notes(cell.directory)
        self._leaving = False

    def see(self) -> PromiseRow:
        """Do all that there is to do. What a contender's library raises is a problem, not an error.

        Raises:
            UnknownAdapter, Unavailable: there is nothing to examine.
        """
        began = time.monotonic()
        self._notes.begin(self._cell)
        bench = Bench(self._cell)
        with self._noted(bench), self._provisioned(bench):
            see_the_order(bench)
            see_a_kill(bench, see_the_batch(bench))
            if self._full and bench.seen.get("delivery") == "at least once":
                see_a_freeze(bench)
            see_the_end(bench)
        row = PromiseRow(**bench.seen, duration_s=time.monotonic() - began)
        problems = (*bench.problems, *broken_claims(bench.claims, row))
        return row.model_copy(update={"problems": tuple(map(one_line, problems))})

    def leave(self, *_: object) -> None:
        """Unwind, so that nothing is left of the cell; what already does is not disturbed."""
        if not self._leaving:
            self._leaving = True
            sys.exit(TORN_DOWN)

    @contextmanager
    def _noted(self, bench: Bench) -> Iterator[None]:
        try:
            yield
        except (Broken, AdapterError) as error:
            bench.problems.append(str(error))
        except Exception as error:  # noqa: BLE001  the contender's library may raise anything
            traceback.print_exc()
            bench.problems.append(f"{type(error).__name__}: {error}")

    @contextmanager
    def _provisioned(self, bench: Bench) -> Iterator[None]:
        files = files_of(self._cell)
        try:
            with limit("setup"):
                bench.adapter.setup()
            _check_settings(bench)
            yield
        finally:
            self._leaving = True
            kill_carriers(self._notes.cell)
            for pool in bench.pools:
                pool.close()
            with limit("teardown"):
                bench.adapter.teardown()
                bench.adapter.teardown()
        left = list(leftovers(self._cell, files))
        if left:
            bench.problems.append(f"{len(left)} things are left after teardown(): {', '.join(left[:3])}")


def _check_settings(bench: Bench) -> None:
    with limit("effective_settings"):
        settings = bench.adapter.effective_settings()
    if not settings or not all(isinstance(value, str) for item in settings.items() for value in item):
        bench.problems.append("effective_settings() is not texts by text, one at least")
