"""The job that runs here: what its function can learn and say of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from distq.errors import ConfigurationError
from distq.job import Lease
from distq.messages import Progress, encode_progress, headers_of


class CurrentJob:
    """A job, seen from the inside."""

    __slots__ = ("_lease", "_note", "heeded", "stopping")

    def __init__(self, lease: Lease, note: Callable[[str, bytes], None]) -> None:
        """`note` takes progress to the storage, in its own time."""
        self._lease, self._note = lease, note
        self.stopping = False
        self.heeded = False
        """Whether the task has been told that it should stop."""

    @property
    def id(self) -> str:
        """The job's id."""
        return self._lease.id

    @property
    def task(self) -> str:
        """The task's name."""
        return self._lease.task

    @property
    def queue(self) -> str:
        """The queue that the job is in."""
        return self._lease.id.partition(":")[0]

    @property
    def attempt(self) -> int:
        """Which attempt this is, from 1: failed tries and crashes count, snoozes do not."""
        return 1 + self._lease.tries + self._lease.crashes

    @property
    def headers(self) -> dict[str, Any]:
        """What travels with the call beside its arguments."""
        return headers_of(self._lease.payload)

    @property
    def tick(self) -> datetime | None:
        """The time for which a schedule enqueued the job, in UTC; None where none did."""
        tick = self.headers.get("tick")
        return None if tick is None else datetime.fromtimestamp(tick, UTC)

    def progress(self, fraction: float, message: str = "") -> None:
        """Say how much is done, from 0 to 1. Whoever asks the job's handle sees it within about a second.

        Raises:
            ValueError: the fraction is none.
        """
        if not 0 <= fraction <= 1 or math.isnan(fraction):
            raise ValueError(f"progress({fraction!r}): use a number from 0 to 1")
        self._note(self.id, encode_progress(Progress(float(fraction), message)))

    def should_stop(self) -> bool:
        """Whether somebody has cancelled the job. A long sync task should look now and then, and return;
        the job is then cancelled, whatever it returns.
        """
        self.heeded = self.heeded or self.stopping
        return self.stopping

    def stop(self) -> None:
        """Called by the worker when the job is cancelled; from any thread."""
        self.stopping = True


_current: ContextVar[CurrentJob] = ContextVar("distq_current_job")
enter, leave = _current.set, _current.reset


def current_job() -> CurrentJob:
    """The job that runs in this thread or asyncio task.

    Raises:
        ConfigurationError: none does.
    """
    try:
        return _current.get()
    except LookupError:
        raise ConfigurationError("current_job(): no job runs here; only a task's function may ask") from None
