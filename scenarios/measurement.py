"""One cell as the runner sees it: a harness process that is started, watched, ended, and cleared up after."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from signal import Signals

from scenarios import ledger
from scenarios.contender import STOP_S
from scenarios.gate import queueing_s
from scenarios.guard import Guard
from scenarios.harness import ANSWER_S, READY_S, TORN_DOWN
from scenarios.layout import Layout
from scenarios.logs import last_words
from scenarios.plan import Plan, Result
from scenarios.resources import kill_contender

HARNESS = [sys.executable, "-m", "scenarios.harness"]
STAND_IN = [sys.executable, "-m", "scenarios.teardown"]

SPARE_S = 4 * ANSWER_S + READY_S + 2 * STOP_S
"""What a cell may take beside its deadlines, all in all."""

FAREWELL_S = 2.0
"""What a harness may take once told to end, and after Ctrl-C its stand-in too: all must end in 5 s."""

_POLL_S = 0.2


class Measurement:
    """One cell's harness process."""

    def __init__(self, guard: Guard, plan: Plan) -> None:
        self._guard, self._plan = guard, plan
        self._layout = Layout(plan.cell.directory)
        deadlines = 3 if plan.workload.behind else 2
        spare_s = SPARE_S + queueing_s(plan.cell.processes)
        self._limit_s = deadlines * plan.workload.limit_s + spare_s

    def run(self, watch: Callable[[int], None]) -> Result:
        """Measure the cell; `watch` is told now and then how many jobs have finished."""
        self._layout.create()
        self._layout.plan.write_text(self._plan.model_dump_json())
        process = self._start(HARNESS, self._layout.harness_log)
        try:
            in_time = self._watch(process, watch)
        except BaseException:
            _end(process, FAREWELL_S)
            self._clear_up(process, FAREWELL_S)
            raise
        _end(process, FAREWELL_S)
        if self._layout.result.exists():
            self._guard.forget(process.pid)
            return Result.model_validate_json(self._layout.result.read_bytes())
        how = _fate(process.returncode) if in_time else f"did not end within {self._limit_s:g} s"
        said = last_words(self._layout.harness_log)
        return Result(failures=[f"the harness {how}: {said}", *self._clear_up(process, ANSWER_S)])

    def _start(self, command: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
        environment = lean_environment()
        with log.open("wb") as file:
            return self._guard.start([*command, self._layout.plan], stdout=file, stderr=file, env=environment)

    def _watch(self, process: subprocess.Popen[bytes], watch: Callable[[int], None]) -> bool:
        """Whether the harness came to its end, or to a result, in time."""
        deadline = time.monotonic() + self._limit_s
        while time.monotonic() < deadline and not self._layout.result.exists():
            with suppress(subprocess.TimeoutExpired):
                process.wait(_POLL_S)
                return True
            watch(self._finished())
        return self._layout.result.exists()

    def _finished(self) -> int:
        """How many measured jobs, by the sizes of the ledgers: never more than there are."""
        if not self._layout.warmed.exists():
            return 0
        warm_up = int(self._layout.warmed.read_text() or 0)
        count = ledger.at_most_finished(self._layout.ledger) - warm_up
        return max(0, min(count, self._plan.workload.jobs))

    def _clear_up(self, harness: subprocess.Popen[bytes], seconds: float) -> list[str]:
        """Do what a harness could not do itself. Returns one line of what may be left, if anything may."""
        self._guard.forget(harness.pid)
        if harness.returncode == TORN_DOWN:
            return []
        kill_contender(self._layout.cell)
        stand_in = self._start(STAND_IN, self._layout.teardown_log)
        with suppress(subprocess.TimeoutExpired):
            stand_in.wait(seconds)
        _end(stand_in, 0)
        self._guard.forget(stand_in.pid)
        if stand_in.returncode == 0:
            return []
        said = last_words(self._layout.teardown_log)
        return [f"{self._plan.cell.namespace} may be left on its servers: {said}"]


def lean_environment() -> dict[str, str]:
    """For processes of the harness: logfire plugs itself into pydantic, 40 MB wherever both are installed."""
    return os.environ | {"PYDANTIC_DISABLE_PLUGINS": "__all__"}


def _end(process: subprocess.Popen[bytes], seconds: float) -> None:
    """Ask a process to end, and kill it where it has not after so many seconds."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _fate(status: int) -> str:
    return f"was ended by {Signals(-status).name}" if status < 0 else f"ended with status {status}"
