"""Reads the rows of the view `record`."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from distq.job import AGEING, Attempt, JobRecord, JobState

_ESCAPED = re.compile(rb"\\(\\|[0-7]{3})")


def record(row: Sequence[Any]) -> JobRecord:
    """A row that begins with the queue and ends with the history as JSON; NULL is what does not apply."""
    queue, hex_id, task, state, payload, priority, key, tries, crashes, body, progress, enqueued_at, *rest = (
        row
    )
    ready_at, worker, leased_at, leased_until, ended_at, cancelling, history = rest
    if ready_at is not None and state != JobState.SCHEDULED:
        ready_at += priority * AGEING
    return JobRecord(
        f"{queue}:{hex_id}",
        task,
        JobState(state),
        payload or b"",
        priority,
        key or "",
        tries,
        crashes,
        body or b"",
        progress or b"",
        enqueued_at,
        ready_at,
        worker or "",
        leased_at,
        leased_until,
        ended_at,
        cancelling,
        tuple(_attempt(**attempt) for attempt in json.loads(history)),
    )


def _attempt(*, error: str, **fields: Any) -> Attempt:
    return Attempt(**fields, error=_ESCAPED.sub(_unescape, error.encode()))


def _unescape(match: re.Match[bytes]) -> bytes:
    code = match[1]
    return code if code == b"\\" else bytes([int(code, 8)])
