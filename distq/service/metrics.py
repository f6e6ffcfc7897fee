"""What Prometheus is told. Labels are queues, states, kinds of outcome, severities: what there is of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from distq.admin.monitor import Picture, QueueStatus
from distq.finding import Severity
from distq.ids import split_id
from distq.job import JobState, OutcomeKind, Tallies


class _Given(Collector):
    """Metrics that are there already."""

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = list(metrics)

    def collect(self) -> Iterable[Metric]:
        return self._metrics


def of(picture: Picture, tallies: Tallies) -> CollectorRegistry:
    """The metrics of a deployment."""
    return _registry([_up(1), *_queues(picture), *_troubles(picture), _attempts(tallies)])


def away() -> CollectorRegistry:
    """The metrics while the storage does not answer."""
    return _registry([_up(0)])


def _registry(metrics: Iterable[Metric]) -> CollectorRegistry:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Given(metrics))
    return registry


def _up(value: int) -> Metric:
    return GaugeMetricFamily("distq_up", "Whether the storage answers.", value)


def _queues(picture: Picture) -> Iterator[Metric]:
    jobs = GaugeMetricFamily("distq_jobs", "Jobs by state.", labels=["queue", "state"])
    for queue in picture.queues:
        for state in JobState:
            jobs.add_metric([queue.name, state], queue.counts.get(state, 0))
    yield jobs
    running = Counter(split_id(job.id)[0] for worker in picture.workers for job in worker.vitals.running)
    for name, text, value_of in (
        ("distq_oldest_ready_seconds", "How long the next job has been ready; 0 where none is.", _oldest),
        ("distq_workers", "Live worker processes.", lambda queue: len(queue.workers)),
        ("distq_running", "Jobs that workers run.", lambda queue: running[queue.name]),
        ("distq_queue_paused", "Whether it is paused.", lambda queue: int(queue.paused)),
    ):
        gauge = GaugeMetricFamily(name, text, labels=["queue"])
        for queue in picture.queues:
            gauge.add_metric([queue.name], value_of(queue))
        yield gauge


def _oldest(queue: QueueStatus) -> float:
    return queue.oldest or 0.0


def _troubles(picture: Picture) -> Iterator[Metric]:
    found = Counter(trouble.severity for trouble in picture.troubles)
    gauge = GaugeMetricFamily("distq_troubles", "What somebody should look at.", labels=["severity"])
    for severity in (Severity.NOTE, Severity.WARNING, Severity.PROBLEM):
        gauge.add_metric([severity], found[severity])
    yield gauge


def _attempts(tallies: Tallies) -> Metric:
    counter = CounterMetricFamily(
        "distq_attempts", "Attempts that ended, by how they did.", labels=["queue", "outcome"]
    )
    for queue, kinds in sorted(tallies.items()):
        for kind in OutcomeKind:
            counter.add_metric([queue, kind], kinds.get(kind, 0))
    return counter
