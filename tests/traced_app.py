"""The application of tests/test_collector.py: it tells a collector what it does, by Logfire or by the SDK."""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from distq import DistQ, current_job

EVERY = 200
"""Milliseconds between exports."""


def by_logfire(url: str) -> None:
    """With the client libraries instrumented."""
    import logfire

    spans, metrics = exporters(url)
    logfire.configure(
        service_name="traced",
        send_to_logfire="if-token-present",
        console=False,
        additional_span_processors=[spans],
        metrics=logfire.MetricsOptions(additional_readers=[metrics]),
    )
    logfire.instrument_psycopg()
    logfire.instrument_redis()


def by_sdk(url: str) -> None:
    from opentelemetry import metrics as meters
    from opentelemetry import trace
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.trace import TracerProvider

    spans, metrics = exporters(url)
    provider = TracerProvider()
    provider.add_span_processor(spans)
    trace.set_tracer_provider(provider)
    meters.set_meter_provider(MeterProvider([metrics]))


def exporters(url: str) -> tuple[Any, Any]:
    """A processor of spans and a reader of metrics, which send what they have every so often."""
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    return (
        BatchSpanProcessor(OTLPSpanExporter(f"{url}/v1/traces"), schedule_delay_millis=EVERY),
        PeriodicExportingMetricReader(OTLPMetricExporter(f"{url}/v1/metrics"), export_interval_millis=EVERY),
    )


HOW: dict[str, Callable[[str], None]] = {"logfire": by_logfire, "sdk": by_sdk}

if how := os.environ.get("DISTQ_TEST_TELEMETRY"):
    HOW[how](os.environ["DISTQ_TEST_COLLECTOR"])

app = DistQ(os.environ.get("DISTQ_TEST_URL", "memory://"))


@app.task(name="flaky", retries=1, backoff=0.2)
def flaky() -> int:
    """Fails the first time. Gives the number of its process."""
    note("flaky")
    if current_job().attempt == 1:
        raise ValueError("the first time")
    return os.getpid()


@app.task(name="noop")
def noop(number: int) -> int:
    return number


@app.task(name="hold", retries=0)
def hold(label: str) -> None:
    """Runs until the notes say that it may end."""
    note(f"begin {label}")
    while f"release {label}" not in notes().read_text():
        time.sleep(0.01)


@app.task(name="grab", retries=0)
def grab() -> None:
    """Nothing can interrupt it, but the interpreter goes on."""
    note("grab")
    ctypes.CDLL(None).sleep(60)


def notes() -> Path:
    return Path(os.environ["DISTQ_TEST_NOTES"])


def note(text: str) -> None:
    with notes().open("a") as file:
        file.write(f"{text} {os.getpid()}\n")
