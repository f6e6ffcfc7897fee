"""Threads whose own calls to the storage are no part of any trace.

A worker asks the storage each second whether there is something to do, for ever. Where the user has its
client library instrumented each question would be a trace of its own.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_MARK = "distq-quiet"

_SUPPRESS = "suppress_instrumentation"
"""By this name in the context instrumentations know that they should look away."""


@contextmanager
def keeping() -> Iterator[None]:
    """Within it instrumentations overlook what this thread does; but for what is `interrupted`."""
    context = _contexts()
    if not context:
        yield
        return
    token = context.attach(context.set_value(_SUPPRESS, True, context.set_value(_MARK, True)))
    try:
        yield
    finally:
        context.detach(token)


@contextmanager
def interrupted() -> Iterator[None]:
    """Within it a thread that keeps quiet is heard."""
    context = _contexts()
    if not context or not context.get_value(_MARK):
        yield
        return
    token = context.attach(context.Context())
    try:
        yield
    finally:
        context.detach(token)


def _contexts() -> Any | None:
    """OpenTelemetry's module of contexts, where anybody uses it."""
    return sys.modules.get("opentelemetry.context")
