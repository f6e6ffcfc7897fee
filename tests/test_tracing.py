"""Spans and metrics of enqueues, attempts and settles, in this process."""

from __future__ import annotations

import asyncio
import os
import re
from pathlib import Path
from typing import Any

import logfire
import pytest
from logfire.testing import CaptureLogfire, TestExporter
from opentelemetry import propagate, trace
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from distq import CurrentJob, DistQ, JobFailed, Retry
from distq.admin.monitor import Monitor
from distq.errors import StorageUnavailable
from distq.ids import new_ids
from distq.job import AGEING, NewJob, Outcome, OutcomeKind
from distq.options import NO_LIMITS
from distq.steps import run as take_steps
from distq.storage import Op
from distq.telemetry import figures, instruments, quiet
from distq.testing import Clock, TestWorker
from distq.worker.execution import arun, run
from distq.worker.running import Run, TaskRun
from distq.worker.scheduler import Scheduler
from tests.traces import SAID, Process, metrics, spans
from tests.traces import app as app
from tests.traces import clock as clock
from tests.traces import process as process
from tests.traces import told as told

# -- names ---------------------------------------------------------------------------------------------


def test_logfire_shows_what_it_would_of_its_own_calls(
    app: DistQ, process: Process, told: CaptureLogfire
) -> None:
    app.task(name="shop.send")(lambda: None).enqueue()
    process.work()
    ours = spans(told)
    assert [span["name"] for span in ours] == ["enqueue", "job", "settle"]
    told.exporter.clear()
    for template in ("enqueue {task}", "job {task}", "settle"):
        with logfire.span(template, task="shop.send", _span_name=template.removesuffix(" {task}")):
            """Nothing to do."""
    for our, own in zip(ours, spans(told), strict=True):
        assert our["name"] == own["name"]
        for what in ("logfire.msg", "logfire.msg_template", "logfire.span_type"):
            assert our["attributes"][what] == own["attributes"][what]
    assert [span["attributes"]["logfire.msg"] for span in ours] == [
        "enqueue shop.send",
        "job shop.send",
        "settle",
    ]


