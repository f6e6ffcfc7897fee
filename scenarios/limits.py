"""An alarm for calls into a contender's library, which may hang anywhere."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

from scenarios.plan import Failed


class Overdue(BaseException):
    """The time is up. No Exception, so that no library takes it for a trouble of its own and goes on."""


@contextmanager
def alarm(seconds: float) -> Iterator[None]:
    """Raise Overdue in the main thread, wherever it then is; an alarm that was set before goes on after."""

    def ring(*_: object) -> None:
        raise Overdue

    began, handler = time.monotonic(), signal.signal(signal.SIGALRM, ring)
    left, interval = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        if left:
            signal.setitimer(signal.ITIMER_REAL, max(left - (time.monotonic() - began), 1e-3), interval)


@contextmanager
def limit(what: str, seconds: float) -> Iterator[None]:
    """Raise Failed where something takes longer."""
    try:
        with alarm(seconds):
            yield
    except Overdue:
        raise Failed(f"{what} did not end within {seconds:g} s") from None
