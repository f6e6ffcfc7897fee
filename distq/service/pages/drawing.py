"""The timeline of a job, drawn: when it waited and when it was tried, to scale."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from distq.admin.timeline import Event

WIDTH = 1000
"""The drawing's own units, from left to right."""

WORDS = {
    "enqueued": "enqueued",
    "retry": "failed, will retry",
    "snooze": "put itself off",
    "crash": "its worker died",
    "dead": "failed for good",
    "cancelled": "cancelled",
    "done": "done",
    "leased": "runs",
    "due": "due",
}


class Stretch(NamedTuple):
    """A part of the line, from left to right."""

    x: float
    width: float


class Row(NamedTuple):
    """An event, the wait before it, and the attempt that it ended. That took so many seconds by its worker's
    clock; where nobody says, by the store's, from the lease on.
    """

    event: Event
    words: str
    wait: Stretch | None
    attempt: Stretch | None
    took: float | None
    x: float


def draw(events: Sequence[Event], now: datetime) -> list[Row]:
    """The rows of a timeline, the first event's first."""
    begin = events[0].at
    is_over = events[-1].what not in ("enqueued", "leased", "due", "retry", "snooze", "crash")
    moments = [event.at for event in events] + [event.began for event in events if event.began]
    end = max(moments if is_over else [*moments, now])
    scale = WIDTH / max((end - begin).total_seconds(), 1e-6)

    def place(at: datetime) -> float:
        return round(min(max((at - begin).total_seconds() * scale, 0.0), WIDTH), 1)

    def between(start: datetime, stop: datetime) -> Stretch | None:
        x = place(start)
        return Stretch(x, round(max(place(stop) - x, 0.0), 1)) if stop >= start else None

    rows: list[Row] = []
    before = begin
    for event in events:
        began, ended = _span(event, now)
        attempt = between(began, ended) if began else None
        wait = between(before, began or event.at) if event.what != "enqueued" else None
        took = event.ran or ((ended - began).total_seconds() if began else None)
        rows.append(Row(event, WORDS.get(event.what, event.what), wait, attempt, took, place(event.at)))
        before = max(before, event.at)
    if not is_over and events[-1].what not in ("leased", "due"):
        waits = Event(at=now, what="now")
        rows.append(Row(waits, "waits", between(before, now), None, None, place(now)))
    return rows


def _span(event: Event, now: datetime) -> tuple[datetime | None, datetime]:
    """When the attempt of an event began, and ended."""
    if event.what == "leased":
        return event.at, max(now, event.at)
    return event.began, event.at
