"""A run: every cell of every block, in fresh processes on an empty queue, written and shown as it ends."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any

from adapters.base import Adapter, Cell, Service
from adapters.registry import Unavailable, load
from scenarios import accounts, conforming, environment, logs, tiers
from scenarios.accounts import Record
from scenarios.controls import original
from scenarios.interrupts import Interrupts
from scenarios.layout import Layout
from scenarios.measurement import Measurement
from scenarios.options import Options
from scenarios.output import Output
from scenarios.plan import Plan, Result
from scenarios.progress import Progress
from scenarios.servers import ServerError, Servers
from scenarios.tasks import Row, Task, tasks, work_off

_SAME = ("server", "source", "version")
"""What must be the same of each server where a run goes on."""


class Runner:
    """One run, while its servers are up."""

    def __init__(self, options: Options, servers: Servers, output: Output, interrupts: Interrupts) -> None:
        self._options, self._servers, self._output = options, servers, output
        self._interrupts = interrupts
        self._adapters: dict[str, Any] = {}
        self._manifest: dict[str, Any] = {}
        self.failed = False
        """Whether a cell so far is not what was asked for."""

    def run(self, progress: Progress, found: Mapping[str, Any]) -> None:
        """Measure every cell; it is written as it ends, the manifest also before the first.

        Args:
            found: more that belongs into the manifest.

        Raises:
            ServerError: a server's own settings are not those of the tier.
        """
        servers = self._servers.describe()
        if wrong := tiers.of_servers(self._options.tier, servers):
            raise ServerError(wrong[0])
        self._manifest = {**self._begin(servers), **found}
        with self._interrupts.shielded():
            if self._options.resumed:
                self._output.resume()
            else:
                self._output.create()
            self._output.write_manifest(self._manifest)
        work_off(tasks(self._options), lambda task: self._work(task, progress))

    def _begin(self, servers: Mapping[str, Any]) -> dict[str, Any]:
        if self._options.resumed:
            begun = json.loads((self._output.directory / "manifest.json").read_bytes())
            for service, was in begun["servers"].items():
                now = servers.get(service, {})
                if other := next((name for name in _SAME if was.get(name) != now.get(name)), None):
                    raise ServerError(f"{service} is not the one that the run began on: another {other}")
            self._adapters = begun["adapters"]
            return begun | {"resumed": [*begun.get("resumed", []), f"{datetime.now(UTC):%Y-%m-%d %H:%M}"]}
        return {
            "run_id": self._output.id,
            "scenario": self._options.title,
            "seed": self._options.seed,
            "command": ["python", "-m", "scenarios.run", *self._options.command],
            **environment.surroundings(self._servers.guard.directory),
            "servers": servers,
            "unavailable": {str(service): why for service, why in self._servers.unavailable.items()},
            "adapters": self._adapters,
        }

    def _work(self, task: Task, progress: Progress) -> Row:
        """Measure a cell, unless a run that is resumed has it already."""
        row = self._output.cells.get(task.key)
        if row is None:
            progress.begin(task.key, task.setting.jobs)
            row = self._measure(task, progress)
            progress.end(row)
        self.failed |= is_failure(row, named=self._options.named)
        return row

    def _measure(self, task: Task, progress: Progress) -> Row:
        told = {"cell": task.key, "block": task.block, "adapter": task.adapter, "setting": task.setting}
        record = Record(**told, tier=self._options.tier, seed=self._options.seed)
        adapter, why = self._available(task.adapter)
        jobs = None
        if adapter is None:
            record = record.model_copy(update={"unavailable": why})
        else:
            plan = self._plan(task, adapter)
            result = self._run(plan, adapter, progress)
            bare = any(Layout(plan.cell.directory).ledger.glob("*.batches"))
            record = record.model_copy(update={"result": result, "bare": bare})
            jobs = accounts.job_rows(plan, result)
        with self._interrupts.shielded():
            row = self._output.add(record, jobs)
            self._output.write_manifest(self._manifest)
        if adapter is not None:
            self._clear(task.key, row)
        return row

    def _run(self, plan: Plan, adapter: type[Adapter], progress: Progress) -> Result:
        cell, guard = plan.cell, self._servers.guard
        known = self._adapters.setdefault(self._name(cell), {"settings": {}})
        if "promises" not in known:
            known["promises"] = adapter.promises(cell.profile).model_dump()
            known["unequal"] = list(adapter.unequal)
            if self._options.conform:
                known["observed"] = conforming.observe(guard, cell)
        if problems := known.get("observed", {}).get("problems"):
            return Result(failures=[f"it does not keep its contract: {problems[0]}"])
        result = Measurement(guard, plan).run(progress.update)
        known["settings"] = result.settings or known["settings"]
        result.failures += tiers.of_contender(cell.tier, cell.profile, result.settings)
        return result

    def _name(self, cell: Cell) -> str:
        """A contender in the manifest; under another profile than the run's first it is another one."""
        first = self._options.chapters[0].settings[0].profile
        return cell.adapter if cell.profile == first else f"{cell.adapter} ({cell.profile})"

    def _clear(self, key: str, row: Row) -> None:
        layout = Layout(self._servers.guard.directory / key)
        if row["status"] != "ok":
            kept = (layout.harness_log, layout.pool_log, layout.teardown_log)
            said = [f"== {log.name}\n{logs.read(log)}" for log in kept]
            self._output.keep_log(key, "\n".join(said))
        shutil.rmtree(layout.directory, ignore_errors=True)

    def _available(self, name: str) -> tuple[type[Adapter] | None, str]:
        """The contender, or why it cannot run."""
        try:
            adapter = load(original(name))
        except Unavailable as error:
            return None, str(error)
        unavailable = self._servers.unavailable
        missing = [unavailable[service] for service in sorted(adapter.needs) if service in unavailable]
        return (None, "; ".join(missing)) if missing else (adapter, "")

    def _plan(self, task: Task, adapter: type[Adapter]) -> Plan:
        servers, setting = self._servers, task.setting
        cell = Cell(
            adapter=original(task.adapter),
            profile=setting.profile,
            tier=self._options.tier,
            processes=setting.workers,
            concurrency=setting.concurrency,
            batch=setting.batch,
            work=setting.work,
            namespace=f"distq_bench_{random.SystemRandom().randrange(16**8):08x}",
            urls={service: servers.urls[service] for service in adapter.needs},
            directory=servers.guard.directory / task.key,
        )
        # The broker's CPU is known only where every server that the contender uses is private.
        pids = [servers.pids[service] for service in adapter.needs if service in servers.pids]
        return Plan(
            cell=cell,
            workload=setting.workload(self._options.seed),
            server_pids=pids if len(pids) == len(adapter.needs) else [],
        )


def is_failure(row: Row, *, named: bool) -> bool:
    """Whether a cell is not what was asked for; one that is unavailable fails only if it was named.

    A search for a capacity goes beyond it.
    """
    if row["status"] == "unavailable":
        return named
    if row["slo"]:
        return row["status"] == "failed"
    return row["status"] != "ok" or bool(row["lost"] or row["unexpected"])


def needs(options: Options) -> frozenset[Service]:
    """The servers that the contenders of a run need, as far as their libraries are there."""
    names: Collection[str] = {original(name) for chapter in options.chapters for name in chapter.adapters}
    found: set[Service] = set()
    for name in names:
        try:
            found |= load(name).needs
        except Unavailable:
            continue
    return frozenset(found)
