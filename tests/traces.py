"""What the tests of spans and metrics share: Logfire's exporter, and a worker process in this thread."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import logfire
import pytest
from logfire.testing import CaptureLogfire, TestExporter
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from distq import DistQ
from distq.job import Lease
from distq.memory.storage import MemoryStorage
from distq.telemetry import quiet
from distq.testing import Clock
from distq.worker.holdings import Holdings
from distq.worker.lanes import Context, ThreadLane
from distq.worker.outbox import Outbox
from distq.worker.running import Running
from distq.worker.slots import Slots
from distq.worker.tally import Tally

Spans = list[dict[str, Any]]

SAID = ("task", "queue", "attempt", "outcome", "wait")
"""What an attempt and its settle say."""


@pytest.fixture
def told(capfire: CaptureLogfire) -> Iterator[CaptureLogfire]:
    """What Logfire was told; it is as if it had never been configured afterwards."""
    yield capfire
    logfire.DEFAULT_LOGFIRE_INSTANCE.config._initialized = False


def configure(*processors: SpanProcessor, head: float = 1.0) -> TestExporter:
    """Logfire as a user configures it; what the exporter holds is what is sent."""
    exporter = TestExporter()
    logfire.configure(
        send_to_logfire=False,
        console=False,
        additional_span_processors=[SimpleSpanProcessor(exporter), *processors],
        sampling=logfire.SamplingOptions(head=head),
    )
    return exporter


@pytest.fixture
def app() -> DistQ:
    return DistQ("memory://")


def spans(told: CaptureLogfire | TestExporter, name: str = "") -> Spans:
    exporter = told if isinstance(told, TestExporter) else told.exporter
    return [span for span in exporter.exported_spans_as_dict() if name in ("", span["name"])]


def metrics(told: CaptureLogfire) -> dict[str, list[dict[str, Any]]]:
    """The points of the metrics since the last call."""
    if (data := told.metrics_reader.get_metrics_data()) is None:
        return {}
    found = json.loads(data.to_json())["resource_metrics"]
    scopes = [scope for resource in found for scope in resource["scope_metrics"]]
    return {metric["name"]: metric["data"]["data_points"] for scope in scopes for metric in scope["metrics"]}


class Process:
    """What a worker process has, for one queue, by turns in the test's own thread."""

    def __init__(self, app: DistQ, queue: str = "default") -> None:
        self._queue = queue
        self.holdings = Holdings(app.storage, "w", 60)
        self.outbox = Outbox(app.storage, 60, 500, Tally([queue]))
        running = Running(Slots(Slots.allocate(1), 1), hard_cancel=False)
        self._lane = ThreadLane(Context(app, running, self.holdings, self.outbox.add))

    def work(self) -> None:
        """Lease what is ready, run it and settle it."""
        self.run()
        self.settle()

    def run(self, leases: Sequence[Lease] | None = None) -> None:
        """Run these, or what is ready."""
        self._lane.feed(self.holdings.lease(self._queue, 100) if leases is None else leases)
        self._lane.finish(1)
        self._lane.serve()

    @quiet.keeping()
    def settle(self) -> None:
        self.holdings.drop(self.outbox.settle())


@pytest.fixture
def process(app: DistQ) -> Process:
    return Process(app)


@pytest.fixture
def clock(app: DistQ) -> Clock:
    clock = Clock()
    app.move(MemoryStorage(clock))
    return clock


@pytest.fixture
def unset() -> Iterator[None]:
    """Logfire is as if it had never been configured afterwards."""
    yield
    logfire.DEFAULT_LOGFIRE_INSTANCE.config._initialized = False
