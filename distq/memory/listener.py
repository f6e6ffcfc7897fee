"""Waits for hints of what happens in a MemoryStorage."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from distq.job import Heard
from distq.polling import readable


class MemoryListener:
    """Hears what happens in a MemoryStorage."""

    def __init__(
        self,
        lock: threading.RLock,
        all: set[MemoryListener],
        queues: frozenset[str],
        ended: frozenset[str],
    ) -> None:
        """`all` has those that are open."""
        self.queues, self.ended = queues, ended
        self._lock, self._all = lock, all
        self._heard = Heard()
        self._wakeup: int | None = None

    def tell(self, heard: Heard) -> None:
        """Note what happened; the storage's lock is held."""
        before = self._heard
        self._heard = Heard(
            {**before.ready, **heard.ready},
            before.cancel | heard.cancel,
            before.ended | heard.ended,
            before.gap or heard.gap,
            before.sure or heard.sure,
        )
        if self._wakeup is not None:
            os.write(self._wakeup, b"!")

    def wait(self, *, timeout: float, wakeup: int) -> Heard:
        with self._pipe() as reader:
            if not self._heard:
                readable([reader, wakeup], timeout)
        with self._lock:
            heard, self._heard = self._heard, Heard()
        return heard

    @contextmanager
    def _pipe(self) -> Iterator[int]:
        reader, writer = os.pipe()
        with self._lock:
            self._all.add(self)
            self._wakeup = writer
        try:
            yield reader
        finally:
            with self._lock:
                self._wakeup = None
            os.close(reader)
            os.close(writer)

    def close(self) -> None:
        """As the Protocol says."""
        with self._lock:
            self._all.discard(self)
