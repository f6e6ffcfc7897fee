"""One cell, measured in a process of its own: `python -m scenarios.harness PLAN.json`.

provision → start the pool → warm up → push → drain → verify → tear down: `measure` is that order. The
runner reads the result from the cell's directory; what went wrong is a status and a reason, never a
traceback.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from pydantic import BaseModel, ConfigDict

from adapters.base import CELL_VARIABLE, Adapter, AdapterError, Cell, JobSpec, expected_result
from adapters.registry import load
from scenarios import ledger, records, verify
from scenarios.gate import Gate
from scenarios.layout import Layout
from scenarios.ledger import Moment, Writer
from scenarios.resources import Peak, cpu_seconds, watch_memory
from scenarios.workload import Workload

READY_S = 30.0
"""How long a pool may take until every process has run a warm-up job."""

QUIET_S = 10.0
"""Where nothing has finished for so long and the queue is empty, what is missing is lost."""

STOP_S = 10.0
"""How long a pool may take to obey SIGTERM."""

CHECKED_RESULTS = 200
"""Results that are read back from the backend and compared, a cell."""

_POLL_S = 0.01


class Plan(BaseModel):
    """What the runner asks of a harness process."""

    model_config = ConfigDict(frozen=True)

    cell: Cell
    workload: Workload
    server_pids: list[int]
    """First processes of the private servers that the contender uses; empty where one was given."""


class Result(BaseModel):
    """What a cell gave: the row's fields that were measured."""

    status: Literal["ok", "failed", "timeout"] = "ok"
    reason: str = ""
    measured: dict[str, float | int] = {}
    settings: dict[str, str] = {}


class Failed(Exception):
    """The cell cannot be measured; the message says why in one line."""


