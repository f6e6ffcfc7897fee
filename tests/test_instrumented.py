"""distq with Logfire's instrumentations of FastAPI, psycopg and Redis: one trace, and nothing broken."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import logfire
import psycopg
import pytest
import redis.asyncio
from fastapi import FastAPI
from logfire.testing import TestExporter
from opentelemetry.instrumentation.psycopg import PsycopgInstrumentor
from opentelemetry.instrumentation.redis import RedisInstrumentor
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from distq.postgres import executor
from tests import traced_app
from tests.collector import Collector, collecting
from tests.helpers import eventually
from tests.traced_app import noop
from tests.world import World, end, open_world, url_of


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Iterator[TestExporter]:
    """What this process tells Logfire, its clients instrumented; afterwards it is as if it had never been."""
    exporter = TestExporter()
    logfire.configure(
        send_to_logfire=False,
        console=False,
        additional_span_processors=[SimpleSpanProcessor(exporter)],
        distributed_tracing=True,
    )
    # To be put back: what `uninstrument` leaves connects subclasses as the base class.
    for kind in (psycopg.Connection, psycopg.AsyncConnection):
        monkeypatch.setattr(kind, "connect", vars(kind)["connect"])
    logfire.instrument_psycopg()
    logfire.instrument_redis()
    yield exporter
    PsycopgInstrumentor().uninstrument()
    RedisInstrumentor().uninstrument()
    logfire.DEFAULT_LOGFIRE_INSTANCE.config._initialized = False


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as collector:
        yield collector


@pytest.fixture
def world(
    request: pytest.FixtureRequest,
    told: TestExporter,
    collector: Collector,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Iterator[World]:
    """The world of `tests.traced_app` in a store; its workers' clients are instrumented too."""
    monkeypatch.setenv("DISTQ_TEST_TELEMETRY", "logfire")
    monkeypatch.setenv("DISTQ_TEST_COLLECTOR", collector.url)
    url = url_of(request, request.param)
    with open_world(traced_app.app, "tests.traced_app", url, tmp_path / "notes", monkeypatch) as world:
        yield world


def shop(store: str) -> FastAPI:
    """An application that enqueues: in a transaction of its own on PostgreSQL, and from a thread."""
    app = FastAPI()

    async def keep(connection: psycopg.AsyncConnection[Any]) -> str:
        await connection.execute("CREATE TEMPORARY TABLE wares (name text)")
        await connection.execute("INSERT INTO wares VALUES ('tea')")
        job = await noop.options(connection=connection).aenqueue(7)
        return job.id

    @app.post("/orders")
    async def order() -> str:
        if store.startswith("postgresql"):
            async with await psycopg.AsyncConnection.connect(store.partition("?")[0]) as connection:
                return await keep(connection)
        async with redis.asyncio.from_url(store.partition("?")[0]) as client:
            await client.get("wares")
            return (await noop.aenqueue(7)).id

    @app.post("/plain")
    def plain() -> str:
        return noop.enqueue(8).id

    logfire.instrument_fastapi(app)
    return app


def posted(app: FastAPI, path: str) -> str:
    async def post() -> str:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
            response = await client.post(path)
        assert response.status_code == 200
        job = traced_app.app.job(response.json())
        assert await job.aresult(timeout=30) in (7, 8)
        await traced_app.app.aclose()
        return job.id

    return asyncio.run(post())


def trace_of(exporter: TestExporter, name: str) -> tuple[str, list[dict[str, Any]]]:
    """The trace in which a span is, in hex, and its spans of this process."""
    spans = exporter.exported_spans_as_dict()
    trace = next(span["context"]["trace_id"] for span in spans if span["name"] == name)
    return f"{trace:032x}", [span for span in spans if span["context"]["trace_id"] == trace]


@pytest.mark.parametrize(
    ("world", "path"),
    [
        ("postgres", "/orders"),
        ("postgres", "/plain"),
        ("redis", "/orders"),
        ("redis", "/plain"),
    ],
    indirect=["world"],
)
def test_a_request_and_its_jobs_are_one_trace(
    world: World, told: TestExporter, collector: Collector, path: str
) -> None:
    world.start("--processes", "1", "--queues", "default")
    posted(shop(os.environ["DISTQ_TEST_URL"]), path)
    trace, here = trace_of(told, f"POST {path}")
    by_id = {span["context"]["span_id"]: span for span in here}
    (enqueue,) = [span for span in here if span["name"] == "enqueue"]
    assert enqueue["parent"]["span_id"] in by_id
    # The client's own span lies within, but where distq goes past what is instrumented: for the caller's
    # connection it has a cursor of its own, and to Redis it sends from threads without a client.
    within = [span for span in here if (span["parent"] or {}).get("span_id") == enqueue["context"]["span_id"]]
    store = os.environ["DISTQ_TEST_URL"].partition(":")[0]
    assert bool(within) == ((store, path) in (("postgresql", "/plain"), ("redis", "/orders")))
    assert all(span["attributes"].get("db.system") for span in within)
    there = eventually(lambda: _there(collector, trace), timeout=20)
    assert there["job"].parent == f"{enqueue['context']['span_id']:016x}"
    assert there["settle"].parent == there["job"].id
    assert end(world.pools[0]) == 0
    statements = [span for span in collector.spans() if span.attributes.get("db.system")]
    # What the worker asks again and again is in no trace; what it tells of this job is.
    assert {span.parent for span in statements} <= {there["settle"].id}
    assert bool(statements) == (store == "postgresql")


def _there(collector: Collector, trace: str) -> dict[str, Any] | None:
    spans = {span.name: span for span in collector.spans() if span.trace == trace}
    return spans if {"job", "settle"} <= spans.keys() else None


def test_connections_are_still_those_of_distq(told: TestExporter, postgres_url: str) -> None:
    """An instrumented `connect` makes what the class says, with its cursor."""
    with executor.Connection.connect(postgres_url, cursor_factory=executor.Cursor) as connection:
        assert type(connection) is executor.Connection
        assert isinstance(connection.cursor(), executor.Cursor)
        assert connection.execute("SELECT 1").fetchone() == (1,)
