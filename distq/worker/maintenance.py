"""The maintenance pass: promote what is due, reclaim expired leases, prune expired results.

The processes of a pool take turns. Every pool makes it; whoever comes first does the work, and the others'
passes cost next to nothing. There is no leader.
"""

from __future__ import annotations

import random
import time

from distq import telemetry
from distq.job import Tick
from distq.storage import Op, Storage
from distq.telemetry import figures
from distq.worker.hints import Hints
from distq.worker.holdings import Holdings
from distq.worker.settings import Settings

INTERVAL = 1.0
"""Seconds between passes of one pool."""

IDLE = 0.9
"""Of that, when who holds nothing may take its turn: before the others, for it alone can take a suspect."""

LIMIT = 1000
"""Jobs that one pass promotes, reclaims or prunes at most; a full pass is followed by another at once."""

OUTAGE = 3 * INTERVAL
"""Seconds without a pass by anybody that mean that the storage was out of reach; more where half a ttl is
more, for leases outlast that."""

DRAIN, DRAIN_PAUSE, DRAIN_CHANCE = 5.0, 30.0, 0.5
"""A process that sees a suspect wait ends what it has, to take it alone: for so many seconds at most, then
not again for so many, and only by so much chance, for others see it too."""


class Maintenance:
    """The passes of one worker process over its queues."""

    def __init__(self, storage: Storage, settings: Settings, holdings: Holdings, hints: Hints) -> None:
        self._storage, self._ttl, self._holdings, self._hints = storage, settings.ttl, holdings, hints
        self._interval = min(INTERVAL, settings.ttl / 4)
        self._due_at = dict.fromkeys(settings.queues, time.monotonic())
        self._full: set[str] = set()
        self._ready = False
        self._drain_until = float("-inf")

    def make(self) -> None:
        """Make the passes that are due, where it is this process's turn. Raises StorageError."""
        for queue, due_at in self._due_at.items():
            now = time.monotonic()
            if queue in self._full:
                self._pass(queue, eager=True)
            elif now >= due_at:
                pause = self._interval * (1.0 if self._holdings else IDLE)
                wait = self._hints.board.turn(queue, pause)
                self._due_at[queue] = now + (wait or pause)
                if not wait:
                    self._pass(queue)

    def _pass(self, queue: str, *, eager: bool = False) -> None:
        tick = self._storage.run(maintenance(self._storage, queue, self._ttl, eager=eager))
        self._full.discard(queue)
        if LIMIT in (tick.promoted, tick.pruned, tick.reclaimed + tick.buried):
            self._full.add(queue)
        self._take_note(queue, tick)

    @property
    def pending(self) -> bool:
        """Whether the last pass left something to do."""
        return bool(self._full)

    def take_ready(self) -> bool:
        """Whether a pass since the last call saw jobs to lease."""
        ready, self._ready = self._ready, False
        return ready

    @property
    def next_at(self) -> float:
        """When the next pass is due, on the monotonic clock."""
        return min(self._due_at.values())

    @property
    def draining(self) -> bool:
        """Whether the process should lease nothing until it is idle, for the sake of a suspect."""
        return time.monotonic() < self._drain_until

    def drained(self) -> None:
        """The process was idle and has leased."""
        self._drain_until = min(self._drain_until, time.monotonic())

    def _take_note(self, queue: str, tick: Tick) -> None:
        now = time.monotonic()
        if tick.ready:
            self._ready = True
            self._hints.tokens.give()
        if tick.suspects and now > self._drain_until + DRAIN_PAUSE and random.random() < DRAIN_CHANCE:
            self._drain_until = now + DRAIN
        tell(queue, tick)


def tell(queue: str, tick: Tick) -> None:
    """Say what a pass found that went wrong."""
    if tick.reclaimed or tick.buried:
        figures.reclaimed(queue, tick.reclaimed + tick.buried)
        telemetry.emit(
            "warn",
            "queue {queue}: {reclaimed} expired leases taken back, {buried} jobs dead of crashes",
            queue=queue,
            reclaimed=tick.reclaimed,
            buried=tick.buried,
        )


def maintenance(storage: Storage, queue: str, ttl: float, *, eager: bool = False) -> Op[Tick]:
    """The pass over a queue whose leases last `ttl` seconds."""
    return storage.tick(queue, limit=LIMIT, grace=ttl, outage=max(OUTAGE, ttl / 2), eager=eager)