class Pool:
    """The contender's pool while it runs."""

    def __init__(self, plan: Plan, layout: Layout) -> None:
        self._layout = layout
        self._gate = Gate(layout.gate, plan.cell.processes)
        self.started_at = time.monotonic_ns()
        with layout.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "scenarios.pool"],
                env={**os.environ, CELL_VARIABLE: str(layout.cell)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def check(self) -> None:
        """Raise Failed where the pool has ended by itself."""
        if self.process.poll() is not None:
            said = self._layout.log.read_text(errors="replace").strip().splitlines() or ["it printed nothing"]
            raise Failed(f"the pool ended with status {self.process.returncode}: {said[-1]}")

    def await_gate(self, deadline: float, push: Any = None) -> None:
        """Wait until every worker process has reached its first job; `push()` sends some more meanwhile."""
        pushed_at = 0.0
        while not self._gate.is_open():
            self.check()
            if time.monotonic() > deadline:
                raise Failed(f"only {self._gate.arrived()} worker processes came up within {READY_S:g} s")
            if push and time.monotonic() - pushed_at > 0.5:
                push()
                pushed_at = time.monotonic()
            time.sleep(_POLL_S / 5)

    def stop(self) -> None:
        """End the pool, politely first. Idempotent."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


class Drain:
    """What a cell's drain came to."""

    def __init__(self) -> None:
        self.timeout = False
        self.failures: list[str] = []


def measure(plan: Plan) -> Result:
    """Measure one cell. Writes one row a job to the cell's directory.

    Raises:
        Failed, AdapterError: the cell cannot be measured.
    """
    layout = Layout(plan.cell.directory)
    layout.create()
    layout.cell.write_text(plan.cell.model_dump_json())
    adapter = load(plan.cell.adapter)(plan.cell)
    with provisioned(adapter):
        settings = dict(adapter.effective_settings())
        run = _burst if plan.workload.scenario == "burst" else _backlog
        measured, drain, rows = run(plan, adapter, layout)
        reason = "; ".join([*drain.failures, *_wrong_results(plan, adapter, rows)])
    rows.to_csv(layout.jobs, index=False)
    if drain.timeout:
        return Result(status="timeout", reason=reason, measured=measured, settings=settings)
    return Result(status="failed" if reason else "ok", reason=reason, measured=measured, settings=settings)


@contextmanager
def provisioned(adapter: Adapter) -> Iterator[None]:
    """Set up, and tear down whatever happens."""
    try:
        adapter.setup()
        yield
    finally:
        adapter.teardown()


@contextmanager
def _pool(plan: Plan, layout: Layout) -> Iterator[tuple[Pool, Peak]]:
    pool = Pool(plan, layout)
    try:
        with watch_memory([pool.process.pid]) as peak:
            yield pool, peak
    finally:
        pool.stop()


def _burst(plan: Plan, adapter: Adapter, layout: Layout) -> tuple[dict[str, Any], Drain, pd.DataFrame]:
    with _pool(plan, layout) as (pool, peak):
        _warm_up(plan, adapter, layout, pool)
        spent = _Spending(plan, pool)
        intended = time.monotonic_ns()
        enqueue_s = _push(plan, adapter, layout)
        drain = _drain(plan, adapter, layout, pool, intended)
        costs = spent.since()
    rows, counts = _account(plan, layout, drain, intended)
    start = rows["sent_ns"].min()
    return {"enqueue_s": enqueue_s, **_rate(rows, start), **counts, **costs, **_peak(peak)}, drain, rows


def _backlog(plan: Plan, adapter: Adapter, layout: Layout) -> tuple[dict[str, Any], Drain, pd.DataFrame]:
    enqueue_s = _push(plan, adapter, layout)
    with _pool(plan, layout) as (pool, peak):
        pool.await_gate(time.monotonic() + READY_S)
        spent = _Spending(plan, pool)
        opened = time.monotonic_ns()
        startup_s = (opened - pool.started_at) / 1e9
        drain = _drain(plan, adapter, layout, pool, opened)
        costs = spent.since()
    gates = records.read(layout.ledger)
    opened = int(gates.loc[gates["moment"] == Moment.GATE, "time_ns"].min())
    rows, counts = _account(plan, layout, drain, opened)
    measured = {"enqueue_s": enqueue_s, "startup_s": startup_s, **_rate(rows, opened)}
    return {**measured, **counts, **costs, **_peak(peak)}, drain, rows


def _warm_up(plan: Plan, adapter: Adapter, layout: Layout, pool: Pool) -> None:
    """Until every process has run a job; then until nothing is left of the warm-up."""
    rounds = iter(range(1000))
    count = plan.cell.processes * plan.cell.concurrency
    deadline = time.monotonic() + READY_S

    def push() -> None:
        for submission in adapter.submit(plan.workload.warm_up(next(rounds), count)):
            if submission.status != "accepted":
                raise Failed(f"a warm-up job was {submission.status}")

    pool.await_gate(deadline, push)
    sent = next(rounds) * count
    while ledger.finished(layout.ledger) < sent or adapter.depth():
        pool.check()
        if time.monotonic() > deadline:
            raise Failed(f"the warm-up did not end within {READY_S:g} s")
        time.sleep(_POLL_S)


def _push(plan: Plan, adapter: Adapter, layout: Layout) -> float:
    """Submit every job; returns the seconds from the first sent to the last answer."""
    writer = Writer(layout.producer)
    began = time.monotonic()

    def stamped() -> Iterator[JobSpec]:
        for job in plan.workload.specs():
            writer.add(Moment.SENT, job.id)
            yield job

    for submission in adapter.submit(stamped()):
        if submission.status == "accepted":
            writer.add(Moment.ACCEPTED, submission.id)
    return time.monotonic() - began


def _drain(plan: Plan, adapter: Adapter, layout: Layout, pool: Pool, began_ns: int) -> Drain:
    """Wait until every accepted job has finished, the deadline has come, or nothing moves any more."""
    drain = Drain()
    producer = records.read(layout.producer)
    accepted = set(producer.loc[producer["moment"] == Moment.ACCEPTED, "job"])
    unanswered = plan.workload.jobs - len(accepted)
    if unanswered:
        drain.failures.append(f"{unanswered} jobs were not accepted")
    deadline = began_ns / 1e9 + plan.workload.deadline_s
    seen, moved_at = -1, time.monotonic()
    while True:
        now = time.monotonic()
        count = ledger.finished(layout.ledger)
        if count != seen:
            seen, moved_at = count, now
            if accepted <= _finished(layout):
                return drain
        if now > deadline:
            drain.timeout = True
            return drain
        if now - moved_at > QUIET_S and not adapter.depth():
            return drain
        pool.check()
        # Reading the ledger costs CPU that the contender needs: look seldom while much is missing.
        missing = len(accepted) - count
        time.sleep(_POLL_S if missing < len(accepted) / 20 else 10 * _POLL_S)


def _finished(layout: Layout) -> set[int]:
    seen = records.read(layout.ledger)
    return set(seen.loc[seen["moment"] == Moment.FINISHED, "job"])


class _Spending:
    """CPU that the pool and the servers spend from now on."""

    def __init__(self, plan: Plan, pool: Pool) -> None:
        self._servers, self._pool = plan.server_pids, [pool.process.pid]
        self._worker, self._broker = cpu_seconds(self._pool), cpu_seconds(self._servers)

    def since(self) -> dict[str, float]:
        costs = {"worker_cpu_s": cpu_seconds(self._pool) - self._worker}
        if self._servers:
            costs["broker_cpu_s"] = cpu_seconds(self._servers) - self._broker
        return costs


def _account(
    plan: Plan, layout: Layout, drain: Drain, intended_ns: int
) -> tuple[pd.DataFrame, dict[str, int]]:
    workers = records.read(layout.ledger)
    rows = verify.job_rows(records.read(layout.producer), workers, intended_ns)
    counts = verify.account(rows, workers, censored=drain.timeout)
    for name in ("lost", "unexpected"):
        if counts[name]:
            drain.failures.append(f"{counts[name]} jobs {name}")
    return rows, counts


def _rate(rows: pd.DataFrame, start_ns: Any) -> dict[str, float]:
    finished: Any = rows["finished_ns"]
    seconds = (finished.max() - start_ns) / 1e9 if finished.count() else float("nan")
    return {"measured_s": float(seconds), "jobs_per_s": float(finished.count() / seconds)}


def _peak(peak: Peak) -> dict[str, float]:
    return {"peak_rss_mb": peak.mb}


def _wrong_results(plan: Plan, adapter: Adapter, rows: pd.DataFrame) -> list[str]:
    """Compare a spread of results in the backend with what they must be."""
    finished = set(rows.loc[rows["finished_ns"].notna() & rows["sent_ns"].notna(), "job"])
    jobs = [job for job in plan.workload.specs() if job.id in finished]
    sample = jobs[:: max(1, len(jobs) // CHECKED_RESULTS)]
    held: Mapping[int, int] = adapter.results([job.id for job in sample])
    wrong = [job.id for job in sample if held.get(job.id) != expected_result(job)]
    return [f"{len(wrong)} of {len(sample)} results read back are missing or wrong"] if wrong else []


def main(path: str) -> None:
    """Measure the plan in a file; leave the result beside it."""
    plan = Plan.model_validate_json(Path(path).read_bytes())
    layout = Layout(plan.cell.directory)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        result = measure(plan)
    except (Failed, AdapterError) as error:
        result = Result(status="failed", reason=str(error))
    # The contender's library may raise anything: the cell is lost, the run is not.
    except Exception as error:  # noqa: BLE001
        traceback.print_exc()
        text = " ".join(str(error).split())
        result = Result(status="failed", reason=f"{type(error).__name__}: {text}"[:300])
    layout.result.write_text(result.model_dump_json())


if __name__ == "__main__":
    main(sys.argv[1])
