"""What distq tells Logfire, and what it writes where there is none."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import logfire
import pytest
from logfire.testing import CaptureLogfire

from distq import CurrentJob, DistQ, Snooze, telemetry
from distq.job import Lease, Outcome
from distq.options import NO_LIMITS
from distq.worker.execution import arun, run
from distq.worker.running import Run, TaskRun


@pytest.fixture
def told(capfire: CaptureLogfire) -> Iterator[CaptureLogfire]:
    """What Logfire was told; it is as if it had never been configured afterwards."""
    yield capfire
    logfire.DEFAULT_LOGFIRE_INSTANCE.config._initialized = False


def spans(told: CaptureLogfire) -> dict[str, dict[str, Any]]:
    return {span["name"]: span for span in told.exporter.exported_spans_as_dict()}


@pytest.fixture
def app() -> DistQ:
    return DistQ("memory://")


def lease(app: DistQ) -> Lease:
    (lease,) = app.storage.run(app.storage.lease("default", worker="w", limit=1, ttl=60, alone=True))
    return lease


def ran(app: DistQ) -> Outcome:
    taken = lease(app)
    return run(app, Run(taken, CurrentJob(taken, lambda job_id, progress: None), NO_LIMITS))


def test_one_trace_leads_from_the_enqueue_through_the_run(app: DistQ, told: CaptureLogfire) -> None:
    @app.task(name="add")
    def add(a: int, b: int) -> int:
        logfire.info("inside")
        return a + b

    with logfire.span("request"):
        job = add.enqueue(1, 2)
    ran(app)
    found = spans(told)
    request, enqueue, attempt = found["request"], found["enqueue"], found["job"]
    traces = {span["context"]["trace_id"] for span in (request, enqueue, attempt, found["inside"])}
    assert len(traces) == 1
    assert enqueue["parent"]["span_id"] == request["context"]["span_id"]
    assert attempt["parent"]["span_id"] == enqueue["context"]["span_id"]
    assert found["inside"]["parent"]["span_id"] == attempt["context"]["span_id"]
    said = attempt["attributes"]
    assert (said["task"], said["queue"], said["id"], said["attempt"]) == ("add", "default", job.id, 1)


def test_a_coroutine_is_traced_too(app: DistQ, told: CaptureLogfire) -> None:
    @app.task(name="aadd")
    async def aadd(a: int) -> int:
        await asyncio.sleep(0)
        return a

    async def work() -> Outcome:
        await aadd.aenqueue(1)
        taken = lease(app)
        return await arun(app, TaskRun(taken, CurrentJob(taken, lambda job_id, progress: None), NO_LIMITS))

    assert asyncio.run(work()).body == b"1"
    found = spans(told)
    assert found["job"]["context"]["trace_id"] == found["enqueue"]["context"]["trace_id"]


def test_an_error_is_the_spans_and_what_a_task_says_is_none(app: DistQ, told: CaptureLogfire) -> None:
    @app.task(name="fail", retries=0)
    def fail() -> None:
        raise ValueError("always")

    @app.task(name="wait")
    def wait() -> Snooze:
        raise Snooze(5)

    fail.enqueue()
    ran(app)
    (event,) = spans(told)["job"]["events"]
    assert event["attributes"]["exception.message"] == "always"
    told.exporter.clear()
    wait.enqueue()
    assert ran(app).delay == 5
    span = spans(told)["job"]
    assert "events" not in span
    assert span["attributes"]["outcome"] == "snooze"


def test_events_are_structured_logs(told: CaptureLogfire) -> None:
    telemetry.emit("warn", "job {id} failed, next in {delay:.3g} s", id="mail:1", delay=1.23456)
    span = spans(told)["job {id} failed, next in {delay:.3g} s"]
    assert span["attributes"]["logfire.msg"] == "job mail:1 failed, next in 1.23 s"
    assert span["attributes"]["id"] == "mail:1"


def test_events_are_lines_without_logfire(caplog: pytest.LogCaptureFixture, app: DistQ) -> None:
    task = app.task(name="t")(lambda: None)
    with caplog.at_level(logging.INFO, "distq"):
        telemetry.emit("info", "job {id}", id="mail:1")
    task.enqueue()
    assert lease(app).payload.startswith(b"{}\n")
    (record,) = caplog.records
    assert (record.getMessage(), vars(record)["distq_id"]) == ("job mail:1", "mail:1")


def test_logfire_is_not_imported_by_distq() -> None:
    code = "import sys, distq, distq.worker.pool, distq.worker.process; sys.exit('logfire' in sys.modules)"
    without_its_plugin = os.environ | {"PYDANTIC_DISABLE_PLUGINS": "__all__"}
    assert subprocess.run([sys.executable, "-c", code], env=without_its_plugin).returncode == 0


_SILENT = """
import sys
reached = []
def hook(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        reached.append((event, arguments[-1]))
sys.addaudithook(hook)

import logfire
{configure}
from distq import DistQ
app = DistQ("memory://")
done = app.task(name="done")(lambda: None)
with app.inline():
    done.enqueue()
    done.enqueue_many([()] * 10)
from opentelemetry import trace
provider = type(trace.get_tracer_provider()).__name__
print(reached, logfire.DEFAULT_LOGFIRE_INSTANCE.config._initialized, provider)
"""


@pytest.mark.parametrize(
    ("configure", "token", "said"),
    [
        # Even with a token: who has not called `configure` wants nothing sent.
        ("", "pylf_v1_us_0000000000000000000000000000000000000000000", "[] False ProxyTracerProvider"),
        (
            'logfire.configure(send_to_logfire="if-token-present", console=False)',
            "",
            "[] True ProxyTracerProvider",
        ),
    ],
)
def test_nothing_is_sent_that_the_user_did_not_ask_for(
    tmp_path: Path, configure: str, token: str, said: str
) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LOGFIRE")}
    environment |= {"PYTHONPATH": os.getcwd(), **({"LOGFIRE_TOKEN": token} if token else {})}
    argv = [sys.executable, "-c", _SILENT.format(configure=configure)]
    done = subprocess.run(argv, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == said, done.stderr
