"""What each worker process has begun, in memory that outlives the process.

A worker writes the job into one of its slots when it begins it; its supervisor, which shares the memory,
knows after the process has died whom to charge for the crash, and while it lives whether it is stuck: a job
is over its hard limit, or the I/O thread makes no rounds, as when C code does not let go of the interpreter.
"""

from __future__ import annotations

import mmap
import time
from collections import deque
from struct import Struct
from typing import NamedTuple

from distq.job import Lease
from distq.worker import shared

NEVER = float("inf")

_SLOT = Struct("d104s152s")
"""Until when the job may run, on the monotonic clock, which processes share; its id; its token."""

_BEAT = Struct("d")
_ID_AT = _BEAT.size
"""Where a slot has the id; a slot whose id is empty is free."""


class Begun(NamedTuple):
    """A job that runs."""

    id: str
    token: str
    hard_at: float


class Slots:
    """A fixed number of slots over a file descriptor. Taking and freeing is safe from any thread."""

    def __init__(self, descriptor: int, count: int) -> None:
        self._memory = mmap.mmap(descriptor, _size(count))
        self._free = deque(range(_BEAT.size, _size(count), _SLOT.size))

    @staticmethod
    def allocate(count: int) -> int:
        """A new descriptor with room for `count` slots; it belongs to the caller."""
        return shared.allocate(_size(count))

    def begin(self, lease: Lease, hard_at: float) -> int:
        """Note that a job begins; returns its place, for `end` and `limit`."""
        place = self._free.pop()
        _SLOT.pack_into(self._memory, place, hard_at, lease.id.encode(), lease.token.encode())
        return place

    def limit(self, place: int, hard_at: float) -> None:
        """Note until when the job of a place may run now."""
        _BEAT.pack_into(self._memory, place, hard_at)

    def end(self, place: int) -> None:
        """Note that the job of a place no longer runs."""
        self._memory[place + _ID_AT] = 0
        self._free.append(place)

    def begun(self) -> list[Begun]:
        """The jobs that have begun and not ended."""
        cells = _SLOT.iter_unpack(self._memory[_BEAT.size :])
        return [
            Begun(job_id.rstrip(b"\0").decode(), token.rstrip(b"\0").decode(), hard_at)
            for hard_at, job_id, token in cells
            if job_id[0]
        ]

    def beat(self) -> None:
        """Note that the process makes its rounds."""
        _BEAT.pack_into(self._memory, 0, time.monotonic())

    @property
    def silence(self) -> float:
        """Seconds since the last `beat`; 0 before the first, for an application may take long to start."""
        (beat,) = _BEAT.unpack_from(self._memory)
        return time.monotonic() - beat if beat else 0.0

    def close(self) -> None:
        """Give the memory back. Twice is safe."""
        self._memory.close()


def _size(count: int) -> int:
    return _BEAT.size + count * _SLOT.size
