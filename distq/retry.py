"""Back-off: how long a failed job waits before its next try. Pure functions."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from typing import Literal

from distq.errors import ConfigurationError

Backoff = Literal["exponential", "linear"] | float | Sequence[float] | Callable[[int], float]
"""A named curve, a fixed number of seconds, a list of them, or a function of the attempt (1, 2, …)."""

LONGEST = 3600.0
"""The cap of the named curves, in seconds."""


FARTHEST = 366 * 86_400.0
"""No job waits longer for its next try, in seconds."""


def delay(backoff: Callable[[int], float], attempt: int) -> float:
    """The seconds to wait after the failed attempt: what the function says, from 0 to `FARTHEST`.

    Raises ValueError or TypeError where that is no number, and whatever the function raises.
    """
    seconds = float(backoff(attempt))
    if math.isnan(seconds):
        raise ValueError(f"the back-off of attempt {attempt} is not a number")
    return min(max(seconds, 0.0), FARTHEST)


def parse(backoff: Backoff) -> Callable[[int], float]:
    """The delay in seconds as a function of the failed attempt's number, which starts at 1.

    Named curves are spread by up to a quarter, so that jobs that failed together do not return
    together; numbers, lists and functions are taken as given. A list's last entry repeats.

    Raises:
        ConfigurationError: not a back-off.
    """
    match backoff:
        case "exponential":
            return lambda attempt: _spread(min(2.0 ** min(attempt, 32), LONGEST))
        case "linear":
            return lambda attempt: _spread(min(10.0 * attempt, LONGEST))
        case bool() | str():
            pass
        case int() | float() if backoff >= 0:
            return lambda _: float(backoff)
        case [*delays] if delays and all(_is_delay(delay) for delay in delays):
            return lambda attempt: float(delays[min(attempt, len(delays)) - 1])
        case function if callable(function):
            return function
    raise ConfigurationError(
        f"backoff={backoff!r}: use 'exponential', 'linear', seconds, a list of seconds, or a function"
    )


def _is_delay(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0


def _spread(seconds: float) -> float:
    return seconds * random.uniform(0.75, 1.25)
