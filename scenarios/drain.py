"""Waiting for the end of a cell's jobs, at next to no cost while they run."""

from __future__ import annotations

import time

from adapters.base import Adapter
from scenarios import ledger, records
from scenarios.contender import Pool
from scenarios.layout import Layout
from scenarios.ledger import Moment
from scenarios.limits import Overdue, alarm

QUIET_S = 10.0
"""Where nothing has finished for so long and the queue is empty, what is missing is lost."""

PATIENCE_S = 2.0
"""What the contender's server may take after the deadline to say how much is left."""

_POLL_S = 0.01
_ASK_S = 1.0
"""Between two questions to the contender's server."""


class Drain:
    """Made before the first job may run, so that it can tell from file sizes how many have."""

    def __init__(self, adapter: Adapter, layout: Layout, *, job_s: float) -> None:
        """`job_s`: what one job's work takes."""
        self._adapter, self._layout = adapter, layout
        self._quiet_s = QUIET_S + 2 * job_s
        self._before = ledger.at_most_finished(layout.ledger)

    def wait(self, pool: Pool, until: float) -> bool:
        """Wait until every accepted job has finished, or nothing moves any more; False: `until` came first.

        Raises:
            Failed: the pool has ended by itself.
        """
        try:
            with alarm(max(until - time.monotonic(), 0) + PATIENCE_S):
                return self._wait(pool, until)
        except Overdue:
            return False

    def _wait(self, pool: Pool, until: float) -> bool:
        accepted = records.jobs(self._layout.producer, Moment.ACCEPTED)
        seen, quiet_at = -1, 0.0
        while True:
            now, written = time.monotonic(), ledger.written(self._layout.ledger)
            count = written // 2 - self._before
            if written != seen:
                seen, quiet_at = written, now + self._quiet_s
                if count >= len(accepted) and accepted <= records.jobs(self._layout.ledger, Moment.FINISHED):
                    return True
            if now > until:
                return False
            if now > quiet_at:
                if not self._adapter.depth():
                    return True
                quiet_at = now + _ASK_S
            pool.check()
            # Near the end, look often; before it, and where jobs run twice, not to disturb.
            near = 0.95 * len(accepted) <= count < len(accepted)
            time.sleep(_POLL_S if near else 10 * _POLL_S)
