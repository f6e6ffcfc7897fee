"""A run: every cell of every block, written and shown as it ends.

A block runs every contender once, in random order, in fresh processes and on an empty queue.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from adapters.base import Adapter, Cell, Service
from adapters.registry import Unavailable, load
from scenarios import accounts, environment, logs
from scenarios.disturbances import concerns
from scenarios.interrupts import Interrupts
from scenarios.layout import Layout
from scenarios.masking import masked
from scenarios.measurement import Measurement
from scenarios.options import Options
from scenarios.output import Output
from scenarios.plan import Plan
from scenarios.presets import Setting, describe, varied
from scenarios.progress import Progress
from scenarios.servers import Servers
from scenarios.workload import Workload


class Task(NamedTuple):
    """One cell to measure."""

    block: int
    adapter: str
    setting: Setting
    key: str
    """Unique in the run."""


class Runner:
    """One run, while its servers are up."""

    def __init__(self, options: Options, servers: Servers, output: Output, interrupts: Interrupts) -> None:
        self._options, self._servers, self._output = options, servers, output
        self._interrupts = interrupts
        self._id = output.directory.resolve().name
        self._adapters: dict[str, Any] = {}
        self.failed = False
        """Whether a cell so far is not what was asked for."""

    def run(self, command: Sequence[str], progress: Progress) -> None:
        """Measure every cell; it is written as it ends, the manifest also before the first."""
        manifest = self._manifest(command)
        with self._interrupts.shielded():
            self._output.create()
            self._output.write_manifest(manifest)
        for task in tasks(self._options):
            progress.begin(task.key, task.setting.jobs)
            row, jobs = self._cell(task, progress)
            with self._interrupts.shielded():
                self._output.add(row, jobs)
                self._output.write_manifest(manifest)
            progress.end(row)
            self.failed |= is_failure(row, named=self._options.named)

    def _manifest(self, command: Sequence[str]) -> Mapping[str, Any]:
        return {
            "run_id": self._id,
            "scenario": self._options.scenario,
            "seed": self._options.seed,
            "command": ["python", "-m", "scenarios.run", *command],
            **environment.surroundings(self._servers.guard.directory),
            "servers": self._servers.describe(),
            "unavailable": {str(service): why for service, why in self._servers.unavailable.items()},
            "adapters": self._adapters,
        }

    def _cell(self, task: Task, progress: Progress) -> tuple[dict[str, Any], pd.DataFrame | None]:
        row = self._settings(task)
        adapter, why = self._available(task.adapter)
        if adapter is None:
            return row | {"status": "unavailable", "reason": why}, None
        plan = self._plan(task, adapter)
        result = Measurement(self._servers.guard, plan).run(progress.update)
        known = self._adapters.setdefault(task.adapter, {"settings": {}})
        known["promises"] = adapter.promises(self._options.profile).model_dump()
        known["settings"] = result.settings or known["settings"]
        measured, jobs = accounts.settle(plan, result)
        layout = Layout(plan.cell.directory)
        if measured["status"] != "ok":
            kept = (layout.harness_log, layout.pool_log, layout.teardown_log)
            said = [f"== {log.name}\n{logs.read(log)}" for log in kept]
            self._output.keep_log(task.key, "\n".join(said))
        shutil.rmtree(layout.directory)
        return row | masked(measured), jobs

    def _settings(self, task: Task) -> dict[str, Any]:
        given = self._options
        return {
            "run_id": self._id,
            "cell": task.key,
            "block": task.block,
            "scenario": given.shape,
            "adapter": task.adapter,
            "profile": given.profile,
            "tier": given.tier,
            "rate": given.rate,
            "concurrency": given.concurrency,
            "work": given.work,
            "seed": given.seed,
            **task.setting._asdict(),
        }

    def _available(self, name: str) -> tuple[type[Adapter] | None, str]:
        """The contender, or why it cannot run."""
        try:
            adapter = load(name)
        except Unavailable as error:
            return None, str(error)
        unavailable = self._servers.unavailable
        missing = [unavailable[service] for service in sorted(adapter.needs) if service in unavailable]
        return (None, "; ".join(missing)) if missing else (adapter, "")

    def _plan(self, task: Task, adapter: type[Adapter]) -> Plan:
        given, servers = self._options, self._servers
        cell = Cell(
            adapter=task.adapter,
            profile=given.profile,
            tier=given.tier,
            processes=task.setting.workers,
            concurrency=given.concurrency,
            batch=task.setting.batch,
            work=given.work,
            namespace=f"distq_bench_{random.SystemRandom().randrange(16**8):08x}",
            urls={service: servers.urls[service] for service in adapter.needs},
            directory=servers.guard.directory / task.key,
        )
        workload = Workload(
            scenario=given.shape,
            jobs=task.setting.jobs,
            rate=given.rate,
            payload_bytes=task.setting.payload_bytes,
            behind=task.setting.behind,
            disturbance=task.setting.disturbance,
            deadline_s=given.deadline,
            seed=given.seed,
        )
        # The broker's CPU is known only where every server that the contender uses is private.
        pids = [servers.pids[service] for service in adapter.needs if service in servers.pids]
        return Plan(cell=cell, workload=workload, server_pids=pids if len(pids) == len(adapter.needs) else [])


def tasks(options: Options) -> Iterator[Task]:
    """All cells in the order in which they run: the same seed, the same order."""
    order, told = random.Random(options.seed), varied(options.settings)
    for block in range(1, options.repeats + 1):
        for setting in options.settings:
            names = [name for name in options.adapters if _concerned(name, setting)]
            order.shuffle(names)
            ending = "".join(f"-{describe(field, getattr(setting, field))}" for field in told)
            for name in names:
                yield Task(block, name, setting, f"b{block}-{name}-{setting.jobs}{ending}")


def _concerned(name: str, setting: Setting) -> bool:
    """Whether the setting means anything to a contender; one that is unavailable is to be told of."""
    try:
        return concerns(setting.disturbance, load(name).needs)
    except Unavailable:
        return True


def is_failure(row: Mapping[str, Any], *, named: bool) -> bool:
    """Whether a cell is not what was asked for; one that is unavailable fails only if it was named."""
    if row["status"] == "unavailable":
        return named
    return row["status"] != "ok" or bool(row["lost"] or row["unexpected"])


def needs(names: Collection[str]) -> frozenset[Service]:
    """The servers that these contenders need, as far as their libraries are there."""
    found: set[Service] = set()
    for name in names:
        try:
            found |= load(name).needs
        except Unavailable:
            continue
    return frozenset(found)
