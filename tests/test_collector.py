"""What a collector hears of real worker processes, which use Logfire or the SDK of OpenTelemetry."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import logfire
import pytest
from logfire.testing import CaptureLogfire

from distq import JobFailed
from tests import traced_app
from tests.collector import Collector, Received, collecting
from tests.helpers import eventually
from tests.traced_app import flaky, grab, hold, noop
from tests.world import World, end, open_world, url_of, workers_of

WAYS = [("postgres", "logfire"), ("redis", "sdk"), ("postgres", "sdk"), ("redis", "logfire")]


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as collector:
        yield collector


@pytest.fixture
def told(capfire: CaptureLogfire) -> Iterator[CaptureLogfire]:
    """What this process tells Logfire."""
    yield capfire
    logfire.DEFAULT_LOGFIRE_INSTANCE.config._initialized = False


@pytest.fixture(params=WAYS[:2], ids="-".join)
def traced(
    request: pytest.FixtureRequest, collector: Collector, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[World]:
    """The world of `tests.traced_app`."""
    store, way = request.param
    monkeypatch.setenv("DISTQ_TEST_TELEMETRY", way)
    monkeypatch.setenv("DISTQ_TEST_COLLECTOR", collector.url)
    monkeypatch.delenv("LOGFIRE_TOKEN", raising=False)
    url = url_of(request, store)
    with open_world(traced_app.app, "tests.traced_app", url, tmp_path / "notes", monkeypatch) as world:
        yield world


def hexed(span: dict[str, object]) -> tuple[str, str]:
    """The trace and the id of a span of this process."""
    context = span["context"]
    assert isinstance(context, dict)
    return f"{context['trace_id']:032x}", f"{context['span_id']:016x}"


def jobs(collector: Collector) -> list[Received]:
    return [span for span in collector.spans() if (span.name, span.scope) == ("job", "distq")]


def attempts(collector: Collector, count: int) -> list[Received]:
    found = eventually(lambda: len(spans := jobs(collector)) >= count and spans, timeout=20)
    assert len(found) == count
    return sorted(found, key=lambda span: span.attributes["attempt"])


@pytest.mark.parametrize("traced", WAYS, ids="-".join, indirect=True)
def test_one_trace_leads_from_a_request_to_the_result_of_a_retried_job(
    traced: World, collector: Collector, told: CaptureLogfire
) -> None:
    # Each job has a process of its own.
    traced.start("--processes", "1", "--queues", "default", "--max-jobs", "1")
    with logfire.span("request"):
        job = flaky.enqueue()
    pid = job.result(timeout=30)
    here = {span["name"]: hexed(span) for span in told.exporter.exported_spans_as_dict()}
    first, second = attempts(collector, 2)
    settles = eventually(lambda: len(spans := collector.spans("settle")) == 2 and spans, timeout=20)
    trace, enqueue = here["enqueue"]
    assert {span.trace for span in (first, second, *settles)} == {trace} == {here["request"][0]}
    assert (first.parent, second.parent) == (enqueue, enqueue)
    assert {span.parent for span in settles} == {first.id, second.id}
    # Two processes ran it.
    assert [line.split()[1] for line in traced.lines()][1] == str(pid) != traced.lines()[0].split()[1]
    what = {"task": "flaky", "queue": "default", "id": job.id}
    assert {**what, "attempt": 1, "outcome": "retry"}.items() <= first.attributes.items()
    assert {**what, "attempt": 2, "outcome": "done"}.items() <= second.attributes.items()
    assert first.attributes["delay"] == pytest.approx(0.2, rel=0.5)
    assert 0 < first.attributes["wait"] < 30
    assert 0 <= second.attributes["wait"] < 30
    (event,) = first.events
    assert (event["name"], event["exception.message"]) == ("exception", "the first time")
    assert (first.failed, second.failed, second.events) == (True, False, [])
    by_parent = {span.parent: span.attributes for span in settles}
    for attempt, kind in ((first, "retry"), (second, "done")):
        said = {name: attempt.attributes[name] for name in ("task", "queue", "attempt", "wait", "outcome")}
        assert {"jobs": 1, kind: 1, "voids": 0, **said}.items() <= by_parent[attempt.id].items()


def test_what_workers_ask_again_and_again_is_in_no_trace(
    traced: World, collector: Collector, told: CaptureLogfire
) -> None:
    traced.start("--processes", "2", "--queues", "default", "--ttl", "1")
    with logfire.span("request"):
        holding, quick = hold.enqueue("a"), noop.enqueue(1)
    quick.result(timeout=20)
    storage = traced.app.storage
    # So leases are renewed, and passes made.
    eventually(lambda: len(storage.run(storage.workers(within=60))) == 2, timeout=20)
    lease = eventually(lambda: storage.run(storage.get(holding.id)), timeout=20)
    until = lease.leased_until
    eventually(
        lambda: (storage.run(storage.get(holding.id)).leased_until or 0) > (until or 0) + 1, timeout=20
    )
    traced_app.note("release a")
    holding.result(timeout=20)
    assert end(traced.pools[0]) == 0
    trace = hexed(told.exporter.exported_spans_as_dict()[0])[0]
    strangers = [span for span in collector.spans() if span.trace != trace and span.scope != "logfire"]
    assert [span for span in strangers if span.name != "settle"] == []
    assert len(jobs(collector)) == 2


def test_metrics_tell_of_all_processes(traced: World, collector: Collector) -> None:
    noop.enqueue_many([(number,) for number in range(12)])
    failing = flaky.enqueue()
    traced.start("--processes", "2", "--queues", "default")
    failing.result(timeout=30)
    said = {"queue": "default", "task": "noop", "outcome": "done"}
    eventually(lambda: collector.total("distq.attempts.ended", **said) == 12, timeout=20)
    eventually(lambda: collector.total("distq.attempts.ended", task="flaky") == 2, timeout=20)
    assert collector.total("distq.job.run", **said) == collector.total("distq.job.wait", **said) == 12
    assert {point.attributes["outcome"] for point in collector.points("distq.job.run", task="flaky")} == {
        "retry",
        "done",
    }


def test_leases_that_run_out_are_counted(traced: World, collector: Collector) -> None:
    pool = traced.start("--processes", "1", "--queues", "default", "--ttl", "1")
    lost = hold.enqueue("a")
    eventually(lambda: traced.noted("begin a"), timeout=20)
    # The whole pool is frozen, so that nobody forfeits what it holds.
    (worker,) = workers_of(pool)
    os.kill(pool.pid, signal.SIGSTOP)
    worker.suspend()
    other = traced.start("--processes", "1", "--queues", "default", "--ttl", "1")
    eventually(lambda: collector.total("distq.leases.reclaimed", queue="default") == 1, timeout=30)
    eventually(lambda: traced.noted("begin a") == 2, timeout=20)
    traced_app.note("release a")
    lost.result(timeout=20)
    worker.resume()
    os.kill(pool.pid, signal.SIGCONT)
    eventually(lambda: collector.total("distq.leases.lost", queue="default") == 1, timeout=20)
    (void,) = eventually(
        lambda: [span for span in collector.spans("settle") if span.attributes["voids"]], timeout=20
    )
    assert void.attributes["voids"] == void.attributes["jobs"] == 1
    assert end(other) == 0


def test_a_process_that_ends_at_once_still_tells(traced: World, collector: Collector) -> None:
    traced.start("--processes", "1", "--queues", "default", "--grace", "0.2")
    job = grab.options(timeout=0.2, hard_timeout=0.5).enqueue()
    with pytest.raises(JobFailed, match="went on after its timeout"):
        job.result(timeout=20)
    (span,) = attempts(collector, 1)
    assert (span.attributes["outcome"], span.attributes["id"]) == ("dead", job.id)
    assert [event["name"] for event in span.events] == ["exception"]
