"""What the pool hears for its processes, in memory that they share: one writes, and the others read.

A ring has the moments at which jobs became ready. Each process reads on where it stopped; nobody is woken
for it. And of each queue there is when somebody last took a turn at its maintenance.
"""

from __future__ import annotations

import mmap
import time
from collections.abc import Sequence
from struct import Struct

from distq.job import Heard
from distq.worker import shared

LENGTH = 4096
"""Hints that are kept: who is behind by more than that has missed some."""

_HEAD = Struct("QQ")
"""How many hints there were, and the number of the stretch of time in which all are heard; 0 outside."""

_HINT = Struct("Qd")
"""The queue's place among the pool's, and a moment as in `Heard`."""

_TURN = Struct("d")
_TURNS_AT = _HEAD.size + LENGTH * _HINT.size


class Board:
    """For one thread of each process."""

    def __init__(self, descriptor: int, queues: Sequence[str]) -> None:
        self._memory = mmap.mmap(descriptor, _turn_at(len(queues)))
        self._queues = queues
        self._places = {queue: place for place, queue in enumerate(queues)}
        self._stretches = 0
        self._read, self._stretch = _HEAD.unpack_from(self._memory)[0], 0

    @staticmethod
    def allocate(queues: int) -> int:
        """A new descriptor for a board of so many queues; it belongs to the caller."""
        return shared.allocate(_turn_at(queues))

    def write(self, heard: Heard) -> None:
        """Note what was heard. For the one who writes."""
        count, stretch = _HEAD.unpack_from(self._memory)
        if heard.gap:
            stretch = 0
        if heard.sure:
            self._stretches += 1
            stretch = self._stretches
        for queue, first in heard.ready.items():
            _HINT.pack_into(self._memory, _place(count), self._places[queue], first)
            count += 1
        _HEAD.pack_into(self._memory, 0, count, stretch)

    def read(self) -> Heard:
        """What was written since the last time."""
        began, (count, stretch) = self._read, _HEAD.unpack_from(self._memory)
        known, self._read, self._stretch = self._stretch, count, stretch
        if (began, known) == (count, stretch):
            return Heard()
        ready = self._hints(began, count) if count - began < LENGTH else {}
        # What is being written now may be the oldest of those.
        missed = _HEAD.unpack_from(self._memory)[0] - began >= LENGTH
        gap = missed or stretch != known
        return Heard(ready, gap=gap, sure=gap and stretch > 0)

    def _hints(self, began: int, count: int) -> dict[str, float]:
        ready: dict[str, float] = {}
        for number in range(began, count):
            place, first = _HINT.unpack_from(self._memory, _place(number))
            queue = self._queues[int(place)]
            ready[queue] = min(ready.get(queue, first), first)
        return ready

    def turn(self, queue: str, pause: float) -> float:
        """Take the turn at a queue, if the last is `pause` seconds old. Returns in how many seconds there is
        one: 0 who has it now. Two at once may both have it.
        """
        at, now = _turn_at(self._places[queue]), time.monotonic()
        (last,) = _TURN.unpack_from(self._memory, at)
        if last and now < last + pause:
            return last + pause - now
        _TURN.pack_into(self._memory, at, now)
        return 0.0


def _turn_at(place: int) -> int:
    return _TURNS_AT + place * _TURN.size


def _place(number: int) -> int:
    return _HEAD.size + number % LENGTH * _HINT.size
