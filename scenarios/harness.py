"""One cell, measured in a process of its own: `python -m scenarios.harness PLAN.json`.

provision → start the pool → warm up → send → drain → read results back → tear down. The result goes to
the cell's directory, beside the ledger, from which the runner counts (accounts.py). What went wrong is
in the result, never a traceback.
"""

from __future__ import annotations

import signal
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from adapters.base import AdapterError, expected_result
from adapters.registry import load
from scenarios import ledger, records
from scenarios.contender import Pool, running_pool
from scenarios.costs import Costs
from scenarios.depth import at_risk, fill
from scenarios.disturbances import disturbed
from scenarios.drain import Drain
from scenarios.gate import queueing_s
from scenarios.layout import Layout
from scenarios.ledger import Moment
from scenarios.limits import Overdue, alarm, limit
from scenarios.logs import last_words, one_line
from scenarios.plan import Failed, Plan, Result
from scenarios.producers import producers
from scenarios.resources import Spending, watch_memory
from scenarios.work import parse_work

ANSWER_S = 30.0
"""How long each of set-up, settings, results and tear-down may take."""

READY_S = 30.0
"""How long a pool may take until every process has run a warm-up job."""

TORN_DOWN = 143
"""Exit status after SIGTERM, when nothing of the cell is left."""

CHECKED_RESULTS = 200
"""Results that are read back from the backend and compared, a cell."""

WARM_UP_S = 0.5
"""Between two rounds of warm-up jobs, one for each slot of the pool."""


