"""What goes wrong in telling: it is told in the log, now and then, and is nobody else's trouble."""

from __future__ import annotations

import logging
import time
from contextlib import ContextDecorator
from traceback import walk_tb
from types import TracebackType

from distq.messages import remote_error

PAUSE = 60.0
"""Seconds for which an error from the same line of code is not told again."""

_logger = logging.getLogger("distq")
_told_at: dict[tuple[str, int], float] = {}


class _Contained(ContextDecorator):
    def __enter__(self) -> None:
        """Nothing is to be done."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if not isinstance(error, Exception):
            return False
        _tell(error)
        return True


contained = _Contained()
"""Within it, or in a function that it decorates, an error of the user's telemetry ends what is told, and
nothing else: neither what the user's processors raise, nor what another's headers hold, is a job's failure.
"""


def _tell(error: Exception) -> None:
    """By the log alone, for it is the other ways that fail."""
    *_, (frame, number) = walk_tb(error.__traceback__)
    line, now = (frame.f_code.co_filename, number), time.monotonic()
    if now - _told_at.get(line, float("-inf")) > PAUSE:
        _told_at[line] = now
        said = remote_error(error)
        _logger.warning("telemetry failed: %s: %s", said.type, said.message)
