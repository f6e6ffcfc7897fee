"""Ctrl-C and SIGTERM: the first one stops the run, later ones change nothing."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
    """From `with` to its end, the first Ctrl-C or SIGTERM raises KeyboardInterrupt in the main thread.

    Who was told to stop is deaf from then on, until the process has ended.
    """

    def __init__(self) -> None:
        self._shielded = self._heard = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._hear) for number in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        if not self._heard:
            for number, handler in self._before.items():
                signal.signal(number, handler)

    @contextmanager
    def shielded(self) -> Iterator[None]:
        """Let what is inside come to its end; an interrupt takes effect after it."""
        self._shielded, heard = True, self._heard
        try:
            yield
        finally:
            self._shielded = False
        if self._heard and not heard:
            raise KeyboardInterrupt

    def _hear(self, *_: object) -> None:
        if not self._heard:
            self._heard = True
            if not self._shielded:
                raise KeyboardInterrupt
