"""What telemetry costs a job: `python -m tests.performance.telemetry`.

Each way of configuring it has a process of its own, which takes jobs that do nothing from the enqueue to the
settled end, as `budget` does, with the parts of a worker. The processes work by turns, and it is their CPU
time that counts, for others may use the machine too. What is exported is dropped.
"""

from __future__ import annotations

import multiprocessing
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from multiprocessing.connection import Connection

from adapters.base import Service
from distq import DistQ
from distq.telemetry.instruments import instruments
from distq.worker.holdings import Holdings
from distq.worker.lanes import Context, ThreadLane
from distq.worker.outbox import Outbox
from distq.worker.running import Running
from distq.worker.slots import Slots
from distq.worker.tally import Tally
from scenarios.servers import Servers
from tests.performance import tables

BATCH, CHUNK = 200, 100
QUEUE, WORKER = "told", "told"
NEEDS = frozenset({Service.POSTGRES, Service.REDIS})
OFF = "off"
Taken = Sequence[tuple[float, float]]

HEAD = 0.01
"""The share of traces that are sampled."""


def _otel(head: float, *, metrics: bool) -> None:
    """The SDK of OpenTelemetry, with a processor that drops spans and a reader that nobody reads."""
    from opentelemetry import metrics as meters
    from opentelemetry import trace
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
    from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio

    tracers = TracerProvider(sampler=ParentBasedTraceIdRatio(head))
    tracers.add_span_processor(SpanProcessor())
    trace.set_tracer_provider(tracers)
    if metrics:
        meters.set_meter_provider(MeterProvider([InMemoryMetricReader()]))


def _logfire(head: float) -> None:
    """Logfire's own pipeline, and no token."""
    import logfire

    sampling = logfire.SamplingOptions(head=head)
    logfire.configure(send_to_logfire="if-token-present", token=None, console=False, sampling=sampling)


WAYS: Mapping[str, Callable[[], None]] = {
    OFF: lambda: None,
    "OpenTelemetry, traces, 1 %": partial(_otel, HEAD, metrics=False),
    "OpenTelemetry, traces, all": partial(_otel, 1.0, metrics=False),
    "OpenTelemetry, traces and metrics, 1 %": partial(_otel, HEAD, metrics=True),
    "OpenTelemetry, traces and metrics, all": partial(_otel, 1.0, metrics=True),
    "Logfire, 1 %": partial(_logfire, HEAD),
    "Logfire, all": partial(_logfire, 1.0),
}


class Bench:
    """An app on one storage, and what a worker process has."""

    def __init__(self, url: str) -> None:
        self.app = DistQ(url)
        self.storage = self.app.storage
        self.task = self.app.task(name="noop", queue=QUEUE)(tables.noop)
        self._running = Running(Slots(Slots.allocate(1), 1), hard_cancel=False)

    def round(self, jobs: int) -> tuple[float, float]:
        """Take so many jobs from the enqueue to the end. Returns µs of CPU, a job and a bare span."""
        return self._jobs(jobs), _spans(jobs)

    def _jobs(self, jobs: int) -> float:
        began = time.process_time()
        for start in range(0, jobs, CHUNK):
            self.task.enqueue_many([(tables.PAYLOAD,)] * min(CHUNK, jobs - start))
        holdings = Holdings(self.storage, WORKER, ttl=3600)
        outbox = Outbox(self.storage, self.app.result_ttl, BATCH, Tally([QUEUE]))
        lane = ThreadLane(Context(self.app, self._running, holdings, outbox.add))
        while leases := holdings.lease(QUEUE, BATCH):
            lane.feed(leases)
            lane.finish(1)
            lane.serve()
            holdings.drop(outbox.settle())
        return (time.process_time() - began) / jobs * 1e6


def _spans(count: int) -> float:
    """µs of a span that is begun and ended, with the attributes of a job's; 0 without telemetry."""
    if (found := instruments()) is None or found.tracer is None:
        return 0.0
    attributes = {"task": "noop", "queue": QUEUE, "id": "0" * 40, "attempt": 1, "wait": 0.1}
    began = time.process_time()
    for _ in range(count):
        found.tracer.start_span("bare", attributes=attributes).end()
    return (time.process_time() - began) / count * 1e6


def measure(servers: Servers, jobs: int, rounds: int) -> None:
    """Print a table a storage."""
    for service in sorted(NEEDS):
        url = servers.urls[service]
        DistQ(url).storage.migrate()
        with ExitStack() as stack:
            cases = {way: stack.enter_context(_process(way, url, jobs)) for way in WAYS}
            tables.by_turns(cases, 1)  # connects, and warms up
            found = tables.by_turns(cases, rounds)
        rows = [(way, *_row(taken, found[OFF])) for way, taken in found.items()]
        title = f"{service}: CPU, µs a job, medians of {rounds} rounds of {jobs:,} jobs"
        tables.print_markdown(title, ("telemetry", "all in all", "more than off", "a bare span"), rows)


def _row(taken: Taken, off: Taken) -> tuple[str, ...]:
    more = (own - none for (own, _), (none, _) in zip(taken, off, strict=True))
    spent, spans = zip(*taken, strict=True)
    return tables.ranged(spent), tables.ranged(more), tables.ranged(spans) if any(spans) else "--"


@contextmanager
def _process(way: str, url: str, jobs: int) -> Iterator[Callable[[], tuple[float, float]]]:
    """Gives what takes a round in the process of a way, which ends when the pipe to it is closed."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=_serve, args=(way, url, jobs, theirs))
    process.start()
    theirs.close()

    def take() -> tuple[float, float]:
        ours.send(None)
        return ours.recv()

    try:
        yield take
    finally:
        ours.close()
        process.join()


def _serve(way: str, url: str, jobs: int, pipe: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    WAYS[way]()
    bench = Bench(url)
    while True:
        try:
            pipe.recv()
        except EOFError:
            return
        pipe.send(bench.round(jobs))


if __name__ == "__main__":
    sys.exit(tables.run("telemetry", measure, NEEDS, jobs=10_000))
