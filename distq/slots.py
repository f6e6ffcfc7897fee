"""What each worker process has begun, in memory that outlives the process.

A worker writes the id of a job into one of its slots when it begins it; its supervisor, which shares
the memory, reads them after the process has died, and so knows whom to charge for the crash.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from collections import deque

_WIDTH = 128
_EMPTY = bytes(_WIDTH)


class Slots:
    """A fixed number of slots over a file descriptor. Taking and freeing is safe from any thread."""

    def __init__(self, descriptor: int, count: int) -> None:
        self._memory = mmap.mmap(descriptor, count * _WIDTH)
        self._free = deque(range(0, count * _WIDTH, _WIDTH))

    @staticmethod
    def allocate(count: int) -> int:
        """A new descriptor with room for `count` slots; it belongs to the caller."""
        with tempfile.TemporaryFile() as file:
            file.truncate(count * _WIDTH)
            return os.dup(file.fileno())

    def begin(self, job_id: str) -> int:
        """Note that a job begins; returns its place, for `end`."""
        place = self._free.pop()
        self._memory[place : place + _WIDTH] = job_id.encode().ljust(_WIDTH, b"\0")
        return place

    def end(self, place: int) -> None:
        """Note that the job of a place no longer runs."""
        self._memory[place : place + _WIDTH] = _EMPTY
        self._free.append(place)

    def begun(self) -> set[str]:
        """The ids of the jobs that have begun and not ended."""
        text = self._memory[:]
        cells = (text[at : at + _WIDTH].rstrip(b"\0") for at in range(0, len(text), _WIDTH))
        return {cell.decode() for cell in cells if cell}

    def close(self) -> None:
        """Give the memory back. Twice is safe."""
        self._memory.close()
