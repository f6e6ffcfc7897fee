"""Spans and metrics of enqueues, attempts and settles, in this process."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import logfire
import pytest
from logfire.testing import CaptureLogfire, TestExporter
from opentelemetry import propagate, trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import NonRecordingSpan, SpanContext

from distq import CurrentJob, DistQ, JobFailed, Retry
from distq.admin.monitor import Monitor
from distq.errors import StorageUnavailable
from distq.ids import new_ids
from distq.job import AGEING, NewJob, Outcome, OutcomeKind
from distq.memory.storage import MemoryStorage
from distq.options import NO_LIMITS
from distq.steps import run as take_steps
from distq.storage import Op
from distq.telemetry import carrier, faults, figures, providers, quiet, settling
from distq.telemetry.instruments import instruments
from distq.testing import Clock
from distq.worker.execution import arun, run
from distq.worker.holdings import Holdings
from distq.worker.lanes import Context, ThreadLane
from distq.worker.outbox import Outbox
from distq.worker.running import Run, Running, TaskRun
from distq.worker.scheduler import Scheduler
from distq.worker.slots import Slots
from distq.worker.tally import Tally

Spans = list[dict[str, Any]]


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
    return [span for span in exporter.exported_spans_as_dict() if span["name"].startswith(name)]


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

    def run(self) -> None:
        self._lane.feed(self.holdings.lease(self._queue, 100))
        self._lane.finish(1)
        self._lane.serve()

    @quiet.keeping()
    def settle(self) -> None:
        self.holdings.drop(self.outbox.settle())


@pytest.fixture
def process(app: DistQ) -> Process:
    return Process(app)


# -- an attempt ----------------------------------------------------------------------------------------


def test_an_attempt_says_how_it_ended(app: DistQ, process: Process, told: CaptureLogfire) -> None:
    @app.task(name="again", retries=1, backoff=30.0, jitter=0)
    def again() -> Retry:
        return Retry(30)

    again.enqueue()
    process.work()
    (span,) = spans(told, "job {task}")
    said = span["attributes"]
    assert (said["outcome"], said["delay"], said["attempt"], said["logfire.msg"]) == (
        "retry",
        30.0,
        1,
        "job again",
    )
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
    (span,) = spans(told, "job {task}")
    (event,) = span["events"]
    assert event["attributes"]["exception.type"].endswith("Shy")


def test_an_error_with_letters_that_cannot_be_sent_is_sent(app: DistQ, told: CaptureLogfire) -> None:
    """As of a file whose name is no UTF-8: an exporter would drop the span, and all that goes with it."""

    @app.task(name="open", retries=0)
    def open_() -> None:
        raise FileNotFoundError(os.fsdecode(b"\xff"))

    open_.enqueue()
    assert outcome_of(app).kind is OutcomeKind.DEAD
    span = next(span for span in reversed(told.exporter.exported_spans) if span.name == "job {task}")
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
    (span,) = spans(told, "job {task}")
    assert span["attributes"]["outcome"] == "dead"
    assert span["events"][0]["attributes"]["exception.type"].endswith("InvalidArguments")


def test_the_thread_is_in_no_trace_afterwards(app: DistQ, process: Process, told: CaptureLogfire) -> None:
    app.task(name="t")(lambda: None).enqueue()
    process.work()
    assert not trace.get_current_span().get_span_context().is_valid


# -- how long it waited --------------------------------------------------------------------------------


@pytest.fixture
def clock(app: DistQ) -> Clock:
    clock = Clock()
    app.move(MemoryStorage(clock))
    return clock


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
    (span,) = spans(told, "job {task}")
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
    waits = [span["attributes"]["wait"] for span in spans(told, "job {task}")]
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
    first, second = (span for span in spans(told, "job {task}"))
    assert first["parent"]["span_id"] == second["parent"]["span_id"] == enqueue["context"]["span_id"]
    assert enqueue["parent"] is None
    # Logfire had told that it began: it is not to be under way for ever.
    assert (enqueue["attributes"]["jobs"], vain["attributes"]["jobs"]) == (1, 0)
    (enqueued,) = metrics(told)["distq.jobs.enqueued"]
    assert enqueued["value"] == 1


def _answer(value: Any) -> Op[Any]:
    return Op(lambda: value, lambda answer: answer)


# -- a settle ------------------------------------------------------------------------------------------


def test_a_batch_of_many_leads_to_their_spans(
    app: DistQ, process: Process, told: CaptureLogfire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settling, "LINKS", 3)
    task = app.task(name="t", retries=0)(lambda number: 1 // number)
    task.enqueue_many([(number,) for number in range(5)])
    process.work()
    (settle,) = spans(told, "settle")
    ran = [span["context"]["span_id"] for span in spans(told, "job {task}")]
    assert [link["context"]["span_id"] for link in settle["links"]] == ran[:3]
    assert settle["parent"] is None
    said = settle["attributes"]
    assert (said["jobs"], said["done"], said["dead"], said["voids"]) == (5, 4, 1, 0)


def test_a_batch_of_one_belongs_to_its_trace(app: DistQ, process: Process, told: CaptureLogfire) -> None:
    app.task(name="t")(lambda: None).enqueue()
    process.work()
    (settle,), (job,) = spans(told, "settle"), spans(told, "job {task}")
    assert settle["parent"]["span_id"] == job["context"]["span_id"]
    assert "links" not in settle


def test_a_batch_that_was_not_taken_is_told_again(
    app: DistQ, process: Process, told: CaptureLogfire, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.task(name="t")(lambda: None).enqueue()
    process.run()
    with monkeypatch.context() as patch:
        patch.setattr(app.storage, "run", _away)
        with pytest.raises(StorageUnavailable):
            process.settle()
    process.settle()
    failed, taken = spans(told, "settle")
    assert failed["parent"] == taken["parent"]
    assert failed["events"][0]["attributes"]["exception.type"].endswith("StorageUnavailable")
    assert (taken["attributes"]["voids"], "events" in taken) == (0, False)
    (ended,) = metrics(told)["distq.attempts.ended"]
    assert ended["value"] == 1


def _away(*_: Any) -> None:
    raise StorageUnavailable("memory", "it is away")


def test_a_lost_lease_is_a_void_and_is_counted(app: DistQ, process: Process, told: CaptureLogfire) -> None:
    task = app.task(name="t")(lambda number: None)
    task.enqueue_many([(1,), (2,)])
    process.run()
    taken = next(iter(process.holdings))
    app.storage.run(app.storage.forfeit("default", worker="w", begun=(), kept={taken.id}))
    process.settle()
    (settle,) = spans(told, "settle")
    assert settle["attributes"]["voids"] == 1
    found = metrics(told)
    (lost,), (ended,) = found["distq.leases.lost"], found["distq.attempts.ended"]
    assert (lost["value"], lost["attributes"]) == (1, {"queue": "default"})
    assert (ended["value"], ended["attributes"]["outcome"]) == (1, "done")


def test_of_very_many_all_are_counted_and_some_are_timed(
    app: DistQ, process: Process, told: CaptureLogfire
) -> None:
    app.task(name="t")(lambda number: None).enqueue_many([(number,) for number in range(100)])
    process.work()
    found = metrics(told)
    (ended,), (ran,) = found["distq.attempts.ended"], found["distq.job.run"]
    assert ended["value"] == 100
    assert figures.TIMED / 2 < ran["count"] <= figures.TIMED
    assert ran["attributes"] == {"queue": "default", "task": "t", "outcome": "done"}


def test_who_looks_at_the_queues_tells_how_deep_they_are(app: DistQ, told: CaptureLogfire) -> None:
    app.task(name="t")(lambda number: None).enqueue_many([(1,), (2,)])
    take_steps(app.storage, Monitor(app.storage).look())
    depth = {point["attributes"]["state"]: point["value"] for point in metrics(told)["distq.queue.depth"]}
    assert depth["ready"] == 2
    assert depth["leased"] == 0


# -- sampling ------------------------------------------------------------------------------------------


@pytest.fixture
def unset() -> Iterator[None]:
    """Logfire is as if it had never been configured afterwards."""
    yield
    logfire.DEFAULT_LOGFIRE_INSTANCE.config._initialized = False


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
    assert spans(exporter, "job {task}") == spans(exporter, "settle") == []


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
    assert [span["name"] for span in spans(all_of_them)] == ["enqueue {task}", "job {task}", "settle"]


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
    (span,) = spans(told, "job {task}")
    assert (span["parent"], span["attributes"]["outcome"]) == (None, "done")
    (ended,) = metrics(told)["distq.attempts.ended"]
    assert ended["value"] == 1


def test_a_job_without_headers_is_told_of_too(app: DistQ, told: CaptureLogfire) -> None:
    app.task(name="t")(lambda: None)
    jobs = [NewJob(job_id, "default", "t", b"nothing of distq") for job_id in new_ids("default", 2)]
    app.storage.run(app.storage.enqueue(jobs))
    Process(app).work()
    assert [span["attributes"]["outcome"] for span in spans(told, "job {task}")] == ["dead", "dead"]


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
    found = instruments()
    assert found

    def broken(*_: Any) -> None:
        raise RuntimeError("the meter is broken")

    for metric, method in (("enqueued", "add"), ("ended", "add"), ("depth", "set")):
        monkeypatch.setattr(getattr(found, metric), method, broken)
    job = task.enqueue()
    Process(app).work()
    take_steps(app.storage, Monitor(app.storage).look())
    assert job.result(timeout=0) == 7
    assert [span["name"] for span in spans(told)] == ["enqueue {task}", "job {task}", "settle"]
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
    (span,) = spans(told, "job {task}")
    assert "outcome" not in span["attributes"]
    assert not trace.get_current_span().get_span_context().is_valid


def test_inline_jobs_are_traced(app: DistQ, told: CaptureLogfire) -> None:
    @app.task(name="fail", retries=1)
    def fail() -> None:
        raise ValueError("always")

    with app.inline():
        job = fail.enqueue()
        with pytest.raises(JobFailed):
            job.result()
    assert [span["attributes"]["outcome"] for span in spans(told, "job {task}")] == ["retry", "dead"]


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
