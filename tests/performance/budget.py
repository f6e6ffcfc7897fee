"""Where each microsecond of a job goes, in one process: `python -m tests.performance.budget`.

A worker's parts are called one after the other: all jobs are leased, then each batch is run and settled.
What is too short to be timed for one job is timed for all at once: `call` and `record` are what is left then.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from functools import partial
from typing import Any

from adapters.base import Service
from distq import DistQ
from distq.context import CurrentJob
from distq.job import Lease
from distq.messages import encode_value
from distq.options import NO_LIMITS
from distq.worker import execution
from distq.worker.holdings import Holdings
from distq.worker.lanes import Context, ThreadLane
from distq.worker.outbox import Outbox
from distq.worker.running import Run, Running
from distq.worker.slots import Slots
from distq.worker.tally import Tally
from scenarios.servers import Servers
from tests.performance import tables
from tests.performance.meter import Meter, Metered

BATCH, CHUNK = 200, 1000
QUEUE, WORKER = "parts", "parts"
NEEDS = frozenset({Service.POSTGRES, Service.REDIS})
WORK = ("lease", "decode", "validate", "call", "record", "encode", "settle: build", "settle")
ENCODING = "of it: validate, encode"
CALLS = ("lease", "settle", "enqueue_many")


class Bench:
    """An app on one storage, and what a worker process has."""

    def __init__(self, url: str, server: int) -> None:
        self.app, self._server = DistQ(url), server
        self.storage = self.app.storage
        self.task = self.app.task(name="noop", queue=QUEUE)(tables.noop)
        self.storage.migrate()
        self._listener, self._wakeup = self.storage.listener(queues=[QUEUE]), os.pipe()[0]
        # It connects, then hears itself: only so do PostgreSQL's leases go on where the last one ended.
        self._hear(0)
        self._hear(0.5)
        self._running = Running(Slots(Slots.allocate(1), 1), hard_cancel=False)

    def _hear(self, seconds: float) -> None:
        self.storage.told([QUEUE], self._listener.wait(timeout=seconds, wakeup=self._wakeup))

    def round(self, jobs: int) -> dict[str, Any]:
        """Take so many jobs from the enqueue to the end. Returns µs a job, by part."""
        meter = Meter(self._server)
        with meter.server("enqueue_many"), meter.part("enqueue_many"):
            for start in range(0, jobs, CHUNK):
                self.task.enqueue_many([(tables.PAYLOAD,)] * min(CHUNK, jobs - start))
        self._hear(0)
        storage: Any = Metered(self.storage, meter)
        holdings = Holdings(storage, WORKER, ttl=3600)
        outbox = Outbox(storage, self.app.result_ttl, BATCH, Tally([QUEUE]))
        with meter.server("lease"), meter.part("lease"):
            batches = [holdings.lease(QUEUE, BATCH) for _ in range(0, jobs, BATCH)]
        with meter.server("settle"):
            self._work(batches, holdings, outbox, meter)
        self._split([lease for batch in batches for lease in batch], holdings, meter)
        return {part: spent / jobs * 1e6 for part, spent in _exclusive(meter.spent).items()}

    def _work(
        self, batches: Sequence[Sequence[Lease]], holdings: Holdings, outbox: Outbox, meter: Meter
    ) -> None:
        lane = ThreadLane(Context(self.app, self._running, holdings, outbox.add))
        for batch in batches:
            with meter.part("record"):
                lane.feed(batch)
                lane.finish(1)
                lane.serve()
            with meter.part("settle"):
                holdings.drop(outbox.settle())

    def _split(self, leases: Sequence[Lease], holdings: Holdings, meter: Meter) -> None:
        """Run the jobs once more without the storage, and each part of that alone."""
        attempts = [Run(lease, CurrentJob(lease, holdings.note), NO_LIMITS) for lease in leases]
        signature = self.task.signature
        with meter.part("call"):
            for attempt in attempts:
                execution.run(self.app, attempt)
        with meter.part("validate"):
            for lease in leases:
                signature.decode(lease.payload)
        with meter.part("encode"):
            for _ in leases:
                encode_value(None)
        with meter.part(ENCODING):
            for _ in leases:
                signature.encode((tables.PAYLOAD,), {})


def _exclusive(spent: dict[str, Any]) -> dict[str, Any]:
    """What was timed as a whole, without its parts."""
    return spent | {
        "lease": spent["lease"] - spent["decode"],
        "record": spent["record"] - spent["call"],
        "call": spent["call"] - spent["validate"] - spent["encode"],
        "settle": spent["settle"] - spent["settle: build"],
    }


def measure(servers: Servers, jobs: int, rounds: int) -> None:
    """Print a table a storage."""
    benches = {str(service): Bench(servers.urls[service], servers.pids[service]) for service in sorted(NEEDS)}
    found = tables.by_turns({name: partial(bench.round, jobs) for name, bench in benches.items()}, rounds)
    for name, spent in found.items():
        title = f"{name}: µs a job, medians of {rounds} rounds of {jobs:,} jobs, batches of {BATCH}"
        rows = [_row(part, [each[part] for each in spent]) for part in WORK]
        rows.append(_row("sum of these", [sum(each[part] for part in WORK) for each in spent]))
        rows += [_row(part, [each[part] for each in spent]) for part in ("enqueue_many", ENCODING)]
        tables.print_markdown(title, ("part", "round trip", "client CPU", "server CPU"), rows)


def _row(part: str, spent: Sequence[Any]) -> tuple[str, ...]:
    wall, client, server = (tables.ranged(values) for values in zip(*spent, strict=True))
    return (part, wall if part in CALLS else "--", client, server if server != "0" else "--")


if __name__ == "__main__":
    sys.exit(tables.run("budget", measure, NEEDS, jobs=20_000))
