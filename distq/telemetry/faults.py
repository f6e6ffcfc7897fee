"""What goes wrong in telling: it is told in the log, now and then, and is nobody else's trouble."""

from __future__ import annotations

import logging
import time

PAUSE = 60.0
"""Seconds for which the same is not said again."""

_logger = logging.getLogger("distq")
_said_at: dict[str, float] = {}


def tell(error: Exception) -> None:
    """Record that the user's telemetry has failed. By the log alone, for it is the other ways that fail."""
    text, now = f"{type(error).__name__}: {error}", time.monotonic()
    if now - _said_at.get(text, float("-inf")) > PAUSE:
        _said_at.clear()
        _said_at[text] = now
        _logger.warning("telemetry failed: %s", text)
