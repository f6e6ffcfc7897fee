"""What the pool hears for its processes, in memory that they share: one writes, and the others read.

A ring has the moments at which jobs became ready. Each process reads on where it stopped; nobody is woken
for it. And of each queue there is when somebody last took a turn at its maintenance.
"""

from __future__ import annotations

import mmap
import time
from collections.abc import Sequence

from distq.job import Heard
from distq.worker import shared

LENGTH = 4096
"""Hints that are kept: who is behind by more than that has missed some."""

_WORD = 8
_COUNT, _STRETCH = 0, 1
"""The words of the head: how many hints there were; and the number of the stretch of time in which all are
heard, 0 outside of one."""

_HEAD = 2


class Board:
    """For one thread of each process. Each word is written at once, the count of hints after the hints."""

    def __init__(self, descriptor: int, queues: Sequence[str]) -> None:
        words = memoryview(mmap.mmap(descriptor, _size(len(queues))))
        places, moments = _HEAD * _WORD, (_HEAD + LENGTH) * _WORD
        self._head = words[:places].cast("Q")
        self._places = words[places:moments].cast("Q")
        self._moments = words[moments : moments + LENGTH * _WORD].cast("d")
        self._turns = words[moments + LENGTH * _WORD :].cast("d")
        self._queues = queues
        self._place_of = {queue: place for place, queue in enumerate(queues)}
        self._stretches = self._stretch = 0
        self._read = self._head[_COUNT]

    @staticmethod
    def allocate(queues: int) -> int:
        """A new descriptor for a board of so many queues; it belongs to the caller. Raises OSError."""
        return shared.allocate(_size(queues))

    def write(self, heard: Heard) -> None:
        """Note what was heard. For the one who writes."""
        count = self._head[_COUNT]
        if heard.gap:
            self._head[_STRETCH] = 0
        if heard.sure:
            self._stretches += 1
            self._head[_STRETCH] = self._stretches
        for number, (queue, first) in enumerate(heard.ready.items(), count):
            self._places[number % LENGTH] = self._place_of[queue]
            self._moments[number % LENGTH] = first
        self._head[_COUNT] = count + len(heard.ready)

    def read(self) -> Heard:
        """What was written since the last time."""
        began, known = self._read, self._stretch
        count, stretch = self._head
        self._read, self._stretch = count, stretch
        if (began, known) == (count, stretch):
            return Heard()
        ready = self._hints(began, count) if self._kept(began) else {}
        # What is being written now may have been the oldest of those.
        gap = stretch != known or not self._kept(began)
        return Heard(ready, gap=gap, sure=gap and stretch > 0)

    def _kept(self, number: int) -> bool:
        """Whether that hint is there, though the next ones may be being written: of each queue one."""
        return self._head[_COUNT] + len(self._queues) - number <= LENGTH

    def _hints(self, began: int, count: int) -> dict[str, float]:
        ready: dict[str, float] = {}
        for number in range(began, count):
            queue, first = self._queues[self._places[number % LENGTH]], self._moments[number % LENGTH]
            ready[queue] = min(ready.get(queue, first), first)
        return ready

    def turn(self, queue: str, pause: float) -> float:
        """Take the turn at a queue, if the last is `pause` seconds old. Returns in how many seconds there is
        one: 0 who has it now. Two at once may both have it.
        """
        place, now = self._place_of[queue], time.monotonic()
        last = self._turns[place]
        if last and now < last + pause:
            return last + pause - now
        self._turns[place] = now
        return 0.0


def _size(queues: int) -> int:
    return (_HEAD + 2 * LENGTH + queues) * _WORD