def test_names_are_the_same_without_logfire(
    app: DistQ, process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    exporter, provider = TestExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(propagate, "get_global_textmap", TraceContextTextMapPropagator)
    monkeypatch.setattr(instruments, "_latest", None)
    monkeypatch.setattr(instruments, "_look_at", float("-inf"))
    monkeypatch.setattr(instruments, "of_sdk", lambda: (provider, None))
    app.task(name="shop.send")(lambda: None).enqueue()
    process.work()
    found = spans(exporter)
    assert [span["name"] for span in found] == ["enqueue", "job", "settle"]
    assert not [name for span in found for name in span["attributes"] if name.startswith("logfire.")]


# -- an attempt ----------------------------------------------------------------------------------------


def test_an_attempt_says_how_it_ended(app: DistQ, process: Process, told: CaptureLogfire) -> None:
    @app.task(name="again", retries=1, backoff=30.0, jitter=0)
    def again() -> Retry:
        return Retry(30)

    again.enqueue()
    process.work()
    (span,) = spans(told, "job")
    said = span["attributes"]
    assert (said["outcome"], said["delay"], said["attempt"]) == ("retry", 30.0, 1)
    assert "events" not in span


@pytest.mark.parametrize("awaited", [False, True])
def test_an_error_that_cannot_be_shown_is_an_exception_too(
    app: DistQ, told: CaptureLogfire, awaited: bool
) -> None:
    class Shy(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no")

    async def ashy() -> None:
        raise Shy

    def shy() -> None:
        raise Shy

    app.task(name="shy", retries=0)(ashy if awaited else shy).enqueue()
    assert outcome_of(app).kind is OutcomeKind.DEAD
    (span,) = spans(told, "job")
    (event,) = span["events"]
    assert event["attributes"]["exception.type"].endswith("Shy")


def test_an_error_with_letters_that_cannot_be_sent_is_sent(app: DistQ, told: CaptureLogfire) -> None:
    """As of a file whose name is no UTF-8: an exporter would drop the span, and all that goes with it."""

    @app.task(name="open", retries=0)
    def open_() -> None:
        raise FileNotFoundError(os.fsdecode(b"\xff"))

    open_.enqueue()
    assert outcome_of(app).kind is OutcomeKind.DEAD
    span = next(span for span in reversed(told.exporter.exported_spans) if span.name == "job")
    assert span.status.description == r"FileNotFoundError: \udcff"
    (event,) = span.events
    assert (event.attributes or {})["exception.message"] == r"\udcff"
    encode_spans([span]).SerializeToString()


def outcome_of(app: DistQ) -> Outcome:
    (lease,) = app.storage.run(app.storage.lease("default", worker="w", limit=1, ttl=60, alone=True))
    job = CurrentJob(lease, lambda job_id, progress: None)

    async def awaited() -> Outcome:
        return await arun(app, TaskRun(lease, job, NO_LIMITS))

    task = app.tasks[lease.task]
    if asyncio.iscoroutinefunction(task.function):
        return asyncio.run(awaited())
    return run(app, Run(lease, job, NO_LIMITS))


def test_arguments_that_do_not_fit_are_the_spans_error(app: DistQ, told: CaptureLogfire) -> None:
    app.task(name="add", retries=3)(lambda number: number)
    job = NewJob(new_ids("default", 1)[0], "default", "add", b'{}\n{"other":1}')
    app.storage.run(app.storage.enqueue([job]))
    assert outcome_of(app).kind is OutcomeKind.DEAD
    (span,) = spans(told, "job")
    assert span["attributes"]["outcome"] == "dead"
    assert span["events"][0]["attributes"]["exception.type"].endswith("InvalidArguments")


def test_the_thread_is_in_no_trace_afterwards(app: DistQ, process: Process, told: CaptureLogfire) -> None:
    app.task(name="t")(lambda: None).enqueue()
    process.work()
    assert not trace.get_current_span().get_span_context().is_valid


# -- how long it waited --------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"priority": 7}, {"delay": 20.0}, {"priority": 0}])
def test_how_long_a_job_was_ready_is_told(
    app: DistQ, clock: Clock, told: CaptureLogfire, options: dict[str, Any]
) -> None:
    task = app.task(name="t", priority=2)(lambda: None)
    task.options(**options).enqueue()
    clock.now += options.get("delay", 0.0)
    app.storage.run(app.storage.tick("default", limit=9, grace=0, outage=1e9, eager=True))
    clock.now += 2 * AGEING + 5
    Process(app).work()
    (span,) = spans(told, "job")
    assert span["attributes"]["wait"] == pytest.approx(2 * AGEING + 5, abs=2)
    (point,) = metrics(told)["distq.job.wait"]
    assert point["sum"] == pytest.approx(2 * AGEING + 5, abs=2)


def test_a_second_try_waits_from_when_it_was_due(app: DistQ, clock: Clock, told: CaptureLogfire) -> None:
    @app.task(name="fail", retries=1, backoff=100.0, jitter=0)
    def fail() -> None:
        raise ValueError("always")

    fail.enqueue()
    process = Process(app)
    process.work()
    clock.now += 107
    app.storage.run(app.storage.tick("default", limit=9, grace=0, outage=1e9, eager=True))
    process.work()
    waits = [span["attributes"]["wait"] for span in spans(told, "job")]
    assert waits == [pytest.approx(0, abs=2), pytest.approx(7, abs=2)]


# -- an enqueue ----------------------------------------------------------------------------------------


def test_an_enqueue_says_what_it_adds(app: DistQ, told: CaptureLogfire) -> None:
    task = app.task(name="t")(lambda number=0: None)
    job = task.options(queue="mail").enqueue()
    task.enqueue_many([(1,), (2,), (3,)])
    asyncio.run(_aenqueue(task))
    one, many, last = (span["attributes"] for span in spans(told, "enqueue"))
    assert (one["task"], one["queue"], one["jobs"], one["id"]) == ("t", "mail", 1, job.id)
    assert (many["jobs"], "id" in many, last["jobs"]) == (3, False, 1)
    added = {point["attributes"]["queue"]: point["value"] for point in metrics(told)["distq.jobs.enqueued"]}
    assert added == {"mail": 1, "default": 4}


def test_an_enqueue_whose_key_is_taken_adds_nothing(app: DistQ, told: CaptureLogfire) -> None:
    task = app.task(name="t", key="k", on_conflict="return")(lambda: None)
    has = task.enqueue()
    asyncio.run(_aenqueue(task))
    task.options(key="other").enqueue_many([(), ()])
    said = [(span["attributes"]["jobs"], span["attributes"].get("id")) for span in spans(told, "enqueue")]
    assert said == [(1, has.id), (0, has.id), (1, None)]
    (enqueued,) = metrics(told)["distq.jobs.enqueued"]
    assert enqueued["value"] == 2


async def _aenqueue(task: Any) -> None:
    await task.aenqueue()


def test_an_enqueue_that_fails_is_an_error(
    app: DistQ, told: CaptureLogfire, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any) -> None:
        raise StorageUnavailable("memory", "it is away")

    monkeypatch.setattr(app.storage, "run", away)
    with pytest.raises(StorageUnavailable):
        app.task(name="t")(lambda: None).enqueue()
    (span,) = spans(told, "enqueue")
    assert span["events"][0]["attributes"]["exception.type"].endswith("StorageUnavailable")
    assert "distq.jobs.enqueued" not in metrics(told)


def test_of_a_tick_only_who_fired_it_says_so(app: DistQ, clock: Clock, told: CaptureLogfire) -> None:
    @app.cron("* * * * *")
    @app.task(name="report", retries=1, backoff=0.0)
    def report() -> None:
        raise ValueError("always")

    mine, others = (Scheduler(app.storage, app.crons.values()) for _ in range(2))
    mine.make()
    clock.now += 60
    schedules = app.storage.schedules("default", ["report"])
    known = app.storage.run(schedules)
    for scheduler in (mine, others):
        with quiet.keeping(), pytest.MonkeyPatch.context() as patch:
            # Both have looked before either fired.
            patch.setattr(app.storage, "schedules", lambda queue, names: _answer(known))
            scheduler.next_at = 0
            scheduler.make()
    process = Process(app)
    process.work()
    process.work()
    enqueue, vain = spans(told, "enqueue")
    first, second = (span for span in spans(told, "job"))
    assert first["parent"]["span_id"] == second["parent"]["span_id"] == enqueue["context"]["span_id"]
    assert enqueue["parent"] is None
    # Logfire had told that it began: it is not to be under way for ever.
    assert (enqueue["attributes"]["jobs"], vain["attributes"]["jobs"]) == (1, 0)
    (enqueued,) = metrics(told)["distq.jobs.enqueued"]
    assert enqueued["value"] == 1


def _answer(value: Any) -> Op[Any]:
    return Op(lambda: value, lambda answer: answer)


# -- in a user's tests --------------------------------------------------------------------------------


@pytest.mark.parametrize("awaited", [False, True])
def test_inline_jobs_are_told_of_as_by_a_worker(app: DistQ, told: CaptureLogfire, awaited: bool) -> None:
    def fail() -> None:
        raise ValueError("always")

    async def afail() -> None:
        fail()

    task = app.task(name="fail", retries=1)(afail if awaited else fail)
    with app.inline():
        job = task.enqueue()
        with pytest.raises(JobFailed):
            job.result()
    names = ["job", "settle", "job", "settle", "enqueue"]
    assert [span["name"] for span in spans(told) if span["name"] in names] == names
    jobs, settles = spans(told, "job"), spans(told, "settle")
    assert [span["attributes"]["outcome"] for span in jobs] == ["retry", "dead"]
    assert [span["parent"]["span_id"] for span in settles] == [span["context"]["span_id"] for span in jobs]
    for ran, settled in zip(jobs, settles, strict=True):
        assert {name: ran["attributes"][name] for name in SAID} == {
            name: settled["attributes"][name] for name in SAID
        }
    found = metrics(told)
    assert {point["attributes"]["outcome"]: point["value"] for point in found["distq.attempts.ended"]} == {
        "retry": 1,
        "dead": 1,
    }
    for metric in ("distq.job.wait", "distq.job.run"):
        assert sum(point["count"] for point in found[metric]) == 2


def test_in_a_test_a_job_waits_by_the_clock_of_the_test(
    app: DistQ, clock: Clock, told: CaptureLogfire
) -> None:
    worker = TestWorker(app, clock)
    app.task(name="t", priority=2)(lambda: None).options(delay=60).enqueue()
    worker.advance(67)
    worker.run()
    (span,) = spans(told, "job")
    assert span["attributes"]["wait"] == pytest.approx(7, abs=0.01)


def test_the_metrics_are_those_of_the_page(
    app: DistQ, process: Process, told: CaptureLogfire, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.task(name="t")(lambda number: None).enqueue_many([(1,), (2,)])
    process.run()
    kept = next(iter(process.holdings)).id
    app.storage.run(app.storage.forfeit("default", worker="w", begun=(), kept={kept}))
    process.settle()
    figures.reclaimed("default", 1)
    take_steps(app.storage, Monitor(app.storage).look())
    page = (Path(__file__).parent.parent / "docs" / "distq.md").read_text()
    rows = re.findall(r"^\| `(distq\.[a-z.]+)` \|.*\| (.*) \|$", page, re.MULTILINE)
    written = {name: set(re.findall(r"`(\w+)`", attributes)) for name, attributes in rows}
    found = {name: set(points[0]["attributes"]) for name, points in metrics(told).items()}
    assert written == {name: names for name, names in found.items() if name.startswith("distq.")}
