"""More than one process that sends: `python -m scenarios.producers PLAN.json NUMBER` is each but the first.

They connect, say that they are ready, and begin together with the harness, which is the first of them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import reduce
from operator import or_
from pathlib import Path

from adapters.base import CELL_VARIABLE, Adapter, JobSpec
from adapters.registry import load
from scenarios.layout import Layout
from scenarios.limits import limit
from scenarios.logs import last_words
from scenarios.plan import Failed, Plan
from scenarios.sender import PATIENCE_S, Sent, send
from scenarios.workload import WARM_UP

READY_S = 15.0
"""How long a producer may take to be ready."""

_AHEAD_S = 0.05
"""From the word to the first job, so that all have heard it."""
_APART = 500_000_000
"""From the numbers of the harness' own warm-up."""
_POLL_S = 0.002


class Producers:
    """The processes beside this one that send."""

    def __init__(self, plan: Plan) -> None:
        self._plan, self._layout = plan, Layout(plan.cell.directory)
        self._others = [self._start(number) for number in range(1, plan.workload.producers)]

    def _start(self, number: int) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "scenarios.producers", str(self._layout.plan), str(number)]
        with self._layout.of_producer(number, "log").open("wb") as log:
            # Carrying the cell it is found and ended with the contender, should this process be killed.
            carrying = os.environ | {CELL_VARIABLE: str(self._layout.cell)}
            return subprocess.Popen(command, stdout=log, stderr=log, env=carrying)

    def begin(self) -> int:
        """When the jobs are intended from, in ns; every producer knows it.

        Raises:
            Failed: one did not come up.
        """
        deadline = time.monotonic() + READY_S
        for number, process in enumerate(self._others, 1):
            while not self._layout.of_producer(number, "ready").exists():
                if process.poll() is not None or time.monotonic() > deadline:
                    said = last_words(self._layout.of_producer(number, "log"))
                    raise Failed(f"producer {number} did not come up: {said}")
                time.sleep(_POLL_S)
        began_ns = time.monotonic_ns() + (round(_AHEAD_S * 1e9) if self._others else 0)
        draft = self._layout.began.with_suffix(".draft")
        draft.write_text(str(began_ns))
        draft.rename(self._layout.began)
        return began_ns

    def send(self, adapter: Adapter, *, began_ns: int) -> Sent:
        """Send this process's share, wait for the others', and add them up."""
        own = send(adapter, self._plan.workload, self._layout, began_ns=began_ns)
        deadline = began_ns / 1e9 + self._plan.workload.limit_s + 2 * PATIENCE_S
        return reduce(
            or_, (self._answer(number, deadline) for number in range(1, len(self._others) + 1)), own
        )

    def _answer(self, number: int, deadline: float) -> Sent:
        with suppress(subprocess.TimeoutExpired):
            self._others[number - 1].wait(max(deadline - time.monotonic(), 0.1))
        answer = self._layout.of_producer(number, "answer")
        if not answer.exists():
            raise Failed(
                f"producer {number} did not end: {last_words(self._layout.of_producer(number, 'log'))}"
            )
        answers, overdue, cpu_s = json.loads(answer.read_text())
        return Sent(Counter(answers), overdue, cpu_s)

    def close(self) -> None:
        """Leave none behind."""
        for process in self._others:
            process.kill()
            process.wait()


@contextmanager
def producers(plan: Plan) -> Iterator[Producers]:
    """As many as the workload asks for, gone at the end."""
    others = Producers(plan)
    try:
        yield others
    finally:
        others.close()


def main(path: str, number: str) -> None:
    """Send the share of a producer, and leave what became of it for the harness."""
    plan = Plan.model_validate_json(Path(path).read_bytes())
    layout, producer = Layout(plan.cell.directory), int(number)
    adapter = load(plan.cell.adapter)(plan.cell)
    with limit("connecting", READY_S):
        if plan.workload.shape != "backlog":  # its pool comes later, and would meet this job
            warm_up = JobSpec(WARM_UP + _APART + producer, "")
            list(adapter.submit([warm_up]))
    layout.of_producer(producer, "ready").touch()
    while not layout.began.exists():
        time.sleep(_POLL_S)
    began_ns = int(layout.began.read_text())
    sent = send(adapter, plan.workload, layout, began_ns=began_ns, producer=producer)
    draft = layout.of_producer(producer, "draft")
    draft.write_text(json.dumps([sent.answers, sent.overdue, sent.cpu_s]))
    draft.rename(layout.of_producer(producer, "answer"))


if __name__ == "__main__":
    main(*sys.argv[1:])
