"""How a trace travels with a job: in a header, from who enqueues to who runs.

OpenTelemetry is imported where it is used: who comes here has it configured.
"""

from __future__ import annotations

import contextvars
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from distq.job import HIGHEST_PRIORITY
from distq.messages import BARE, decode_headers
from distq.telemetry.providers import logfire

TRACE = "trace"
"""The header that takes the trace's context, as W3C `traceparent` and such."""

PRIORITY = "priority"
"""The header that says a call's priority where it is not its task's, for how long the job waited."""

REMEMBERED = 32
"""Header lines whose meaning is remembered: jobs that were enqueued together have the same. A line may be
long.
"""


class Carried(NamedTuple):
    """What headers say to telemetry. `context` is None without a trace; who began an unsampled trace does not
    want it recorded.
    """

    context: Any = None
    unsampled: bool = False
    priority: int | None = None


NOTHING = Carried()


def inject(context: Any = None) -> dict[str, Any]:
    """The headers by which jobs join the trace of a context, or of the current one."""
    from opentelemetry import propagate

    carrier: dict[str, str] = {}
    propagate.inject(carrier, context)
    return {TRACE: carrier} if carrier else {}


_latest: tuple[bytes, Carried] = (BARE, NOTHING)


def carried(payload: bytes) -> Carried:
    """What the headers of a payload say."""
    global _latest
    line, found = _latest
    if payload.startswith(line):
        return found
    if payload.startswith(BARE):
        return NOTHING
    line = payload[: payload.find(b"\n") + 1]
    found = _carried(line)
    if line:
        _latest = line, found
    return found


@lru_cache(REMEMBERED)
def _carried(line: bytes) -> Carried:
    from opentelemetry.trace import get_current_span

    try:
        headers = decode_headers(line)
        carrier, priority = headers.get(TRACE), headers.get(PRIORITY)
    # Another wrote them: the attempt is of no trace, and told all the same.
    except (ValueError, AttributeError):
        return NOTHING
    if priority not in range(HIGHEST_PRIORITY + 1):
        priority = None
    if not isinstance(carrier, dict):
        return Carried(priority=priority)
    # Apart from what is current here, to which some propagators would add: that is another's.
    context = contextvars.Context().run(_extract, carrier)
    span = get_current_span(context).get_span_context()
    if not span.is_valid:
        return Carried(priority=priority)
    return Carried(context, not span.trace_flags.sampled, priority)


def _extract(carrier: Mapping[str, Any]) -> Any:
    from opentelemetry import context, propagate

    carrier = {name: value for name, value in carrier.items() if isinstance(value, str)}
    # Logfire warns of traces that come from elsewhere, unless they are attached by its own means.
    if module := logfire():
        with module.attach_context(carrier):
            return context.get_current()
    return propagate.extract(carrier)
