"""Draw one trace of the example shop, from the request to the retried result, as a collector received it:
`python -m tests.performance.trace FILE.png`.

The order's mail is refused once, for now. The shop, its workers and all servers are private ones.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from textwrap import shorten

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

from tests.collector import Collector, Received, collecting
from tests.helpers import eventually
from tests.shop import launched

COLOURS = {"request": "#56657a", "enqueue": "#2463a8", "job": "#1b7a4b", "settle": "#8a5cb8"}
OTHER = "#9aa5b1"
FAILED = "#b3352c"
NARROWEST = 0.004
"""The share of the width that a span has at least, to be seen."""


def main(file: Path) -> None:
    """Place an order, wait until its whole trace is there, draw it."""
    with tempfile.TemporaryDirectory() as folder, collecting() as collector:
        endpoint = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "200"}
        with launched(Path(folder) / "said", **endpoint) as shop:
            shop.job(shop.place("somebody@example.org").json()["id"])  # connects and prepares
            shop.job(shop.place("later-1@example.org").json()["id"])
            spans = eventually(lambda: _whole(collector), 30)
    _draw(spans, file)


def _whole(collector: Collector) -> list[Received]:
    """The trace of the order, once its second attempt has been settled."""
    spans = collector.spans()
    seconds = [span for span in spans if span.name == "job" and span.attributes["attempt"] == 2]
    trace = [span for span in spans if seconds and span.trace == seconds[0].trace]
    ids = {span.id for span in trace}
    is_settled = any(span.name == "settle" and seconds and span.parent == seconds[0].id for span in trace)
    is_whole = all(not span.parent or span.parent in ids for span in trace)
    return sorted(trace, key=lambda span: span.began) if is_settled and is_whole else []


def _draw(spans: Sequence[Received], file: Path) -> None:
    start, end = min(span.began for span in spans), max(span.ended for span in spans)
    rows = list(_rows(spans, ""))
    figure, axes = pyplot.subplots(figsize=(11, 0.25 * len(rows) + 0.8), layout="constrained")
    for row, (_, span) in enumerate(rows):
        left, width = (span.began - start) / 1e6, (span.ended - span.began) / 1e6
        shown = max(width, (end - start) / 1e6 * NARROWEST)
        axes.barh(row, shown, left=left, height=0.62, color=_colour(span))
        axes.text(left + shown, row, f"  {width:,.1f} ms{_remark(span)}", va="center", fontsize=8)
    axes.set_yticks(range(len(rows)), ["   " * depth + _title(span) for depth, span in rows], ha="left")
    axes.tick_params(axis="y", length=0, pad=260, labelsize=8)
    axes.invert_yaxis()
    axes.set_xlim(0, (end - start) / 1e6 * 1.3)
    axes.tick_params(axis="x", labelsize=8)
    axes.set_xlabel("ms since the request began", fontsize=8)
    axes.spines[["top", "right", "left"]].set_visible(False)
    figure.savefig(file, dpi=120)


def _rows(spans: Sequence[Received], parent: str, depth: int = 0) -> Iterator[tuple[int, Received]]:
    """Each span below its parent, in the order in which they began."""
    for span in spans:
        if span.parent == parent:
            yield depth, span
            yield from _rows(spans, span.id, depth + 1)


def _colour(span: Received) -> str:
    return FAILED if span.failed else COLOURS.get(span.name if span.parent else "request", OTHER)


def _title(span: Received) -> str:
    attempt = span.attributes.get("attempt")
    message = shorten(span.attributes.get("logfire.msg", span.name), 44, placeholder=" …")
    return f"{message}{f', attempt {attempt}' if attempt else ''}"


def _remark(span: Received) -> str:
    outcome = span.attributes.get("outcome")
    errors = [
        event["exception.type"].rpartition(".")[2] for event in span.events if "exception.type" in event
    ]
    return f"   {outcome}{f': {errors[0]}' if errors else ''}" if outcome else ""


if __name__ == "__main__":
    main(Path(sys.argv[1]))
