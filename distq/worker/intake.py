"""What a worker process leases, from which queue, and how much ahead."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence

from distq.job import Lease
from distq.worker.hints import Hints
from distq.worker.holdings import Holdings
from distq.worker.lanes import Lanes
from distq.worker.maintenance import Maintenance
from distq.worker.outbox import Outbox
from distq.worker.settings import Settings

HORIZON = 0.05
"""Seconds of work that a process holds in advance."""

DOUBT = 0.05
"""Seconds after which a queue that was empty may be so no more, and the hint that said so have been lost."""

PATIENCE = 1.0
"""Seconds after which a leased job that has not begun is given back."""


class Intake:
    """Leases jobs and feeds them to the lanes. For the I/O thread."""

    def __init__(
        self,
        settings: Settings,
        holdings: Holdings,
        lanes: Lanes,
        outbox: Outbox,
        maintenance: Maintenance,
        hints: Hints,
    ) -> None:
        self._tokens = hints.tokens
        self._settings, self._holdings, self._lanes = settings, holdings, lanes
        self._outbox, self._maintenance = outbox, maintenance
        self._turns = deque(turns(settings.weights))
        self._budget = settings.max_jobs or float("inf")
        self._alone = self._quiet = False
        self._fed_at = time.monotonic()
        self._drained_at = float("-inf")
        self.hungry_since = float("inf")
        """Since when, on the monotonic clock, there was room and nothing was leased."""

    @property
    def spent(self) -> bool:
        """Whether the process has had as many jobs as it may."""
        return self._budget <= 0 and not self._holdings

    def lease(self) -> bool:
        """Fill what room there is. Returns whether there may be more to lease. Raises StorageError.

        Who found less than there was room for does not ask again before it has a token, or a maintenance pass
        of its own sees jobs; or in doubt when a job has ended.
        """
        if self._maintenance.take_ready():
            self.rouse()
        if self._quiet:
            return False
        asked: set[str] = set()
        for _ in range(len(self._turns)):
            if not (room := self.room()):
                self.hungry_since = float("inf")
                return False
            # Not before: a queue does not lose its turn because there was no room.
            self._turns.rotate(-1)
            queue = self._turns[-1]
            if queue in asked:
                continue
            asked.add(queue)
            limit = min(room, self._settings.batch)
            if self._lease_from(queue, limit) == limit:
                return True
        # Behind a suspect, which is leased alone, others may wait.
        self._quiet = not self._alone
        self._drained_at = time.monotonic()
        return False

    def rouse(self, *, doubting: bool = False) -> None:
        """Ask again: there may be jobs. Or, in doubt, one has ended."""
        if not doubting or time.monotonic() > self._drained_at + DOUBT:
            self._quiet = False

    def room(self) -> int:
        """How many jobs there is room for: none where that is a sliver of what is held in advance."""
        if self._holdings and (self._alone or self._maintenance.draining):
            return 0
        ahead = self._ahead()
        room = self._settings.concurrency + ahead - len(self._holdings)
        return int(min(room, self._budget)) if room > ahead // 2 else 0

    def enough(self) -> int:
        """How many outcomes are worth a trip to the storage.

        One, unless jobs wait in this process: then as many as make room for more.
        """
        waiting = len(self._holdings) - len(self._outbox) - self._settings.concurrency
        return max(1, len(self._outbox) + waiting - self._ahead() // 2 + 1)

    def _ahead(self) -> int:
        """How many jobs to hold beyond those that run."""
        slots, mean = self._settings.concurrency, self._outbox.mean
        return min(int(slots * HORIZON / mean), self._settings.batch - 1) if mean < HORIZON else 0

    def _lease_from(self, queue: str, limit: int) -> int:
        idle = not self._holdings
        leases = self._holdings.lease(queue, limit)
        if idle:
            self._alone = any(lease.crashes for lease in leases)
            self._maintenance.drained()
        if self._alone or len(leases) == limit:
            self._tokens.give()
        if leases:
            self._budget -= len(leases)
            self._fed_at, self.hungry_since = time.monotonic(), float("inf")
            self._lanes.feed(leases)
        else:
            self.hungry_since = min(self.hungry_since, time.monotonic())
        return len(leases)

    def recall(self, *, after: float = 0.0) -> Sequence[Lease]:
        """Take back what has not begun so many seconds after it was leased."""
        if time.monotonic() - self._fed_at < after:
            return ()
        recalled = self._lanes.recall()
        self._budget += len(recalled)
        return recalled


def turns(weights: Mapping[str, int]) -> Iterable[str]:
    """One round of the queues, each as often as its weight says, spread evenly.

    The smooth weighted round robin of nginx.
    """
    total, credit = sum(weights.values()), dict.fromkeys(weights, 0)
    for _ in range(total):
        for queue, weight in weights.items():
            credit[queue] += weight
        chosen = max(credit, key=credit.__getitem__)
        credit[chosen] -= total
        yield chosen
