"""An alarm for calls into a contender's library, which may hang anywhere."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

from adapters.conformance.pools import Broken

ANSWER_S = 30.0
"""How long one call may take."""


class _Overdue(BaseException):
    """The time is up. No Exception, so that no library takes it for a trouble of its own and goes on."""


@contextmanager
def limit(what: str, seconds: float = ANSWER_S) -> Iterator[None]:
    """Raise Broken where what is inside takes longer. Not within another limit."""

    def ring(*_: object) -> None:
        raise _Overdue

    handler = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    except _Overdue:
        raise Broken(f"{what} did not end within {seconds:g} s") from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