class Harness:
    """Measures one cell."""

    def __init__(self, plan: Plan) -> None:
        self._plan, self._cell, self._workload = plan, plan.cell, plan.workload
        self._layout = Layout(plan.cell.directory)
        self._adapter = load(plan.cell.adapter)(plan.cell)
        self._leaving = False

    def measure(self) -> Result:
        """Measure the cell.

        Raises:
            Failed, AdapterError: it cannot be measured.
        """
        self._layout.create()
        self._layout.cell.write_text(self._cell.model_dump_json())
        with self._provisioned():
            with limit("reading the settings back", ANSWER_S):
                settings = dict(self._adapter.effective_settings())
            with disturbed(self._workload.disturbance, self._cell.urls):
                result = self._backlog() if self._workload.shape == "backlog" else self._awaited()
            with limit("reading results back", ANSWER_S):
                killed = result.timeout or "at_risk" in result.measured
                result.failures += self._wrong_results(allow_missing=killed)
        result.settings = settings
        if self._cell.concurrency > 1 and settings.get("concurrency", "").startswith("1 "):
            result.notes.append("each worker process runs one job at a time: it has no concurrency within")
        return result

    @contextmanager
    def _provisioned(self) -> Iterator[None]:
        try:
            with limit("set-up", ANSWER_S):
                self._adapter.setup()
            yield
        finally:
            self._leaving = True
            with limit("tear-down", ANSWER_S):
                self._adapter.teardown()

    def leave(self, *_: object) -> None:
        """Unwind, so that nothing is left of the cell; what already does is not disturbed."""
        if not self._leaving:
            self._leaving = True
            sys.exit(TORN_DOWN)

    def _awaited(self) -> Result:
        """The pool waits for the jobs."""
        with (
            producers(self._plan) as senders,
            running_pool(self._cell, self._layout) as pool,
            watch_memory(pool.pid) as memory,
        ):
            self._warm_up(pool)
            drain, spending = self._begin(), Spending(pool.pid, self._plan.server_pids)
            costs, result = Costs(self._plan), Result()
            began_ns = result.began_ns = senders.begin()
            sent = senders.send(self._adapter, began_ns=began_ns)
            result.timeout = not drain.wait(pool, began_ns / 1e9 + self._workload.limit_s) or sent.overdue
            pool.wait_for(lambda: time.monotonic() >= began_ns / 1e9 + self._workload.lasts_s)
            result.measured = spending.so_far()
        result.measured |= {"producer_cpu_s": sent.cpu_s} | memory.seen() | self._spent(costs)
        result.failures = sent.failures(self._workload.jobs)
        return result

    def _spent(self, costs: Costs) -> dict[str, float]:
        with limit("reading the servers' counters", ANSWER_S):
            return costs.so_far(self._adapter.depth)

    def _backlog(self) -> Result:
        drain = self._begin()
        with producers(self._plan) as senders:
            sent = senders.send(self._adapter, began_ns=senders.begin())
        result = Result(
            began_ns=time.monotonic_ns(),
            timeout=sent.overdue,
            failures=sent.failures(self._workload.jobs),
        )
        result.measured["producer_cpu_s"] = sent.cpu_s
        accepted = sent.answers["accepted"]
        if accepted:  # else no worker would ever come to the gate
            behind = fill(self._adapter, self._plan)
            self._run_backlog(drain, result)
            if behind:
                with limit("counting what is left", ANSWER_S):
                    result.measured["at_risk"] = at_risk(self._adapter, self._layout, accepted + behind)
        return result

    def _run_backlog(self, drain: Drain, result: Result) -> None:
        costs = Costs(self._plan)
        with running_pool(self._cell, self._layout) as pool, watch_memory(pool.pid) as memory:
            with self._ready(pool):
                pool.wait_for(pool.gate.is_open)
            seen_ns = time.monotonic_ns()
            spending, arrived = Spending(pool.pid, self._plan.server_pids), pool.gate.arrived()
            result.timeout |= not drain.wait(pool, time.monotonic() + self._workload.deadline_s)
            result.measured |= spending.so_far()
            if self._workload.behind:  # who is killed can settle nothing more
                pool.kill()
        opened_ns = records.gate_opened_ns(self._layout.ledger) or seen_ns
        result.began_ns = opened_ns
        result.measured["startup_s"] = (opened_ns - pool.started_ns) / 1e9
        result.measured |= memory.seen() | self._spent(costs)
        if arrived < self._cell.processes:
            few = f"only {arrived} of {self._cell.processes} worker processes had a job when the gate opened"
            result.notes.append(few)

    def _begin(self) -> Drain:
        self._layout.warmed.write_text(str(ledger.at_most_finished(self._layout.ledger)))
        return Drain(self._adapter, self._layout, job_s=parse_work(self._cell.work).seconds)

    def _warm_up(self, pool: Pool) -> None:
        """Until every process has run a job; then until nothing is left of the warm-up."""
        spare, sent = self._workload.warm_up(), 0
        slots = self._cell.processes * self._cell.concurrency

        def all_there() -> bool:
            return pool.gate.arrived() >= self._cell.processes

        with self._ready(pool):
            while not all_there():
                for submission in self._adapter.submit(islice(spare, slots)):
                    if submission.status != "accepted":
                        raise Failed(f"a warm-up job was {submission.status}")
                sent += slots
                pool.wait_for(all_there, WARM_UP_S)
            pool.wait_for(lambda: self._finished(sent) and not self._adapter.depth())

    def _finished(self, jobs: int) -> bool:
        return len(records.jobs(self._layout.ledger, Moment.FINISHED)) >= jobs

    @contextmanager
    def _ready(self, pool: Pool) -> Iterator[None]:
        ready_s = READY_S + queueing_s(self._cell.processes)
        try:
            with alarm(ready_s):
                yield
        except Overdue:
            arrived, processes = pool.gate.arrived(), self._cell.processes
            if arrived >= processes:
                raise Failed(f"the warm-up did not end within {ready_s:g} s") from None
            few = f"only {arrived} of {processes} worker processes came up within {ready_s:g} s"
            raise Failed(f"{few}: {last_words(self._layout.pool_log)}") from None

    def _wrong_results(self, *, allow_missing: bool) -> list[str]:
        """Compare a spread of the results of jobs that this process sent with what they must be."""
        finished = records.jobs(self._layout.ledger, Moment.FINISHED)
        finished &= records.jobs(self._layout.producer, Moment.ACCEPTED)
        jobs = [job for _, job in self._workload.share(0) if job.id in finished]
        sample = jobs[:: max(1, len(jobs) // CHECKED_RESULTS)]
        held = self._adapter.results([job.id for job in sample])
        wrong = [job for job in sample if held.get(job.id) != expected_result(job)]
        if allow_missing:  # a pool that had to be killed could not store what it had just finished
            wrong = [job for job in wrong if job.id in held]
        if not wrong:
            return []
        first = f"job {wrong[0].id} has {held.get(wrong[0].id)}, not {expected_result(wrong[0])}"
        return [f"{len(wrong)} of {len(sample)} results read back are missing or wrong: {first}"]


def main(path: str) -> None:
    """Measure the plan in a file; leave the result beside it."""
    plan = Plan.model_validate_json(Path(path).read_bytes())
    harness = Harness(plan)
    # It comes when the runner was interrupted, or is dead.
    signal.signal(signal.SIGTERM, harness.leave)
    try:
        result = harness.measure()
    except (Failed, AdapterError) as error:
        result = Result(failures=[one_line(str(error))])
    # The contender's library may raise anything: the cell is lost, the run is not.
    except Exception as error:  # noqa: BLE001
        traceback.print_exc()
        result = Result(failures=[one_line(f"{type(error).__name__}: {error}")])
    layout = Layout(plan.cell.directory)
    draft = layout.result.with_suffix(".draft")
    draft.write_text(result.model_dump_json())
    draft.rename(layout.result)


if __name__ == "__main__":
    main(sys.argv[1])
