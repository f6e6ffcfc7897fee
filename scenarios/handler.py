"""The function that runs inside every contender's workers: records, does the cell's work, answers."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence

from adapters.base import Cell, JobSpec, expected_result
from scenarios.gate import Gate
from scenarios.layout import Layout
from scenarios.ledger import Moment, Writer
from scenarios.work import parse_work
from scenarios.workload import WARM_UP


class LedgerHandler:
    """A `Handler` (adapters/base.py). It opens its ledger at a process's first job, also after a fork.

    What is settled goes to a ledger apart: a process that only acknowledges has no business at the gate.
    """

    def __init__(self, cell: Cell) -> None:
        self._cell = cell
        self._work = parse_work(cell.work).run
        self._pid = self._settling_pid = 0
        self._lock = threading.Lock()

    def __call__(self, job_id: int, payload: str) -> int:
        if self._pid != os.getpid():
            self._enter()
        self._ledger.add(Moment.STARTED, job_id)
        if job_id < WARM_UP:
            self._work()
        self._ledger.add(Moment.FINISHED, job_id)
        return expected_result(JobSpec(job_id, payload))

    def batch(self, ids: Sequence[int]) -> None:
        if self._pid != os.getpid():
            self._enter()
        self._ledger.add_batch(ids)

    def settled(self, ids: Sequence[int]) -> None:
        if self._settling_pid != os.getpid():  # two threads at once open a ledger each, which does no harm
            self._settling = Writer(Layout(self._cell.directory).ledger)
            self._settling_pid = os.getpid()
        self._settling.add_settled(ids)

    def _enter(self) -> None:
        with self._lock:
            if self._pid == os.getpid():
                return
            layout = Layout(self._cell.directory)
            self._ledger = Writer(layout.ledger)
            Gate(layout.gate, self._cell.processes).pass_through()
            self._ledger.add(Moment.GATE, os.getpid())
            self._pid = os.getpid()
