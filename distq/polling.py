"""Waiting for descriptors. Not `select.select`, which fails in a process with a thousand of them open."""

from __future__ import annotations

import select
from collections.abc import Iterable


def readable(descriptors: Iterable[int], timeout: float) -> set[int]:
    """Those that can be read from, or are at their end, within `timeout` seconds."""
    poll = select.poll()
    for descriptor in descriptors:
        poll.register(descriptor, select.POLLIN)
    return {descriptor for descriptor, _ in poll.poll(max(timeout, 0) * 1000)}
