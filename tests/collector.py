"""A collector of OpenTelemetry's protocol: spans and metrics by HTTP, as protobuf, from any process."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class Received(NamedTuple):
    """A span as it arrived; ids in hex, `parent` empty for the first of a trace, times in ns since 1970."""

    name: str
    trace: str
    id: str
    parent: str
    attributes: dict[str, Any]
    events: list[dict[str, Any]]
    links: list[str]
    failed: bool
    scope: str
    began: int
    ended: int


class Point(NamedTuple):
    """What a metric last said for some attributes: how often, or how much."""

    attributes: dict[str, Any]
    number: float


class Collector:
    """What has arrived, at `url`."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._spans: list[Received] = []
        self._metrics: dict[tuple[str, bytes, tuple[Any, ...]], Point] = {}

    def spans(self, name: str = "") -> list[Received]:
        """All spans whose names begin so, in the order of their arrival. Those of Logfire that only say that
        one has begun are left out.
        """
        begun = "logfire.pending_parent_id"
        return [span for span in self._spans if span.name.startswith(name) and begun not in span.attributes]

    def points(self, name: str, **attributes: Any) -> list[Point]:
        """The latest points of a metric, of all processes, that have these attributes."""
        found = [point for (metric, *_), point in list(self._metrics.items()) if metric == name]
        return [point for point in found if attributes.items() <= point.attributes.items()]

    def total(self, name: str, **attributes: Any) -> float:
        """The sum of those points."""
        return sum(point.number for point in self.points(name, **attributes))

    def take(self, path: str, body: bytes) -> None:
        """An export has arrived."""
        if path == "/v1/traces":
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                for scope in resource.scope_spans:
                    self._spans += [_span(span, scope.scope.name) for span in scope.spans]
        elif path == "/v1/metrics":
            for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                process = resource.resource.SerializeToString()
                for scope in resource.scope_metrics:
                    self._note(process, scope.metrics)

    def _note(self, process: bytes, metrics: Sequence[Any]) -> None:
        for metric in metrics:
            for point in getattr(metric, metric.WhichOneof("data")).data_points:
                attributes = _values(point.attributes)
                number = point.count if hasattr(point, "count") else point.as_int or point.as_double
                self._metrics[metric.name, process, tuple(attributes.items())] = Point(attributes, number)


def _span(span: Any, scope: str) -> Received:
    return Received(
        span.name,
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        _values(span.attributes),
        [{"name": event.name, **_values(event.attributes)} for event in span.events],
        [link.span_id.hex() for link in span.links],
        span.status.code == span.status.STATUS_CODE_ERROR,
        scope,
        span.start_time_unix_nano,
        span.end_time_unix_nano,
    )


def _values(attributes: Any) -> dict[str, Any]:
    return {
        each.key: getattr(each.value, each.value.WhichOneof("value") or "string_value") for each in attributes
    }


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector on a free port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            collector.take(self.path, body)
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Tests are silent."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        collector = Collector(f"http://127.0.0.1:{server.server_address[1]}")
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield collector
        server.shutdown()
