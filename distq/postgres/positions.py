"""Where a lease begins to look for ready jobs: not at jobs that have been leased, over and over.

What a leased job leaves in the index stays there until vacuum takes it away, which a single old snapshot
forbids for hours. So a process remembers how far it has come in each queue, as long as it hears of every job
that is put before that; and now and then it looks from the start, for what it may not have heard of.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Collection
from dataclasses import dataclass
from math import inf

from distq.job import Heard

START = -inf

SLACK = 0.001
"""Seconds before the last job where the next look begins: others may be of the same moment."""

PAUSE, SHARE = 0.8, 0.05
"""Seconds between the beginnings of looks from the start, less than between two maintenance passes; longer
where those would take more than that share of the time."""


@dataclass(slots=True)
class _Position:
    moment: float = START
    full_at: float = START
    full: bool = False
    began: float = 0.0
    heard: float = inf
    """Of the jobs that became ready during the look, the first."""


class Positions:
    """Of all queues, for one storage object. Moments are the server's, in seconds since 1970. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._positions: dict[str, _Position] = {}
        self._ears: set[str] = set()

    def begin(self, queue: str) -> float:
        """The moment from which to look for ready jobs: `START` where nothing is sure."""
        with self._lock:
            position, now = self._positions.setdefault(queue, _Position()), time.monotonic()
            position.began, position.heard = now, inf
            position.full = queue not in self._ears or now >= position.full_at
            return START if position.full else position.moment

    def reach(self, queue: str, last: float | None) -> None:
        """A look has ended at that moment, or found nothing."""
        with self._lock:
            position, now = self._positions.setdefault(queue, _Position()), time.monotonic()
            if position.full:
                position.full_at = position.began + max(PAUSE, (now - position.began) / SHARE)
            if last is not None:
                position.moment = min(last - SLACK, position.heard)

    def glance(self, queue: str, first: float | None) -> None:
        """A look that leases nothing has ended at the first job, or found none. What it saw the next lease is
        to look for itself: from the start, if this look was.
        """
        if first is None:
            self.reach(queue, None)

    def told(self, queues: Collection[str], heard: Heard) -> None:
        """What a listener heard of these queues. Where it begins to hear all, or does no more, it may have
        missed what was said before: nothing is sure.
        """
        with self._lock:
            if heard.gap or heard.sure:
                self._ears.difference_update(queues)
                for queue in queues:
                    self._positions.pop(queue, None)
            if heard.sure:
                self._ears.update(queues)
            for queue, first in heard.ready.items():
                position = self._positions.setdefault(queue, _Position())
                position.moment, position.heard = min(position.moment, first), min(position.heard, first)
