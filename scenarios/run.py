"""`python -m scenarios.run`: start the servers, measure every cell of every block, write, print.

A block runs every contender once, in random order, in fresh processes and on an empty queue.
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from rich.console import Console

from adapters.base import Adapter, Cell, Service
from adapters.registry import Unavailable, load
from scenarios import environment, ledger, options, report, statistics
from scenarios.harness import Plan, Result
from scenarios.layout import Layout
from scenarios.options import Options
from scenarios.output import Output
from scenarios.progress import Progress
from scenarios.servers import ServerError, Servers, given_urls
from scenarios.workload import Workload

SPARE_S = 90.0
"""Beyond its deadline a cell may take so long for start-up, verification and tear-down."""

FAREWELL_S = 3.0
"""How long a cell may take to tear down after Ctrl-C."""

_POLL_S = 0.2


class Task(NamedTuple):
    """One cell to measure."""

    block: int
    adapter: str
    jobs: int

    @property
    def key(self) -> str:
        return f"b{self.block}-{self.adapter}-{self.jobs}"


class Runner:
    """One run, while its servers are up."""

    def __init__(self, options: Options, servers: Servers, output: Output, progress: Progress) -> None:
        self._options, self._servers, self._output, self._progress = options, servers, output, progress
        self._id = output.directory.resolve().name
        self._adapters: dict[str, Any] = {}
        self.failed = False

    def run(self) -> None:
        """Measure every cell; each is written as it ends."""
        for task in self._tasks():
            self._progress.begin(task.key, task.jobs)
            row, jobs = self._cell(task)
            self._output.add(row, jobs)
            self._progress.end(row)
            bad = row["status"] in ("failed", "timeout") or bool(row.get("lost") or row.get("unexpected"))
            self.failed |= bad or (row["status"] == "unavailable" and self._options.named)
            self.write_manifest()

    def _tasks(self) -> Iterator[Task]:
        order = random.Random(self._options.seed)
        for block in range(1, self._options.repeats + 1):
            for jobs in self._options.jobs:
                names = list(self._options.adapters)
                order.shuffle(names)
                yield from (Task(block, name, jobs) for name in names)

    def _cell(self, task: Task) -> tuple[dict[str, Any], pd.DataFrame | None]:
        given = self._options
        row: dict[str, Any] = {
            "run_id": self._id,
            "cell": task.key,
            "block": task.block,
            "scenario": given.scenario,
            "adapter": task.adapter,
            "profile": given.profile,
            "tier": given.tier,
            "jobs": task.jobs,
            "workers": given.workers,
            "concurrency": given.concurrency,
            "payload_bytes": given.payload,
            "work": given.work,
            "seed": given.seed,
        }
        adapter, why = self._available(task.adapter)
        if adapter is None:
            return row | {"status": "unavailable", "reason": why}, None
        layout = Layout(self._servers.guard.directory / task.key)
        result = self._measure(self._plan(task, adapter, layout), layout)
        self._adapters[task.adapter] = {
            "promises": adapter.promises(given.profile).model_dump(),
            "settings": result.settings,
        }
        jobs = pd.read_csv(layout.jobs, dtype="Int64") if layout.jobs.exists() else None
        latencies = {} if jobs is None else statistics.cell_latencies(jobs)
        measured = {key: value for key, value in {**result.measured, **latencies}.items() if value == value}
        return row | {"status": result.status, "reason": result.reason} | measured, jobs

    def _available(self, name: str) -> tuple[type[Adapter] | None, str]:
        try:
            adapter = load(name)
        except Unavailable as error:
            return None, str(error)
        missing = [
            self._servers.unavailable[s] for s in sorted(adapter.needs) if s in self._servers.unavailable
        ]
        return (None, "; ".join(missing)) if missing else (adapter, "")

    def _plan(self, task: Task, adapter: type[Adapter], layout: Layout) -> Plan:
        given = self._options
        cell = Cell(
            adapter=task.adapter,
            profile=given.profile,
            tier=given.tier,
            processes=given.workers,
            concurrency=given.concurrency,
            work=given.work,
            namespace=f"distq_bench_{random.SystemRandom().randrange(16**8):08x}",
            urls={service: self._servers.urls[service] for service in adapter.needs},
            directory=layout.directory,
        )
        workload = Workload(
            scenario=given.scenario,
            jobs=task.jobs,
            payload_bytes=given.payload,
            deadline_s=given.deadline,
            seed=given.seed,
        )
        # The broker's CPU is known only where every server that the contender uses is private.
        pids = [self._servers.pids[s] for s in adapter.needs if s in self._servers.pids]
        return Plan(cell=cell, workload=workload, server_pids=pids if len(pids) == len(adapter.needs) else [])

    def _measure(self, plan: Plan, layout: Layout) -> Result:
        layout.create()
        layout.plan.write_text(plan.model_dump_json())
        with (layout.directory / "harness.log").open("wb") as log:
            process = self._servers.guard.start(
                [sys.executable, "-m", "scenarios.harness", layout.plan], stdout=log, stderr=log
            )
        try:
            self._watch(process, plan, layout)
        finally:
            _end(process)
            self._servers.guard.forget(process.pid)
        if not layout.result.exists():
            said = (layout.directory / "harness.log").read_text(errors="replace").strip().splitlines()
            return Result(
                status="failed", reason=f"the harness ended early: {(said or ['it said nothing'])[-1]}"
            )
        return Result.model_validate_json(layout.result.read_bytes())

    def _watch(self, process: subprocess.Popen[bytes], plan: Plan, layout: Layout) -> None:
        limit = time.monotonic() + plan.workload.deadline_s + SPARE_S
        while process.poll() is None and time.monotonic() < limit:
            time.sleep(_POLL_S)
            self._progress.update(ledger.finished(layout.ledger))

    def write_manifest(self) -> None:
        """Write what is known of the run so far."""
        given = self._options
        self._output.write_manifest(
            environment.manifest(
                run_id=self._id,
                scenario=given.scenario,
                seed=given.seed,
                command=["python", "-m", "scenarios.run", *sys.argv[1:]],
                syncs_per_second=self._syncs,
                servers=self._servers.describe(),
                unavailable={str(key): why for key, why in self._servers.unavailable.items()},
                adapters=self._adapters,
            )
        )

    def prepare(self) -> None:
        """Learn what the manifest says of the disk."""
        self._syncs = environment.syncs_per_second(self._servers.guard.directory)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(FAREWELL_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _needs(names: Sequence[str]) -> frozenset[Service]:
    needs: set[Service] = set()
    for name in names:
        try:
            needs |= load(name).needs
        except Unavailable:
            continue
    return frozenset(needs)


def _show(directory: Path, console: Console) -> None:
    run = report.load(directory)
    report.write_plots(run)
    report.print_table(run, console)
    console.print(f"\n{directory}: summary.csv, jobs.csv.gz, manifest.json, plots/")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for. Returns the exit status; the module's README tells them."""
    given = options.parse(arguments)
    console = Console()
    signal.signal(signal.SIGTERM, _interrupt)
    runner: Runner | None = None
    try:
        with Servers(needs=_needs(given.adapters), tier=given.tier, given=given_urls(given.urls)) as servers:
            total = given.repeats * len(given.jobs) * len(given.adapters)
            with Progress(console, total) as progress:
                runner = Runner(given, servers, Output(given.out), progress)
                runner.prepare()
                runner.run()
    except ServerError as error:
        print(f"python -m scenarios.run: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"\nstopped; the finished cells are in {given.out}", file=sys.stderr)
        return 1
    _show(given.out, console)
    return 1 if runner.failed else 0


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
