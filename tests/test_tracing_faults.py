"""What is not sampled, and a user's telemetry that fails."""

from __future__ import annotations

import logging
import tracemalloc
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import logfire
import pytest
from logfire.testing import CaptureLogfire
from opentelemetry import propagate, trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.trace import NonRecordingSpan, SpanContext

from distq import DistQ
from distq.admin.monitor import Monitor
from distq.ids import new_ids
from distq.job import NewJob
from distq.steps import run as take_steps
from distq.telemetry import carrier, faults, instruments, providers
from tests.traces import Process, configure, metrics, spans
from tests.traces import app as app
from tests.traces import told as told
from tests.traces import unset as unset

# -- sampling ------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("unset")
@pytest.mark.parametrize("around", [True, False])
def test_what_is_not_sampled_stays_so_in_the_worker(app: DistQ, around: bool) -> None:
    seen: list[bool] = []

    @app.task(name="t", retries=0)
    def t() -> None:
        with logfire.span("inside"):
            seen.append(trace.get_current_span().is_recording())
        raise ValueError("always")

    configure(head=0.0)
    with logfire.span("request") if around else ExitStack():
        t.enqueue()
    exporter = configure(head=1.0)  # the worker would sample all
    Process(app).work()
    assert seen == [False]
    assert {span["name"] for span in spans(exporter)} <= {"job {id} is dead: {type}: {error}"}
    assert spans(exporter, "job") == spans(exporter, "settle") == []


@pytest.mark.usefixtures("unset")
def test_a_job_of_no_trace_begins_one_by_the_workers_choice(app: DistQ) -> None:
    task = app.task(name="t")(lambda: None)
    task.enqueue()
    none = configure(head=0.0)
    Process(app).work()
    assert spans(none) == []
    all_of_them = configure(head=1.0)
    task.enqueue()
    Process(app).work()
    assert [span["name"] for span in spans(all_of_them)] == ["enqueue", "job", "settle"]


# -- what goes wrong -----------------------------------------------------------------------------------


class Broken(SpanProcessor):
    """Of a user's."""

    def on_start(self, span: Span, parent_context: Any = None) -> None:
        raise RuntimeError("on_start is broken")

    def on_end(self, span: ReadableSpan) -> None:
        raise RuntimeError("on_end is broken")


class BrokenAtTheEnd(Broken):
    def on_start(self, span: Span, parent_context: Any = None) -> None:
        """Does nothing."""


@pytest.mark.usefixtures("unset")
@pytest.mark.parametrize("broken", [Broken, BrokenAtTheEnd])
def test_a_broken_processor_costs_no_job(
    app: DistQ, broken: Callable[[], SpanProcessor], caplog: pytest.LogCaptureFixture
) -> None:
    configure(broken())
    task = app.task(name="t")(lambda: 7)
    with caplog.at_level(logging.WARNING, "distq"):
        job = task.enqueue()
        Process(app).work()
    assert job.result(timeout=0) == 7
    assert not trace.get_current_span().get_span_context().is_valid
    assert any("is broken" in record.getMessage() for record in caplog.records)


@pytest.mark.parametrize(
    "headers",
    [
        b'{"trace":"x"}',
        b'{"trace":{"traceparent":5}}',
        b'{"trace":{"traceparent":"00-zz-1-1"}}',
        b'{"trace":[1]}',
        b'{"trace":{"traceparent":["a"]},"priority":"high"}',
        b'{"priority":1' + 400 * b"0" + b"}",
        b'{"trace":{"traceparent":"00-zz-1-1","tracestate":"' + 99_999 * b"a=b," + b'"}}',
        b"[1]",
        b'"x',
    ],
)
def test_headers_of_others_cost_no_job(app: DistQ, told: CaptureLogfire, headers: bytes) -> None:
    app.task(name="t")(lambda: None)
    (job_id,) = new_ids("default", 1)
    app.storage.run(app.storage.enqueue([NewJob(job_id, "default", "t", headers + b"\n{}")]))
    Process(app).work()
    (span,) = spans(told, "job")
    assert (span["parent"], span["attributes"]["outcome"]) == (None, "done")
    (ended,) = metrics(told)["distq.attempts.ended"]
    assert ended["value"] == 1


