"""Whose turn it is to use one of a few connections; and who waits for it while the server is silent."""

from __future__ import annotations

import time
from typing import Generic, TypeVar

P = TypeVar("P")


class Turns(Generic[P]):
    """`places` is a semaphore of threads or of an event loop.

    Whoever waited for a place while somebody else was met with silence does not try: else each would add the
    whole wait of those before.
    """

    def __init__(self, places: P) -> None:
        self.places = places
        self._silent_at = float("-inf")

    def note_silence(self) -> None:
        """The server did not answer in time."""
        self._silent_at = time.monotonic()

    def silent_since(self, moment: float) -> bool:
        """Whether somebody was met with silence after a moment (monotonic)."""
        return self._silent_at >= moment