def test_a_job_without_headers_is_told_of_too(app: DistQ, told: CaptureLogfire) -> None:
    app.task(name="t")(lambda: None)
    jobs = [NewJob(job_id, "default", "t", b"nothing of distq") for job_id in new_ids("default", 2)]
    app.storage.run(app.storage.enqueue(jobs))
    Process(app).work()
    assert [span["attributes"]["outcome"] for span in spans(told, "job")] == ["dead", "dead"]


def test_what_headers_say_does_not_depend_on_where_they_are_read(
    app: DistQ, told: CaptureLogfire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(propagate, "get_global_textmap", W3CBaggagePropagator)
    unsampled = SpanContext(5, 7, is_remote=True)
    baggage, priority = b'{"trace":{"baggage":"a=b"}}\n{}', b'{"priority":3}\n{}'
    with trace.use_span(NonRecordingSpan(unsampled)):
        assert carrier.carried(baggage) == carrier.NOTHING
        assert carrier.carried(priority) == carrier.Carried(priority=3)


def test_long_headers_are_not_kept_for_long(told: CaptureLogfire) -> None:
    tracemalloc.start()
    for number in range(200):
        carrier.carried(b'{"tenant":"%d%s"}\n{}' % (number, b"x" * 2**18))
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 20 * 2**20


def test_a_broken_meter_costs_no_job_and_no_span(
    app: DistQ, told: CaptureLogfire, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by a filter, a view or an exemplar reservoir of the user's."""
    task = app.task(name="t")(lambda: 7)
    found = instruments.instruments()
    assert found

    def broken(*_: Any) -> None:
        raise RuntimeError("the meter is broken")

    for metric, method in (("enqueued", "add"), ("ended", "add"), ("depth", "set")):
        monkeypatch.setattr(getattr(found, metric), method, broken)
    job = task.enqueue()
    Process(app).work()
    take_steps(app.storage, Monitor(app.storage).look())
    assert job.result(timeout=0) == 7
    assert [span["name"] for span in spans(told)] == ["enqueue", "job", "settle"]
    assert any("the meter is broken" in record.getMessage() for record in caplog.records)


def test_who_cannot_be_flushed_keeps_no_other_from_it(monkeypatch: pytest.MonkeyPatch) -> None:
    flushed: list[str] = []

    class Provider:
        def force_flush(self) -> None:
            flushed.append("a provider")
            raise ConnectionError("the collector is away")

    monkeypatch.setattr(providers, "logfire", lambda: None)
    monkeypatch.setattr(providers, "of_sdk", lambda: (Provider(), Provider()))
    providers.flush()
    assert len(flushed) == 2


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no")


def test_a_fault_is_told_now_and_then(caplog: pytest.LogCaptureFixture) -> None:
    for number in range(9):
        with faults.contained:
            raise KeyError(number)
        with faults.contained:
            raise ValueError(number)
        with faults.contained:
            raise Unspeakable
    said = [record.getMessage().removeprefix("telemetry failed: ") for record in caplog.records]
    assert said == ["KeyError: 0", "ValueError: 0", "Unspeakable: its message cannot be shown"]


def test_an_interrupted_attempt_is_ended_too(app: DistQ, told: CaptureLogfire) -> None:
    """As by Ctrl-C in a test that runs jobs inline."""

    @app.task(name="interrupt")
    def interrupt() -> None:
        raise KeyboardInterrupt

    with app.inline(), pytest.raises(KeyboardInterrupt):
        interrupt.enqueue()
    (span,) = spans(told, "job")
    assert "outcome" not in span["attributes"]
    assert not trace.get_current_span().get_span_context().is_valid
